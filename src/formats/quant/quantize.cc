// SPDX-License-Identifier: Apache-2.0
//
// The way in to quantisation: makes every input harmless and hands it on, block by block.
#include "formats/quant/quantize.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/float16.h"
#include "formats/quant/quantize_blocks.h"
#include "formats/quant/scale_search.h"

namespace omg {
namespace {

constexpr float kMaxFloat = std::numeric_limits<float>::max();
constexpr float kMaxBfloat = 0x1.fep127f;
constexpr float kMaxMxfp4 = 0x1.8p127f;  // 12 * 2^124; the next level would round to infinity

/// NaN becomes 0; beyond the limit lies the limit.
float tamed(float x, float limit) {
  if (std::isnan(x)) return 0;
  return std::min(std::max(x, -limit), limit);
}

/// `limit` is the largest magnitude that the block holds with either sign; with it, no square or
/// sum in the search overflows a float. Magnitudes below `negligible` become zero, so that no
/// square of the block's extreme underflows.
template <class Block, size_t kSize>
void quantize_blocks(std::span<const float> in, std::byte* out, float limit, float negligible) {
  for (size_t begin = 0; begin < in.size(); begin += kSize, out += sizeof(Block)) {
    float x[kSize];
    for (size_t i = 0; i < kSize; ++i) {
      const float value = tamed(in[begin + i], limit);
      x[i] = std::fabs(value) < negligible ? 0 : value;
    }
    Block block;
    quantize_block(x, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

template <class Block>
void quantize_small(std::span<const float> in, std::byte* out, float limit) {
  quantize_blocks<Block, kSmallBlock>(in, out, limit, scale_search::kNegligible);
}
template <class Block>
void quantize_super(std::span<const float> in, std::byte* out, float limit) {
  quantize_blocks<Block, kSuperBlock>(in, out, limit, scale_search::kNegligible);
}

void to_halves(std::span<const float> in, std::byte* out, float limit, uint16_t (*convert)(float)) {
  for (const float x : in) {
    const uint16_t bits = convert(tamed(x, limit));
    std::memcpy(out, &bits, sizeof(bits));
    out += sizeof(bits);
  }
}

}  // namespace

bool can_quantize(WeightType) {
  return true;
}

void quantize(WeightType type, std::span<const float> in, std::span<std::byte> blocks) {
  assert(row_bytes(type, in.size()) == blocks.size());
  constexpr float kScale = scale_search::kMaxHalf;
  std::byte* out = blocks.data();
  switch (type) {
    case WeightType::kF32:
      for (const float x : in) {
        const float value = tamed(x, kMaxFloat);
        std::memcpy(out, &value, sizeof(value));
        out += sizeof(value);
      }
      break;
    case WeightType::kF16:
      return to_halves(in, out, scale_search::kMaxHalf, f32_to_f16);
    case WeightType::kBF16:
      return to_halves(in, out, kMaxBfloat, f32_to_bf16);
    case WeightType::kQ4_0:
      return quantize_small<BlockQ4_0>(in, out, kScale * 7);
    case WeightType::kQ4_1:
      return quantize_small<BlockQ4_1>(in, out, kScale);
    case WeightType::kQ5_0:
      return quantize_small<BlockQ5_0>(in, out, kScale * 15);
    case WeightType::kQ5_1:
      return quantize_small<BlockQ5_1>(in, out, kScale);
    case WeightType::kQ8_0:
      return quantize_small<BlockQ8_0>(in, out, kScale * 127);
    case WeightType::kQ2_K:
      return quantize_super<BlockQ2_K>(in, out, kScale * 15);
    case WeightType::kQ3_K:
      return quantize_super<BlockQ3_K>(in, out, kScale * 31 * 3);
    case WeightType::kQ4_K:
      return quantize_super<BlockQ4_K>(in, out, kScale * 63);
    case WeightType::kQ5_K:
      return quantize_super<BlockQ5_K>(in, out, kScale * 63);
    case WeightType::kQ6_K:
      return quantize_super<BlockQ6_K>(in, out, kScale * 127 * 31);
    case WeightType::kIQ4_NL:
      return quantize_small<BlockIQ4_NL>(in, out, kScale * 113);
    case WeightType::kIQ4_XS:
      return quantize_super<BlockIQ4_XS>(in, out, kScale * 31 * 113);
    case WeightType::kMXFP4:
      return quantize_blocks<BlockMXFP4, kSmallBlock>(in, out, kMaxMxfp4, 0);
  }
}

}  // namespace omg
