// SPDX-License-Identifier: Apache-2.0
//
// For each type: which bits may be random, and how large a weight they then stand for. With q
// uniform over n neighbouring whole numbers its variance is (n^2 - 1) / 12. Types without a minimum
// are centred half a step off 0, so their scale takes either sign. Types with one get the same
// random number for sub-scale and sub-minimum, and a minimum that cancels the mean of q exactly.
// The layouts stand in formats/quant/blocks.h.
#include "tools/make_model/random_weights.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/float16.h"

namespace omg::model_maker {
namespace {

constexpr size_t kTableValues = 4096;

uint64_t splitmix64(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/// How random bits of a type spread: the deviation of a weight for scale 1, and what the minimum
/// must be for scale 1 to cancel the mean.
struct Spread {
  double deviation;
  double minimum;
};

constexpr double uniform_variance(double n) {
  return (n * n - 1) / 12;
}

Spread spread_of(WeightType type) {
  constexpr double kQ4 = uniform_variance(16), kQ5 = uniform_variance(32);
  // Six random bits less 32, as sub-scales of several types: mean -1/2.
  constexpr double kSigned6 = uniform_variance(64) + 0.25;
  // Sub-scales of Q4_K and Q5_K are drawn from 32 to 63, those of Q2_K from 8 to 15.
  constexpr double kUpper6 = uniform_variance(32) + 47.5 * 47.5;
  constexpr double kUpper4 = uniform_variance(8) + 11.5 * 11.5;
  // Mean square of the 16 entries of the IQ4 code book.
  constexpr double kCodes = 4548;
  switch (type) {
    case WeightType::kQ4_0:
      return {std::sqrt(kQ4 + 0.25), 0};
    case WeightType::kQ4_1:
      return {std::sqrt(kQ4), -7.5};
    case WeightType::kQ5_0:
      return {std::sqrt(kQ5 + 0.25), 0};
    case WeightType::kQ5_1:
      return {std::sqrt(kQ5), -15.5};
    case WeightType::kQ8_0:
      return {std::sqrt(uniform_variance(255)), 0};
    case WeightType::kQ2_K:
      return {std::sqrt(uniform_variance(4) * kUpper4), 1.5};
    case WeightType::kQ3_K:
      return {std::sqrt((uniform_variance(8) + 0.25) * kSigned6), 0};
    case WeightType::kQ4_K:
      return {std::sqrt(kQ4 * kUpper6), 7.5};
    case WeightType::kQ5_K:
      return {std::sqrt(kQ5 * kUpper6), 15.5};
    case WeightType::kQ6_K:
      return {std::sqrt(kSigned6 * kSigned6), 0};
    case WeightType::kIQ4_NL:
      return {std::sqrt(kCodes), 0};
    case WeightType::kIQ4_XS:
      return {std::sqrt(kCodes * kSigned6), 0};
    default:
      assert(type == WeightType::kMXFP4);
      return {std::sqrt(68.5 / 8), 0};  // 0, 1/2, 1, 3/2, 2, 3, 4, 6 of either sign
  }
}

uint8_t* bytes_at(std::byte* block, size_t offset) {
  return reinterpret_cast<uint8_t*>(block) + offset;
}

/// Eight pairs of six-bit sub-scale and sub-minimum in twelve bytes, each pair of equal numbers
/// from 32 to 63: the bytes are random, but for the top bits and the copies.
void finish_sub_scales(uint8_t* packed) {
  for (int i = 0; i < 4; ++i) {
    packed[i] |= 0xa0;
    packed[4 + i] = packed[i];
    packed[8 + i] = static_cast<uint8_t>((packed[8 + i] & 15) * 17);
  }
}

}  // namespace

Random::Random(uint64_t seed) {
  for (auto& word : state_) word = splitmix64(seed);
}

uint64_t Random::next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

RandomWeights::RandomWeights(WeightType type, float mean, float deviation, uint64_t seed)
    : info_(info(type)), random_(seed) {
  const auto uniform = [&] { return static_cast<double>(random_.next() >> 11) * 0x1p-53; };
  if (info_.block_elements == 1) {
    // Near-normal values (sums of twelve uniform numbers), then exactly the mean and deviation.
    std::vector<double> values(kTableValues);
    double sum = 0, squares = 0;
    for (auto& value : values) {
      for (int i = 0; i < 12; ++i) value += uniform();
      sum += value;
    }
    for (auto& value : values) {
      value -= sum / kTableValues;
      squares += value * value;
    }
    const double scale = deviation / std::sqrt(squares / kTableValues);
    values_.resize(kTableValues * info_.block_bytes);
    for (size_t i = 0; i < kTableValues; ++i) {
      const auto value = static_cast<float>(mean + values[i] * scale);
      const uint32_t bits = type == WeightType::kF32   ? std::bit_cast<uint32_t>(value)
                            : type == WeightType::kF16 ? f32_to_f16(value)
                                                       : f32_to_bf16(value);
      std::memcpy(values_.data() + i * info_.block_bytes, &bits, info_.block_bytes);
    }
    return;
  }
  assert(mean == 0);
  const Spread spread = spread_of(type);
  const double scale = deviation / spread.deviation;
  if (type == WeightType::kMXFP4) {
    // Powers of two alone: two neighbours, mixed so that the mean square is right.
    const double exponent = std::floor(std::log2(scale));
    const double share = (std::pow(scale / std::exp2(exponent), 2) - 1) / 3;
    for (size_t i = 0; i < scales_.size(); ++i) {
      const bool upper = static_cast<double>(i) < share * static_cast<double>(scales_.size());
      const double biased = std::clamp(exponent + 127 + (upper ? 1 : 0), 1.0, 254.0);
      scales_[i] = {static_cast<uint16_t>(biased), 0};
    }
    return;
  }
  for (size_t i = 0; i < scales_.size(); ++i) {
    // From 0.75 to 1.25; 1/48 is the variance of that.
    const double jitter = 0.75 + (static_cast<double>(i) + 0.5) / 128;
    const double wanted = scale * jitter / std::sqrt(1 + 1.0 / 48);
    const uint16_t stored = f32_to_f16(static_cast<float>(wanted));
    const auto minimum = static_cast<float>(f16_to_f32(stored) * spread.minimum);
    scales_[i] = {stored, f32_to_f16(minimum)};
  }
}

void RandomWeights::fill(std::span<std::byte> out) {
  assert(out.size() % info_.block_bytes == 0);
  if (info_.block_elements == 1) return fill_floats(out);
  size_t i = 0;
  for (; i + 8 <= out.size(); i += 8) {
    const uint64_t bits = random_.next();
    std::memcpy(out.data() + i, &bits, 8);
  }
  const uint64_t bits = random_.next();
  std::memcpy(out.data() + i, &bits, out.size() - i);
  finish_blocks(out);
}

void RandomWeights::fill_floats(std::span<std::byte> out) {
  const size_t size = info_.block_bytes;
  uint64_t bits = 0;
  for (size_t i = 0, left = 0; i < out.size(); i += size, --left) {
    if (left == 0) {
      bits = random_.next();
      left = 5;
    }
    const size_t index = bits % kTableValues;
    bits /= kTableValues;
    if (size == 4) {
      std::memcpy(out.data() + i, values_.data() + index * 4, 4);
    } else {
      std::memcpy(out.data() + i, values_.data() + index * 2, 2);
    }
  }
}

void RandomWeights::finish_blocks(std::span<std::byte> out) {
  uint64_t bits = 0;
  uint32_t left = 0;
  for (size_t at = 0; at < out.size(); at += info_.block_bytes) {
    if (left == 0) {
      bits = random_.next();
      left = 9;  // seven bits each
    }
    const Scale chosen = scales_[bits & 63];
    const auto signed_scale = static_cast<uint16_t>(chosen.scale | (bits & 64) << 9);
    bits >>= 7;
    --left;
    std::byte* block = out.data() + at;
    const auto store = [&](size_t offset, uint16_t value) {
      std::memcpy(block + offset, &value, 2);
    };
    switch (info_.type) {
      case WeightType::kQ4_1:
      case WeightType::kQ5_1:
        store(0, chosen.scale);
        store(2, chosen.minimum);
        break;
      case WeightType::kQ8_0:
        store(0, signed_scale);
        // Quantisers never write -128, and kernels may count on it.
        for (size_t i = 2; i < 34; ++i) {
          uint8_t& quant = *bytes_at(block, i);
          quant = quant == 0x80 ? 0x81 : quant;
        }
        break;
      case WeightType::kQ2_K:
        for (size_t i = 0; i < 16; ++i) {
          uint8_t& packed = *bytes_at(block, i);
          packed = static_cast<uint8_t>(((packed & 7) | 8) * 17);
        }
        store(80, chosen.scale);
        store(82, chosen.minimum);
        break;
      case WeightType::kQ3_K:
        store(108, signed_scale);
        break;
      case WeightType::kQ4_K:
      case WeightType::kQ5_K:
        store(0, chosen.scale);
        store(2, chosen.minimum);
        finish_sub_scales(bytes_at(block, 4));
        break;
      case WeightType::kQ6_K:
        for (size_t i = 192; i < 208; ++i) {  // eight bits to six
          uint8_t& scale = *bytes_at(block, i);
          scale = static_cast<uint8_t>(static_cast<int8_t>(scale) >> 2);
        }
        store(208, signed_scale);
        break;
      case WeightType::kMXFP4:
        block[0] = static_cast<std::byte>(chosen.scale);
        break;
      default:  // Q4_0, Q5_0, IQ4_NL, IQ4_XS: the scale comes first
        store(0, signed_scale);
        break;
    }
  }
}

}  // namespace omg::model_maker
