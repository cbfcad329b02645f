// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <sched.h>
#include <string>
#include <utility>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace omg {
namespace {

/// A step's gaps (norms, sampling) are below 50 us; beyond that sleeping costs less than it saves.
constexpr auto kSpinTime = std::chrono::microseconds(100);
constexpr int kSpinsBetweenClockReads = 64;
constexpr int kSpinsBeforeYield = 4096;  // about 60 us

void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// CPUs that a cgroup v2 (or v1) quota allows, or infinity.
double cgroup_cpus() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0)
    return std::atof(quota.c_str()) / period;
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double allowed = 0;
  if (v1_quota >> allowed && v1_period >> period && allowed > 0 && period > 0) {
    return allowed / period;
  }
  return HUGE_VAL;
}

}  // namespace

uint32_t usable_threads() {
  double threads = std::max(1u, std::thread::hardware_concurrency());
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0) threads = CPU_COUNT(&mask);
  return static_cast<uint32_t>(std::max(1.0, std::min(threads, std::ceil(cgroup_cpus()))));
}

ThreadPool::ThreadPool(uint32_t threads) {
  if (threads == 0) threads = usable_threads();
  for (size_t worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { worker_loop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (auto& thread : workers_) thread.join();
}

void ThreadPool::run(size_t count, size_t grain, const Body& body) {
  if (count == 0) return;
  grain = std::max<size_t>(1, grain);
  if (count <= grain || workers_.empty()) return body(0, count, 0);
  job_ = {&body, count, grain};
  next_.store(0, std::memory_order_relaxed);
  busy_.store(workers_.size(), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(0);
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    // Where other programs want the processors too, a worker may not be running: let it.
    spins < kSpinsBeforeYield ? pause_cpu() : std::this_thread::yield();
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

/// The next range, if one is left.
bool ThreadPool::take(const Job& job, size_t& begin, size_t& end) {
  begin = next_.load(std::memory_order_relaxed);
  do {
    if (begin >= job.count) return false;
    const size_t share = (job.count - begin) / (2 * worker_count());
    end = std::min(job.count, begin + std::max<size_t>(share / job.grain, 1) * job.grain);
  } while (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed));
  return true;
}

void ThreadPool::work(size_t worker) {
  const Job job = job_;
  try {
    for (size_t begin, end; take(job, begin, end);) (*job.body)(begin, end, worker);
  } catch (...) {
    next_.store(job.count, std::memory_order_relaxed);  // nobody starts another range
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

uint32_t ThreadPool::wait_for_job(uint32_t seen) {
  const auto give_up = std::chrono::steady_clock::now() + kSpinTime;
  while (true) {
    for (int i = 0; i < kSpinsBetweenClockReads; ++i) {
      const uint32_t now = generation_.load(std::memory_order_acquire);
      if (now != seen) return now;
      pause_cpu();
    }
    if (std::chrono::steady_clock::now() < give_up) continue;
    generation_.wait(seen, std::memory_order_acquire);
  }
}

void ThreadPool::worker_loop(size_t worker) {
  uint32_t seen = 0;
  while (true) {
    seen = wait_for_job(seen);
    if (stopping_.load(std::memory_order_relaxed)) return;
    work(worker);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace omg
