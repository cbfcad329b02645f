// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/settings_checks.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>

#include "clients/cli/format.h"

namespace omg::cli::doctor {

void look_at_named_file(const std::string& setting, const std::string& path,
                        std::vector<std::string>& unreadable) {
  if (path.empty()) return;
  errno = 0;
  std::ifstream file(path);
  if (file.good() && file.peek() != std::ifstream::traits_type::eof()) return;
  const char* why = errno != 0 ? std::strerror(errno) : "it is empty";
  unreadable.push_back(fmt::format("{} is '{}': {}", setting, path, why));
}

Findings check_settings(const SettingsState& state) {
  Findings findings;
  if (!state.error.empty()) {
    const bool in_file = !state.file.empty() && state.error.starts_with(state.file);
    findings.push_back(
        problem("configuration", printable(state.error), "nearly every command fails",
                in_file ? "correct or delete that line; 'omg config explain NAME' says what a "
                          "setting takes"
                        : "correct that variable, or unset it"));
  }
  if (!state.catalog_error.empty()) {
    findings.push_back(problem("catalogue", printable(state.catalog_error),
                               "models cannot be found by name", "correct or delete that line"));
  }
  if (!state.hub_error.empty()) {
    findings.push_back(problem("hub settings", printable(state.hub_error),
                               "models can be neither found nor brought here",
                               "correct HF_ENDPOINT, HF_TOKEN or the token's file, or unset them"));
  }
  for (const std::string& unreadable : state.unreadable_files) {
    findings.push_back(problem("configuration", printable(unreadable), "the daemon cannot start",
                               "name a file that can be read, or 'omg config unset' it"));
  }
  if (!findings.empty()) return findings;
  if (state.file.empty()) return {ok("configuration", "no file, and no place for one")};
  return {ok("configuration", state.file_exists ? printable(state.file)
                                                : fmt::format("all as built in; no file {}",
                                                              printable(state.file)))};
}

}  // namespace omg::cli::doctor
