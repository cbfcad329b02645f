// SPDX-License-Identifier: Apache-2.0
//
// Models that are on this machine already become models of the store: of other tools by reference,
// of a bundle with their bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "store/adopt.h"
#include "store/store.h"

namespace omg {

struct ImportOptions {
  /// Instead of the found name; only where `path` holds one model.
  std::string name;
  /// Nothing: by reference, without a copy.
  std::optional<ImportMode> mode;
  bool dry_run = false;
  CancellationToken cancellation;
};

struct ImportReport {
  std::string path;
  std::vector<StoredModel> models;     // now in the store
  std::vector<StoreProblem> problems;  // what was passed over, and why
  uint64_t new_bytes = 0;              // that the store takes more
};

/// Brings in what is at `path`: a .gguf, a folder of a model, another tool's cache, or a bundle.
ImportReport import_models(Store& store, const std::string& path, const ImportOptions& options);

/// Whether `path` is a file that Store::export_bundle() may have made.
bool is_bundle(const std::string& path);

}  // namespace omg
