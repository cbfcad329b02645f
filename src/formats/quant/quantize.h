// SPDX-License-Identifier: Apache-2.0
//
// Floats to weights, for `omg quantize` and the model maker.
#pragma once

#include <cstddef>
#include <span>

#include "formats/weight_type.h"

namespace omg {

/// True for F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K and Q6_K at least.
bool can_quantize(WeightType type);

/// Writes row_bytes(type, in.size()) bytes. in.size() is a multiple of the type's block.
/// Not-a-number and infinite inputs are treated as 0 and the largest finite value; no input is
/// undefined behaviour.
void quantize(WeightType type, std::span<const float> in, std::span<std::byte> blocks);

}  // namespace omg
