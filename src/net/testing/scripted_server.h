// SPDX-License-Identifier: Apache-2.0
//
// An HTTP server in the test's own process that answers with exactly the bytes that the test wants:
// well-behaved servers are the least of a client's worries. Loopback only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/http_client.h"

namespace omg::testing {

struct ScriptedRequest {
  std::string method;
  std::string target;  // as it stands in the request line
  HttpHeaders headers;
  std::string body;
  uint64_t connection = 0;  // number of the connection, from 1

  /// The header's value, or "" if there is none.
  std::string header(std::string_view name) const;
};

struct ScriptedAnswer {
  std::string bytes;      // status line, headers, body, as they go on the wire
  bool keep_open = true;  // wait for the next request on the connection
  /// After `bytes`: sent again and again until the client leaves.
  std::string endless;
  /// Waits before `bytes` and between the pieces of `endless`.
  std::chrono::milliseconds pause{0};
};

/// An answer with a right Content-Length. `headers`: lines with their "\r\n".
ScriptedAnswer answer(int status, std::string_view body, std::string_view headers = "");
/// An answer that redirects.
ScriptedAnswer redirect(int status, const std::string& location, std::string_view headers = "");

class ScriptedServer {
 public:
  using Script = std::function<ScriptedAnswer(const ScriptedRequest&)>;
  /// Listens on a free port of `address` (of 127.0.0.0/8). The script is called from many threads,
  /// one at a time.
  explicit ScriptedServer(Script script, const char* address = "127.0.0.1");
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  uint16_t port() const { return port_; }
  /// "http://127.0.0.1:port" + path.
  std::string url(std::string_view path = "") const;
  /// All requests so far.
  std::vector<ScriptedRequest> requests() const;

 private:
  void accept_connections();
  void serve(int socket, uint64_t number);

  Script script_;
  std::string address_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // guards all below, and the script
  std::vector<ScriptedRequest> requests_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace omg::testing
