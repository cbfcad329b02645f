// SPDX-License-Identifier: Apache-2.0
//
// See rate.h.
#include "hub/transfer/rate.h"

#include <algorithm>

namespace omg {

using std::chrono::duration_cast;
using Seconds = std::chrono::duration<double>;

void RateLimit::set(uint64_t bytes_per_second) {
  const std::lock_guard lock(mutex_);
  rate_ = bytes_per_second == 0 ? 0 : std::max(bytes_per_second, kLeast);
  paid_.reset();
  changed_.notify_all();
}

uint64_t RateLimit::get() const {
  const std::lock_guard lock(mutex_);
  return rate_;
}

void RateLimit::spend(uint64_t bytes, const CancellationToken& cancellation) {
  std::unique_lock lock(mutex_);
  if (rate_ == 0) return;
  const auto cost = duration_cast<TransferClock::Duration>(
      Seconds(static_cast<double>(bytes) / static_cast<double>(rate_)));
  const auto earliest = clock_.now() - std::chrono::milliseconds(100);
  paid_ = std::max(paid_.value_or(earliest), earliest) + cost;
  const auto mine = *paid_;
  while (rate_ != 0 && paid_) {
    const auto left = mine - clock_.now();
    if (left <= TransferClock::Duration::zero()) return;
    cancellation.throw_if_cancelled();
    clock_.wait(lock, changed_,
                std::min<TransferClock::Duration>(left, std::chrono::milliseconds(50)));
  }
}

void RateMeter::add(TransferClock::TimePoint now, uint64_t bytes) {
  constexpr auto kWindow = std::chrono::seconds(5);
  if (!samples_.empty() && bytes < samples_.back().bytes) samples_.clear();
  samples_.push_back({now, bytes});
  while (samples_.size() > 2 && now - samples_[1].time >= kWindow) samples_.pop_front();
}

double RateMeter::bytes_per_second() const {
  if (samples_.size() < 2) return 0;
  const double seconds =
      duration_cast<Seconds>(samples_.back().time - samples_.front().time).count();
  if (seconds <= 0) return 0;
  return static_cast<double>(samples_.back().bytes - samples_.front().bytes) / seconds;
}

}  // namespace omg
