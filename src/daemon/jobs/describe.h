// SPDX-License-Identifier: Apache-2.0
//
// What a model's own files say of it, for its manifest: read once, when it is installed, so that
// listings need not open it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/metadata.h"
#include "store/stored_model.h"

namespace omg {

/// Fills in family, context, parameters, quantisation, licence, capabilities and what memory it
/// takes, from the metadata of the .gguf at `path` (of a split model, its first part). What is set
/// already in `model` is kept. Throws Error where the file is broken; a family that cannot run is
/// no error.
void describe_from_file(const std::string& path, StoredModel& model);

/// "completion" or "embedding", and "insert" where the vocabulary has the tokens for it.
std::vector<std::string> capabilities_of(const Metadata& metadata);
/// "tools" and "thinking", as far as a Jinja template can. One that cannot be read can nothing.
std::vector<std::string> template_capabilities(std::string_view source);

/// The first .gguf with weights among the model's files: an index of artifacts, or nothing.
std::optional<size_t> main_gguf(const StoredModel& model);

struct ModelFit {
  uint64_t bytes = 0;  // that a run with the context takes
  bool fits = false;
};

/// Nothing for what was installed without a plan, such as a family that cannot run. A context
/// beyond the model's is planned as the model's.
std::optional<ModelFit> fit_of(const StoredModel& model, uint64_t context, uint64_t usable_bytes);

}  // namespace omg
