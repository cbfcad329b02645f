// SPDX-License-Identifier: Apache-2.0
//
// What a client asked, after the transport's checks: the handlers' side of net/server. No socket is
// needed to make one in a test.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/error.h"
#include "net/http_headers.h"

namespace omg {

/// Who is at the other end of a connection.
struct HttpPeer {
  std::string address;  // "127.0.0.1", "::1"; "" over a Unix socket
  uint16_t port = 0;
  bool unix_socket = false;
  bool loopback = false;   // Unix sockets included
  bool encrypted = false;  // TLS
};

/// A name and a value, both decoded: of a query, or of a route's pattern.
struct HttpParameter {
  std::string name;
  std::string value;
};

/// Takes a large body piece by piece, while it arrives. Each call runs on a handler's thread and
/// may block, which slows the sender; the next one comes when it has returned. Throwing ends the
/// request with the error's answer.
class HttpBodySink {
 public:
  virtual ~HttpBodySink() = default;
  /// At most 256 KiB at a time.
  virtual void take(std::string_view piece) = 0;
};

struct HttpServerRequest {
  std::string method;  // as it came: methods have a case
  std::string target;  // as it stands in the request line
  /// Decoded, without the query. Begins with '/'; valid UTF-8; no control characters, and no part
  /// between slashes (or backslashes) is "." or "..", also none that was percent-encoded.
  std::string path;
  std::vector<HttpParameter> query;       // in the order they came
  std::vector<HttpParameter> parameters;  // of the route's pattern
  std::string route;                      // that pattern: "/v1/jobs/:id"
  HttpHeaders headers;
  std::string body;                    // empty where the route has a sink
  std::unique_ptr<HttpBodySink> sink;  // the route's, after it took all of the body
  HttpPeer peer;
  uint64_t number = 0;  // of the request in this server, from 1
  /// Raised when the client leaves, when the server stops, or when the answer has been sent.
  CancellationToken cancellation;

  /// The pattern's parameter of that name; "" if there is none.
  std::string_view parameter(std::string_view name) const;
  /// The first value of that name in the query.
  std::optional<std::string_view> query_value(std::string_view name) const;
};

/// An answer other than the one that was hoped for, with its own status and headers: thrown where
/// the table of error codes does not say enough (401 with WWW-Authenticate, 429 with Retry-After).
class HttpRefusal : public Error {
 public:
  HttpRefusal(int status, const std::string& message, std::vector<HttpHeaders::Field> headers = {});
  int status() const { return status_; }
  const std::vector<HttpHeaders::Field>& headers() const { return headers_; }

 private:
  int status_;
  std::vector<HttpHeaders::Field> headers_;
};

}  // namespace omg
