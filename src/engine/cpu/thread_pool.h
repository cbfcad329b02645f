// SPDX-License-Identifier: Apache-2.0
//
// The threads of one engine. Between two parallel regions of a step lie a few microseconds, so
// workers spin for a while before they sleep; an idle engine uses no CPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/kernels/parallel.h"

namespace omg {

/// Threads that this process may keep busy: its affinity mask, cut down to the cgroup's CPU quota.
uint32_t usable_threads();

/// run() is called by one thread at a time, which takes part in the work. Ranges are handed out
/// dynamically, half of a fair share of what is left at a time: long ones first, which are read as
/// one stream, short ones last, so that nobody waits long for the others ("guided
/// self-scheduling", Polychronopoulos and Kuck 1987). What a range computes must not depend on who
/// computes it. An exception in a body is
/// thrown by run() after all ranges are done.
class ThreadPool : public Parallel {
 public:
  /// `threads` includes the caller's; 0: usable_threads().
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;

  size_t worker_count() const override { return workers_.size() + 1; }
  void run(size_t count, size_t grain, const Body& body) override;

 private:
  struct Job {
    const Body* body = nullptr;
    size_t count = 0;
    size_t grain = 1;
  };
  void worker_loop(size_t worker);
  void work(size_t worker);
  bool take(const Job& job, size_t& begin, size_t& end);
  uint32_t wait_for_job(uint32_t seen);

  std::vector<std::thread> workers_;
  Job job_;  // written by run() before generation_ moves on, read by workers after
  alignas(64) std::atomic<uint32_t> generation_{0};  // of jobs, and one more to stop
  alignas(64) std::atomic<size_t> next_{0};
  alignas(64) std::atomic<size_t> busy_{0};  // workers that have not finished the current job
  std::atomic<bool> stopping_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

}  // namespace omg
