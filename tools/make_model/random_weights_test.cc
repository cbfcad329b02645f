// SPDX-License-Identifier: Apache-2.0
#include "tools/make_model/random_weights.h"

#include <cmath>
#include <gtest/gtest.h>

#include "formats/quant/dequantize.h"

namespace omg::model_maker {
namespace {

struct Moments {
  double mean = 0;
  double deviation = 0;
  double largest = 0;
};

Moments moments_of(WeightType type, float mean, float deviation, uint64_t seed) {
  constexpr size_t kElements = size_t{1} << 20;
  std::vector<std::byte> blocks(*row_bytes(type, kElements));
  RandomWeights(type, mean, deviation, seed).fill(blocks);
  std::vector<float> values(kElements);
  dequantize(type, blocks, values);
  Moments moments;
  double squares = 0;
  for (const float value : values) {
    moments.mean += value;
    squares += double{value} * value;
    moments.largest = std::max(moments.largest, std::abs(double{value}));
  }
  moments.mean /= kElements;
  moments.deviation = std::sqrt(squares / kElements - moments.mean * moments.mean);
  return moments;
}

// 0.05 is about a row of 400; 0.0014 that of an 8B model's widest matrix, whose scales are
// subnormal 16-bit floats of few bits.
TEST(RandomWeights, EveryTypeHasMeanZeroAndTheDeviation) {
  for (const auto& type : weight_types()) {
    for (const float deviation : {1.0f, 0.05f, 0.0014f}) {
      SCOPED_TRACE(std::string(type.name) + " " + std::to_string(deviation));
      const Moments moments = moments_of(type.type, 0, deviation, 1);
      // Of a million independent numbers the mean strays by a thousandth of the deviation; those of
      // a block share a scale, and with it a bias of half a step.
      EXPECT_NEAR(moments.mean / deviation, 0, 0.005);
      EXPECT_NEAR(moments.deviation / deviation, 1, 0.03);
      EXPECT_LT(moments.largest / deviation, 9);
    }
  }
}

TEST(RandomWeights, FloatsTakeAMean) {
  const Moments moments = moments_of(WeightType::kF32, 1, 0.1f, 1);
  EXPECT_NEAR(moments.mean, 1, 0.001);
  EXPECT_NEAR(moments.deviation, 0.1, 0.001);
}

TEST(RandomWeights, BlocksDiffer) {
  for (const auto& type : weight_types()) {
    std::vector<std::byte> bytes(type.block_bytes * 2 * (type.block_elements > 1 ? 1 : 8));
    RandomWeights(type.type, 0, 1, 1).fill(bytes);
    const auto half = bytes.begin() + static_cast<ptrdiff_t>(bytes.size() / 2);
    EXPECT_FALSE(std::equal(bytes.begin(), half, half)) << type.name;
  }
}

}  // namespace
}  // namespace omg::model_maker
