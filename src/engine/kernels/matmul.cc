// SPDX-License-Identifier: Apache-2.0
//
// Activations, and the choice of kernels.
#include "engine/kernels/matmul.h"

#include <cassert>

#include "engine/kernels/matmul_tables.h"
#include "formats/quant/block_codes.h"

namespace omg {
namespace {

/// Floats of a row, an odd number of cache lines: rows of a tile are read side by side, and would
/// all fall into one set of the first-level cache if they were a multiple of 4096 bytes apart.
size_t padded(size_t columns) {
  return ((columns + 15) / 16 | 1) * 16;
}
size_t block_count(size_t columns) {
  return (columns + kActivationBlock - 1) / kActivationBlock;
}

}  // namespace

ActivationsView ActivationsView::slice(size_t begin, size_t count) const {
  assert(begin + count <= tokens);
  ActivationsView part = *this;
  part.tokens = count;
  part.floats += begin * stride;
  part.quants += begin * block_stride;
  part.tiles = begin % kTileTokens == 0 ? tile_row(begin / kTileTokens) : nullptr;
  return part;
}

Activations::Activations(size_t max_tokens, size_t max_columns)
    : max_tokens_(max_tokens), max_columns_(max_columns) {
  const size_t float_bytes = max_tokens * padded(max_columns) * sizeof(float);
  const size_t blocks_per_row = block_count(max_columns) | 1;
  const size_t tile_bytes =
      (max_tokens + kTileTokens - 1) / kTileTokens * blocks_per_row * sizeof(ActivationTile);
  const size_t quant_bytes = max_tokens * blocks_per_row * sizeof(ActivationBlock);
  storage_ = AlignedBytes(float_bytes + tile_bytes + quant_bytes);
  // Every part is a multiple of 64 bytes, so the next one is aligned.
  floats = reinterpret_cast<float*>(storage_.data());
  tiles = reinterpret_cast<ActivationTile*>(storage_.data() + float_bytes);
  quants = reinterpret_cast<ActivationBlock*>(storage_.data() + float_bytes + tile_bytes);
}

void Activations::reshape(size_t new_tokens, size_t new_columns) {
  assert(new_tokens <= max_tokens_ && new_columns <= max_columns_);
  tokens = new_tokens;
  columns = new_columns;
  stride = padded(new_columns);
  blocks = block_count(new_columns);
  block_stride = blocks | 1;
}

ActivationForm preferred_form(WeightType type) {
  return is_quantized(type) ? ActivationForm::kInt8 : ActivationForm::kFloat;
}

const MatmulKernels& matmul_kernels(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512Bf16:
    case Isa::kAvx512:
      return avx512_matmul_kernels();
    case Isa::kAvx2:
      return avx2_matmul_kernels();
#elif defined(__aarch64__)
    case Isa::kNeonI8mm:
      return neon_i8mm_matmul_kernels();
    case Isa::kNeonDotprod:
      return neon_dotprod_matmul_kernels();
    case Isa::kNeon:
      return neon_matmul_kernels();
#endif
    default:
      return scalar_matmul_kernels();
  }
}

}  // namespace omg
