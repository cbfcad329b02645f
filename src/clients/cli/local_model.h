// SPDX-License-Identifier: Apache-2.0
//
// What a user may write where a command wants a model that is here: a path, or a name of the store.
#pragma once

#include <optional>
#include <string>

#include "store/store.h"

namespace omg::cli {

/// Nothing collects or removes the files while this lives.
struct LocalModel {
  std::string path;                 // of a .gguf; of a split model its first part
  std::optional<UsedModel> stored;  // nothing for a path
};

/// Whether `model` is a path, of something that exists or by the looks of it.
bool names_a_path(const std::string& model);

/// Whether `model` is a folder, and no model has that name.
bool names_a_folder(const std::string& model);

/// Error(kNotFound) with what to do about it when there is none, Error(kCorrupt) when its files
/// have changed.
LocalModel find_local_model(const std::string& model);

}  // namespace omg::cli
