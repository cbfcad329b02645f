// SPDX-License-Identifier: Apache-2.0
//
// Which handler answers which method and path, what it takes as a body, and what is said where none
// does (404, 405 with Allow).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/server/request.h"
#include "net/server/responder.h"

namespace omg {

/// Runs on a thread of the handlers' pool. It answers before it returns, or moves the responder out
/// and has somebody answer later: what waits for tokens must not wait here. An Error that it throws
/// becomes the answer, if there is none yet.
using HttpHandler = std::function<void(HttpServerRequest& request, HttpResponder& responder)>;

struct HttpRouteOptions {
  /// Instead of HttpServerLimits::max_body_bytes.
  std::optional<uint64_t> max_body_bytes;
  /// Makes what takes the body instead of `HttpServerRequest::body`; sees the head. Runs on a
  /// handler's thread. Throwing refuses the request before its body is sent.
  std::function<std::unique_ptr<HttpBodySink>(const HttpServerRequest& head)> sink;
};

struct HttpRoute {
  std::string method;
  std::string pattern;
  HttpHandler handler;
  HttpRouteOptions options;
  std::vector<std::string> parts;  // of the pattern
};

class HttpRouter {
 public:
  /// `pattern`: "/api/blobs/:digest" takes one part of the path as a parameter, a last part like
  /// "*name" takes one or more, joined by '/'. GET serves HEAD too. Where several patterns fit, the
  /// one with the literal part at the first difference wins. Throws Error(kInternal) for a pattern
  /// that makes no sense, or one that is there already.
  void add(std::string method, std::string pattern, HttpHandler handler,
           HttpRouteOptions options = {});

  struct Match {
    const HttpRoute* route = nullptr;  // null: see `allow`
    std::vector<HttpParameter> parameters;
    std::string allow;  // methods of this path, as for Allow; "" = there is no such path
  };
  /// `parts`: those of the path between slashes, decoded.
  Match find(std::string_view method, const std::vector<std::string>& parts) const;

 private:
  std::vector<HttpRoute> routes_;
};

}  // namespace omg
