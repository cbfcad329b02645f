// SPDX-License-Identifier: Apache-2.0
//
// Internal to hub/: names of files that are parts of one, "model-00001-of-00003.gguf".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace omg {

struct SplitName {
  std::string stem;  // all before "-00001-of-", with folders
  size_t part = 0;   // from 1
  size_t parts = 0;
};

/// Nothing for a file that is whole. Works on names with or without their ending.
std::optional<SplitName> parse_split_name(std::string_view path);

bool is_gguf(std::string_view path);
bool is_safetensors(std::string_view path);

}  // namespace omg
