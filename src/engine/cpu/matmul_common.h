// SPDX-License-Identifier: Apache-2.0
//
// What every unit of matrix-product kernels includes before it opens its target region.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "engine/cpu/target.h"
#include "engine/kernels/matmul_tables.h"
#include "engine/kernels/packed_layout.h"
#include "formats/quant/blocks.h"

/// Calls X(type, arguments of Codec) for every quantised type; K is ScaleKind.
#define OMG_QUANTIZED_TYPES(X)              \
  X(kQ4_0, 4, 8, K::kHalf)                  \
  X(kQ4_1, 4, 0, K::kHalfMin)               \
  X(kQ5_0, 5, 16, K::kHalf)                 \
  X(kQ5_1, 5, 0, K::kHalfMin)               \
  X(kQ8_0, 8, 128, K::kHalf)                \
  X(kQ2_K, 2, 0, K::kSuperMinHalves)        \
  X(kQ3_K, 3, 4, K::kSuperHalves)           \
  X(kQ4_K, 4, 0, K::kSuperMin)              \
  X(kQ5_K, 5, 0, K::kSuperMin)              \
  X(kQ6_K, 6, 32, K::kSuperHalves)          \
  X(kIQ4_NL, 4, 128, K::kHalf, kIq4Values)  \
  X(kIQ4_XS, 4, 128, K::kSuper, kIq4Values) \
  X(kMXFP4, 4, 16, K::kBfloat, kMxfp4Values)
