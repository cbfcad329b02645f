// SPDX-License-Identifier: Apache-2.0
//
// What is configured, as far as it cannot be meant.
#pragma once

#include <string>
#include <vector>

#include "clients/cli/doctor/finding.h"

namespace omg::cli::doctor {

struct SettingsState {
  std::string file;  // "": there is no place for one
  bool file_exists = false;
  std::string error;                          // why file or environment cannot be read
  std::string catalog_error;                  // the same of the user's catalogue
  std::string hub_error;                      // the same of HF_ENDPOINT and the token
  std::vector<std::string> unreadable_files;  // that settings name: "tls_key is '/x': …"
};

/// Tries to open a file that a setting names; adds to `unreadable` what came of it.
void look_at_named_file(const std::string& setting, const std::string& path,
                        std::vector<std::string>& unreadable);

Findings check_settings(const SettingsState& state);

}  // namespace omg::cli::doctor
