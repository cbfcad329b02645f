// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/progress_bar.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "clients/cli/format.h"

namespace omg::cli {

std::string bar(double share, int width) {
  std::string text;
  const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * width);
  for (int i = 0; i < width; ++i) text += i < full ? "█" : "░";
  return text;
}

std::string format_eta(std::optional<double> seconds) {
  if (!seconds || !(*seconds < 1e7)) return "-";
  const auto whole = static_cast<int64_t>(std::ceil(*seconds));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

void ProgressBar::show(std::string_view label, uint64_t done, uint64_t total) {
  const double share = total == 0 ? 1 : double(done) / double(total);
  if (!terminal_.err_is_tty()) {
    const auto tenths = static_cast<uint64_t>(share * 10);
    if (tenths <= tenths_shown_) return;
    tenths_shown_ = tenths;
    terminal_.note(fmt::format("{}: {} % of {}", label, tenths * 10, format_bytes(total)));
    return;
  }
  const auto now = Clock::now();
  if (now - shown_at_ < std::chrono::milliseconds(100) && done < total) return;
  shown_at_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0.5 ? double(done) / seconds : 0;
  std::optional<double> eta;
  if (rate > 0) eta = double(total - done) / rate;
  terminal_.status(fmt::format("{} {} {:3.0f} %  {} of {}  {}", label, bar(share, 24), share * 100,
                               format_bytes(done), format_bytes(total), format_eta(eta)));
}

}  // namespace omg::cli
