// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C as a cancellation: while a guard lives, SIGINT raises its token and interrupts a blocking
// read instead of ending the process.
#pragma once

#include <csignal>

#include "base/cancellation.h"

namespace omg::cli {

/// The innermost one counts. Constructed and destroyed by the main thread.
class InterruptGuard {
 public:
  /// `second_kills`: a second Ctrl-C while the first is not yet obeyed ends the process as usual.
  InterruptGuard(CancellationToken token, bool second_kills);
  InterruptGuard(const InterruptGuard&) = delete;
  ~InterruptGuard();

 private:
  CancellationToken token_;
  CancellationToken* outer_token_;
  bool outer_second_kills_;
  struct sigaction previous_{};
};

}  // namespace omg::cli
