// SPDX-License-Identifier: Apache-2.0
//
// The way of an answer to its client, from whichever thread makes it: it never waits, holds back
// what a slow client cannot take yet, within a bound, and says when nobody will read on. Dialects
// make the text; this is shared by all of them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "net/server/responder.h"

namespace omg {

/// Thread-safe. Dropped before its end, it answers 500 or cuts the stream, as HttpResponder and
/// HttpStream do; what was pushed before finish() is still sent when nobody else holds it.
class OutgoingStream : public std::enable_shared_from_this<OutgoingStream> {
 public:
  /// A client that is so far behind is taken for gone: some minutes of tokens.
  static constexpr size_t kMaxWaitingBytes = 4u << 20;

  static std::shared_ptr<OutgoingStream> create(HttpResponder&& responder,
                                                size_t max_waiting_bytes = kMaxWaitingBytes);

  /// Calls once, from any thread or at once, when nobody will read the answer: the client has left,
  /// or is cut because it reads too slowly, which push() then says. Not after the end. Takes a
  /// Canceller. A further call replaces the function.
  void on_gone(std::function<void()> call);
  bool is_gone() const;

  /// Whether status and headers are on their way: what goes wrong then can only be said in the
  /// stream.
  bool has_begun() const;
  /// The whole answer, instead of a stream. Does nothing once there is one.
  void send(HttpAnswer answer);
  /// Begins a stream. Does nothing once there is an answer.
  void begin(HttpAnswer head, HttpStreamOptions options = {});
  /// After begin(). Does nothing when the client is gone, or the stream at its end.
  void push(std::string piece);
  /// The regular end, behind all that was pushed.
  void finish();
  /// What was pushed and has not gone yet.
  size_t waiting_bytes() const;

 private:
  enum class Phase { kUnanswered, kStreaming, kFinishing, kEnded };

  OutgoingStream(HttpResponder&& responder, size_t max_waiting_bytes)
      : responder_(std::move(responder)), max_waiting_bytes_(max_waiting_bytes) {}
  void pump(std::unique_lock<std::mutex>& lock);
  void write_waiting(std::unique_lock<std::mutex>& lock);
  void became_writable();
  void lose_client();

  mutable std::mutex mutex_;  // guards all below; responder_ and stream_ are also used without it,
                              // by the one thread that has set pumping_
  HttpResponder responder_;
  HttpStream stream_;
  const size_t max_waiting_bytes_;
  Phase phase_ = Phase::kUnanswered;
  bool gone_ = false;
  bool pumping_ = false;  // somebody writes, and looks again for more before it stops
  bool blocked_ = false;  // until on_writable() calls
  std::string waiting_;
  size_t in_hand_ = 0;  // of what was waiting, with the one who writes
  std::function<void()> gone_call_;
};

}  // namespace omg
