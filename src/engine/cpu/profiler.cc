// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/profiler.h"

#include <cassert>

namespace omg {

void Profiler::begin_step(bool is_prompt, uint64_t tokens) {
  depth_ = 0;  // an error may have ended the last step anywhere
  phase_ = is_prompt ? &profile_.prompt : &profile_.generation;
  phase_->steps += 1;
  phase_->tokens += tokens;
  last_event_ = Clock::now();
}

void Profiler::account() {
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - last_event_).count();
  phase_->seconds += seconds;
  if (depth_ > 0) phase_->operations[static_cast<size_t>(open_[depth_ - 1])].seconds += seconds;
  last_event_ = now;
}

void Profiler::enter(Operation operation, const Work& work) {
  assert(depth_ < kMaxDepth);
  account();
  open_[depth_++] = operation;
  auto& counters = phase_->operations[static_cast<size_t>(operation)];
  counters.calls += 1;
  counters.work += work;
}

void Profiler::leave() {
  assert(depth_ > 0);
  account();
  --depth_;
}

}  // namespace omg
