// SPDX-License-Identifier: Apache-2.0
//
// A whole model file to another weight type. Weights stream through: memory does not grow with the
// model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "formats/model_file.h"
#include "formats/weight_type.h"

namespace omg {

/// What happens to one tensor.
struct TensorConversion {
  std::string name;
  WeightType from;
  WeightType to;
  /// The type that the rules ask for, where the rows are no whole number of its blocks.
  std::optional<WeightType> wanted;
  uint64_t elements = 0;
};

/// One tensor is complete (converted, or copied when from == to).
struct QuantizeProgress {
  const TensorConversion* tensor = nullptr;
  size_t tensors_done = 0;
  size_t tensors = 0;
  uint64_t bytes_read = 0;  // of the input's tensors, so far
  uint64_t bytes = 0;       // of all the input's tensors
};

struct QuantizeFileOptions {
  std::string type;    // a mixture or weight type, see WeightMixture::names(): "Q4_K_M"
  bool pure = false;   // one type for all matrices
  size_t threads = 0;  // 0: as many as this process may run on
  CancellationToken cancellation;
  std::function<void(const QuantizeProgress&)> on_progress;  // on the calling thread
};

struct QuantizeFileResult {
  std::vector<TensorConversion> tensors;  // in the file's order
  uint64_t bytes_in = 0;                  // of tensors
  uint64_t bytes_out = 0;
  /// Tensors that were quantised already and became another type: a second loss of precision. F32
  /// does not count, it holds what any type stands for.
  size_t requantized = 0;
};

/// What quantize_file() would do. Error(kInvalidArgument) for an unknown type.
std::vector<TensorConversion> plan_quantization(const ModelFile& model,
                                                const QuantizeFileOptions& options);

/// Reads the model at `in` (any part of a split one) and writes one GGUF file at `out`, which
/// appears when it is complete. Metadata are copied; "general.file_type" and
/// "general.quantization_version" say what is new. The same input gives the same bytes whatever the
/// number of threads. Throws Error: kInvalidArgument (unknown type, `out` is a file of the model),
/// kCancelled, and what the reader and the writer throw.
QuantizeFileResult quantize_file(const std::string& in, const std::string& out,
                                 const QuantizeFileOptions& options);

}  // namespace omg
