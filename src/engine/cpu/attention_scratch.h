// SPDX-License-Identifier: Apache-2.0
//
// How the memory that attention works in is divided; the same for every instruction set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/kernels/vector.h"

namespace omg {

/// Positions of the cache that are worked on together, two blocks of it: their keys or values, 16
/// KiB of floats for a head of 64, stay in the first-level cache while rows go by.
inline constexpr size_t kAttentionStep = 64;

constexpr size_t up_to_16(size_t floats) {
  return (floats + 15) / 16 * 16;
}

/// What a run of positions gives a row: sums of values weighted with 2^(score - maximum), and the
/// total of these weights.
struct AttentionPart {
  AttentionPart(float* memory, size_t width, size_t rows)
      : sums(memory), maxima(memory + rows * width), totals(maxima + up_to_16(rows)) {}

  static size_t floats(size_t width, size_t rows) { return rows * width + 2 * up_to_16(rows); }

  float* sums;    // [rows][width]
  float* maxima;  // [rows]
  float* totals;  // [rows]
};

/// Pointers into the memory that a caller lends.
struct AttentionScratch {
  AttentionScratch(float* memory, uint32_t key_length, uint32_t value_length)
      : width(up_to_16(value_length)), memory_(memory) {
    const size_t rows = attention_tile_rows(key_length, value_length);
    block = take(std::max<size_t>(key_length, width) * kAttentionStep);
    key_scales = take(2 * kv_runs(key_length) * kKvTile);
    value_scales = take(2 * kv_runs(value_length) * kKvTile);
    queries = take(rows * key_length);
    weights = take(rows * kAttentionStep);
    lane_totals = take(rows * 16);
    peaks = take(rows);
    shrinks = take(rows);
    part = take(AttentionPart::floats(width, rows));
    joined = take(AttentionPart::floats(width, rows));
  }

  size_t width;         // value_length rounded up to 16
  float* block;         // a step's keys [key_length][kAttentionStep], then values [.][width]
  float* key_scales;    // [2 blocks][runs][32]
  float* value_scales;  // [2 blocks][32][runs]
  float* queries;       // [rows][key_length], scaled
  float* weights;       // [rows][kAttentionStep]: scores, then weights
  float* lane_totals;   // [rows][16]: of the weights, not yet added across a register
  float* peaks;         // [rows]: the maxima after the step
  float* shrinks;       // [rows]: what sums of earlier steps are multiplied with
  float* part;          // an AttentionPart: the segment that is worked on
  float* joined;        // and those before it
  size_t floats = 0;    // all of it

 private:
  float* take(size_t count) {
    float* start = memory_ ? memory_ + floats : nullptr;
    floats += up_to_16(count);
    return start;
  }
  float* memory_;  // null: only sizes are asked for
};

}  // namespace omg
