// SPDX-License-Identifier: Apache-2.0
#include "formats/quant/quantize.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <limits>
#include <vector>

#include "base/testing/reference_dir.h"
#include "formats/quant/dequantize.h"
#include "formats/quant/testing.h"

namespace omg {
namespace {

using quant_testing::Distribution;
using quant_testing::Random;
using quant_testing::random_weights;

std::vector<std::byte> quantized(WeightType type, std::span<const float> weights) {
  std::vector<std::byte> blocks(*row_bytes(type, weights.size()));
  quantize(type, weights, blocks);
  return blocks;
}

std::vector<float> round_trip(WeightType type, std::span<const float> weights) {
  std::vector<float> out(weights.size());
  dequantize(type, quantized(type, weights), out);
  return out;
}

double squared_error(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

/// Root mean squared errors of the reference implementation on the same 65536 weights, in the order
/// of Distribution. Obtained by compiling ggml-quants.c (llama.cpp, commit d32676d of 2026-08-18),
/// calling quantize_q4_0 and its siblings on 64 rows of 1024 floats from the generator of testing.h
/// without an importance matrix, and dequantising with its own dequantize_row_*.
struct ReferenceError {
  WeightType type;
  std::array<double, 4> rmse;
};
constexpr ReferenceError kReferenceErrors[] = {
    {WeightType::kQ4_0, {1.714671e-03, 3.058527e-03, 1.874748e-03, 6.428715e-03}},
    {WeightType::kQ4_1, {1.570662e-03, 2.610693e-03, 1.757431e-03, 5.005040e-03}},
    {WeightType::kQ5_0, {8.577165e-04, 1.526699e-03, 9.055081e-04, 3.874543e-03}},
    {WeightType::kQ5_1, {7.584502e-04, 1.264145e-03, 8.489610e-04, 2.353991e-03}},
    {WeightType::kQ8_0, {1.070049e-04, 1.914651e-04, 1.086978e-04, 5.040482e-04}},
    {WeightType::kQ2_K, {5.927182e-03, 9.749391e-03, 6.723626e-03, 1.117846e-02}},
    {WeightType::kQ3_K, {3.007908e-03, 5.025442e-03, 3.609510e-03, 6.623327e-03}},
    {WeightType::kQ4_K, {1.430491e-03, 2.403631e-03, 1.577502e-03, 4.444083e-03}},
    {WeightType::kQ5_K, {7.252558e-04, 1.218557e-03, 7.968787e-04, 2.268519e-03}},
    {WeightType::kQ6_K, {3.549675e-04, 6.172970e-04, 3.829187e-04, 1.448065e-03}},
    {WeightType::kIQ4_NL, {1.526246e-03, 2.503810e-03, 1.850103e-03, 5.319565e-03}},
    {WeightType::kIQ4_XS, {1.538328e-03, 2.523885e-03, 1.866455e-03, 5.406295e-03}},
    {WeightType::kMXFP4, {2.291317e-03, 3.570098e-03, 2.919193e-03, 7.403184e-03}},
};

TEST(Quantize, ErrorIsNoWorseThanTheReference) {
  for (size_t d = 0; d < 4; ++d) {
    const auto weights = random_weights(static_cast<Distribution>(d), 65536);
    for (const auto& reference : kReferenceErrors) {
      const auto out = round_trip(reference.type, weights);
      const double rmse = std::sqrt(squared_error(weights, out) / 65536);
      // We stand at 0.82 to 1.0005; far below would mean that the measurement is wrong.
      EXPECT_LE(rmse, 1.005 * reference.rmse[d]) << info(reference.type).name << " " << d;
      EXPECT_GE(rmse, 0.75 * reference.rmse[d]) << info(reference.type).name << " " << d;
    }
  }
}

TEST(Quantize, ReferenceFloatsComeBackNearlyExactly) {
  const std::filesystem::path folder = reference_dir() / "quants";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  for (const auto& row : weight_types()) {
    if (row.type == WeightType::kF32) continue;  // the reference has no file for it
    std::ifstream file(folder / (std::string(row.name) + ".f32"), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<float> weights(bytes.size() / sizeof(float));
    ASSERT_FALSE(weights.empty()) << row.name;
    std::memcpy(weights.data(), bytes.data(), bytes.size());
    const auto out = round_trip(row.type, weights);
    const std::vector<float> zeros(weights.size());
    // These floats lie on a grid of the type, so the right scales would leave no error at all. The
    // two-bit minima are hard to find again; all else comes within a thousandth of the energy.
    const double bound = row.type == WeightType::kQ2_K ? 5e-2 : 1e-3;
    EXPECT_LE(squared_error(weights, out), bound * squared_error(weights, zeros)) << row.name;
  }
}

TEST(Quantize, FloatTypesRoundToNearestAndSaturate) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> in = {1.0f, -0.0f, 1e6f, -kInfinity, std::nanf(""), 1.00048828125f};
  EXPECT_EQ(round_trip(WeightType::kF16, in),
            (std::vector<float>{1, 0, 65504, -65504, 0, 1.0f}));  // the tie goes to even
  EXPECT_TRUE(std::signbit(round_trip(WeightType::kF16, in)[1]));
  const float top = std::bit_cast<float>(0x7f7f0000u);
  EXPECT_EQ(round_trip(WeightType::kBF16, in), (std::vector<float>{1, 0, 999424, -top, 0, 1}));
  constexpr float kLargest = std::numeric_limits<float>::max();
  EXPECT_EQ(round_trip(WeightType::kF32, in),
            (std::vector<float>{1, 0, 1e6f, -kLargest, 0, 1.00048828125f}));
  EXPECT_EQ(round_trip(WeightType::kBF16, std::vector<float>{kLargest})[0], top);
}

TEST(Quantize, BlocksDoNotDependOnEachOther) {
  const auto weights = random_weights(Distribution::kOutliers, 4096);
  for (const auto& row : weight_types()) {
    const auto whole = quantized(row.type, weights);
    const size_t half = whole.size() / 2;
    const auto second = quantized(row.type, std::span(weights).subspan(2048));
    EXPECT_TRUE(std::equal(whole.begin() + static_cast<std::ptrdiff_t>(half), whole.end(),
                           second.begin(), second.end()))
        << row.name;
  }
}

TEST(Quantize, ZerosStayZeros) {
  const std::vector<float> zeros(512);
  for (const auto& row : weight_types()) EXPECT_EQ(round_trip(row.type, zeros), zeros) << row.name;
}

TEST(Quantize, ConstantBlocksAreKept) {
  for (const float value : {1.0f, -1.0f, 0.37f, -0.03f, 100.0f}) {
    const std::vector<float> weights(256, value);
    for (const auto& row : weight_types()) {
      const double relative = std::sqrt(squared_error(weights, round_trip(row.type, weights)) /
                                        squared_error(weights, std::vector<float>(256)));
      // Only powers of two are scales of MXFP4; all else needs no more than a rounded binary16.
      EXPECT_LE(relative, row.type == WeightType::kMXFP4 ? 0.2 : 0.006) << row.name << " " << value;
    }
  }
}

/// Bits of any kind: NaN, infinities, denormals, huge and tiny next to each other.
TEST(Quantize, AnyBitsGiveFiniteWeights) {
  Random random(7);
  std::vector<float> weights(256 * 64);
  for (float& weight : weights) weight = std::bit_cast<float>(static_cast<uint32_t>(random.next()));
  for (const auto& row : weight_types()) {
    for (const float out : round_trip(row.type, weights)) {
      ASSERT_TRUE(std::isfinite(out)) << row.name;
    }
  }
}

TEST(Quantize, ExtremeMagnitudesAreSafeAndNearlyRight) {
  Random random(8);
  for (int exponent = -149; exponent <= 127; exponent += 3) {
    std::vector<float> weights(256);
    for (float& weight : weights) {
      weight = std::ldexp(static_cast<float>(2 * random.uniform() - 1), exponent);
    }
    for (const auto& row : weight_types()) {
      const auto out = round_trip(row.type, weights);
      const double energy = squared_error(weights, std::vector<float>(256));
      const double error = squared_error(weights, out);
      for (const float value : out) ASSERT_TRUE(std::isfinite(value)) << row.name << exponent;
      EXPECT_LE(error, energy * 1.0001) << row.name << " 2^" << exponent;
      if (exponent < -6 || exponent > 14) continue;  // binary16 scales reach their limits
      const double bound = row.type == WeightType::kQ2_K ? 0.06 : 0.03;
      EXPECT_LE(error, energy * bound) << row.name << " 2^" << exponent;
    }
  }
}

/// Where the scale is a subnormal binary16, one step of it is a large part of it.
TEST(Quantize, SubnormalScalesAreChosenByError) {
  for (const float largest : {1e-5f, 3e-6f, 1e-6f, 2e-7f}) {
    Random random(9);
    std::vector<float> weights(256);
    for (float& weight : weights) {
      weight = largest * static_cast<float>(2 * random.uniform() - 1);
    }
    for (const auto type : {WeightType::kQ8_0, WeightType::kQ6_K}) {
      // Steps of 2^-24 are the finest there are; Q6_K has only whole multiples of one for its 32
      // codes a side.
      const double rmse = std::sqrt(squared_error(weights, round_trip(type, weights)) / 256);
      const double bound = std::max(0x1p-24, static_cast<double>(largest) / 64);
      EXPECT_LE(rmse, bound) << info(type).name << " " << largest;
    }
  }
}

TEST(Quantize, InfinityLeavesTheOtherBlocksAlone) {
  auto weights = random_weights(Distribution::kGaussian, 768);
  for (const auto& row : weight_types()) {
    const auto before = quantized(row.type, weights);
    auto spoiled = weights;
    spoiled[300] = std::numeric_limits<float>::infinity();
    const auto out = round_trip(row.type, spoiled);
    EXPECT_GE(out[300], 60000.0f) << row.name;
    const auto after = quantized(row.type, spoiled);
    const size_t third = before.size() / 3;
    EXPECT_EQ(std::memcmp(before.data(), after.data(), third), 0) << row.name;
    EXPECT_EQ(std::memcmp(before.data() + 2 * third, after.data() + 2 * third, third), 0);
  }
}

}  // namespace
}  // namespace omg
