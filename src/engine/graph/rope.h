// SPDX-License-Identifier: Apache-2.0
//
// Rotation angles of a RopeSpec: frequencies once per model, cosines and sines once per step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/decoder_spec.h"

namespace omg {

/// Radians per position for each rotated pair, scalings applied. `divisors`: one per pair, or
/// empty.
std::vector<double> rope_frequencies(const RopeSpec& spec, std::span<const float> divisors);

/// Cosine and sine of each pair at `position`, times the spec's magnitude.
void rope_angles(std::span<const double> frequencies, float magnitude, uint32_t position,
                 std::span<float> cosines, std::span<float> sines);

/// Rotates the leading 2 * cosines.size() elements of one head.
void rotate_head(RopeStyle style, std::span<const float> cosines, std::span<const float> sines,
                 float* head);

}  // namespace omg
