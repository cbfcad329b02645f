// SPDX-License-Identifier: Apache-2.0
//
// Random weights straight in their stored form. Quants are random bits; the scales beside them are
// chosen so that the weights have mean 0 and the deviation asked for. Nothing is quantised, so
// gigabytes come as fast as a disk takes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/weight_type.h"

namespace omg::model_maker {

/// xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64. The same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t next();

 private:
  std::array<uint64_t, 4> state_;
};

/// Weights of one tensor, in order. Not thread-safe.
class RandomWeights {
 public:
  /// `mean` must be 0 for quantised types: what their blocks can say differs.
  RandomWeights(WeightType type, float mean, float deviation, uint64_t seed);
  /// Fills whole blocks.
  void fill(std::span<std::byte> out);

 private:
  void fill_floats(std::span<std::byte> out);
  void finish_blocks(std::span<std::byte> out);

  /// Scale of a block and of its minimum, as stored.
  struct Scale {
    uint16_t scale;
    uint16_t minimum;
  };

  const WeightTypeInfo& info_;
  Random random_;
  std::vector<std::byte> values_;      // unquantised types: a table of values to draw from
  std::array<Scale, 64> scales_ = {};  // quantised types: scales to draw from
};

}  // namespace omg::model_maker
