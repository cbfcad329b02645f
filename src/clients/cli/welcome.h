// SPDX-License-Identifier: Apache-2.0
//
// `omg` alone: a greeting, what is here and runs, what could, and what to do next.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clients/cli/suggestions.h"
#include "clients/cli/terminal.h"

namespace omg::cli {

struct WelcomeState {
  struct Installed {
    std::string name;
    uint64_t bytes = 0;
    std::string used;  // "2 hours ago", "never"
  };
  struct Loaded {
    std::string name;
    std::string state;  // "running", "starting"
    uint64_t bytes = 0;
  };
  std::string settings_error;        // "" where they can be read
  std::string store_error;           // "" where it can be read, or is not there yet
  std::vector<Installed> installed;  // last used first
  bool daemon_runs = false;
  std::vector<Loaded> loaded;
  std::string url;                      // where applications find the daemon
  uint64_t memory_bytes = 0;            // that models may take
  std::vector<Suggestion> suggestions;  // not installed, largest first
};

/// Quick, and never an error: what cannot be read is said in a line.
WelcomeState look_around();
std::string welcome_text(const WelcomeState& state, const Terminal& terminal);

void welcome(Terminal& terminal);

}  // namespace omg::cli
