// SPDX-License-Identifier: Apache-2.0
#include "formats/convert/ordered_work.h"

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace omg {
namespace {

/// What the threads share. All members but `work` are guarded by `mutex`.
class Line {
 public:
  explicit Line(const OrderedWork& work) : work_(work), done_(work.slots, false) {}

  /// Produces pieces until there are no more.
  void run_worker(size_t worker) {
    std::unique_lock lock(mutex_);
    while (true) {
      slot_freed_.wait(lock, [&] { return is_over() || next_ - consumed_ < work_.slots; });
      if (is_over()) return;
      const size_t piece = next_++;
      lock.unlock();
      std::exception_ptr failure;
      try {
        work_.produce(piece, piece % work_.slots, worker);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure) {
        if (!failure_) failure_ = failure;
        stop_locked();
        return;
      }
      done_[piece % work_.slots] = true;
      if (piece == consumed_) piece_done_.notify_one();
    }
  }

  /// Consumes all pieces.
  void run_consumer() {
    for (size_t piece = 0; piece < work_.count; ++piece) {
      const size_t slot = piece % work_.slots;
      {
        std::unique_lock lock(mutex_);
        piece_done_.wait(lock, [&] { return failure_ || done_[slot]; });
        if (failure_) std::rethrow_exception(failure_);
      }
      work_.consume(piece, slot);
      const std::lock_guard lock(mutex_);
      done_[slot] = false;
      consumed_ = piece + 1;
      slot_freed_.notify_all();
    }
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stop_locked();
  }

 private:
  bool is_over() const { return stopped_ || next_ == work_.count; }
  void stop_locked() {
    stopped_ = true;
    slot_freed_.notify_all();
    piece_done_.notify_all();
  }

  const OrderedWork& work_;
  std::mutex mutex_;
  std::condition_variable slot_freed_;
  std::condition_variable piece_done_;
  std::vector<bool> done_;  // by slot
  size_t next_ = 0;         // the first piece that nobody has taken
  size_t consumed_ = 0;
  bool stopped_ = false;
  std::exception_ptr failure_;
};

}  // namespace

void run_in_order(const OrderedWork& work) {
  assert(work.threads > 0 && work.slots > 0);
  Line line(work);
  std::vector<std::jthread> threads;  // joined before `line` goes
  try {
    const size_t count = std::min(work.threads, work.count);
    threads.reserve(count);
    for (size_t worker = 0; worker < count; ++worker) {
      threads.emplace_back([&line, worker] { line.run_worker(worker); });
    }
    line.run_consumer();
  } catch (...) {
    line.stop();
    throw;
  }
}

}  // namespace omg
