// SPDX-License-Identifier: Apache-2.0
//
// See retry.h.
#include "hub/transfer/retry.h"

#include <algorithm>

namespace omg {

std::chrono::milliseconds retry_delay(size_t failures, double chance,
                                      std::optional<std::chrono::seconds> retry_after,
                                      const RetryOptions& options) {
  if (retry_after) {
    return *retry_after + std::chrono::milliseconds(static_cast<int64_t>(1000 * chance));
  }
  std::chrono::milliseconds delay = options.first;
  for (size_t i = 1; i < failures && delay < options.most; ++i) delay *= 2;
  delay = std::min(delay, options.most);
  return std::chrono::milliseconds(
      static_cast<int64_t>(static_cast<double>(delay.count()) * (1.0 - 0.5 * chance)));
}

}  // namespace omg
