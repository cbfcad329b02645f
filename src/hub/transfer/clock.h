// SPDX-License-Identifier: Apache-2.0
//
// Time for transfers, so that tests can make hours pass at once: what o'clock it is, and waiting.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace omg {

/// Thread-safe.
class TransferClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  virtual ~TransferClock() = default;
  virtual TimePoint now() = 0;
  /// Waits until `changed` is notified or so much time has passed, or for no reason at all.
  virtual void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                    Duration at_most) = 0;
};

class SteadyClock final : public TransferClock {
 public:
  TimePoint now() override { return std::chrono::steady_clock::now(); }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            Duration at_most) override {
    changed.wait_for(lock, at_most);
  }
};

}  // namespace omg
