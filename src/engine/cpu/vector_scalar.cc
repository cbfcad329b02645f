// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels in portable C++, and the choice between all of them.
#include "engine/cpu/vector_common.h"

namespace omg::scalar {
// clang-format off: each needs the ones before
#include "engine/cpu/simd_scalar-inl.h"
#include "engine/cpu/vector-inl.h"
#include "engine/cpu/cache-inl.h"
#include "engine/cpu/attention-inl.h"
// clang-format on
}  // namespace omg::scalar

namespace omg {

uint32_t attention_tile_rows(uint32_t key_length, uint32_t value_length) {
  // A row has a query and two sums, besides 64 weights: 192 rows of a head of 64 are 190 KiB. Less
  // rows widen the cache more often: measured -4 % with 96. A multiple of every kTileRows.
  const size_t fit = 24576 / (key_length + up_to_16(value_length)) / 12 * 12;
  return static_cast<uint32_t>(std::clamp<size_t>(fit, 12, 192));
}

size_t attention_scratch_floats(uint32_t key_length, uint32_t value_length) {
  return AttentionScratch(nullptr, key_length, value_length).floats;
}

size_t attention_part_floats(uint32_t value_length, uint32_t rows) {
  return AttentionPart::floats(up_to_16(value_length), rows);
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
  static constexpr VectorKernels kTable = scalar::vector_table(Isa::kScalar);
  return kTable;
}

}  // namespace omg
