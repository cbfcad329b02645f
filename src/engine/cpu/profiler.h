// SPDX-License-Identifier: Apache-2.0
//
// The stopwatch of a backend. A backend owns one or none; without one, a timed operation costs a
// comparison with null.
#pragma once

#include <chrono>

#include "engine/profile.h"

namespace omg {

/// Used by the thread that runs the steps, and by no other. Operations may stand inside each other;
/// a moment counts for the innermost.
class Profiler {
 public:
  explicit Profiler(const MachineLimits& limits) { profile_.limits = limits; }
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// A step begins; `tokens` of all sequences.
  void begin_step(bool is_prompt, uint64_t tokens);
  void enter(Operation operation, const Work& work);
  void leave();
  const Profile& profile() const { return profile_; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMaxDepth = 4;
  /// Counts the time since the last event for the innermost operation.
  void account();

  Profile profile_;
  PhaseProfile* phase_ = &profile_.prompt;
  Operation open_[kMaxDepth] = {};
  size_t depth_ = 0;
  Clock::time_point last_event_ = {};
};

/// Times an operation while it lives: `const Timed timed(profiler, Operation::kNorm, [&] { return
/// Work{...}; });` The work is only asked for when there is a profiler.
class Timed {
 public:
  template <class MakeWork>
  Timed(Profiler* profiler, Operation operation, const MakeWork& work) : profiler_(profiler) {
    if (profiler_) profiler_->enter(operation, work());
  }
  ~Timed() {
    if (profiler_) profiler_->leave();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Profiler* const profiler_;
};

}  // namespace omg
