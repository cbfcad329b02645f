// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_outbox.h"

#include <cerrno>
#include <chrono>
#include <sys/socket.h>
#include <utility>

namespace omg {
namespace {

/// Sequences of one step are sampled one after another; this is small beside a step, and enough
/// for what is ready at once.
constexpr std::chrono::microseconds kGather{300};

}  // namespace

WorkerOutbox::WorkerOutbox(int fd, std::function<void()> on_broken)
    : fd_(fd), on_broken_(std::move(on_broken)), thread_([this] { run(); }) {}

void WorkerOutbox::wake_writer() {
  if (is_scheduled_) return;
  is_scheduled_ = true;
  has_some_.notify_one();
}

void WorkerOutbox::write_now() {
  // Whatever is before it must go first.
  if (is_writing_ || is_scheduled_) return wake_writer();
  ssize_t count = 0;
  do {
    count = ::send(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count > 0) buffer_.erase(0, static_cast<size_t>(count));
  if (!buffer_.empty()) wake_writer();
}

void WorkerOutbox::put(const Put& put, Hurry hurry) {
  const std::lock_guard lock(mutex_);
  put(buffer_);
  if (hurry == Hurry::kNow) return write_now();
  gathers_ = true;
  wake_writer();
}

bool WorkerOutbox::put_if_room(const Put& put, Hurry hurry) {
  const std::lock_guard lock(mutex_);
  if (buffer_.size() >= kMaxOutboxBytes) return false;
  put(buffer_);
  if (hurry == Hurry::kNow) {
    write_now();
  } else {
    gathers_ = true;
    wake_writer();
  }
  return true;
}

void WorkerOutbox::wait_for_room() {
  std::unique_lock lock(mutex_);
  has_room_.wait(lock, [this] { return buffer_.size() < kMaxOutboxBytes; });
}

void WorkerOutbox::wait_until_empty() {
  std::unique_lock lock(mutex_);
  has_room_.wait(lock, [this] { return buffer_.empty() && !is_writing_; });
}

void WorkerOutbox::run() {
  std::string taken;
  std::unique_lock lock(mutex_);
  while (true) {
    has_some_.wait(lock, [this] { return is_scheduled_; });
    if (std::exchange(gathers_, false)) {
      lock.unlock();
      std::this_thread::sleep_for(kGather);
      lock.lock();
      gathers_ = false;
    }
    // Both are kept, so that a step's frames need no new memory.
    taken.clear();
    if (taken.capacity() > (size_t{1} << 20)) taken.shrink_to_fit();
    taken.swap(buffer_);
    is_scheduled_ = false;
    is_writing_ = true;
    has_room_.notify_all();
    lock.unlock();
    if (!write(taken)) return on_broken_();
    lock.lock();
    is_writing_ = false;
    has_room_.notify_all();
    if (!buffer_.empty()) is_scheduled_ = true;
  }
}

bool WorkerOutbox::write(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace omg
