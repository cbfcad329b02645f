// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels in portable C++, and the choice between all of them.
#include "engine/cpu/vector_common.h"

namespace omg::scalar {
// clang-format off: the second needs the first
#include "engine/cpu/simd_scalar-inl.h"
#include "engine/cpu/vector-inl.h"
// clang-format on
}  // namespace omg::scalar

namespace omg {

size_t attention_scratch_floats(uint32_t key_length, uint32_t value_length) {
  const auto up = [](size_t floats) { return (floats + 15) / 16 * 16; };
  const size_t width = up(value_length);
  return up(size_t{key_length} * 32) + 32 * width + kMaxAttentionRows * width +
         up(size_t{kMaxAttentionRows} * key_length) + up(scalar::VectorCode::kRowGroupMax * 32) +
         2 * up(kMaxAttentionRows);
}

const VectorKernels& vector_kernels(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512Bf16:
    case Isa::kAvx512:
      return avx512_vector_kernels();
    case Isa::kAvx2:
      return avx2_vector_kernels();
#elif defined(__aarch64__)
    case Isa::kNeonI8mm:
    case Isa::kNeonDotprod:
    case Isa::kNeon:
      return neon_vector_kernels();
#endif
    default:
      break;
  }
  static constexpr VectorKernels kTable = scalar::VectorCode::table(Isa::kScalar);
  return kTable;
}

}  // namespace omg
