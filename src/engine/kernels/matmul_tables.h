// SPDX-License-Identifier: Apache-2.0
//
// The kernels of each instruction set, as their units export them; each exists only in builds for
// processors that can have the set.
#pragma once

#include "engine/kernels/matmul.h"

namespace omg {

const MatmulKernels& scalar_matmul_kernels();
const MatmulKernels& avx512_matmul_kernels();
const MatmulKernels& avx2_matmul_kernels();
const MatmulKernels& neon_i8mm_matmul_kernels();
const MatmulKernels& neon_dotprod_matmul_kernels();
const MatmulKernels& neon_matmul_kernels();

}  // namespace omg
