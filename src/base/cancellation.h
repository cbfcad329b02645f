// SPDX-License-Identifier: Apache-2.0
//
// A flag that one side raises and the other side polls between steps of long work. Raising it is
// safe in a signal handler.
#pragma once

#include <atomic>
#include <memory>

namespace omg {

/// Copies share one flag. Thread-safe.
class CancellationToken {
 public:
  CancellationToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() { flag_->store(true, std::memory_order_relaxed); }
  bool is_cancelled() const { return flag_->load(std::memory_order_relaxed); }
  /// Throws Error(kCancelled) once cancelled.
  void throw_if_cancelled() const;

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace omg
