// SPDX-License-Identifier: Apache-2.0
//
// What a worker sends: a bounded buffer and a thread that writes it, so that the thread which
// computes never waits for the daemon. Frames that come close together go in one write.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace omg {

/// Of what the daemon does not read. Pieces beyond are refused; what ends an answer is not.
inline constexpr size_t kMaxOutboxBytes = size_t{32} << 20;

class WorkerOutbox {
 public:
  using Put = std::function<void(std::string& out)>;
  /// `on_broken` is called on the writer's thread when the other side is gone. `fd` is blocking.
  WorkerOutbox(int fd, std::function<void()> on_broken);
  WorkerOutbox(const WorkerOutbox&) = delete;
  WorkerOutbox& operator=(const WorkerOutbox&) = delete;

  enum class Hurry {
    kNow,     // written by this thread, if that takes no waiting
    kGather,  // more is likely to come at once: goes with it
  };
  /// `put` appends whole frames. Thread-safe; does not wait.
  void put(const Put& put, Hurry hurry = Hurry::kNow);
  /// False, and nothing is put, when the buffer is full.
  bool put_if_room(const Put& put, Hurry hurry);
  /// Waits while the buffer is full.
  void wait_for_room();
  /// Waits until all is written.
  void wait_until_empty();

 private:
  void run();
  void write_now();    // mutex_ held
  void wake_writer();  // mutex_ held
  bool write(const std::string& bytes);

  const int fd_;
  const std::function<void()> on_broken_;
  std::mutex mutex_;
  std::condition_variable has_some_;
  std::condition_variable has_room_;
  std::string buffer_;
  bool is_writing_ = false;    // the thread has taken the buffer
  bool is_scheduled_ = false;  // it will take it
  bool gathers_ = false;
  std::thread thread_;  // last: it uses the others; lives as long as the process
};

}  // namespace omg
