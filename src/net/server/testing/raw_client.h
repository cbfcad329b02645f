// SPDX-License-Identifier: Apache-2.0
//
// A client that sends exactly the bytes that the test wants, and sees exactly what comes back.
#pragma once

#include <arpa/inet.h>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/http_headers.h"

namespace omg::testing {

struct RawAnswer {
  int status = 0;
  HttpHeaders headers;
  std::string body;  // without its framing
  bool whole = false;

  std::string header(std::string_view name) const {
    return std::string(headers.find(name).value_or(""));
  }
};

class RawClient {
 public:
  /// Connects to 127.0.0.1. `receive_buffer`: of the kernel, for clients that are slow to read.
  explicit RawClient(uint16_t port, int receive_buffer = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(port);
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(reinterpret_cast<const sockaddr*>(&place), sizeof place);
  }
  explicit RawClient(const std::string& path) {
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un place{};
    place.sun_family = AF_UNIX;
    std::memcpy(place.sun_path, path.data(), path.size());
    connect(reinterpret_cast<const sockaddr*>(&place), sizeof place);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { close(); }

  int socket() const { return socket_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void end_writing() { ::shutdown(socket_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  /// What has come, up to `size` bytes; "" at the end of the connection or after 20 s.
  std::string receive(size_t size = 65536) {
    if (!ahead_.empty()) return take_ahead(size);
    std::string piece(size, '\0');
    const ssize_t got = ::recv(socket_, piece.data(), size, 0);
    piece.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return piece;
  }
  bool is_closed() { return receive(1).empty(); }

  /// Until `end` has come; all that was received, or what there is when the connection ends.
  std::string receive_until(std::string_view end) {
    std::string text;
    while (text.find(end) == std::string::npos) {
      const std::string piece = receive();
      if (piece.empty()) return text;
      text += piece;
    }
    const size_t size = text.find(end) + end.size();
    ahead_ = text.substr(size) + ahead_;
    return text.substr(0, size);
  }

  /// One answer. `has_body`: false for answers to HEAD.
  RawAnswer receive_answer(bool has_body = true) {
    RawAnswer answer;
    const std::string head = receive_until("\r\n\r\n");
    if (!head.starts_with("HTTP/1.1 ") || !head.ends_with("\r\n\r\n")) return answer;
    answer.status = std::atoi(head.c_str() + 9);
    size_t line = head.find("\r\n") + 2;
    while (line + 2 < head.size()) {
      const size_t end = head.find("\r\n", line);
      const size_t colon = head.find(": ", line);
      answer.headers.add(head.substr(line, colon - line), head.substr(colon + 2, end - colon - 2));
      line = end + 2;
    }
    if (!has_body || answer.status == 204 || answer.status < 200) {
      answer.whole = true;
    } else if (answer.header("Transfer-Encoding") == "chunked") {
      receive_chunks(answer);
    } else if (const auto size = answer.headers.find_number("Content-Length")) {
      answer.whole = receive_exactly(*size, answer.body);
    } else {
      for (std::string piece = receive(); !piece.empty(); piece = receive()) answer.body += piece;
      answer.whole = true;
    }
    return answer;
  }

  /// Sends a request and takes the answer.
  RawAnswer ask(std::string_view request) {
    send(request);
    return receive_answer(!request.starts_with("HEAD"));
  }

  bool receive_exactly(size_t size, std::string& out) {
    while (size > 0) {
      const std::string piece = receive(size);
      if (piece.empty()) return false;
      out += piece;
      size -= piece.size();
    }
    return true;
  }

 private:
  void connect(const sockaddr* place, socklen_t size) {
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(socket_, place, size) != 0) throw std::runtime_error("cannot connect");
  }

  std::string take_ahead(size_t size) {
    std::string piece = ahead_.substr(0, size);
    ahead_.erase(0, piece.size());
    return piece;
  }

  void receive_chunks(RawAnswer& answer) {
    while (true) {
      const std::string line = receive_until("\r\n");
      if (!line.ends_with("\r\n")) return;
      const size_t size = std::strtoul(line.c_str(), nullptr, 16);
      std::string end;
      if (!receive_exactly(size, answer.body) || !receive_exactly(2, end) || end != "\r\n") return;
      if (size == 0) {
        answer.whole = true;
        return;
      }
    }
  }

  int socket_ = -1;
  std::string ahead_;
};

}  // namespace omg::testing
