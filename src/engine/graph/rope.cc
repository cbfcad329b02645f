// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding, arXiv:2104.09864; YaRN's blend of interpolated and extrapolated
// frequencies, arXiv:2309.00071 §3.2.
#include "engine/graph/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace omg {
namespace {

/// Index of the pair that makes `rotations` full turns over the original context.
double pair_with_rotations(const RopeSpec& spec, double rotations) {
  return spec.dimensions * std::log(spec.original_context / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(static_cast<double>(spec.base)));
}

}  // namespace

std::vector<double> rope_frequencies(const RopeSpec& spec, std::span<const float> divisors) {
  const uint32_t pairs = spec.dimensions / 2;
  std::vector<double> frequencies(pairs);
  const double first = std::max(0.0, std::floor(pair_with_rotations(spec, spec.yarn_beta_fast)));
  const double last =
      std::min(spec.dimensions - 1.0, std::ceil(pair_with_rotations(spec, spec.yarn_beta_slow)));
  for (uint32_t i = 0; i < pairs; ++i) {
    double full = std::pow(static_cast<double>(spec.base), -2.0 * i / spec.dimensions);
    if (!divisors.empty()) full /= divisors[i];
    const double interpolated = full * spec.frequency_scale;
    const double ramp = std::clamp((i - first) / std::max(0.001, last - first), 0.0, 1.0);
    const double mix = (1 - ramp) * spec.yarn_extrapolation;
    frequencies[i] = interpolated * (1 - mix) + full * mix;
  }
  return frequencies;
}

void rope_angles(std::span<const double> frequencies, float magnitude, uint32_t position,
                 std::span<float> cosines, std::span<float> sines) {
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double angle = position * frequencies[i];
    cosines[i] = static_cast<float>(std::cos(angle) * magnitude);
    sines[i] = static_cast<float>(std::sin(angle) * magnitude);
  }
}

void rotate_head(RopeStyle style, std::span<const float> cosines, std::span<const float> sines,
                 float* head) {
  const size_t pairs = cosines.size();
  const size_t step = style == RopeStyle::kInterleaved ? 2 : 1;
  const size_t apart = style == RopeStyle::kInterleaved ? 1 : pairs;
  for (size_t i = 0; i < pairs; ++i) {
    float& a = head[i * step];
    float& b = head[i * step + apart];
    const float x = a;
    const float y = b;
    a = x * cosines[i] - y * sines[i];
    b = x * sines[i] + y * cosines[i];
  }
}

}  // namespace omg
