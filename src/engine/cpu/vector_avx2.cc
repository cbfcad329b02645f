// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels for AVX2.
#include <immintrin.h>

#include "engine/cpu/vector_common.h"

OMG_TARGET_BEGIN(OMG_TARGET_AVX2);
namespace omg::avx2 {
// clang-format off: the second needs the first
#include "engine/cpu/simd_avx2-inl.h"
#include "engine/cpu/vector-inl.h"
// clang-format on
}  // namespace omg::avx2
OMG_TARGET_END;

namespace omg {

const VectorKernels& avx2_vector_kernels() {
  static constexpr VectorKernels kTable = avx2::VectorCode::table(Isa::kAvx2);
  return kTable;
}

}  // namespace omg
