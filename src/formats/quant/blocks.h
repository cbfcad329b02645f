// SPDX-License-Identifier: Apache-2.0
//
// The byte layout of each quantised weight type, as model files hold it: a row is a sequence of
// these blocks. All multi-byte fields are little-endian; blocks may lie at any address, so every
// field is made of bytes. In the formulas q is a code, d and m are binary16 numbers. Source: the
// GGUF specification and the block structures of ggml (ggml-common.h), which define them.
#pragma once

#include <cstdint>
#include <cstring>

namespace omg {

/// A little-endian 16-bit field at any address.
struct Le16 {
  uint8_t bytes[2];
  uint16_t value() const { return static_cast<uint16_t>(bytes[0] | bytes[1] << 8); }
};

inline constexpr uint32_t kSmallBlock = 32;
inline constexpr uint32_t kSuperBlock = 256;

/// w = d (q - 8), q of 4 bits. Byte i holds element i (low half) and i + 16 (high half).
struct BlockQ4_0 {
  Le16 d;
  uint8_t quants[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

/// w = d q + m, q as in Q4_0.
struct BlockQ4_1 {
  Le16 d;
  Le16 m;
  uint8_t quants[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

/// w = d (q - 16), q of 5 bits: the low four as in Q4_0, the fifth of element i in bit i of `high`.
struct BlockQ5_0 {
  Le16 d;
  uint8_t high[4];
  uint8_t quants[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

/// w = d q + m, q as in Q5_0.
struct BlockQ5_1 {
  Le16 d;
  Le16 m;
  uint8_t high[4];
  uint8_t quants[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

/// w = d q, q a signed byte.
struct BlockQ8_0 {
  Le16 d;
  int8_t quants[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

/// w = d s q - dmin t, with 4-bit s and t for each 16 elements (low and high half of a byte of
/// `scales`). q of 2 bits: element l of the j-th 32 of half n is at bits 2j of quants[32 n + l].
struct BlockQ2_K {
  uint8_t scales[16];
  uint8_t quants[64];
  Le16 d;
  Le16 dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

/// w = d s (q - 4), q of 3 bits: two as in Q2_K, the third in bit 4n + j of high[l]. s is a 6-bit
/// number less 32 for each 16 elements: four bits of it in a half byte of scales[0…7], two in
/// scales[8…11].
struct BlockQ3_K {
  uint8_t high[32];
  uint8_t quants[64];
  uint8_t scales[12];
  Le16 d;
};
static_assert(sizeof(BlockQ3_K) == 110);

/// w = d s q - dmin t, with 6-bit s and t for each 32 elements (see scale_min_k4). q of 4 bits: 32
/// bytes hold two blocks of 32, the first in the low halves.
struct BlockQ4_K {
  Le16 d;
  Le16 dmin;
  uint8_t scales[12];
  uint8_t quants[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

/// As Q4_K, with a fifth bit of element l of the b-th 32 in bit b of high[l].
struct BlockQ5_K {
  Le16 d;
  Le16 dmin;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t quants[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

/// w = d s (q - 32), s a signed byte for each 16 elements, q of 6 bits: of half n, the four blocks
/// of 32 have their low bits in low[64 n + l] and low[64 n + 32 + l] (low halves, then high halves)
/// and their two high bits at bits 0, 2, 4, 6 of high[32 n + l].
struct BlockQ6_K {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  Le16 d;
};
static_assert(sizeof(BlockQ6_K) == 210);

/// w = d kIq4Values[q], q as in Q4_0.
struct BlockIQ4_NL {
  Le16 d;
  uint8_t quants[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

/// w = d (s - 32) kIq4Values[q], with a 6-bit s for each 32 elements: four bits in a half byte of
/// scales_low, two in scales_high. Each 32 elements are laid out as in Q4_0.
struct BlockIQ4_XS {
  Le16 d;
  Le16 scales_high;
  uint8_t scales_low[4];
  uint8_t quants[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

/// w = 2^(e - 128) kMxfp4Values[q], q as in Q4_0. Source: OCP Microscaling Formats 1.0, E2M1 with
/// E8M0 scales; the table holds doubled values, hence 128 instead of 127.
struct BlockMXFP4 {
  uint8_t exponent;
  uint8_t quants[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

/// The code book of IQ4_NL and IQ4_XS.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};
/// Twice the values of E2M1.
inline constexpr int8_t kMxfp4Values[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                            0, -1, -2, -3, -4, -6, -8, -12};

struct ScaleMin {
  uint8_t scale;
  uint8_t min;
};

/// The 6-bit scale and minimum of the i-th 32 elements of a Q4_K or Q5_K block. The first four
/// pairs are the low six bits of bytes 0…3 and 4…7; the others are half bytes of 8…11, with the two
/// bits that the first left over on top.
inline ScaleMin scale_min_k4(const uint8_t scales[12], uint32_t i) {
  if (i < 4) {
    return {static_cast<uint8_t>(scales[i] & 63), static_cast<uint8_t>(scales[i + 4] & 63)};
  }
  return {static_cast<uint8_t>((scales[i + 4] & 15) | scales[i - 4] >> 6 << 4),
          static_cast<uint8_t>(scales[i + 4] >> 4 | scales[i] >> 6 << 4)};
}

/// The signed scale of the i-th 16 elements of a Q3_K block.
inline int8_t scale_q3_k(const uint8_t scales[12], uint32_t i) {
  const uint32_t low = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
  const uint32_t high = scales[8 + i % 4] >> (2 * (i / 4)) & 3;
  return static_cast<int8_t>(static_cast<int>(low | high << 4) - 32);
}

/// The signed scale of the i-th 32 elements of an IQ4_XS block.
inline int8_t scale_iq4_xs(const BlockIQ4_XS& block, uint32_t i) {
  const uint32_t low = block.scales_low[i / 2] >> (4 * (i % 2)) & 15;
  const uint32_t high = block.scales_high.value() >> (2 * i) & 3;
  return static_cast<int8_t>(static_cast<int>(low | high << 4) - 32);
}

/// Upper half of the float 2^(e - 128), exact down to its subnormals: what MXFP4 scales by.
inline uint16_t mxfp4_scale_bf16(uint8_t exponent) {
  if (exponent < 2) return static_cast<uint16_t>(0x20 << exponent);
  return static_cast<uint16_t>((exponent - 1) << 7);
}

}  // namespace omg
