// SPDX-License-Identifier: Apache-2.0
//
// Plain blocking sockets, a thread for each connection.
#include "net/testing/scripted_server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>

namespace omg::testing {
namespace {

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

/// Reads until `buffer` holds `size` bytes; false at the end of the connection.
bool fill(int socket, std::string& buffer, size_t size) {
  char piece[65536];
  while (buffer.size() < size) {
    const ssize_t got = ::recv(socket, piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer.append(piece, static_cast<size_t>(got));
  }
  return true;
}

std::optional<ScriptedRequest> read_request(int socket, std::string& buffer) {
  size_t end;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!fill(socket, buffer, buffer.size() + 1)) return std::nullopt;
  }
  ScriptedRequest request;
  const size_t space = buffer.find(' ');
  const size_t second = buffer.find(' ', space + 1);
  request.method = buffer.substr(0, space);
  request.target = buffer.substr(space + 1, second - space - 1);
  size_t line = buffer.find("\r\n") + 2;
  while (line < end + 2) {
    const size_t line_end = buffer.find("\r\n", line);
    const size_t colon = buffer.find(':', line);
    size_t value = colon + 1;
    while (buffer[value] == ' ') ++value;
    request.headers.add(buffer.substr(line, colon - line), buffer.substr(value, line_end - value));
    line = line_end + 2;
  }
  buffer.erase(0, end + 4);
  const uint64_t size = request.headers.find_number("Content-Length").value_or(0);
  if (!fill(socket, buffer, size)) return std::nullopt;
  request.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return request;
}

}  // namespace

std::string ScriptedRequest::header(std::string_view name) const {
  return std::string(headers.find(name).value_or(""));
}

ScriptedAnswer answer(int status, std::string_view body, std::string_view headers) {
  ScriptedAnswer result;
  result.bytes = "HTTP/1.1 " + std::to_string(status) +
                 " Scripted\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                 std::string(headers) + "\r\n" + std::string(body);
  return result;
}

ScriptedAnswer redirect(int status, const std::string& location, std::string_view headers) {
  return answer(status, "moved", "Location: " + location + "\r\n" + std::string(headers));
}

ScriptedServer::ScriptedServer(Script script, const char* address)
    : script_(std::move(script)), address_(address) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  inet_pton(AF_INET, address, &place.sin_addr);
  socklen_t size = sizeof place;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&place), size) != 0 ||
      ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&place), &size) != 0) {
    throw Error(ErrorCode::kIo, "cannot listen on loopback; run the tests where sockets work");
  }
  port_ = ntohs(place.sin_port);
  acceptor_ = std::thread([this] { accept_connections(); });
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : sockets_) ::close(socket);
}

std::string ScriptedServer::url(std::string_view path) const {
  return "http://" + address_ + ":" + std::to_string(port_) + std::string(path);
}

std::vector<ScriptedRequest> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::accept_connections() {
  uint64_t number = 0;
  while (!stopping_) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket, id = ++number] { serve(socket, id); });
  }
}

void ScriptedServer::serve(int socket, uint64_t number) {
  std::string buffer;
  while (!stopping_) {
    auto request = read_request(socket, buffer);
    if (!request) break;
    request->connection = number;
    ScriptedAnswer reply;
    {
      const std::lock_guard lock(mutex_);
      reply = script_(*request);
      requests_.push_back(std::move(*request));
    }
    std::this_thread::sleep_for(reply.pause);
    if (!send_all(socket, reply.bytes)) break;
    while (!reply.endless.empty() && !stopping_ && send_all(socket, reply.endless)) {
      std::this_thread::sleep_for(reply.pause);
    }
    if (!reply.keep_open || !reply.endless.empty()) break;
  }
  ::shutdown(socket, SHUT_RDWR);
}

}  // namespace omg::testing
