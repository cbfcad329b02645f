// SPDX-License-Identifier: Apache-2.0
//
// How a handler answers: whole, as a stream, or as a WebSocket. All of these may be kept after the
// handler returned and used from any thread, one thread at a time; a stream that waits for tokens
// costs no thread. They stay safe to use when the client or the whole server is gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "net/http_headers.h"

namespace omg {

class ServerExchange;

/// Content-Length, Transfer-Encoding, Connection, Date and the CORS headers are the server's own.
struct HttpAnswer {
  int status = 200;
  std::string content_type;  // "" = no such header
  std::vector<HttpHeaders::Field> headers;
  std::string body;  // must be empty for a stream
};

enum class HttpWrite {
  kTaken,  // will be sent
  kFull,   // nothing was taken: the client is slow; see on_writable()
  kGone,   // the client left or was cut, and nobody will read this
};

struct HttpStreamOptions {
  /// Sent when nothing else was for `keep_alive_after`, e.g. ": keep-alive\n\n"; "" = never.
  std::string keep_alive;
  std::chrono::milliseconds keep_alive_after{15'000};
};

/// An answer whose end is not known yet. Dropping it unfinished cuts the connection, so that the
/// client does not take the answer for whole.
class HttpStream {
 public:
  HttpStream() = default;
  HttpStream(HttpStream&&) noexcept = default;
  HttpStream& operator=(HttpStream&& other) noexcept;
  ~HttpStream();

  /// Never blocks. A piece is taken whole or not at all: while less than
  /// HttpServerLimits::stream_buffer_bytes wait to be sent, counting it, or none do.
  HttpWrite try_write(std::string_view piece);
  /// Waits until there is room, at most HttpServerLimits::write_timeout without progress, after
  /// which the client is cut. False: it is gone. For threads that have nothing better to do.
  bool write(std::string_view piece);
  /// Calls once, from one of the server's threads or at once, when try_write() would take the piece
  /// that it refused last, or the client is gone. Must not block; may write. A further call
  /// replaces the function.
  void on_writable(std::function<void()> call);
  bool is_open() const;
  /// The regular end. What was taken is still sent.
  void finish();
  explicit operator bool() const { return exchange_ != nullptr; }

 private:
  friend class HttpResponder;
  explicit HttpStream(std::shared_ptr<ServerExchange> exchange);
  std::shared_ptr<ServerExchange> exchange_;
};

struct WebSocketOptions {
  /// One of those that the client offered in Sec-WebSocket-Protocol, or "".
  std::string protocol;
  size_t max_message_bytes = 1u << 20;
  /// The peer is asked whether it is there, and cut if it has not answered by the next time.
  std::chrono::milliseconds ping_interval{20'000};
  /// Text messages as they come (valid UTF-8), from one of the server's threads, one at a time.
  /// Must not block. An exception closes the connection (1011).
  std::function<void(std::string message)> on_message;
  /// Once, when no message will come or go any more.
  std::function<void()> on_closed;
};

/// Text messages both ways (RFC 6455). Dropping it closes (1000).
class WebSocket {
 public:
  WebSocket() = default;
  WebSocket(WebSocket&&) noexcept = default;
  WebSocket& operator=(WebSocket&& other) noexcept;
  ~WebSocket();

  /// As HttpStream's. `text` must be UTF-8.
  HttpWrite try_send(std::string_view text);
  bool send(std::string_view text);
  void on_writable(std::function<void()> call);
  bool is_open() const;
  void close(uint16_t code = 1000, std::string_view reason = "");
  explicit operator bool() const { return exchange_ != nullptr; }

 private:
  friend class HttpResponder;
  explicit WebSocket(std::shared_ptr<ServerExchange> exchange);
  std::shared_ptr<ServerExchange> exchange_;
};

/// Answers one request, once: a second answer is an Error(kInternal). Dropping it unanswered
/// answers 500.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<ServerExchange> exchange);
  HttpResponder(HttpResponder&&) noexcept = default;
  HttpResponder& operator=(HttpResponder&& other) noexcept;
  ~HttpResponder();

  /// Never blocks. Throws Error(kInternal) for headers that HTTP cannot carry or that are the
  /// server's own; nothing is sent then.
  void send(HttpAnswer answer);
  /// Sends status and headers. Throws as send() does.
  HttpStream begin(HttpAnswer head, HttpStreamOptions options = {});
  /// Throws HttpRefusal if the request does not ask for a WebSocket (400, 426).
  WebSocket upgrade(WebSocketOptions options);
  /// False after one of the above, and when moved from.
  explicit operator bool() const { return exchange_ != nullptr; }
  /// The request's: raised when the client leaves.
  const CancellationToken& cancellation() const;
  /// Calls once, from one of the server's threads or at once, when the client has left before the
  /// end of the answer. Must not block. Stays in force for the stream that begin() returns.
  void on_gone(std::function<void()> call);

 private:
  ServerExchange& exchange() const;
  std::shared_ptr<ServerExchange> exchange_;
};

/// Server-sent events (WHATWG HTML, 9.2): "event: …" where a name is given, "data: …" for each line
/// of `data`, and the empty line.
std::string sse_event(std::string_view data, std::string_view event = "");
/// The headers that a stream of server-sent events has, and comments that keep it alive.
HttpAnswer sse_answer();
HttpStreamOptions sse_options(
    std::chrono::milliseconds keep_alive_after = std::chrono::milliseconds(15'000));

}  // namespace omg
