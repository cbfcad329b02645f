// SPDX-License-Identifier: Apache-2.0
//
// One writer at a time, and never with the mutex held where HttpStream may call back.
#include "daemon/requests/outgoing_stream.h"

#include <string_view>
#include <utility>

namespace omg {
namespace {

/// The server's buffer takes a piece whole or not at all; smaller ones fill it better.
constexpr size_t kSliceBytes = 64u << 10;

}  // namespace

std::shared_ptr<OutgoingStream> OutgoingStream::create(HttpResponder&& responder,
                                                       size_t max_waiting_bytes) {
  std::shared_ptr<OutgoingStream> stream(
      new OutgoingStream(std::move(responder), max_waiting_bytes));
  // Weak: the server keeps the function until the answer has ended.
  stream->responder_.on_gone([weak = std::weak_ptr(stream)] {
    if (const auto self = weak.lock()) self->lose_client();
  });
  return stream;
}

void OutgoingStream::on_gone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kEnded && !gone_) return;
    if (!gone_) {
      std::swap(gone_call_, call);  // a replaced one goes after the mutex
      return;
    }
  }
  if (call) call();
}

bool OutgoingStream::is_gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

bool OutgoingStream::has_begun() const {
  const std::lock_guard lock(mutex_);
  return phase_ != Phase::kUnanswered;
}

size_t OutgoingStream::waiting_bytes() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size() + in_hand_;
}

void OutgoingStream::send(HttpAnswer answer) {
  std::function<void()> unused;
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kUnanswered) return;
  responder_.send(std::move(answer));
  phase_ = Phase::kEnded;
  unused = std::exchange(gone_call_, nullptr);
}

void OutgoingStream::begin(HttpAnswer head, HttpStreamOptions options) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kUnanswered) return;
  stream_ = responder_.begin(std::move(head), std::move(options));
  phase_ = Phase::kStreaming;
}

void OutgoingStream::push(std::string piece) {
  {
    std::unique_lock lock(mutex_);
    if (gone_ || phase_ != Phase::kStreaming) return;
    if (waiting_.empty()) {
      waiting_ = std::move(piece);
    } else {
      waiting_ += piece;
    }
    pump(lock);
    if (gone_ || waiting_.size() + in_hand_ <= max_waiting_bytes_) return;
  }
  lose_client();
}

void OutgoingStream::finish() {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kStreaming) return;
  phase_ = Phase::kFinishing;
  pump(lock);
}

void OutgoingStream::pump(std::unique_lock<std::mutex>& lock) {
  if (pumping_ || blocked_ || phase_ == Phase::kEnded) return;
  pumping_ = true;
  write_waiting(lock);
  pumping_ = false;
  if (gone_) {
    stream_ = HttpStream();
    phase_ = Phase::kEnded;
  } else if (phase_ == Phase::kFinishing && !blocked_) {
    stream_.finish();
    phase_ = Phase::kEnded;
    std::function<void()> unused = std::exchange(gone_call_, nullptr);
    lock.unlock();
    unused = nullptr;
    lock.lock();
  }
}

/// Until nothing waits, or the client takes no more.
void OutgoingStream::write_waiting(std::unique_lock<std::mutex>& lock) {
  while (!gone_ && !waiting_.empty()) {
    const std::string batch = std::exchange(waiting_, {});
    in_hand_ = batch.size();
    HttpWrite result = HttpWrite::kTaken;
    lock.unlock();
    std::string_view left = batch;
    while (!left.empty() && result == HttpWrite::kTaken) {
      const std::string_view slice = left.substr(0, kSliceBytes);
      result = stream_.try_write(slice);
      if (result == HttpWrite::kTaken) left.remove_prefix(slice.size());
    }
    lock.lock();
    in_hand_ = 0;
    // The server is about to say so to lose_client(), from a thread of its own.
    if (result == HttpWrite::kGone) gone_ = true;
    if (gone_ || result == HttpWrite::kTaken) continue;
    waiting_.insert(0, left);
    blocked_ = true;
    lock.unlock();
    // Perhaps at once, and from another thread before this returns: then it finds pumping_ set, and
    // this loop goes on.
    stream_.on_writable([self = shared_from_this()] { self->became_writable(); });
    lock.lock();
    if (blocked_) return;
  }
}

void OutgoingStream::became_writable() {
  std::unique_lock lock(mutex_);
  blocked_ = false;
  pump(lock);
}

void OutgoingStream::lose_client() {
  std::function<void()> call;
  {
    std::unique_lock lock(mutex_);
    if (phase_ == Phase::kEnded && !gone_) return;
    gone_ = true;
    waiting_.clear();
    call = std::exchange(gone_call_, nullptr);
    if (phase_ != Phase::kUnanswered && !pumping_) {
      stream_ = HttpStream();
      phase_ = Phase::kEnded;
    }
  }
  if (call) call();
}

}  // namespace omg
