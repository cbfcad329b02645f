// SPDX-License-Identifier: Apache-2.0
//
// Floats to weights, for `omg quantize` and the model maker.
#pragma once

#include <cstddef>
#include <span>

#include "formats/weight_type.h"

namespace omg {

/// True for every type of this build: all that can be read can be written.
bool can_quantize(WeightType type);

/// Writes row_bytes(type, in.size()) bytes. in.size() is a multiple of the type's block. The same
/// floats give the same bytes on every machine; blocks do not depend on each other, so callers may
/// split rows between threads. Weights count alike: least squared error is what is sought.
/// Not-a-number is treated as 0; infinities and what the type cannot hold as the largest magnitude
/// that it can; no input is undefined behaviour.
void quantize(WeightType type, std::span<const float> in, std::span<std::byte> blocks);

}  // namespace omg
