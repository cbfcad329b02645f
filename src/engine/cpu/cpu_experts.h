// SPDX-License-Identifier: Apache-2.0
//
// Working memory of a mixture-of-experts layer on the CPU: the step's rows, sorted by expert.
#pragma once

#include <vector>

#include "engine/cpu/cpu_backend.h"

namespace omg {

/// Which expert takes which rows. A row that uses k experts stands k times in the sorted order.
struct CpuBackend::Routing {
  std::vector<uint32_t> first;   // [experts + 1]: where each expert's rows begin
  std::vector<uint32_t> place;   // [rows * k]: sorted position of (row, rank)
  std::vector<uint32_t> source;  // [rows * k]: row that stands at a sorted position
  std::vector<float> weights;    // [rows * k]: of (row, rank)
};

struct CpuBackend::ExpertScratch {
  ExpertScratch(size_t rows, size_t width, size_t hidden, size_t experts)
      : scores(rows * experts),
        inputs(rows, width),
        gate(rows, hidden),
        up(rows, hidden),
        outputs(rows, width) {}

  std::vector<float> scores;  // [rows][experts]
  Activations inputs, gate, up, outputs;
};

}  // namespace omg
