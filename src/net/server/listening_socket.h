// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: sockets that wait for connections, TCP and Unix.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "net/server/http_server.h"

namespace omg {

/// Closed when destroyed; a Unix socket's path goes with it.
class ListeningSocket {
 public:
  ListeningSocket(int descriptor, HttpEndpoint endpoint, std::unique_ptr<FileLock> lock);
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket();

  int descriptor() const { return descriptor_; }
  /// With the port that was chosen.
  const HttpEndpoint& endpoint() const { return endpoint_; }

 private:
  int descriptor_;
  HttpEndpoint endpoint_;
  std::unique_ptr<FileLock> lock_;  // of a Unix socket's path
};

/// Listens, without blocking reads. A name gives a socket for each of its addresses, on one port. A
/// Unix socket has mode 0600 before anybody can connect; one that stands there is replaced if
/// nobody answers at it. Errors as HttpServer's constructor.
std::vector<std::unique_ptr<ListeningSocket>> listen_at(const HttpEndpoint& endpoint);

}  // namespace omg
