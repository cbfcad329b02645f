// SPDX-License-Identifier: Apache-2.0
//
// Which files of a repository make up the model that was asked for. Pure functions of the list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/remote_model.h"

namespace omg {

struct SelectionOptions {
  /// "Q4_K_M" in any case; "" for the best that fits.
  std::string quantization;
  /// What the weights may take of memory; nothing = do not ask. Only for the choice of the best.
  std::optional<uint64_t> memory_bytes;
  /// Whether the best may be Q2_K or below. A quantisation that is named needs no leave.
  bool allow_low_quality = false;
  /// Globs ('*' any text, '?' one character, '[…]'; without '/' they match the last part). With any
  /// of `include`, all matching files are taken and nothing else is chosen.
  std::vector<std::string> include;
  std::vector<std::string> exclude;
};

/// One quantisation that a repository offers.
struct QuantizationChoice {
  std::string name;             // "Q4_K_M", "UD-Q4_K_XL"
  uint64_t bytes = 0;           // all parts
  std::vector<size_t> files;    // indices, parts in order
  bool is_low_quality = false;  // Q2_K and below
};

struct Selection {
  std::string quantization;   // "" for safetensors and for GGUF files whose names tell none
  std::vector<size_t> files;  // indices, weights first
};

/// What there is, best first: Q4_K_M, Q5_K_M, Q4_K_S, Q4_0, Q8_0, …
std::vector<QuantizationChoice> list_quantizations(const std::vector<RemoteFile>& files);
RemoteFileRole role_of_path(std::string_view path);

/// Chooses. `model` is named in errors: Error(kNotFound) with what there is for a quantisation or
/// glob that matches nothing, kOutOfMemory with the numbers if nothing fits, kCorrupt if parts are
/// missing, kUnsupported if there are no weights that can be read, kInvalidArgument if one
/// quantisation is there of several models.
Selection select_files(const std::vector<RemoteFile>& files, const SelectionOptions& options,
                       const std::string& model);

/// Whether `path` matches a glob as SelectionOptions says.
bool glob_matches(std::string_view glob, std::string_view path);

}  // namespace omg
