// SPDX-License-Identifier: Apache-2.0
//
// Headers and the errors that answers stand for.
#include <charconv>

#include "base/json.h"
#include "base/utf8.h"
#include "net/http_client.h"
#include "net/url.h"

namespace omg {
namespace {

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// What a server says of an error, made fit for a terminal: one line, 300 bytes.
std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 300)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte >= 0x7f ? ' ' : c;
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

std::string text_of(const json::value& value) {
  return value.is_string() ? printable(std::string_view(value.get_string())) : "";
}

/// The message of a JSON error body: {"error": "…"}, {"message": "…"}, {"errors": [{"message"}]}.
std::string message_in_body(const std::string& body) {
  if (body.empty() || body.front() != '{') return "";
  json::value value;
  try {
    value = parse_json(body, "an error", {.max_bytes = 64u << 10, .max_depth = 16});
  } catch (const Error&) {
    return "";
  }
  const json::object& object = value.get_object();
  for (const char* key : {"error", "message"}) {
    if (const json::value* found = object.if_contains(key)) {
      if (const std::string text = text_of(*found); !text.empty()) return text;
    }
  }
  const json::value* errors = object.if_contains("errors");
  if (errors == nullptr || !errors->is_array() || errors->get_array().empty()) return "";
  const json::value& first = errors->get_array().front();
  if (!first.is_object()) return text_of(first);
  const json::value* message = first.get_object().if_contains("message");
  return message == nullptr ? "" : text_of(*message);
}

ErrorCode code_of_status(int status) {
  if (status == 404 || status == 410) return ErrorCode::kNotFound;
  if (status == 408 || status == 425 || status == 429 || status >= 500) {
    return ErrorCode::kUnavailable;
  }
  return ErrorCode::kInvalidArgument;
}

std::string advice(int status) {
  if (status == 401) return "check the token";
  if (status == 403) return "check what the token is allowed to do";
  if (status == 404 || status == 410) return "check the name";
  if (status == 429) return "wait, or use a token for a higher limit";
  if (status >= 500 || status == 408) return "try again later";
  return "check the request";
}

}  // namespace

bool equal_without_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto fold = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (fold(a[i]) != fold(b[i])) return false;
  }
  return true;
}

void HttpHeaders::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), std::move(value)});
}

std::optional<std::string_view> HttpHeaders::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (equal_without_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::optional<uint64_t> HttpHeaders::find_number(std::string_view name) const {
  const auto text = find(name);
  return text ? parse_number(*text) : std::nullopt;
}

std::optional<std::string_view> HttpResponse::find_header(std::string_view name) const {
  if (const auto own = headers.find(name)) return own;
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    if (const auto value = hop->headers.find(name)) return value;
  }
  return std::nullopt;
}

bool HttpError::is_transient() const {
  switch (failure_) {
    case HttpFailure::kResolve:
    case HttpFailure::kConnect:
    case HttpFailure::kStalled:
    case HttpFailure::kInterrupted:
      return true;
    case HttpFailure::kStatus:
      return code() == ErrorCode::kUnavailable && status_ != 501;
    default:
      return false;
  }
}

HttpError http_status_error(const HttpResponse& response, const std::string& what) {
  std::string host = "the server";
  try {
    host = parse_url(response.url).base();
  } catch (const Error&) {  // keep the vague name
  }
  std::string said = message_in_body(response.body);
  if (const auto header = response.headers.find("X-Error-Message"); header && said.empty()) {
    said = printable(*header);
  }
  HttpError error(code_of_status(response.status), HttpFailure::kStatus, response.status,
                  what + ": " + host + " answered " + std::to_string(response.status) +
                      (said.empty() ? "" : " (" + said + ")") + "; " + advice(response.status));
  if (const auto seconds = response.headers.find_number("Retry-After")) {
    error.retry_after = std::chrono::seconds(std::min<uint64_t>(*seconds, 24 * 3600));
  }
  return error;
}

}  // namespace omg
