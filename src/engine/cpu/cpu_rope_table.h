// SPDX-License-Identifier: Apache-2.0
//
// Cosines and sines of a step's rows for one RopeSpec.
#pragma once

#include <span>
#include <vector>

#include "engine/cpu/cpu_backend.h"

namespace omg {

struct CpuBackend::RopeTable {
  RopeTable(const RopeSpec& rope, std::span<const float> divisors, size_t max_rows)
      : spec(rope),
        frequencies(rope_frequencies(rope, divisors)),
        cosines(max_rows * frequencies.size()),
        sines(cosines.size()) {}

  void fill(size_t row, uint32_t position) {
    const size_t pairs = frequencies.size();
    rope_angles(frequencies, spec.magnitude, position, {cosines.data() + row * pairs, pairs},
                {sines.data() + row * pairs, pairs});
  }
  void rotate(size_t row, float* head) const {
    const size_t pairs = frequencies.size();
    rotate_head(spec.style, {cosines.data() + row * pairs, pairs},
                {sines.data() + row * pairs, pairs}, head);
  }

  const RopeSpec spec;
  const std::vector<double> frequencies;  // [pairs]
  std::vector<float> cosines, sines;      // [rows][pairs]
};

}  // namespace omg
