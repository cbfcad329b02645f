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
