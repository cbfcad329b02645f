// SPDX-License-Identifier: Apache-2.0
//
// For tests and benchmarks: weights of known distributions, the same on every machine up to the
// last digits of its log and cos.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace omg::quant_testing {

/// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  /// Inside (0, 1).
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }
  /// Box and Muller's cosine half; takes two numbers.
  double gaussian() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  uint64_t state_;
};

enum class Distribution { kGaussian, kLaplacian, kUniform, kOutliers };

/// Gaussian and Laplacian of scale 0.02; uniform in ±0.05; Gaussian with one in a hundred times 20.
/// Seeded by 1000 + the distribution's number.
inline std::vector<float> random_weights(Distribution distribution, size_t count) {
  Random random(1000 + static_cast<uint64_t>(distribution));
  std::vector<float> weights(count);
  for (float& weight : weights) {
    double value = 0;
    switch (distribution) {
      case Distribution::kGaussian:
        value = 0.02 * random.gaussian();
        break;
      case Distribution::kLaplacian: {
        const double u = random.uniform() - 0.5;
        value = (u < 0 ? 0.02 : -0.02) * std::log(1 - 2 * std::fabs(u));
        break;
      }
      case Distribution::kUniform:
        value = 0.05 * (2 * random.uniform() - 1);
        break;
      case Distribution::kOutliers:
        value = 0.02 * random.gaussian();
        if (random.uniform() < 0.01) value *= 20;
        break;
    }
    weight = static_cast<float>(value);
  }
  return weights;
}

}  // namespace omg::quant_testing
