// SPDX-License-Identifier: Apache-2.0
//
// The HTTP/1.1 server: listens on TCP and Unix sockets, holds requests to the standard and to
// limits, and calls handlers. Sockets, timers and TLS are Boost.Asio's (asio_transport.cc); reading
// HTTP is done here, stricter than libraries do it (request_parser.h says why).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/server/request.h"
#include "net/server/responder.h"
#include "net/server/router.h"

namespace omg {

/// Where to listen. For TCP: a name or address, and a port (0: any free one).
struct HttpEndpoint {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string unix_path;  // instead of host and port

  /// "127.0.0.1:11434", "[::1]:11434", or the path.
  std::string text() const;
};

struct HttpServerLimits {
  size_t max_target_bytes = 8u << 10;   // 414
  size_t max_header_bytes = 32u << 10;  // 431; with the request line
  size_t max_header_fields = 100;       // 431
  uint64_t max_body_bytes = 32u << 20;  // 413; a route may say otherwise
  /// Beyond it a new connection is answered 503 and closed.
  size_t max_connections = 1024;
  size_t max_connections_per_peer = 512;  // by address; Unix sockets count as one peer
  /// What a client may send ahead while its request is being answered.
  size_t max_pipelined_bytes = 64u << 10;
  /// Of a stream or WebSocket: what may wait for a slow client, besides the kernel's own buffer.
  size_t stream_buffer_bytes = 256u << 10;
  int kernel_send_buffer_bytes = 256 << 10;  // SO_SNDBUF; 0 = the system's

  std::chrono::milliseconds header_timeout{10'000};  // from the first byte to the empty line; TLS
  std::chrono::milliseconds idle_timeout{75'000};    // between requests
  /// For each 64 KiB of a body, or its rest; likewise for what is written.
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds write_timeout{30'000};
};

struct HttpTls {
  std::string certificate_file;  // PEM, with the chain
  std::string key_file;          // PEM
};

/// Who may ask from a browser. Both checks end in 403.
struct HttpAccessRules {
  /// The header Host may name: any IP address, localhost, this machine, *.localhost, *.local,
  /// *.internal, and these. "*": anything. A page that had its own name resolve to this server
  /// (DNS rebinding) comes with that name. Not checked over Unix sockets.
  std::vector<std::string> hosts;
  /// The header Origin may name: what Host says, http(s) at localhost, 127.0.0.1, 0.0.0.0 and [::1]
  /// with any port, the schemes app, file, tauri, vscode-webview and vscode-file, and these. One
  /// '*' in each stands for anything.
  std::vector<std::string> origins;
};

/// Why a request is not answered by its handler as hoped.
struct HttpProblem {
  int status = 500;
  std::string code;  // error_name(), e.g. "invalid_argument"
  std::string message;
  const HttpServerRequest* request = nullptr;  // null where not even the head was understood
};

/// What became of a request; for metrics and logs.
struct HttpRecord {
  std::string method;
  std::string route;  // the pattern; "" = none
  int status = 0;
  uint64_t body_bytes = 0;  // received
  uint64_t sent_bytes = 0;
  std::chrono::nanoseconds duration{0};
  bool client_left = false;
};

struct HttpServerOptions {
  std::vector<HttpEndpoint> endpoints;
  HttpServerLimits limits;
  std::optional<HttpTls> tls;  // of all TCP endpoints
  HttpAccessRules access;
  unsigned io_threads = 2;
  /// Started as they are needed.
  unsigned max_handler_threads = 16;
  /// Looks at the head before the body is read: keys, rates. Throws HttpRefusal or Error to refuse.
  /// Runs on an io thread: must not block.
  std::function<void(const HttpServerRequest& head)> admit;
  /// The body of an error; without it {"error": "<message>"} as JSON. Status and headers of the
  /// problem are kept.
  std::function<HttpAnswer(const HttpProblem& problem)> problem_answer;
  /// Called once for every answered or abandoned request, from any thread. Must not block.
  std::function<void(const HttpRecord& record)> observe;
};

class HttpServer {
 public:
  /// Listens and serves when it returns. Throws Error: kUnavailable where an address is taken, kIo,
  /// kInvalidArgument for what makes no sense, kNotFound for a missing certificate or host.
  HttpServer(HttpServerOptions options, HttpRouter router);
  /// stop() with no grace.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Where it listens, with the ports that were chosen.
  std::vector<HttpEndpoint> endpoints() const;
  size_t connections() const;
  /// Takes no more connections and requests, waits up to `grace` for those in flight, then cuts
  /// them and waits for handlers to return. Thread-safe, but not from a handler.
  void stop(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace omg
