// SPDX-License-Identifier: Apache-2.0
//
// Matrix products for AVX2.
#include <immintrin.h>

#include "engine/cpu/matmul_common.h"

OMG_TARGET_BEGIN(OMG_TARGET_AVX2);
namespace omg::avx2 {
// clang-format off: each needs those before it
#include "engine/cpu/ops_avx2-inl.h"
#include "engine/cpu/matmul_float-inl.h"
#include "engine/cpu/matmul-inl.h"
#include "engine/cpu/int8_avx2-inl.h"
// clang-format on
}  // namespace omg::avx2
OMG_TARGET_END;

namespace omg {

const MatmulKernels& avx2_matmul_kernels() {
  static constexpr MatmulKernels kTable = {Isa::kAvx2, avx2::MatmulCode::quantize_activations,
                                           avx2::Int8Code::matmul};
  return kTable;
}

}  // namespace omg
