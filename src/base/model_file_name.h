// SPDX-License-Identifier: Apache-2.0
//
// What the names of model files tell: the format, the quantisation, and which part of a whole it
// is. Nobody has written these rules down; they are what publishers do.
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

/// The quantisation that a file's name (or its folder's) tells, upper case: "Q4_K_M", "UD-Q4_K_XL"
/// (Unsloth's dynamic mixtures), "F16" also for FP16. The last one counts; "" if there is none.
std::string quantization_in_name(std::string_view path);

bool is_gguf(std::string_view path);
bool is_safetensors(std::string_view path);

}  // namespace omg
