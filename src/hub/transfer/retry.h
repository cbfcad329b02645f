// SPDX-License-Identifier: Apache-2.0
//
// How long to wait before a request is tried again: policy as a pure function.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace omg {

struct RetryOptions {
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds most{30'000};
  /// Failures in a row, with no byte between them, after which a transfer gives up.
  size_t attempts = 10;
  /// A server that asks for a longer pause than this is not waited for.
  std::chrono::seconds longest_retry_after{600};
};

/// The pause after `failures` (1, 2, …) in a row: it doubles from `first` up to `most`, and chance
/// (in [0, 1)) takes off up to half, so that workers that failed together do not return together.
/// What the server asked for is waited in full, plus up to a second by chance.
std::chrono::milliseconds retry_delay(size_t failures, double chance,
                                      std::optional<std::chrono::seconds> retry_after,
                                      const RetryOptions& options);

}  // namespace omg
