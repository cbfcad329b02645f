// SPDX-License-Identifier: Apache-2.0
//
// http and https URLs, parsed by the library that also fetches them, so that what was checked and
// what is asked cannot differ.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace omg {

/// An absolute http or https URL. Scheme and host are in lower case; IPv6 hosts keep their
/// brackets.
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;
  uint16_t port = 0;  // never 0 after parsing: the scheme's own where none is given
  std::string path;   // begins with '/'; percent-encoded as it came
  std::string query;  // without '?'; empty if there is none

  /// "scheme://host:port", the port always written. Credentials belong to one origin.
  std::string origin() const;
  /// "scheme://host[:port]" with the port only where it is not the scheme's own.
  std::string base() const;
  std::string text() const;
};

/// Throws Error(kInvalidArgument) for other schemes, user names or passwords in the URL, control
/// characters, and more than 8192 bytes. A fragment is dropped. "." and ".." segments are resolved.
Url parse_url(std::string_view text);
/// The URL that `reference` (absolute or relative) means in an answer from `base`.
Url resolve_url(const Url& base, std::string_view reference);
/// Everything but unreserved characters (RFC 3986) as %XX; `keep` names further ones to keep.
std::string percent_encode(std::string_view text, std::string_view keep = "");

}  // namespace omg
