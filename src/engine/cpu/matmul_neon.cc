// SPDX-License-Identifier: Apache-2.0
//
// Matrix products for Armv8: with the base's instructions alone, with DotProd, and with
// I8MM.
#include <arm_neon.h>

#include "engine/cpu/matmul_common.h"

namespace omg::neon {
// clang-format off: each needs those before it
#define OMG_NEON_DOTPROD 0
#include "engine/cpu/ops_neon-inl.h"
#include "engine/cpu/matmul_float-inl.h"
#include "engine/cpu/matmul-inl.h"
// clang-format on
#undef OMG_NEON_DOTPROD
}  // namespace omg::neon

OMG_TARGET_BEGIN(OMG_TARGET_NEON_DOTPROD);
namespace omg::neon_dotprod {
// clang-format off: each needs those before it
#define OMG_NEON_DOTPROD 1
#include "engine/cpu/ops_neon-inl.h"
#include "engine/cpu/matmul_float-inl.h"
#include "engine/cpu/matmul-inl.h"
// clang-format on
#undef OMG_NEON_DOTPROD
}  // namespace omg::neon_dotprod
OMG_TARGET_END;

OMG_TARGET_BEGIN(OMG_TARGET_NEON_I8MM);
namespace omg::neon_i8mm {
// clang-format off: each needs those before it
#define OMG_NEON_DOTPROD 1
#include "engine/cpu/ops_neon-inl.h"
#include "engine/cpu/matmul_float-inl.h"
#include "engine/cpu/matmul-inl.h"
#include "engine/cpu/int8_i8mm-inl.h"
// clang-format on
#undef OMG_NEON_DOTPROD
}  // namespace omg::neon_i8mm
OMG_TARGET_END;

namespace omg {

const MatmulKernels& neon_matmul_kernels() {
  static constexpr MatmulKernels kTable = {Isa::kNeon, neon::MatmulCode::quantize_activations,
                                           neon::MatmulCode::matmul};
  return kTable;
}

const MatmulKernels& neon_dotprod_matmul_kernels() {
  static constexpr MatmulKernels kTable = {Isa::kNeonDotprod,
                                           neon_dotprod::MatmulCode::quantize_activations,
                                           neon_dotprod::MatmulCode::matmul};
  return kTable;
}

const MatmulKernels& neon_i8mm_matmul_kernels() {
  static constexpr MatmulKernels kTable = {
      Isa::kNeonI8mm, neon_i8mm::MatmulCode::quantize_activations, neon_i8mm::PairCode::matmul};
  return kTable;
}

}  // namespace omg
