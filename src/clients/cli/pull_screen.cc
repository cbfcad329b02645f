// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/pull_screen.h"

#include <algorithm>
#include <fmt/format.h>

#include "clients/cli/format.h"
#include "clients/cli/progress_bar.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

constexpr int kNameWidth = 28;
constexpr size_t kMostBars = 6;

/// Cut in its middle, so that what tells files apart at their ends stays.
std::string fitted(const std::string& name) {
  const std::string text = printable(name);
  if (display_width(text) <= kNameWidth) {
    return text + std::string(kNameWidth - display_width(text), ' ');
  }
  return text.substr(0, 12) + "…" + text.substr(text.size() - (kNameWidth - 13));
}

/// What stands behind a bar, in the columns that are left.
std::string state_of(const TransferProgress& transfer) {
  switch (transfer.phase) {
    case TransferPhase::kWaiting:
      return "waiting for another pull";
    case TransferPhase::kConnecting:
      return "connecting";
    case TransferPhase::kRetrying:
      return "trying again";
    case TransferPhase::kPaused:
      return "paused";
    case TransferPhase::kVerifying:
      return "checking";
    case TransferPhase::kTransferring:
    case TransferPhase::kDone:
      break;
  }
  if (transfer.bytes_per_second <= 0) return "";
  return fmt::format("{}/s  {}", format_bytes(static_cast<uint64_t>(transfer.bytes_per_second)),
                     format_eta(transfer.seconds_left));
}

bool is_done(const PullFile& file) {
  return file.was_there || file.transfer.phase == TransferPhase::kDone;
}

std::string line(const std::string& name, uint64_t done, uint64_t total, const std::string& state,
                 int width) {
  const double share = total == 0 ? 1 : double(done) / double(total);
  const int room = std::clamp(width - kNameWidth - 52, 8, 30);
  std::string text =
      fmt::format("{} {} {:3.0f} % {:>10} / {:<10} {}", fitted(name), bar(share, room), share * 100,
                  format_bytes(done), format_bytes(total), state);
  return text;
}

}  // namespace

void PullScreen::show(const PullProgress& progress) {
  terminal_.err_is_tty() ? show_bars(progress) : show_lines(progress);
}

void PullScreen::show_bars(const PullProgress& progress) {
  const auto now = std::chrono::steady_clock::now();
  const bool same = progress.phase == phase_;
  if (same && now - shown_at_ < std::chrono::milliseconds(90)) return;
  phase_ = progress.phase;
  shown_at_ = now;
  if (progress.phase == PullPhase::kResolving) return terminal_.status("looking for the model");
  if (progress.phase == PullPhase::kPublishing) return terminal_.status("reading the model");
  if (progress.phase == PullPhase::kDone) return terminal_.status("");
  std::string text;
  double rate = 0;
  size_t bars = 0;
  for (const PullFile& file : progress.files) {
    if (is_done(file) || file.transfer.total == 0) continue;
    rate += file.transfer.bytes_per_second;
    if (bars++ == kMostBars) continue;
    text +=
        line(file.path, file.transfer.done, file.size, state_of(file.transfer), terminal_.width()) +
        "\n";
  }
  std::string state;
  if (rate > 0) {
    const double left = double(progress.total - std::min(progress.done, progress.total)) / rate;
    state = fmt::format("{}/s  {}", format_bytes(static_cast<uint64_t>(rate)), format_eta(left));
  }
  if (progress.files.size() > 1) {
    text += line(fmt::format("all {} files", progress.files.size()), progress.done, progress.total,
                 state, terminal_.width());
  } else if (!text.empty()) {
    text.pop_back();
  }
  if (!text.empty()) terminal_.status(text);
}

void PullScreen::show_lines(const PullProgress& progress) {
  if (progress.phase == PullPhase::kTransferring) {
    for (const PullFile& file : progress.files) {
      const std::string& trouble = file.transfer.message;
      if (!trouble.empty() && trouble != message_) {
        message_ = trouble;
        terminal_.note(fmt::format("{}: {}; trying again", printable(file.path), trouble));
      }
      if (!is_done(file) || !told_.insert(file.path).second) continue;
      terminal_.note(fmt::format("{}: {}{}", printable(file.path), format_bytes(file.size),
                                 file.was_there ? ", is here already" : ""));
    }
    const uint64_t tenths = progress.total == 0 ? 10 : progress.done * 10 / progress.total;
    if (tenths > tenths_) {
      tenths_ = tenths;
      terminal_.note(fmt::format("{} % of {}", tenths * 10, format_bytes(progress.total)));
    }
  }
  if (progress.phase != phase_ && progress.phase == PullPhase::kResolving) {
    terminal_.note("looking for the model");
  }
  phase_ = progress.phase;
}

}  // namespace omg::cli
