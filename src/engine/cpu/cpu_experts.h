// SPDX-License-Identifier: Apache-2.0
//
// Working memory of a mixture-of-experts layer on the CPU: the step's rows, sorted by expert.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/cpu/cpu_backend.h"

namespace omg {

/// Which expert takes which rows. A row that uses k experts stands k times in the sorted order.
struct CpuBackend::Routing {
  static constexpr uint32_t kNoRow = UINT32_MAX;
  std::vector<uint32_t> first;   // [experts]: where each expert's rows begin
  std::vector<uint32_t> count;   // [experts]: how many it has
  std::vector<uint32_t> place;   // [rows * k]: sorted position of (row, rank)
  std::vector<uint32_t> source;  // row that stands at a sorted position, or kNoRow
  std::vector<float> weights;    // [rows * k]: of (row, rank)
};

struct CpuBackend::ExpertScratch {
  /// Sorted positions of up to so many rows with their gaps.
  static size_t most_positions(size_t rows, size_t experts) {
    return rows + std::min(experts, rows / kAlignedRows) * (kTileTokens - 1);
  }
  /// An expert with so many rows begins at a whole tile of activations, as tiled products want.
  static constexpr size_t kAlignedRows = 4 * kTileTokens;
  static uint64_t bytes(size_t rows, size_t width, size_t hidden, size_t experts) {
    const size_t positions = most_positions(rows, experts);
    return 2 * cpu_buffer_bytes(static_cast<uint32_t>(positions), width) +
           2 * cpu_buffer_bytes(static_cast<uint32_t>(positions), hidden) +
           rows * experts * sizeof(float);
  }

  ExpertScratch(size_t rows, size_t width, size_t hidden, size_t experts)
      : scores(rows * experts),
        inputs(most_positions(rows, experts), width),
        gate(most_positions(rows, experts), hidden),
        up(most_positions(rows, experts), hidden),
        outputs(most_positions(rows, experts), width) {}

  std::vector<float> scores;  // [rows][experts]
  Activations inputs, gate, up, outputs;
};

}  // namespace omg
