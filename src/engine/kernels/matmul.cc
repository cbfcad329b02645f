// SPDX-License-Identifier: Apache-2.0
//
// Activations, and the choice of kernels.
#include "engine/kernels/matmul.h"

#include <cassert>

#include "engine/kernels/matmul_tables.h"
#include "formats/quant/block_codes.h"

namespace omg {
namespace {

size_t padded(size_t columns) {
  return (columns + 15) / 16 * 16;
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
  return part;
}

Activations::Activations(size_t max_tokens, size_t max_columns)
    : storage_(max_tokens * (padded(max_columns) * sizeof(float) +
                             (block_count(max_columns) | 1) * sizeof(ActivationBlock))),
      max_tokens_(max_tokens),
      max_columns_(max_columns) {
  floats = reinterpret_cast<float*>(storage_.data());
  // A row of floats is a multiple of 64 bytes, so the blocks behind them are aligned.
  quants = reinterpret_cast<ActivationBlock*>(storage_.data() +
                                              max_tokens * padded(max_columns) * sizeof(float));
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
