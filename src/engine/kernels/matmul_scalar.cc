// SPDX-License-Identifier: Apache-2.0
//
// Matrix products in portable C++, one row and one token at a time, straight from the layout's
// description: the reference that vector code is tested against.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/kernels/matmul_tables.h"
#include "engine/kernels/packed_layout.h"

namespace omg {
namespace {

/// A block whose values are all below this is zero: 127 / largest must stay finite.
constexpr float kSmallestScaled = 1e-30f;

/// Infinities give a scale that is not a number, so that they show in the result.
ActivationBlock quantize_block(const float* x, size_t count) {
  ActivationBlock block = {};
  float largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  if (!std::isfinite(largest)) block.scale = std::numeric_limits<float>::quiet_NaN();
  if (largest < kSmallestScaled || !std::isfinite(largest)) return block;
  block.scale = largest / 127.0f;
  const float inverse = 127.0f / largest;
  for (size_t i = 0; i < count; ++i) {
    const float rounded = std::nearbyint(x[i] * inverse);
    block.quants[i] = static_cast<int8_t>(std::clamp(rounded, -127.0f, 127.0f));
    block.minus_half_sums[i / 16] -= block.quants[i];
  }
  block.minus_sum = block.minus_half_sums[0] + block.minus_half_sums[1];
  block.scaled_sum = -block.scale * static_cast<float>(block.minus_sum);
  for (size_t h = 0; h < 2; ++h) {
    block.scaled_half_sums[h] = -block.scale * static_cast<float>(block.minus_half_sums[h]);
  }
  return block;
}

void quantize_activations(const ActivationsView& x, size_t token_begin, size_t token_end) {
  for (size_t token = token_begin; token < token_end; ++token) {
    for (size_t b = 0; b < x.blocks; ++b) {
      const size_t start = b * kActivationBlock;
      x.quant_row(token)[b] =
          quantize_block(x.row(token) + start, std::min(kActivationBlock, x.columns - start));
    }
  }
}

/// The values that a block's codes stand for, before scale and minimum.
void code_values(const CodeInfo& info, const BlockCodes& block, int values[32]) {
  for (size_t i = 0; i < 32; ++i) {
    values[i] = info.table ? info.table[block.codes[i]] : block.codes[i] - info.zero_point;
  }
}

float dot_int8(const PackedMatrix& matrix, size_t row, const ActivationBlock* x) {
  const CodeInfo& info = code_info(matrix.type);
  float sum = 0;
  for (size_t b = 0; b < matrix.columns / kActivationBlock; ++b) {
    const BlockCodes block = packed_block(matrix, row, b);
    const BlockScales scales = block_scales(info.scale_kind, block);
    int values[32];
    code_values(info, block, values);
    for (size_t half = 0; half < 2; ++half) {
      int32_t products = 0;
      for (size_t i = half * 16; i < half * 16 + 16; ++i) products += values[i] * x[b].quants[i];
      sum += static_cast<float>(products) * (scales.scale[half] * x[b].scale);
      sum -= scales.min[half] * x[b].scaled_half_sums[half];
    }
  }
  return sum;
}

float dot_float(const PackedMatrix& matrix, size_t row, const float* x) {
  float sum = 0;
  if (!is_quantized(matrix.type)) {
    for (size_t c = 0; c < matrix.columns; ++c) sum += packed_float(matrix, row, c) * x[c];
    return sum;
  }
  const CodeInfo& info = code_info(matrix.type);
  float weights[kActivationBlock];
  for (size_t b = 0; b < matrix.columns / kActivationBlock; ++b) {
    dequantize_block(info, packed_block(matrix, row, b), weights);
    float block_sum = 0;
    for (size_t c = 0; c < kActivationBlock; ++c) block_sum += weights[c] * x[b * 32 + c];
    sum += block_sum;
  }
  return sum;
}

void matmul(const PackedMatrix& matrix, const ActivationsView& x, ActivationForm form, float* out,
            size_t out_stride, size_t panel_begin, size_t panel_end) {
  const size_t row_end = std::min(panel_end * kPanelRows, matrix.rows);
  for (size_t row = panel_begin * kPanelRows; row < row_end; ++row) {
    for (size_t token = 0; token < x.tokens; ++token) {
      out[token * out_stride + row] = form == ActivationForm::kInt8
                                          ? dot_int8(matrix, row, x.quant_row(token))
                                          : dot_float(matrix, row, x.row(token));
    }
  }
}

}  // namespace

const MatmulKernels& scalar_matmul_kernels() {
  static constexpr MatmulKernels kTable = {Isa::kScalar, quantize_activations, matmul};
  return kTable;
}

}  // namespace omg
