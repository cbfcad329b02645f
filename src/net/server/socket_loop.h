// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: threads that wait for what happens on sockets, with Boost.Asio, which is
// seen by this folder in socket_loop.cc alone.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "net/server/http_server.h"
#include "net/server/transport.h"

namespace omg {

class SocketLoop {
 public:
  using Accept = std::function<void(std::unique_ptr<Transport> transport, HttpPeer peer)>;
  /// Listens at once; nothing is accepted before run(). Errors as HttpServer's constructor.
  explicit SocketLoop(const HttpServerOptions& options);
  /// Stops. All transports must have been closed, and are destroyed by then or not used any more.
  ~SocketLoop();

  std::vector<HttpEndpoint> endpoints() const;
  /// Starts the threads. `accept` is called from them, and starts the transport.
  void run(Accept accept);
  /// No call of `accept` comes after this. Not from one of the loop's threads.
  void stop_accepting();
  /// No event comes after this.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace omg
