// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: which pages in a browser may talk to this server. A page that made its
// own name resolve to this machine (DNS rebinding) is caught by Host, any other foreign page by
// Origin.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/server/http_server.h"

namespace omg {

class AccessCheck {
 public:
  explicit AccessCheck(const HttpAccessRules& rules);
  /// `host`: the header's value, which the parser has checked.
  bool allows_host(std::string_view host) const;
  /// `host`: as above; pages that this server itself gave out may come back.
  bool allows_origin(std::string_view origin, std::string_view host) const;
  /// Header lines that tell a browser so; "" if `origin` is empty.
  static std::string cors_lines(std::string_view origin);
  /// The headers of an answer to a preflight (OPTIONS with Access-Control-Request-Method).
  static std::vector<HttpHeaders::Field> preflight_headers(const HttpHeaders& request);

 private:
  std::vector<std::string> hosts_;
  std::vector<std::string> origins_;
  std::string own_name_;
};

}  // namespace omg
