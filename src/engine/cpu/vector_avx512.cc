// SPDX-License-Identifier: Apache-2.0
//
// The vector kernels for AVX-512.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined operand of its own masked intrinsics for ours (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "engine/cpu/vector_common.h"

OMG_TARGET_BEGIN(OMG_TARGET_AVX512);
namespace omg::avx512 {
// clang-format off: each needs the ones before
#include "engine/cpu/simd_avx512-inl.h"
#include "engine/cpu/vector-inl.h"
#include "engine/cpu/cache-inl.h"
#include "engine/cpu/attention-inl.h"
// clang-format on
}  // namespace omg::avx512
OMG_TARGET_END;

namespace omg {

const VectorKernels& avx512_vector_kernels() {
  static constexpr VectorKernels kTable = avx512::vector_table(Isa::kAvx512);
  return kTable;
}

}  // namespace omg
