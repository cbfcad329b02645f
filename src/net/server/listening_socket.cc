// SPDX-License-Identifier: Apache-2.0
//
// Plain POSIX calls: the order of bind, chmod and listen matters, and so does close-on-exec, since
// the daemon starts other programs.
#include "net/server/listening_socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace omg {
namespace {

constexpr int kBacklog = 512;

/// A descriptor until it has an owner.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

Error cannot_listen(const HttpEndpoint& endpoint, int errno_value) {
  const std::string where = "cannot listen on " + endpoint.text() + ": ";
  if (errno_value == EADDRINUSE) {
    return {ErrorCode::kUnavailable,
            where + "another program does already; stop it, or choose another address"};
  }
  if (errno_value == EADDRNOTAVAIL) {
    return {ErrorCode::kNotFound, where + "this machine does not have the address"};
  }
  return system_error("cannot listen on " + endpoint.text(), errno_value);
}

uint16_t port_of(int descriptor) {
  sockaddr_storage place{};
  socklen_t size = sizeof place;
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&place), &size);
  return place.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<const sockaddr_in6*>(&place)->sin6_port)
             : ntohs(reinterpret_cast<const sockaddr_in*>(&place)->sin_port);
}

std::unique_ptr<ListeningSocket> listen_tcp(const addrinfo& address, HttpEndpoint endpoint) {
  Descriptor socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  sockaddr_storage place{};
  std::memcpy(&place, address.ai_addr, address.ai_addrlen);
  auto& port = address.ai_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&place)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&place)->sin_port;
  port = htons(endpoint.port);
  if (socket.get() < 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), address.ai_addrlen) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    throw cannot_listen(endpoint, errno);
  }
  endpoint.port = port_of(socket.get());
  return std::make_unique<ListeningSocket>(socket.release(), std::move(endpoint), nullptr);
}

std::vector<std::unique_ptr<ListeningSocket>> listen_at_name(const HttpEndpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  std::string host = endpoint.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0) {
    throw Error(ErrorCode::kNotFound, "cannot listen on " + endpoint.text() +
                                          ": there is no such host (" + ::gai_strerror(error) +
                                          ")");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<std::unique_ptr<ListeningSocket>> sockets;
  HttpEndpoint wanted = endpoint;
  std::string seen;  // some names have an address twice
  std::unique_ptr<Error> failure;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    const std::string bytes(reinterpret_cast<const char*>(each->ai_addr), each->ai_addrlen);
    if (bytes == seen) continue;
    seen = bytes;
    try {
      sockets.push_back(listen_tcp(*each, wanted));
      wanted.port = sockets.back()->endpoint().port;
    } catch (const Error& error) {  // a machine without IPv6 still has localhost
      if (error.code() != ErrorCode::kNotFound) throw;
      failure = std::make_unique<Error>(error);
    }
  }
  if (sockets.empty()) throw *failure;
  return sockets;
}

/// Whether somebody answers at a path. An Error if what stands there is no socket.
bool is_answered(const HttpEndpoint& endpoint, const sockaddr_un& place) {
  struct stat info{};
  if (::lstat(endpoint.unix_path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    throw cannot_listen(endpoint, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    throw Error(ErrorCode::kUnavailable, "cannot listen on " + endpoint.unix_path +
                                             ": a file stands there that is no socket; remove it, "
                                             "or choose another path");
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Busy (EAGAIN) is answered too; only a refusal says that nobody listens.
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0 ||
         errno != ECONNREFUSED;
}

std::unique_ptr<ListeningSocket> listen_at_path(const HttpEndpoint& endpoint) {
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  const std::string& path = endpoint.unix_path;
  if (path.size() >= sizeof place.sun_path) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot listen on " + path + ": paths of sockets have at most " +
                    std::to_string(sizeof place.sun_path - 1) + " bytes; choose a shorter one");
  }
  std::memcpy(place.sun_path, path.data(), path.size());
  // Two servers that start at once must not both find a stale socket and remove each other's.
  RealFileSystem files;
  auto lock = files.lock(path + ".lock", LockMode::kExclusive, LockWait::kNo);
  if (!lock || is_answered(endpoint, place)) throw cannot_listen(endpoint, EADDRINUSE);
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Nobody can connect before listen(), so the mode is right in time.
  if (socket.get() < 0 || (::unlink(path.c_str()) != 0 && errno != ENOENT) ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0 ||
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    throw cannot_listen(endpoint, errno);
  }
  return std::make_unique<ListeningSocket>(socket.release(), endpoint, std::move(lock));
}

}  // namespace

ListeningSocket::ListeningSocket(int descriptor, HttpEndpoint endpoint,
                                 std::unique_ptr<FileLock> lock)
    : descriptor_(descriptor), endpoint_(std::move(endpoint)), lock_(std::move(lock)) {}

ListeningSocket::~ListeningSocket() {
  if (!endpoint_.unix_path.empty()) ::unlink(endpoint_.unix_path.c_str());
  ::close(descriptor_);
}

std::vector<std::unique_ptr<ListeningSocket>> listen_at(const HttpEndpoint& endpoint) {
  if (endpoint.unix_path.empty()) return listen_at_name(endpoint);
  std::vector<std::unique_ptr<ListeningSocket>> sockets;
  sockets.push_back(listen_at_path(endpoint));
  return sockets;
}

}  // namespace omg
