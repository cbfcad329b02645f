// SPDX-License-Identifier: Apache-2.0
//
// Matrix products for AVX-512 with VNNI.
#include "engine/cpu/matmul_common.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined operand of its own masked intrinsics for ours (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

OMG_TARGET_BEGIN(OMG_TARGET_AVX512);
namespace omg::avx512 {
// clang-format off: each needs those before it
#include "engine/cpu/ops_avx512-inl.h"
#include "engine/cpu/matmul_float-inl.h"
#include "engine/cpu/matmul-inl.h"
#include "engine/cpu/matmul_prompt_avx512-inl.h"
// clang-format on
}  // namespace omg::avx512
OMG_TARGET_END;

namespace omg {

const MatmulKernels& avx512_matmul_kernels() {
  static constexpr MatmulKernels kTable = {Isa::kAvx512, avx512::PromptCode::quantize_activations,
                                           avx512::PromptCode::matmul};
  return kTable;
}

}  // namespace omg
