// SPDX-License-Identifier: Apache-2.0
//
// How far long work is: bars that replace one another on a terminal, a plain line now and then in a
// pipe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "clients/cli/terminal.h"

namespace omg::cli {

/// "████░░░░", `width` columns.
std::string bar(double share, int width);

/// "1m 20s", "45s", "-" for nothing.
std::string format_eta(std::optional<double> seconds);

/// Says how many bytes of some work are done. On a terminal at most ten times a second, in a pipe
/// when another tenth is done.
class ProgressBar {
 public:
  explicit ProgressBar(Terminal& terminal) : terminal_(terminal) {}
  ProgressBar(const ProgressBar&) = delete;
  ~ProgressBar() { clear(); }
  void show(std::string_view label, uint64_t done, uint64_t total);
  void clear() { terminal_.status(""); }

 private:
  using Clock = std::chrono::steady_clock;
  Terminal& terminal_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point shown_at_{};
  uint64_t tenths_shown_ = 0;
};

}  // namespace omg::cli
