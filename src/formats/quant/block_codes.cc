// SPDX-License-Identifier: Apache-2.0
#include "formats/quant/block_codes.h"

#include <bit>
#include <cassert>

#include "base/float16.h"
#include "formats/quant/blocks.h"

namespace omg {
namespace {

constexpr CodeInfo kQ4_0 = {4, 8, ScaleKind::kHalf, nullptr};
constexpr CodeInfo kQ4_1 = {4, 0, ScaleKind::kHalfMin, nullptr};
constexpr CodeInfo kQ5_0 = {5, 16, ScaleKind::kHalf, nullptr};
constexpr CodeInfo kQ5_1 = {5, 0, ScaleKind::kHalfMin, nullptr};
constexpr CodeInfo kQ8_0 = {8, 128, ScaleKind::kHalf, nullptr};
constexpr CodeInfo kQ2_K = {2, 0, ScaleKind::kSuperMinHalves, nullptr};
constexpr CodeInfo kQ3_K = {3, 4, ScaleKind::kSuperHalves, nullptr};
constexpr CodeInfo kQ4_K = {4, 0, ScaleKind::kSuperMin, nullptr};
constexpr CodeInfo kQ5_K = {5, 0, ScaleKind::kSuperMin, nullptr};
constexpr CodeInfo kQ6_K = {6, 32, ScaleKind::kSuperHalves, nullptr};
constexpr CodeInfo kIQ4_NL = {4, 128, ScaleKind::kHalf, kIq4Values};
constexpr CodeInfo kIQ4_XS = {4, 128, ScaleKind::kSuper, kIq4Values};
constexpr CodeInfo kMXFP4 = {4, 16, ScaleKind::kBfloat, kMxfp4Values};

template <class Block>
const Block& block_at(const std::byte* row, size_t index) {
  return reinterpret_cast<const Block*>(row)[index];  // blocks are bytes: aligned anywhere
}

/// Elements i and i + 16 from the halves of byte i.
void split_nibbles(const uint8_t quants[16], uint8_t codes[32]) {
  for (size_t i = 0; i < 16; ++i) {
    codes[i] = quants[i] & 15;
    codes[i + 16] = quants[i] >> 4;
  }
}

void add_fifth_bits(const uint8_t high[4], uint8_t codes[32]) {
  for (size_t i = 0; i < 32; ++i) {
    codes[i] |= static_cast<uint8_t>((high[i / 8] >> (i % 8) & 1) << 4);
  }
}

void decode(const BlockQ4_0& block, BlockCodes& out) {
  out.d = block.d.value();
  split_nibbles(block.quants, out.codes);
}
void decode(const BlockQ4_1& block, BlockCodes& out) {
  out.d = block.d.value();
  out.dmin = block.m.value();
  split_nibbles(block.quants, out.codes);
}
void decode(const BlockQ5_0& block, BlockCodes& out) {
  out.d = block.d.value();
  split_nibbles(block.quants, out.codes);
  add_fifth_bits(block.high, out.codes);
}
void decode(const BlockQ5_1& block, BlockCodes& out) {
  out.d = block.d.value();
  out.dmin = block.m.value();
  split_nibbles(block.quants, out.codes);
  add_fifth_bits(block.high, out.codes);
}
void decode(const BlockQ8_0& block, BlockCodes& out) {
  out.d = block.d.value();
  for (size_t i = 0; i < 32; ++i) out.codes[i] = static_cast<uint8_t>(block.quants[i] + 128);
}
void decode(const BlockIQ4_NL& block, BlockCodes& out) {
  out.d = block.d.value();
  split_nibbles(block.quants, out.codes);
}
void decode(const BlockMXFP4& block, BlockCodes& out) {
  out.d = mxfp4_scale_bf16(block.exponent);
  split_nibbles(block.quants, out.codes);
}

void decode(const BlockQ2_K& block, size_t b, BlockCodes& out) {
  out.d = block.d.value();
  out.dmin = block.dmin.value();
  for (size_t h = 0; h < 2; ++h) {
    out.scales[h] = static_cast<int8_t>(block.scales[2 * b + h] & 15);
    out.mins[h] = block.scales[2 * b + h] >> 4;
  }
  const uint8_t* quants = block.quants + 32 * (b / 4);
  for (size_t l = 0; l < 32; ++l) out.codes[l] = quants[l] >> (2 * (b % 4)) & 3;
}
void decode(const BlockQ3_K& block, size_t b, BlockCodes& out) {
  out.d = block.d.value();
  for (uint32_t h = 0; h < 2; ++h) {
    out.scales[h] = scale_q3_k(block.scales, static_cast<uint32_t>(2 * b) + h);
  }
  const uint8_t* quants = block.quants + 32 * (b / 4);
  for (size_t l = 0; l < 32; ++l) {
    const int high = block.high[l] >> b & 1;
    out.codes[l] = static_cast<uint8_t>((quants[l] >> (2 * (b % 4)) & 3) | high << 2);
  }
}
/// Codes and scales that Q4_K and Q5_K share.
template <class Block>
void decode_k4(const Block& block, size_t b, BlockCodes& out) {
  out.d = block.d.value();
  out.dmin = block.dmin.value();
  const auto [scale, min] = scale_min_k4(block.scales, static_cast<uint32_t>(b));
  out.scales[0] = out.scales[1] = static_cast<int8_t>(scale);
  out.mins[0] = out.mins[1] = min;
  const uint8_t* quants = block.quants + 32 * (b / 2);
  for (size_t l = 0; l < 32; ++l) out.codes[l] = quants[l] >> (4 * (b % 2)) & 15;
}
void decode(const BlockQ4_K& block, size_t b, BlockCodes& out) {
  decode_k4(block, b, out);
}
void decode(const BlockQ5_K& block, size_t b, BlockCodes& out) {
  decode_k4(block, b, out);
  for (size_t l = 0; l < 32; ++l) {
    out.codes[l] |= static_cast<uint8_t>((block.high[l] >> b & 1) << 4);
  }
}
void decode(const BlockQ6_K& block, size_t b, BlockCodes& out) {
  out.d = block.d.value();
  for (size_t h = 0; h < 2; ++h) out.scales[h] = block.scales[2 * b + h];
  const size_t half = b / 4;
  const size_t quarter = b % 4;
  const uint8_t* low = block.low + 64 * half + 32 * (quarter % 2);
  const uint8_t* high = block.high + 32 * half;
  for (size_t l = 0; l < 32; ++l) {
    const int low_bits = low[l] >> (4 * (quarter / 2)) & 15;
    out.codes[l] = static_cast<uint8_t>(low_bits | (high[l] >> (2 * quarter) & 3) << 4);
  }
}
void decode(const BlockIQ4_XS& block, size_t b, BlockCodes& out) {
  out.d = block.d.value();
  out.scales[0] = out.scales[1] = scale_iq4_xs(block, static_cast<uint32_t>(b));
  split_nibbles(block.quants + 16 * b, out.codes);
}

template <class Block>
void decode_small(const std::byte* row, size_t index, BlockCodes& out) {
  decode(block_at<Block>(row, index), out);
}
template <class Block>
void decode_super(const std::byte* row, size_t index, BlockCodes& out) {
  decode(block_at<Block>(row, index / 8), index % 8, out);
}

}  // namespace

bool is_quantized(WeightType type) {
  return type != WeightType::kF32 && type != WeightType::kF16 && type != WeightType::kBF16;
}

const CodeInfo& code_info(WeightType type) {
  switch (type) {
    case WeightType::kQ4_0:
      return kQ4_0;
    case WeightType::kQ4_1:
      return kQ4_1;
    case WeightType::kQ5_0:
      return kQ5_0;
    case WeightType::kQ5_1:
      return kQ5_1;
    case WeightType::kQ8_0:
      return kQ8_0;
    case WeightType::kQ2_K:
      return kQ2_K;
    case WeightType::kQ3_K:
      return kQ3_K;
    case WeightType::kQ4_K:
      return kQ4_K;
    case WeightType::kQ5_K:
      return kQ5_K;
    case WeightType::kQ6_K:
      return kQ6_K;
    case WeightType::kIQ4_NL:
      return kIQ4_NL;
    case WeightType::kIQ4_XS:
      return kIQ4_XS;
    case WeightType::kMXFP4:
      return kMXFP4;
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16:
      break;
  }
  assert(false && "not a quantised type");
  return kQ8_0;
}

bool has_halves(ScaleKind kind) {
  return kind == ScaleKind::kSuperHalves || kind == ScaleKind::kSuperMinHalves;
}
bool has_min(ScaleKind kind) {
  return kind == ScaleKind::kHalfMin || kind == ScaleKind::kSuperMin ||
         kind == ScaleKind::kSuperMinHalves;
}
bool has_super(ScaleKind kind) {
  return kind == ScaleKind::kSuper || kind == ScaleKind::kSuperMin || has_halves(kind);
}

BlockCodes block_codes(WeightType type, const std::byte* row, size_t index) {
  BlockCodes out;
  switch (type) {
    case WeightType::kQ4_0:
      decode_small<BlockQ4_0>(row, index, out);
      break;
    case WeightType::kQ4_1:
      decode_small<BlockQ4_1>(row, index, out);
      break;
    case WeightType::kQ5_0:
      decode_small<BlockQ5_0>(row, index, out);
      break;
    case WeightType::kQ5_1:
      decode_small<BlockQ5_1>(row, index, out);
      break;
    case WeightType::kQ8_0:
      decode_small<BlockQ8_0>(row, index, out);
      break;
    case WeightType::kIQ4_NL:
      decode_small<BlockIQ4_NL>(row, index, out);
      break;
    case WeightType::kMXFP4:
      decode_small<BlockMXFP4>(row, index, out);
      break;
    case WeightType::kQ2_K:
      decode_super<BlockQ2_K>(row, index, out);
      break;
    case WeightType::kQ3_K:
      decode_super<BlockQ3_K>(row, index, out);
      break;
    case WeightType::kQ4_K:
      decode_super<BlockQ4_K>(row, index, out);
      break;
    case WeightType::kQ5_K:
      decode_super<BlockQ5_K>(row, index, out);
      break;
    case WeightType::kQ6_K:
      decode_super<BlockQ6_K>(row, index, out);
      break;
    case WeightType::kIQ4_XS:
      decode_super<BlockIQ4_XS>(row, index, out);
      break;
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16:
      assert(false && "not a quantised type");
  }
  return out;
}

BlockScales block_scales(ScaleKind kind, const BlockCodes& block) {
  const float d = kind == ScaleKind::kBfloat ? bf16_to_f32(block.d) : f16_to_f32(block.d);
  if (kind == ScaleKind::kHalf || kind == ScaleKind::kBfloat) return {{d, d}, {0, 0}};
  const float dmin = f16_to_f32(block.dmin);
  if (kind == ScaleKind::kHalfMin) return {{d, d}, {-dmin, -dmin}};
  return {{d * block.scales[0], d * block.scales[1]}, {dmin * block.mins[0], dmin * block.mins[1]}};
}

void dequantize_block(const CodeInfo& info, const BlockCodes& block, float* out) {
  const BlockScales scales = block_scales(info.scale_kind, block);
  for (size_t i = 0; i < 32; ++i) {
    const int value = info.table ? info.table[block.codes[i]] : block.codes[i] - info.zero_point;
    const float product = scales.scale[i / 16] * static_cast<float>(value);
    // Without a minimum nothing is subtracted: -0 stays -0.
    out[i] = has_min(info.scale_kind) ? product - scales.min[i / 16] : product;
  }
}

}  // namespace omg
