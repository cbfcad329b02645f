// SPDX-License-Identifier: Apache-2.0
//
// What the operations of a step have to move and compute, for the profiler: from sizes alone.
#pragma once

#include <algorithm>

#include "engine/graph/backend.h"
#include "engine/kernels/matmul.h"
#include "engine/profile.h"

namespace omg {

/// Floats read and written row by row; `passes` counts the inputs and the output.
inline Work row_work(size_t rows, size_t columns, double passes, double operations_each) {
  const double values = double(rows) * double(columns);
  return {values * passes * sizeof(float), 0, values * operations_each};
}

/// A product with `tokens` rows of activations: weights, activations and results once each.
inline Work matmul_work(const PackedMatrix& matrix, size_t tokens, ActivationForm form) {
  const bool is_int8 = form == ActivationForm::kInt8;
  const double inputs = double(tokens) * double(matrix.columns);
  const double outputs = double(tokens) * double(matrix.rows);
  const double operations = 2.0 * double(matrix.rows) * inputs;
  // An ActivationBlock has two bytes for each value.
  const double bytes = double(matrix.data.size()) +
                       inputs * (is_int8 ? 2.0 : double(sizeof(float))) + outputs * sizeof(float);
  return {bytes, is_int8 ? operations : 0, is_int8 ? 0 : operations};
}

/// Scores and weighted values of what each token sees; the cache of a sequence is read once for all
/// of its tokens, `position_bytes` for each position.
inline Work attention_work(const Step& step, const DecoderSpec& spec, double position_bytes,
                           uint32_t window) {
  const double lengths = double(spec.key_length) + double(spec.value_length);
  Work work;
  for (const StepPart& part : step.parts) {
    const uint32_t end = part.first_position + part.tokens;
    const uint32_t most = window == 0 ? end : std::min(end, window + part.tokens - 1);
    double seen = 0;  // positions, by all tokens
    for (uint32_t position = part.first_position; position < end; ++position) {
      seen += window == 0 ? position + 1 : std::min(position + 1, window);
    }
    work.bytes +=
        double(most) * position_bytes + double(part.tokens) * spec.heads * lengths * sizeof(float);
    work.float_ops += 2.0 * seen * spec.heads * lengths;
  }
  return work;
}

}  // namespace omg
