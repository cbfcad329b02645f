// SPDX-License-Identifier: Apache-2.0
//
// Where models lie: the folder, its disk, and the models in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/doctor/finding.h"

namespace omg::cli::doctor {

struct FolderState {
  std::string path;
  std::string configured_by;  // "OMG_MODELS", "…/config.toml:3"; "built in" for the usual place
  bool exists = false;
  std::string refusal;  // why nothing can be written there; "" where it can
  // Of the disk under the folder, or under what there is of its path:
  std::string kind;  // "ext4", "nfs"; "" unknown
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;  // 0: unknown
};

struct ModelsState {
  std::string refusal;  // why the store cannot be read; "" where it can
  size_t models = 0;
  uint64_t bytes = 0;
  std::vector<std::string> unreadable;  // manifests and the database, with what is wrong
  std::vector<std::string> incomplete;  // models whose files are gone or changed
};

/// Tries to write in the folder, or where it would be made; leaves nothing behind.
FolderState look_at_folder(const std::string& path);
/// Opens the store in a folder that is there.
ModelsState look_at_models(const std::string& folder);

Finding check_folder(const FolderState& state);
Finding check_disk(const FolderState& state);
Finding check_models(const ModelsState& state);

}  // namespace omg::cli::doctor
