// SPDX-License-Identifier: Apache-2.0
//
// A pull as people watch it: a bar for each file that is under way and one for all of them on a
// terminal, plain lines in a pipe.
#pragma once

#include <chrono>
#include <set>
#include <string>

#include "clients/cli/hub_parts.h"
#include "clients/cli/terminal.h"
#include "daemon/jobs/pull.h"

namespace omg::cli {

class PullScreen {
 public:
  explicit PullScreen(Terminal& terminal) : terminal_(terminal) {}
  PullScreen(const PullScreen&) = delete;
  ~PullScreen() { terminal_.status(""); }
  void show(const PullProgress& progress);

 private:
  void show_bars(const PullProgress& progress);
  void show_lines(const PullProgress& progress);

  Terminal& terminal_;
  std::chrono::steady_clock::time_point shown_at_{};
  PullPhase phase_ = PullPhase::kDone;
  std::set<std::string> told_;  // files whose end was told
  uint64_t tenths_ = 0;         // of all bytes
  std::string message_;         // the last trouble that was told
};

/// Brings here what `model` names, unless it is a path or is here already.
void pull_if_missing(const std::string& model, Terminal& terminal);

/// pull_model(), shown.
PullResult pull_with_screen(HubParts& parts, Store& store, const std::string& model,
                            const PullOptions& options, const CancellationToken& cancellation,
                            Terminal& terminal);

}  // namespace omg::cli
