// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/settings: the TOML file, as values with their lines, and as text in which one
// value is changed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/settings/settings.h"

namespace omg {

struct FileSetting {
  const SettingInfo* info = nullptr;
  std::string text;  // checked
  size_t line = 0;   // from 1
  // Where the value stands, in bytes of the file; the key's line begins at line_begin.
  size_t line_begin = 0;
  size_t value_begin = 0;
  size_t value_end = 0;
};

/// All settings of a file's text, in the order of the table. Error(kInvalidArgument) "FILE:LINE:
/// why".
std::vector<FileSetting> parse_config(std::string_view text, const std::string& file);

/// The text with a value changed or added, or, without a value, taken out. Comments and order stay.
std::string edited_config(const std::string& text, const std::string& file, const SettingInfo& info,
                          const std::optional<std::string>& value);

}  // namespace omg
