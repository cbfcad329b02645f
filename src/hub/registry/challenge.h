// SPDX-License-Identifier: Apache-2.0
//
// Internal to hub/registry: what a registry says in WWW-Authenticate (RFC 9110, 11.6.1).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace omg {

struct Challenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case
};

/// The first challenge of a header; nothing if it is malformed.
std::optional<Challenge> parse_challenge(std::string_view header);
/// RFC 4648 with padding.
std::string base64(std::string_view bytes);

}  // namespace omg
