// SPDX-License-Identifier: Apache-2.0
//
// The formats of JSON Schema's validation vocabulary (section 7.3) as regular expressions.
#include "text/grammar/json_schema.h"

namespace omg::grammar {
namespace {

const char kTime[] =
    R"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))";

/// Every month has its own days, and every fourth year its 29 February (RFC 3339, appendix C).
const char kDate[] =
    R"((?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30))"
    R"(|02-(?:0[1-9]|1\d|2[0-8]))|(?:\d\d(?:0[48]|[2468][048]|[13579][26]))"
    R"(|(?:[02468][048]|[13579][26])00)-02-29))";

/// ISO 8601 durations as in RFC 3339, appendix A.
const char kDuration[] =
    R"(P(?:\d{1,6}W|(?:(?:\d{1,6}Y(?:\d{1,2}M(?:\d{1,2}D)?)?|\d{1,6}M(?:\d{1,2}D)?|\d{1,6}D))"
    R"((?:T(?:\d{1,6}H(?:\d{1,2}M(?:\d{1,2}S)?)?|\d{1,6}M(?:\d{1,2}S)?|\d{1,6}S))?))"
    R"(|T(?:\d{1,6}H(?:\d{1,2}M(?:\d{1,2}S)?)?|\d{1,6}M(?:\d{1,2}S)?|\d{1,6}S)))";

const char kIpv4[] =
    R"((?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";

/// RFC 4291: eight groups, or fewer with "::" at any one place.
std::string ipv6_pattern() {
  const std::string group = "[0-9a-fA-F]{1,4}";
  std::string pattern = "(?:(?:" + group + ":){7}" + group;
  for (int before = 0; before <= 7; ++before) {
    const int after = 7 - before;
    std::string left = "(?:" + group + "(?::" + group + "){" + std::to_string(before - 1) + "})";
    if (before == 0) left = "";
    if (before == 1) left = group;
    std::string right;
    if (after > 0)
      right = "(?:" + group + "(?::" + group + "){0," + std::to_string(after - 1) + "})?";
    pattern += "|" + left + "::" + right;
  }
  return pattern + ")";
}

std::string hostname_pattern() {
  const std::string label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
  return label + "(?:\\." + label + "){0,6}";  // at most 230 bytes; 253 are allowed
}

std::string email_pattern() {
  const std::string atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
  return atom + "(?:\\." + atom + "){0,2}@" + hostname_pattern();
}

std::string uri_pattern() {
  const std::string character = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
  return "[A-Za-z][A-Za-z0-9+.-]{0,20}://" + hostname_pattern() + "(?::[1-9]\\d{0,3})?(?:/" +
         character + "*)*(?:\\?(?:" + character + "|[/?])*)?(?:#(?:" + character + "|[/?])*)?";
}

}  // namespace

std::string format_pattern(std::string_view format) {
  if (format == "date") return kDate;
  if (format == "time") return kTime;
  if (format == "date-time") return std::string(kDate) + "T" + kTime;
  if (format == "duration") return kDuration;
  if (format == "uuid") {
    return "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
  }
  if (format == "uuid4") {
    return "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
  }
  if (format == "byte") {  // OpenAPI's name for base64
    return "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?";
  }
  if (format == "json-pointer") return "(?:/(?:[^~/]|~[01])*)*";
  if (format == "ipv4") return kIpv4;
  if (format == "ipv6") return ipv6_pattern();
  if (format == "hostname" || format == "idn-hostname") return hostname_pattern();
  if (format == "email" || format == "idn-email") return email_pattern();
  if (format == "uri" || format == "iri" || format == "uri-reference") return uri_pattern();
  // OpenAPI's and Pydantic's names that only tell what a string is for.
  for (const char* any : {"password", "binary", "path", "file-path", "directory-path"}) {
    if (format == any) return "[\\s\\S]*";
  }
  return {};
}

}  // namespace omg::grammar
