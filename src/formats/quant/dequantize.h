// SPDX-License-Identifier: Apache-2.0
//
// Weights of any type to floats: the definition that every kernel is tested against.
#pragma once

#include <cstddef>
#include <span>

#include "formats/weight_type.h"

namespace omg {

/// Writes out.size() floats from `blocks`, whose size is row_bytes(type, out.size()). `blocks` need
/// not be aligned. out.size() is a multiple of the type's block.
void dequantize(WeightType type, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace omg
