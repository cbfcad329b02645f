// SPDX-License-Identifier: Apache-2.0
//
// Bytes per second: what all transfers of a process may use together, and what one has reached.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "base/cancellation.h"
#include "hub/transfer/clock.h"

namespace omg {

/// One for all transfers of a process. Bytes are paid for after they came: who brings the account
/// below zero waits until it is at zero again, which slows the sender through TCP. Thread-safe.
class RateLimit {
 public:
  /// Lower limits count as this: a piece of 256 KiB must not look like a connection that stands
  /// still (30 s).
  static constexpr uint64_t kLeast = 64u << 10;

  explicit RateLimit(TransferClock& clock) : clock_(clock) {}
  /// 0 = none. Holds at once, also for those who wait.
  void set(uint64_t bytes_per_second);
  uint64_t get() const;
  /// Counts `bytes` and waits as long as they cost. Throws Error(kCancelled).
  void spend(uint64_t bytes, const CancellationToken& cancellation);

 private:
  TransferClock& clock_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  uint64_t rate_ = 0;
  /// When all that was spent so far is paid for. At most a tenth of a second is saved up.
  std::optional<TransferClock::TimePoint> paid_;
};

/// The rate over the last seconds. Not thread-safe.
class RateMeter {
 public:
  /// `bytes` in total have come by now; may go down, which forgets what was.
  void add(TransferClock::TimePoint now, uint64_t bytes);
  /// 0 while nothing is known.
  double bytes_per_second() const;

 private:
  struct Sample {
    TransferClock::TimePoint time;
    uint64_t bytes;
  };
  std::deque<Sample> samples_;  // oldest first, five seconds' worth
};

}  // namespace omg
