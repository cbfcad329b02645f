// SPDX-License-Identifier: Apache-2.0
//
// What every unit of vector kernels includes before it opens its target region: code of other
// headers must not be compiled for an instruction set that the machine may lack.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "engine/cpu/attention_scratch.h"
#include "engine/cpu/target.h"
#include "engine/kernels/vector.h"

/// Lambdas are functions of their own: inside a target region they need inlining to be part of it.
#define OMG_INLINE_LAMBDA __attribute__((always_inline))

namespace omg {

const VectorKernels& avx512_vector_kernels();
const VectorKernels& avx2_vector_kernels();
const VectorKernels& neon_vector_kernels();

}  // namespace omg
