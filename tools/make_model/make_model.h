// SPDX-License-Identifier: Apache-2.0
//
// Writes a GGUF file of random weights that is in all else like a published one: for tests and
// benchmarks that must not depend on a download.
#pragma once

#include <string>

#include "formats/gguf/writer.h"
#include "tools/make_model/options.h"

namespace omg::model_maker {

/// Everything but the data: metadata and the tensors with their types.
struct Plan {
  Options options;  // complete
  Metadata metadata;
  std::vector<gguf::TensorDeclaration> tensors;
  uint64_t bytes = 0;  // of all tensors
};

/// Throws Error(kInvalidArgument) naming the option that cannot be.
Plan plan_model(const Options& options);

/// Writes the file; the same options give the same bytes on every machine. Returns the bytes of all
/// tensors. Throws Error.
uint64_t make_model(const Options& options, const std::string& path);

}  // namespace omg::model_maker
