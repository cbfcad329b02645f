// SPDX-License-Identifier: Apache-2.0
//
// Quantisation to the super-blocks of 256, whose scales (and minima) are themselves small integers
// times one binary16 number. Each sub-block's best float scale comes first. Then the integers are
// chosen by the error they cause, not by rounding alone, and the binary16 number is fitted to all
// 256 weights; the two steps repeat while the error falls.
#include "formats/quant/blocks.h"
#include "formats/quant/quantize_blocks.h"
#include "formats/quant/scale_search.h"

namespace omg {
namespace {

using namespace scale_search;

constexpr int kRounds = 3;

Le16 le16(uint16_t value) {
  return {{static_cast<uint8_t>(value & 255), static_cast<uint8_t>(value >> 8)}};
}

int clamped_round(float x, int low, int high) {
  return static_cast<int>(
      std::nearbyint(std::min(std::max(x, static_cast<float>(low)), static_cast<float>(high))));
}

/// w = d s v: one signed integer s for each sub-block, v one of the levels.
template <size_t kSub>
struct Scales {
  uint16_t d = 0;
  int s[kSuperBlock / kSub] = {};
  float error = 0;
};

template <class Levels, size_t kSub, int kLow, int kHigh>
class ScaleFitter {
 public:
  static constexpr size_t kCount = kSuperBlock / kSub;

  explicit ScaleFitter(const float* x, const ScaleRange& range) : x_(x) {
    for (size_t j = 0; j < kCount; ++j) {
      wanted_[j] = best_scale<Levels, kSub>(x + j * kSub, range);
    }
  }

  Scales<kSub> fit() const {
    const float extreme = extreme_of<kCount>(wanted_);
    if (extreme == 0) return {};
    // The extreme scale takes the last integer of the longer side. (A second start from the other
    // side costs a third of the speed and gains 0.3 % at best.)
    Scales<kSub> best = choose_integers(ample_half_bits(extreme / static_cast<float>(kLow)));
    for (int round = 0; round < kRounds; ++round) {
      const uint16_t refitted = refit(best);
      if (refitted == best.d || (refitted & 0x7fff) == 0) break;
      const Scales<kSub> next = choose_integers(refitted);
      if (!(next.error < best.error)) break;
      best = next;
    }
    return best;
  }

 private:
  Scales<kSub> choose_integers(uint16_t d_bits) const {
    Scales<kSub> result = {d_bits};
    const float d = f16_to_f32(d_bits);
    for (size_t j = 0; j < kCount; ++j) {
      const int middle = clamped_round(wanted_[j] / d, kLow, kHigh);
      float least = INFINITY;
      for (int s = std::max(middle - 1, kLow); s <= std::min(middle + 1, kHigh); ++s) {
        const float error = error_at<Levels, kSub>(x_ + j * kSub, d * static_cast<float>(s));
        if (error < least) {
          least = error;
          result.s[j] = s;
        }
      }
      result.error += least;
    }
    return result;
  }

  /// The d that suits the codes which `scales` lead to.
  uint16_t refit(const Scales<kSub>& scales) const {
    const float d = f16_to_f32(scales.d);
    double xv = 0;
    double vv = 0;
    for (size_t j = 0; j < kCount; ++j) {
      const auto s = static_cast<float>(scales.s[j]);
      if (s == 0) continue;
      const Sums sums = sums_at<Levels, kSub>(x_ + j * kSub, 1 / (d * s));
      xv += static_cast<double>(s * sums.xv);
      vv += static_cast<double>(s * s * sums.vv);
    }
    return vv > 0 ? half_bits(static_cast<float>(xv / vv)) : scales.d;
  }

  const float* x_;
  float wanted_[kCount];
};

/// Codes of all 256, given the scales as stored.
template <class Levels, size_t kSub>
void scaled_codes(const float* x, const Scales<kSub>& scales, uint8_t codes[256]) {
  const float d = f16_to_f32(scales.d);
  for (size_t j = 0; j < kSuperBlock / kSub; ++j) {
    const float scale = d * static_cast<float>(scales.s[j]);
    write_codes<Levels, kSub>(x + j * kSub, scale, codes + j * kSub);
  }
}

/// w = d s q - dmin t: two unsigned integers for each sub-block, q from 0 to kTop.
template <size_t kSub>
struct ScalesAndMins {
  uint16_t d = 0;
  uint16_t dmin = 0;
  int s[kSuperBlock / kSub] = {};
  int t[kSuperBlock / kSub] = {};
  float error = 0;
};

/// Integers go from 0 to kHigh.
template <int kTop, size_t kSub, int kHigh>
class AffineFitter {
 public:
  static constexpr size_t kCount = kSuperBlock / kSub;

  AffineFitter(const float* x, const AffineRange& range) : x_(x) {
    for (size_t j = 0; j < kCount; ++j) {
      wanted_[j] = best_affine<kTop, kSub>(x + j * kSub, false, range);
      sums_[j] = 0;
      for (size_t i = 0; i < kSub; ++i) sums_[j] += x[j * kSub + i];
    }
  }

  ScalesAndMins<kSub> fit() const {
    float scale = 0;
    float min = 0;
    for (const Affine& wanted : wanted_) {
      scale = std::max(scale, wanted.scale);
      min = std::max(min, wanted.min);
    }
    if (scale == 0 && min == 0) return {};
    ScalesAndMins<kSub> best =
        choose_integers(ample_half_bits(scale / kHigh), ample_half_bits(min / kHigh));
    for (int round = 0; round < kRounds; ++round) {
      const Affine refitted = refit(best);
      const uint16_t d = half_bits(refitted.scale);
      const uint16_t dmin = half_bits(refitted.min);
      if (d == best.d && dmin == best.dmin) break;
      const ScalesAndMins<kSub> next = choose_integers(d, dmin);
      if (!(next.error < best.error)) break;
      best = next;
    }
    return best;
  }

 private:
  ScalesAndMins<kSub> choose_integers(uint16_t d_bits, uint16_t dmin_bits) const {
    ScalesAndMins<kSub> result = {d_bits, dmin_bits};
    const float d = f16_to_f32(d_bits);
    const float dmin = f16_to_f32(dmin_bits);
    for (size_t j = 0; j < kCount; ++j) {
      const float* x = x_ + j * kSub;
      const int middle = d > 0 ? clamped_round(wanted_[j].scale / d, 0, kHigh) : 0;
      float least = INFINITY;
      for (int s = std::max(middle - 1, 0); s <= std::min(middle + 1, kHigh); ++s) {
        const float scale = d * static_cast<float>(s);
        const int t = best_min(j, scale, dmin);
        const float error = affine_error_at<kTop, kSub>(x, {scale, dmin * static_cast<float>(t)});
        if (error < least) {
          least = error;
          result.s[j] = s;
          result.t[j] = t;
        }
      }
      result.error += least;
    }
    return result;
  }

  /// The integer minimum that suits the codes of this scale, by two steps of descent.
  int best_min(size_t j, float scale, float dmin) const {
    if (!(dmin > 0)) return 0;
    int t = clamped_round(wanted_[j].min / dmin, 0, kHigh);
    const float inverse = inverse_of(scale);
    for (int step = 0; step < 2; ++step) {
      const float min = dmin * static_cast<float>(t);
      const AffineSums sums = affine_sums_at<kTop, kSub>(x_ + j * kSub, inverse, min * inverse);
      const float ideal = (scale * sums.q - sums_[j]) / static_cast<float>(kSub);
      const int next = clamped_round(ideal / dmin, 0, kHigh);
      if (next == t) break;
      t = next;
    }
    return t;
  }

  /// d and dmin of least squares for the codes which `scales` lead to.
  Affine refit(const ScalesAndMins<kSub>& scales) const {
    const float d = f16_to_f32(scales.d);
    const float dmin = f16_to_f32(scales.dmin);
    double aa = 0;  // a = s q, b = t: minimise the sum of (x - d a + dmin b)²
    double ab = 0;
    double bb = 0;
    double xa = 0;
    double xb = 0;
    for (size_t j = 0; j < kCount; ++j) {
      const double s = scales.s[j];
      const double t = scales.t[j];
      const float inverse = inverse_of(d * static_cast<float>(scales.s[j]));
      const float min = dmin * static_cast<float>(scales.t[j]);
      const AffineSums sums = affine_sums_at<kTop, kSub>(x_ + j * kSub, inverse, min * inverse);
      aa += s * s * static_cast<double>(sums.qq);
      ab += s * t * static_cast<double>(sums.q);
      bb += t * t * static_cast<double>(kSub);
      xa += s * static_cast<double>(sums.xq);
      xb += t * static_cast<double>(sums_[j]);
    }
    const double determinant = aa * bb - ab * ab;
    Affine result = {d, dmin};
    if (determinant > 0) {
      result.scale = static_cast<float>((xa * bb - xb * ab) / determinant);
      result.min = static_cast<float>((xa * ab - xb * aa) / determinant);
    } else if (aa > 0) {
      result.scale = static_cast<float>(xa / aa);
    }
    return result.scale > 0 && result.min >= 0 ? result : Affine{d, dmin};
  }

  const float* x_;
  Affine wanted_[kCount];
  float sums_[kCount];
};

template <int kTop, size_t kSub>
void stored_affine_codes(const float* x, const ScalesAndMins<kSub>& fit, uint8_t codes[256]) {
  const float d = f16_to_f32(fit.d);
  const float dmin = f16_to_f32(fit.dmin);
  for (size_t j = 0; j < kSuperBlock / kSub; ++j) {
    const Affine stored = {d * static_cast<float>(fit.s[j]), dmin * static_cast<float>(fit.t[j])};
    write_affine_codes<kTop, kSub>(x + j * kSub, stored, codes + j * kSub);
  }
}

/// The inverse of scale_min_k4.
void join_scales_k4(const ScalesAndMins<32>& fit, uint8_t scales[12]) {
  for (size_t i = 0; i < 4; ++i) {
    const int s = fit.s[i + 4];
    const int t = fit.t[i + 4];
    scales[i] = static_cast<uint8_t>(fit.s[i] | s >> 4 << 6);
    scales[i + 4] = static_cast<uint8_t>(fit.t[i] | t >> 4 << 6);
    scales[i + 8] = static_cast<uint8_t>((s & 15) | (t & 15) << 4);
  }
}

/// Half bytes of Q4_K and Q5_K: 32 bytes hold two blocks of 32.
void join_nibbles_k4(const uint8_t codes[256], uint8_t quants[128]) {
  for (size_t i = 0; i < 128; ++i) {
    const uint8_t* pair = codes + 64 * (i / 32) + i % 32;
    quants[i] = static_cast<uint8_t>((pair[0] & 15) | (pair[32] & 15) << 4);
  }
}

/// Bit `bit` of element l of the b-th 32 goes to bit b of high[l].
void join_high_bits(const uint8_t codes[256], int bit, uint8_t high[32]) {
  for (size_t l = 0; l < 32; ++l) {
    int bits = 0;
    for (size_t b = 0; b < 8; ++b) bits |= (codes[32 * b + l] >> bit & 1) << b;
    high[l] = static_cast<uint8_t>(bits);
  }
}

/// Two bits of each code, from bit `shift` up: four blocks of 32 share 32 bytes.
void join_pairs(const uint8_t codes[256], int shift, uint8_t out[64]) {
  for (size_t i = 0; i < 64; ++i) {
    const uint8_t* first = codes + 128 * (i / 32) + i % 32;
    int bits = 0;
    for (size_t j = 0; j < 4; ++j) bits |= (first[32 * j] >> shift & 3) << (2 * j);
    out[i] = static_cast<uint8_t>(bits);
  }
}

}  // namespace

void quantize_block(const float* x, BlockQ2_K& block) {
  const auto fit = AffineFitter<3, 16, 15>(x, {-0.45f, 0.15f, 8}).fit();
  uint8_t codes[256];
  stored_affine_codes<3, 16>(x, fit, codes);
  block.d = le16(fit.d);
  block.dmin = le16(fit.dmin);
  for (size_t j = 0; j < 16; ++j) {
    block.scales[j] = static_cast<uint8_t>(fit.s[j] | fit.t[j] << 4);
  }
  join_pairs(codes, 0, block.quants);
}

void quantize_block(const float* x, BlockQ3_K& block) {
  using Levels = UniformLevels<-4, 3>;
  const auto fit = ScaleFitter<Levels, 16, -32, 31>(x, {2.4f, 0.2f, 12}).fit();
  uint8_t codes[256];
  scaled_codes<Levels, 16>(x, fit, codes);
  block = {};
  block.d = le16(fit.d);
  for (size_t j = 0; j < 16; ++j) {
    const int s = fit.s[j] + 32;
    block.scales[j % 8] |= static_cast<uint8_t>((s & 15) << (4 * (j / 8)));
    block.scales[8 + j % 4] |= static_cast<uint8_t>(s >> 4 << (2 * (j / 4)));
  }
  join_pairs(codes, 0, block.quants);
  join_high_bits(codes, 2, block.high);
}

void quantize_block(const float* x, BlockQ4_K& block) {
  const auto fit = AffineFitter<15, 32, 63>(x, {-0.4f, 0.4f, 5}).fit();
  uint8_t codes[256];
  stored_affine_codes<15, 32>(x, fit, codes);
  block.d = le16(fit.d);
  block.dmin = le16(fit.dmin);
  join_scales_k4(fit, block.scales);
  join_nibbles_k4(codes, block.quants);
}

void quantize_block(const float* x, BlockQ5_K& block) {
  const auto fit = AffineFitter<31, 32, 63>(x, {-0.4f, 0.4f, 5}).fit();
  uint8_t codes[256];
  stored_affine_codes<31, 32>(x, fit, codes);
  block.d = le16(fit.d);
  block.dmin = le16(fit.dmin);
  join_scales_k4(fit, block.scales);
  join_nibbles_k4(codes, block.quants);
  join_high_bits(codes, 4, block.high);
}

void quantize_block(const float* x, BlockQ6_K& block) {
  using Levels = UniformLevels<-32, 31>;
  const auto fit = ScaleFitter<Levels, 16, -128, 127>(x, {28, 0.5f, 10}).fit();
  uint8_t codes[256];
  scaled_codes<Levels, 16>(x, fit, codes);
  block.d = le16(fit.d);
  for (size_t j = 0; j < 16; ++j) block.scales[j] = static_cast<int8_t>(fit.s[j]);
  for (size_t i = 0; i < 128; ++i) {
    const uint8_t* pair = codes + 128 * (i / 64) + i % 64;
    block.low[i] = static_cast<uint8_t>((pair[0] & 15) | (pair[64] & 15) << 4);
  }
  join_pairs(codes, 4, block.high);
}

void quantize_block(const float* x, BlockIQ4_XS& block) {
  const auto fit = ScaleFitter<Iq4Levels, 32, -32, 31>(x, {94, 5, 9}).fit();
  uint8_t codes[256];
  scaled_codes<Iq4Levels, 32>(x, fit, codes);
  block = {};
  block.d = le16(fit.d);
  unsigned high = 0;
  for (size_t j = 0; j < 8; ++j) {
    const auto s = static_cast<unsigned>(fit.s[j] + 32);
    block.scales_low[j / 2] |= static_cast<uint8_t>((s & 15) << (4 * (j % 2)));
    high |= s >> 4 << (2 * j);
  }
  block.scales_high = le16(static_cast<uint16_t>(high));
  for (size_t i = 0; i < 128; ++i) {
    const uint8_t* pair = codes + 32 * (i / 16) + i % 16;
    block.quants[i] = static_cast<uint8_t>(pair[0] | pair[16] << 4);
  }
}

}  // namespace omg
