// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels for Armv8, whose base has all that they need.
#include <arm_neon.h>

#include "engine/cpu/vector_common.h"

namespace omg::neon {
// clang-format off: each needs the ones before
#include "engine/cpu/simd_neon-inl.h"
#include "engine/cpu/vector-inl.h"
#include "engine/cpu/cache-inl.h"
#include "engine/cpu/attention-inl.h"
// clang-format on
}  // namespace omg::neon

namespace omg {

const VectorKernels& neon_vector_kernels() {
  static constexpr VectorKernels kTable = neon::vector_table(Isa::kNeon);
  return kTable;
}

}  // namespace omg
