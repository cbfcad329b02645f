// SPDX-License-Identifier: Apache-2.0
#include "formats/quant/dequantize.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <vector>

#include "base/testing/reference_dir.h"
#include "formats/quant/blocks.h"

namespace omg {
namespace {

std::vector<char> read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Dequantize, EqualsTheReferenceToTheLastBit) {
  const std::filesystem::path folder = reference_dir() / "quants";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  size_t compared = 0;
  for (const auto& row : weight_types()) {
    const auto blocks = read(folder / (std::string(row.name) + ".blocks"));
    const auto floats = read(folder / (std::string(row.name) + ".f32"));
    if (row.type == WeightType::kF32) continue;  // the reference has no file for it
    ASSERT_FALSE(floats.empty()) << row.name;
    std::vector<float> expected(floats.size() / sizeof(float));
    std::memcpy(expected.data(), floats.data(), floats.size());
    std::vector<char> shifted(blocks.size() + 1);  // at an odd address
    std::memcpy(shifted.data() + 1, blocks.data(), blocks.size());
    std::vector<float> out(expected.size());
    dequantize(row.type, std::as_bytes(std::span(shifted).subspan(1)), out);
    for (size_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(expected[i]))
          << row.name << " element " << i << ": " << out[i] << " for " << expected[i];
    }
    ++compared;
  }
  EXPECT_EQ(compared, weight_types().size() - 1);
}

TEST(Dequantize, SmallBlocksFollowTheirFormulas) {
  BlockQ4_0 block = {{{0x00, 0x3c}}, {}};  // d = 1
  for (int i = 0; i < 16; ++i) block.quants[i] = static_cast<uint8_t>(i | (15 - i) << 4);
  std::vector<float> out(32);
  dequantize(WeightType::kQ4_0, std::as_bytes(std::span(&block, 1)), out);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(out[static_cast<size_t>(i)], static_cast<float>(i - 8));
    EXPECT_EQ(out[static_cast<size_t>(i + 16)], static_cast<float>(7 - i));
  }
}

TEST(Dequantize, Mxfp4ScalesAreExactPowersOfTwo) {
  for (int exponent = 0; exponent < 255; ++exponent) {
    BlockMXFP4 block = {static_cast<uint8_t>(exponent), {}};
    block.quants[0] = 0x21;  // values 1/2 and 1, doubled in the table
    std::vector<float> out(32);
    dequantize(WeightType::kMXFP4, std::as_bytes(std::span(&block, 1)), out);
    EXPECT_EQ(out[0], std::ldexp(1.0f, exponent - 128));
    EXPECT_EQ(out[16], std::ldexp(1.0f, exponent - 127));
  }
}

}  // namespace
}  // namespace omg
