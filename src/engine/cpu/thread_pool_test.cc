// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <numeric>
#include <stdexcept>

namespace omg {
namespace {

TEST(ThreadPool, EveryIndexRunsOnce) {
  for (const uint32_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.worker_count(), threads);
    for (const size_t count : {0, 1, 7, 64, 1000}) {
      for (const size_t grain : {1, 3, 2000}) {
        std::vector<int> hits(count);
        pool.run(count, grain, [&](size_t begin, size_t end, size_t worker) {
          EXPECT_LT(worker, threads);
          EXPECT_LT(begin, end);
          EXPECT_TRUE(end == count || (end - begin) % grain == 0);
          for (size_t i = begin; i < end; ++i) ++hits[i];
        });
        EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), size_t{0}), count);
      }
    }
  }
}

TEST(ThreadPool, SurvivesManyJobsAndSleeps) {
  ThreadPool pool(3);
  std::atomic<size_t> total{0};
  for (int job = 0; job < 2000; ++job) {
    if (job % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.run(10, 1, [&](size_t begin, size_t end, size_t) { total += end - begin; });
  }
  EXPECT_EQ(total.load(), 20000u);
}

TEST(ThreadPool, ThrowsWhatABodyThrewAndWorksOn) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(pool.run(100, 1,
                          [](size_t begin, size_t end, size_t) {
                            if (begin <= 50 && 50 < end) throw std::runtime_error("at 50");
                          }),
                 std::runtime_error);
    std::atomic<size_t> total{0};
    pool.run(100, 1, [&](size_t begin, size_t end, size_t) { total += end - begin; });
    EXPECT_EQ(total.load(), 100u);
  }
}

TEST(ThreadPool, TwoPoolsRunSideBySide) {
  std::atomic<size_t> total{0};
  const auto use = [&] {
    ThreadPool pool(2);
    for (int job = 0; job < 200; ++job) {
      pool.run(16, 1, [&](size_t begin, size_t end, size_t) { total += end - begin; });
    }
  };
  std::thread other(use);
  use();
  other.join();
  EXPECT_EQ(total.load(), 2u * 200 * 16);
}

TEST(ThreadPool, UsableThreadsIsAtLeastOne) {
  EXPECT_GE(usable_threads(), 1u);
}

}  // namespace
}  // namespace omg
