// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: one request's answer between those who make it, on any thread, and the
// connection that sends it. What waits to be sent is bounded here. The exchange outlives the
// connection as long as a handler holds on to it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "base/cancellation.h"
#include "net/server/http_server.h"

namespace omg {

/// How the connection wants the answer written.
struct AnswerFraming {
  int minor_version = 1;
  bool keep_alive = true;
  bool head_only = false;  // the method was HEAD
  std::string cors_lines;
  size_t stream_buffer_bytes = 0;
  /// Of a request for a WebSocket: Sec-WebSocket-Accept. Else why it is none.
  std::string websocket_accept;
  int websocket_refusal = 400;
};

class ServerExchange {
 public:
  enum class Phase {
    kWaiting,    // for the handler
    kStreaming,  // head sent or waiting to be
    kWebSocket,
    kEnded,    // the last byte stands in the output
    kDropped,  // the handler let go of it without an answer
    kBroken,   // a stream was dropped before its end
  };
  using Clock = std::chrono::steady_clock;

  /// `wake` has the connection look at the exchange soon. `write_now` sends what it can of some
  /// bytes at once, as Transport's. Neither is called once the connection has let go.
  ServerExchange(AnswerFraming framing, CancellationToken cancellation, std::function<void()> wake,
                 std::function<size_t(std::string_view)> write_now);

  // For those who answer, from any thread.
  void send(HttpAnswer answer);
  /// The same, but with a plain 500 where the answer cannot be sent as it is.
  void send_surely(HttpAnswer answer);
  void begin(HttpAnswer head, HttpStreamOptions options);
  void upgrade(WebSocketOptions options);
  HttpWrite try_write(std::string_view piece);
  bool write(std::string_view piece);
  HttpWrite try_send(std::string_view text);
  bool send_text(std::string_view text);
  void close_websocket(uint16_t code, std::string_view reason);
  void on_writable(std::function<void()> call);
  void on_gone(std::function<void()> call);
  bool is_open() const;
  bool is_answered() const;
  void finish();
  void drop();
  const CancellationToken& cancellation() const { return cancellation_; }

  // For the connection.
  /// Bytes that come before any answer ("100 Continue").
  void interim(std::string_view bytes);
  Phase phase() const;
  std::string take_output();
  /// So many of the bytes taken are with the kernel now.
  void written(size_t bytes);
  bool keep_alive() const;
  void forbid_keep_alive();
  int status() const;
  uint64_t sent_bytes() const;
  /// Sends the keep-alive text of a stream that was silent; returns when to ask again.
  Clock::time_point keep_alive_tick(Clock::time_point now);
  /// A pong, a ping or the end of a WebSocket. False: too much waits already.
  bool control_frame(std::string_view frame);
  void end_websocket();
  WebSocketOptions& websocket() { return websocket_; }  // in phase kWebSocket
  bool close_sent() const;
  /// The client will read no more, or not be told more: an answer as a whole is still taken.
  void client_ended();
  /// The connection lets go, at the end or before it.
  void release(bool client_left);

 private:
  std::string format_head(const HttpAnswer& answer, bool whole);
  HttpWrite append(std::string_view piece, bool frame_text);
  bool append_waiting(std::string_view piece, bool frame_text);
  void append_chunk(std::string_view piece);
  void flush();
  void wake();
  void call_gone();
  bool has_room(size_t size) const;

  AnswerFraming framing_;
  CancellationToken cancellation_;
  WebSocketOptions websocket_;
  HttpStreamOptions stream_;

  mutable std::mutex mutex_;  // guards all below, and framing_.keep_alive
  std::condition_variable room_;
  std::function<void()> wake_;
  std::function<size_t(std::string_view)> write_now_;
  std::function<void()> writable_;
  std::function<void()> gone_call_;
  Phase phase_ = Phase::kWaiting;
  bool woken_ = false;
  bool gone_ = false;
  bool chunked_ = false;
  bool close_sent_ = false;
  int status_ = 0;
  uint64_t sent_bytes_ = 0;
  std::string pending_;
  size_t refused_size_ = 0;  // of the last piece that found no room
  size_t in_flight_ = 0;     // taken by the connection, not yet with the kernel
  Clock::time_point last_write_;
};

}  // namespace omg
