// SPDX-License-Identifier: Apache-2.0
//
// The search behind quantisation: which scale (and offset) makes a block's rounding error smallest.
// For given codes the best scale is a least-squares fit, and for a given scale the best codes are
// the nearest ones; so each candidate scale costs one pass, its error follows from the sums of that
// pass, and the winner is improved by alternating the two. All loops run in lanes of four over
// arrays of a size known to the compiler, so they sum in the same order on every machine.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "formats/quant/blocks.h"

namespace omg::scale_search {

inline constexpr float kMaxHalf = 65504.0f;
/// A float below half of binary16's smallest step: no type with a binary16 scale can hold it.
inline constexpr float kNegligible = 0x1p-25f;

/// Four floats in a register, through the vector extension that GCC and Clang share: left to
/// itself, the compiler took these loops element by element, which is three times slower.
typedef float Lanes __attribute__((vector_size(16)));

inline Lanes load(const float* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof(lanes));
  return lanes;
}
inline Lanes all(float x) {
  return Lanes{x, x, x, x};
}
inline Lanes clamped(Lanes x, float low, float high) {
  x = x > all(low) ? x : all(low);
  return x < all(high) ? x : all(high);
}
inline float add_up(Lanes lanes) {
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}
/// Nearest integer, ties to even, for |x| < 2^22.
inline Lanes round_to_integer(Lanes x) {
  constexpr float kMagic = 0x1.8p23f;
  return (x + kMagic) - kMagic;
}

/// Equally spaced values kLow, kLow + 1, … kHigh.
template <int kLow, int kHigh>
struct UniformLevels {
  static constexpr float kExtreme = -kLow;  // the largest magnitude
  static Lanes nearest(Lanes x) {
    return round_to_integer(clamped(x, static_cast<float>(kLow), static_cast<float>(kHigh)));
  }
  /// Code of a value that nearest() gave.
  static uint8_t code(float value) { return static_cast<uint8_t>(static_cast<int>(value) - kLow); }
};

/// The code book of IQ4_NL and IQ4_XS.
struct Iq4Levels {
  static constexpr float kExtreme = 127;
  static Lanes nearest(Lanes x) {
    // Borders between neighbours are multiples of 1/2, so a table over them is exact.
    const Lanes position = clamped(x, -127, 113) * 2 + 256;
    Lanes values;
    for (size_t lane = 0; lane < 4; ++lane) {
      values[lane] = kIq4Values[kIndex[static_cast<size_t>(position[lane])]];
    }
    return values;
  }
  static uint8_t code(float value) { return kIndex[static_cast<size_t>(2 * value + 256)]; }

 private:
  static constexpr std::array<uint8_t, 512> kIndex = [] {
    std::array<uint8_t, 512> table = {};
    for (int twice = -256; twice < 256; ++twice) {
      uint8_t best = 0;
      while (best < 15 && kIq4Values[best] + kIq4Values[best + 1] <= twice) ++best;
      table[static_cast<size_t>(twice + 256)] = best;
    }
    return table;
  }();
};

/// Sums over a block whose weights x became the values v of codes.
struct Sums {
  float xv = 0;
  float vv = 0;
};

template <class Levels, size_t kSize>
Sums sums_at(const float* x, float inverse) {
  Lanes xv = {};
  Lanes vv = {};
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes weights = load(x + i);
    const Lanes values = Levels::nearest(weights * inverse);
    xv += weights * values;
    vv += values * values;
  }
  return {add_up(xv), add_up(vv)};
}

inline float inverse_of(float scale) {
  return scale == 0 ? 0 : 1 / scale;
}

/// Sum of (x - scale v)² with the nearest values.
template <class Levels, size_t kSize>
float error_at(const float* x, float scale) {
  const float inverse = inverse_of(scale);
  Lanes sum = {};
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes weights = load(x + i);
    const Lanes difference = weights - scale * Levels::nearest(weights * inverse);
    sum += difference * difference;
  }
  return add_up(sum);
}

template <class Levels, size_t kSize>
void write_codes(const float* x, float scale, uint8_t* codes) {
  const float inverse = inverse_of(scale);
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes values = Levels::nearest(load(x + i) * inverse);
    for (size_t lane = 0; lane < 4; ++lane) codes[i + lane] = Levels::code(values[lane]);
  }
}

/// The element of largest magnitude.
template <size_t kSize>
float extreme_of(const float* x) {
  float extreme = 0;
  for (size_t i = 0; i < kSize; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  return extreme;
}

/// Where to look: the extreme element lands on `first`, first + step, … (`count` of them) in units
/// of the levels, once with each sign. Below the largest level resolution is wasted on purpose,
/// above it the extreme is clipped for the sake of the others.
struct ScaleRange {
  float first;
  float step;
  int count;
};

/// The scale of least squared error that the range offers; 0 for a block of zeros.
template <class Levels, size_t kSize>
float best_scale(const float* x, const ScaleRange& range) {
  const float extreme = extreme_of<kSize>(x);
  if (extreme == 0) return 0;
  const float unit = 1 / extreme;
  float best = 0;
  float best_gain = 0;  // how much of the sum of squares the codes explain
  const auto consider = [&](float inverse) {
    const Sums sums = sums_at<Levels, kSize>(x, inverse);
    if (!(sums.vv > 0)) return false;
    const float scale = sums.xv / sums.vv;
    const float gain = scale * sums.xv;
    if (!(gain > best_gain)) return false;
    best = scale;
    best_gain = gain;
    return true;
  };
  for (int i = 0; i < range.count; ++i) {
    const float target = range.first + range.step * static_cast<float>(i);
    consider(-target * unit);
    consider(target * unit);
  }
  for (int i = 0; i < 3 && best != 0; ++i) {
    if (!consider(1 / best)) break;
  }
  return best;
}

/// Bits of the nearest binary16 number; saturates at the largest finite one.
inline uint16_t half_bits(float value) {
  return f32_to_f16(std::min(std::max(value, -kMaxHalf), kMaxHalf));
}

inline bool is_subnormal_half(uint16_t bits) {
  return (bits & 0x7fff) < 0x400;
}

/// The same, but subnormals are rounded away from zero: there one step may be a large part of the
/// number, and a scale that is too small clips weights, which is worse than one too large.
inline uint16_t ample_half_bits(float value) {
  const uint16_t bits = half_bits(value);
  const bool is_short = is_subnormal_half(bits) && std::fabs(f16_to_f32(bits)) < std::fabs(value);
  return static_cast<uint16_t>(bits + (is_short ? 1 : 0));
}

/// w = scale q - min, q from 0 to kTop.
struct Affine {
  float scale = 0;
  float min = 0;
};

struct AffineSums {
  float q = 0;
  float qq = 0;
  float xq = 0;
};

template <int kTop>
Lanes affine_codes(Lanes x, float inverse, float shift) {
  return round_to_integer(clamped(x * inverse + shift, 0, static_cast<float>(kTop)));
}

template <int kTop, size_t kSize>
AffineSums affine_sums_at(const float* x, float inverse, float shift) {
  Lanes q = {};
  Lanes qq = {};
  Lanes xq = {};
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes weights = load(x + i);
    const Lanes codes = affine_codes<kTop>(weights, inverse, shift);
    q += codes;
    qq += codes * codes;
    xq += weights * codes;
  }
  return {add_up(q), add_up(qq), add_up(xq)};
}

template <int kTop, size_t kSize>
float affine_error_at(const float* x, const Affine& fit) {
  const float inverse = inverse_of(fit.scale);
  const float shift = fit.min * inverse;
  Lanes sum = {};
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes weights = load(x + i);
    const Lanes codes = affine_codes<kTop>(weights, inverse, shift);
    const Lanes difference = weights - (fit.scale * codes - fit.min);
    sum += difference * difference;
  }
  return add_up(sum);
}

template <int kTop, size_t kSize>
void write_affine_codes(const float* x, const Affine& fit, uint8_t* out) {
  const float inverse = inverse_of(fit.scale);
  const float shift = fit.min * inverse;
  for (size_t i = 0; i < kSize; i += 4) {
    const Lanes codes = affine_codes<kTop>(load(x + i), inverse, shift);
    for (size_t lane = 0; lane < 4; ++lane) out[i + lane] = static_cast<uint8_t>(codes[lane]);
  }
}

/// Where to look: how many codes' worth of the range is cut off (or, negative, added) at each end.
struct AffineRange {
  float first;
  float step;
  int count;
};

/// The pair of least squared error that the range offers. With `signed_min` false, min >= 0, as
/// the K-quants need it.
template <int kTop, size_t kSize>
Affine best_affine(const float* x, bool signed_min, const AffineRange& range) {
  float low = signed_min ? x[0] : std::min(x[0], 0.0f);
  float high = x[0];
  Lanes sum = {};
  for (size_t i = 0; i < kSize; i += 4) sum += load(x + i);
  const float sum_x = add_up(sum);
  for (size_t i = 0; i < kSize; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  if (!(high > low)) return {0, -low};
  Affine best;
  float best_gain = -1;
  const auto consider = [&](float inverse, float shift) {
    const AffineSums sums = affine_sums_at<kTop, kSize>(x, inverse, shift);
    const float determinant = static_cast<float>(kSize) * sums.qq - sums.q * sums.q;
    if (!(sums.qq > 0)) return false;
    float scale = sums.xq / sums.qq;
    float offset = 0;
    if (determinant > 0) {  // else all codes are the same one
      const float free_scale = (static_cast<float>(kSize) * sums.xq - sums.q * sum_x) / determinant;
      const float free_offset = (sum_x - free_scale * sums.q) / static_cast<float>(kSize);
      if (signed_min || free_offset <= 0) {
        scale = free_scale;
        offset = free_offset;
      }
    }
    const float gain = scale * sums.xq + offset * sum_x;
    if (!(scale > 0) || !(gain > best_gain)) return false;
    best = {scale, -offset};
    best_gain = gain;
    return true;
  };
  const float unit = 1 / (high - low);
  for (int i = 0; i < range.count; ++i) {
    const float cut_low = range.first + range.step * static_cast<float>(i);
    for (int j = 0; j < range.count; ++j) {
      const float cut_high = range.first + range.step * static_cast<float>(j);
      const float inverse = (static_cast<float>(kTop) + cut_low + cut_high) * unit;
      consider(inverse, -low * inverse - cut_low);
    }
  }
  if (best.scale == 0) return {0, -low};
  for (int i = 0; i < 3; ++i) {
    if (!consider(1 / best.scale, best.min / best.scale)) break;
  }
  return best;
}

}  // namespace omg::scale_search
