// SPDX-License-Identifier: Apache-2.0
//
// A clock for tests: whoever waits makes its time pass, at once.
#pragma once

#include <atomic>
#include <thread>

#include "hub/transfer/clock.h"

namespace omg::testing {

class FakeClock final : public TransferClock {
 public:
  TimePoint now() override { return TimePoint(Duration(ticks_.load())); }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            Duration at_most) override {
    advance(at_most);
    // A breath of real time, so that those who have work to do come to it.
    changed.wait_for(lock, std::chrono::microseconds(200));
  }
  void advance(Duration by) { ticks_ += by.count(); }

 private:
  std::atomic<Duration::rep> ticks_{std::chrono::hours(1) / Duration(1)};
};

}  // namespace omg::testing
