// SPDX-License-Identifier: Apache-2.0
//
// One form for all quantised types: 32 unsigned codes with their scales. Dequantisation and the
// packing for kernels both start here, so that each type's bits are taken apart in one place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/weight_type.h"

namespace omg {

/// How the scales of a type are made up. S and M below are per row and 16 or 32 columns.
enum class ScaleKind {
  kHalf,            // S = d (binary16)
  kHalfMin,         // S = d, M = -m
  kBfloat,          // S = d (bfloat16): MXFP4's powers of two
  kSuper,           // S = d * scale[0] for 32 columns
  kSuperMin,        // S = d * scale[0], M = dmin * min[0] for 32 columns
  kSuperHalves,     // S = d * scale[h] for 16 columns each
  kSuperMinHalves,  // S = d * scale[h], M = dmin * min[h] for 16 columns each
};

/// Facts of a quantised type: weight = S * (code - zero_point) - M.
struct CodeInfo {
  uint32_t bits;  // of a stored code: 2, 3, 4, 5, 6 or 8
  int32_t zero_point;
  ScaleKind scale_kind;
  const int8_t*
      table;  // 16 values that 4-bit codes stand for, or null; then code = value + zero_point
};

/// Thirty-two columns of one row.
struct BlockCodes {
  uint8_t codes[32];          // table types: still the index, 0 to 15
  uint16_t d = 0;             // binary16 (bfloat16 for kBfloat), of the whole block in the file
  uint16_t dmin = 0;          // kHalfMin: m; K-quants: dmin
  int8_t scales[2] = {1, 1};  // of each 16 columns
  uint8_t mins[2] = {0, 0};
};

/// True for every type but F32, F16 and BF16.
bool is_quantized(WeightType type);
const CodeInfo& code_info(WeightType type);
bool has_halves(ScaleKind kind);
bool has_min(ScaleKind kind);
bool has_super(ScaleKind kind);

/// Takes apart columns [32 index, 32 index + 32) of a row that starts at `row`.
BlockCodes block_codes(WeightType type, const std::byte* row, size_t index);

/// The two scales and minima as floats, in the order of operations that defines the type.
struct BlockScales {
  float scale[2];
  float min[2];
};
BlockScales block_scales(ScaleKind kind, const BlockCodes& block);

/// The 32 weights of a block.
void dequantize_block(const CodeInfo& info, const BlockCodes& block, float* out);

}  // namespace omg
