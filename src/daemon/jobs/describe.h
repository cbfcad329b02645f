// SPDX-License-Identifier: Apache-2.0
//
// What a model's own files say of it, for its manifest: read once, when it is installed, so that
// listings need not open it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/stored_model.h"

namespace omg {

/// Fills in family, context, parameters, quantisation, licence, capabilities and what memory it
/// takes, from the metadata of the .gguf at `path` (of a split model, its first part). What is set
/// already in `model` is kept. Throws Error where the file is broken; a family that cannot run is
/// no error.
void describe_from_file(const std::string& path, StoredModel& model);

/// The first .gguf with weights among the model's files: an index of artifacts, or nothing.
std::optional<size_t> main_gguf(const StoredModel& model);

struct ModelFit {
  uint64_t bytes = 0;  // that a run with the context takes
  bool fits = false;
};

/// Bytes that a run may take on this machine: of its memory, or of its cgroup's.
uint64_t usable_memory();

/// Nothing for what was installed without a plan, such as a family that cannot run. A context
/// beyond the model's is planned as the model's.
std::optional<ModelFit> fit_of(const StoredModel& model, uint64_t context, uint64_t usable_bytes);

}  // namespace omg
