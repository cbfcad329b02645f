// SPDX-License-Identifier: Apache-2.0
//
// Quantisation to the types with blocks of 32: one scale, perhaps an offset, then the codes.
#include "formats/quant/blocks.h"
#include "formats/quant/quantize_blocks.h"
#include "formats/quant/scale_search.h"

namespace omg {
namespace {

using namespace scale_search;

constexpr size_t kSize = kSmallBlock;

Le16 le16(uint16_t value) {
  return {{static_cast<uint8_t>(value & 255), static_cast<uint8_t>(value >> 8)}};
}

void join_nibbles(const uint8_t codes[32], uint8_t quants[16]) {
  for (size_t i = 0; i < 16; ++i) {
    quants[i] = static_cast<uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
  }
}

void join_fifth_bits(const uint8_t codes[32], uint8_t high[4]) {
  for (size_t byte = 0; byte < 4; ++byte) {
    unsigned bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= static_cast<unsigned>(codes[8 * byte + i] >> 4) << i;
    high[byte] = static_cast<uint8_t>(bits);
  }
}

/// The scale rounded to binary16. Among its subnormals one step is up to the number itself, so
/// the neighbours are tried too.
template <class Levels>
uint16_t rounded_scale(const float* x, float scale) {
  uint16_t best = half_bits(scale);
  if (!is_subnormal_half(best)) return best;
  float best_error = error_at<Levels, kSize>(x, f16_to_f32(best));
  const uint16_t sign = best & 0x8000;
  const uint16_t magnitude = best & 0x7fff;
  for (int step = -1; step <= 2; ++step) {
    const int neighbour = magnitude + step;
    if (neighbour < 0) continue;
    const auto bits = static_cast<uint16_t>(sign | neighbour);
    const float error = error_at<Levels, kSize>(x, f16_to_f32(bits));
    if (error < best_error) {
      best = bits;
      best_error = error;
    }
  }
  return best;
}

template <class Levels>
uint16_t scale_and_codes(const float* x, const ScaleRange& range, uint8_t codes[32]) {
  const uint16_t bits = rounded_scale<Levels>(x, best_scale<Levels, kSize>(x, range));
  write_codes<Levels, kSize>(x, f16_to_f32(bits), codes);
  return bits;
}

/// The two fields of Q4_1 and Q5_1, whose offset is m = -min.
struct HalfPair {
  uint16_t d;
  uint16_t m;
};

template <int kTop>
float stored_error(const float* x, HalfPair bits) {
  return affine_error_at<kTop, kSize>(x, {f16_to_f32(bits.d), -f16_to_f32(bits.m)});
}

/// As rounded_scale(), with the offset that suits each d.
template <int kTop>
HalfPair rounded_pair(const float* x, const Affine& fit) {
  HalfPair best = {half_bits(fit.scale), half_bits(-fit.min)};
  if (!is_subnormal_half(best.d)) return best;
  float best_error = stored_error<kTop>(x, best);
  float sum_x = 0;
  for (size_t i = 0; i < kSize; ++i) sum_x += x[i];
  const uint16_t middle = best.d;
  for (int d = std::max(middle - 1, 0); d <= middle + 1; ++d) {
    const float scale = f16_to_f32(static_cast<uint16_t>(d));
    const float inverse = inverse_of(scale);
    HalfPair candidate = {static_cast<uint16_t>(d), half_bits(-fit.min)};
    for (int step = 0; step < 3; ++step) {
      const float shift = -f16_to_f32(candidate.m) * inverse;
      const AffineSums sums = affine_sums_at<kTop, kSize>(x, inverse, shift);
      candidate.m = half_bits((sum_x - scale * sums.q) / static_cast<float>(kSize));
      const float error = stored_error<kTop>(x, candidate);
      if (error < best_error) {
        best = candidate;
        best_error = error;
      }
    }
  }
  return best;
}

template <int kTop>
HalfPair affine_and_codes(const float* x, const AffineRange& range, uint8_t codes[32]) {
  const HalfPair bits = rounded_pair<kTop>(x, best_affine<kTop, kSize>(x, true, range));
  write_affine_codes<kTop, kSize>(x, {f16_to_f32(bits.d), -f16_to_f32(bits.m)}, codes);
  return bits;
}

uint8_t mxfp4_code(float x) {
  // Borders between the doubled values 0 1 2 3 4 6 8 12.
  constexpr float kBorders[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
  uint8_t code = 0;
  for (const float border : kBorders) code += std::fabs(x) > border;
  return x < 0 && code > 0 ? static_cast<uint8_t>(code + 8) : code;
}

/// Squared error in units of the scale, so that no magnitude of x overflows it.
float mxfp4_relative_error(const float* x, float scale) {
  float error = 0;
  for (size_t i = 0; i < kSize; ++i) {
    const float ratio = x[i] / scale;
    const float difference = ratio - static_cast<float>(kMxfp4Values[mxfp4_code(ratio)]);
    error += difference * difference;
  }
  return error;
}

}  // namespace

void quantize_block(const float* x, BlockQ4_0& block) {
  uint8_t codes[kSize];
  block.d = le16(scale_and_codes<UniformLevels<-8, 7>>(x, {5.6f, 0.3f, 11}, codes));
  join_nibbles(codes, block.quants);
}

void quantize_block(const float* x, BlockQ4_1& block) {
  uint8_t codes[kSize];
  const auto [d, m] = affine_and_codes<15>(x, {-0.4f, 0.4f, 5}, codes);
  block.d = le16(d);
  block.m = le16(m);
  join_nibbles(codes, block.quants);
}

void quantize_block(const float* x, BlockQ5_0& block) {
  uint8_t codes[kSize];
  block.d = le16(scale_and_codes<UniformLevels<-16, 15>>(x, {13, 0.35f, 11}, codes));
  join_nibbles(codes, block.quants);
  join_fifth_bits(codes, block.high);
}

void quantize_block(const float* x, BlockQ5_1& block) {
  uint8_t codes[kSize];
  const auto [d, m] = affine_and_codes<31>(x, {-0.4f, 0.4f, 5}, codes);
  block.d = le16(d);
  block.m = le16(m);
  join_nibbles(codes, block.quants);
  join_fifth_bits(codes, block.high);
}

void quantize_block(const float* x, BlockQ8_0& block) {
  // With 255 levels there is next to nothing to search: the extreme takes the last level.
  using Levels = UniformLevels<-127, 127>;
  const uint16_t bits = rounded_scale<Levels>(x, std::fabs(extreme_of<kSize>(x)) / 127);
  block.d = le16(bits);
  const float inverse = inverse_of(f16_to_f32(bits));
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes values = Levels::nearest(load(x + i) * inverse);
    for (size_t lane = 0; lane < 4; ++lane) {
      block.quants[i + lane] = static_cast<int8_t>(values[lane]);
    }
  }
}

void quantize_block(const float* x, BlockIQ4_NL& block) {
  uint8_t codes[kSize];
  block.d = le16(scale_and_codes<Iq4Levels>(x, {94, 5, 9}, codes));
  join_nibbles(codes, block.quants);
}

void quantize_block(const float* x, BlockMXFP4& block) {
  block = {};
  const float extreme = std::fabs(extreme_of<kSize>(x));
  if (extreme == 0) return;
  // The largest level, 12, is 0.75 * 2^4: the best power of two is within one of this.
  int exponent;
  std::frexp(extreme, &exponent);
  float best_error = INFINITY;
  for (int candidate = exponent - 5; candidate <= exponent - 3; ++candidate) {
    const int stored = std::min(std::max(candidate + 128, 0), 254);
    const float unit = std::ldexp(1.0f, 2 * (stored - 128 - exponent));
    const float error = unit * mxfp4_relative_error(x, std::ldexp(1.0f, stored - 128));
    if (error < best_error) {
      best_error = error;
      block.exponent = static_cast<uint8_t>(stored);
    }
  }
  uint8_t codes[kSize];
  const float scale = std::ldexp(1.0f, block.exponent - 128);
  for (size_t i = 0; i < kSize; ++i) codes[i] = mxfp4_code(x[i] / scale);
  join_nibbles(codes, block.quants);
}

}  // namespace omg
