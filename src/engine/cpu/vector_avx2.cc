// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels for AVX2.
#include <immintrin.h>

#include "engine/cpu/vector_common.h"

OMG_TARGET_BEGIN(OMG_TARGET_AVX2);
namespace omg::avx2 {
// clang-format off: each needs the ones before
#include "engine/cpu/simd_avx2-inl.h"
#include "engine/cpu/vector-inl.h"
#include "engine/cpu/cache-inl.h"
#include "engine/cpu/attention-inl.h"
// clang-format on
}  // namespace omg::avx2
OMG_TARGET_END;

namespace omg {

const VectorKernels& avx2_vector_kernels() {
  static constexpr VectorKernels kTable = avx2::vector_table(Isa::kAvx2);
  return kTable;
}

}  // namespace omg
