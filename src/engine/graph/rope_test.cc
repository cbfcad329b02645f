// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/rope.h"

#include <cmath>
#include <gtest/gtest.h>

namespace omg {
namespace {

RopeSpec plain() {
  RopeSpec spec;
  spec.dimensions = 64;
  spec.base = 10000;
  spec.original_context = 2048;
  return spec;
}

TEST(Rope, PlainFrequenciesFollowTheDefinition) {
  const auto frequencies = rope_frequencies(plain(), {});
  ASSERT_EQ(frequencies.size(), 32u);
  EXPECT_DOUBLE_EQ(frequencies[0], 1);
  EXPECT_NEAR(frequencies[16], 0.01, 1e-15);
}

TEST(Rope, LinearScalingAndDivisorsDivide) {
  RopeSpec spec = plain();
  spec.frequency_scale = 0.25f;
  std::vector<float> divisors(32, 1.0f);
  divisors[5] = 8;
  const auto base = rope_frequencies(plain(), {});
  const auto scaled = rope_frequencies(spec, divisors);
  EXPECT_DOUBLE_EQ(scaled[3], base[3] / 4);
  EXPECT_DOUBLE_EQ(scaled[5], base[5] / 32);
}

TEST(Rope, YarnKeepsFastPairsAndInterpolatesSlowOnes) {
  RopeSpec spec = plain();
  spec.frequency_scale = 0.25f;
  spec.yarn_extrapolation = 1;
  const auto base = rope_frequencies(plain(), {});
  const auto yarn = rope_frequencies(spec, {});
  EXPECT_DOUBLE_EQ(yarn[0], base[0]);        // 326 turns in 2048 positions: above beta_fast = 32
  EXPECT_DOUBLE_EQ(yarn[31], base[31] / 4);  // 0.04 turns: below beta_slow = 1
  for (size_t i = 1; i < 32; ++i) {
    EXPECT_LE(yarn[i] / base[i], yarn[i - 1] / base[i - 1] + 1e-12);
  }
}

TEST(Rope, RotationKeepsLengthAndStylesDifferOnlyInPlaces) {
  const auto frequencies = rope_frequencies(plain(), {});
  std::vector<float> cosines(32), sines(32);
  rope_angles(frequencies, 1.0f, 77, cosines, sines);
  std::vector<float> halves(64), interleaved(64);
  for (size_t i = 0; i < 32; ++i) {
    halves[i] = interleaved[2 * i] = std::sin(1.0f + static_cast<float>(i));
    halves[i + 32] = interleaved[2 * i + 1] = std::cos(3.0f * static_cast<float>(i));
  }
  rotate_head(RopeStyle::kHalves, cosines, sines, halves.data());
  rotate_head(RopeStyle::kInterleaved, cosines, sines, interleaved.data());
  for (size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(halves[i], interleaved[2 * i]);
    EXPECT_EQ(halves[i + 32], interleaved[2 * i + 1]);
    const double before = std::pow(std::sin(1.0 + static_cast<double>(i)), 2) +
                          std::pow(std::cos(3.0 * static_cast<double>(i)), 2);
    EXPECT_NEAR(std::hypot(halves[i], halves[i + 32]), std::sqrt(before), 1e-6);
  }
}

}  // namespace
}  // namespace omg
