// SPDX-License-Identifier: Apache-2.0
//
// The kernels beside matrix products: norms, activations, attention over a paged cache. Each works
// on one row or one tile, in an order of operations that depends on that row alone, so that results
// do not change with the batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/isa.h"
#include "engine/kernels/kv_type.h"

namespace omg {

/// Queries of consecutive positions of one sequence that share a key-value head, against the cache
/// (kernels/kv_type.h has its layout).
struct AttentionTile {
  const float* queries =
      nullptr;  // row (token, group) at token * query_stride + group * key_length
  size_t query_stride = 0;
  float* out = nullptr;  // row (token, group) at token * out_stride + group * value_length
  size_t out_stride = 0;
  uint32_t tokens = 0;          // tokens * groups is at most attention_tile_rows()
  uint32_t groups = 0;          // query heads that share this key-value head
  uint32_t first_position = 0;  // of the first token; the cache holds all up to the last token
  uint32_t key_length = 0;
  uint32_t value_length = 0;
  float scale = 1.0f;    // of the queries
  float softcap = 0.0f;  // 0: none
  uint32_t window = 0;   // positions that a token sees, itself included; 0: all
  KvType type = KvType::kF16;
  const std::byte* keys = nullptr;    // block b of this head at keys + b * key_block_stride
  const std::byte* values = nullptr;  // likewise
  size_t key_block_stride = 0;        // bytes
  size_t value_block_stride = 0;
  const uint32_t* blocks = nullptr;  // block of positions 32 i … 32 i + 31
  float* scratch = nullptr;          // attention_scratch_floats() of them, 64-byte aligned
};

/// Positions are taken in segments of this many, counted from the sequence's start; each is
/// softened on its own and then joined to the ones before. So segments may be computed by several
/// threads, and a result does not depend on whether they were.
inline constexpr uint32_t kAttentionSegment = 512;

/// Rows (tokens * groups) that may be worked on together: queries, weights and sums of so many stay
/// in the second-level cache.
uint32_t attention_tile_rows(uint32_t key_length, uint32_t value_length);
size_t attention_scratch_floats(uint32_t key_length, uint32_t value_length);
/// Floats of what attention_segment() makes of `rows` rows.
size_t attention_part_floats(uint32_t value_length, uint32_t rows);

/// Functions of one instruction set; all pointers may be unaligned. `n` is any length.
struct VectorKernels {
  Isa isa;
  /// out = x / sqrt(mean(x²) + epsilon) * weight; weight may be null. out may be x.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, size_t n, float* out);
  /// out = (x - mean) / sqrt(variance + epsilon) * weight + bias; bias may be null. out may be x.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon,
                     size_t n, float* out);
  /// y += x
  void (*add)(const float* x, size_t n, float* y);
  /// y = y * scale
  void (*scale)(float scale, size_t n, float* y);
  /// y += weight * x
  void (*add_scaled)(float weight, const float* x, size_t n, float* y);
  /// out = silu(gate) * up; `out` may be one of the two
  void (*silu_gate)(const float* gate, const float* up, size_t n, float* out);
  /// out = gelu(gate) * up, GELU in its tanh form; up may be null: out = gelu(gate).
  void (*gelu_gate)(const float* gate, const float* up, size_t n, float* out);
  /// y = cap * tanh(y / cap)
  void (*softcap)(float cap, size_t n, float* y);
  /// Writes keys[tokens][key_length] (rows `stride` apart) of one head into positions
  /// [first, first + tokens) of one block, transposed. Numbers beyond binary16 saturate: infinities
  /// in the cache would reach other tokens as NaN.
  void (*store_keys)(const float* keys, size_t stride, uint32_t tokens, uint32_t key_length,
                     uint32_t first, KvType type, std::byte* block);
  void (*store_values)(const float* values, size_t stride, uint32_t tokens, uint32_t value_length,
                       uint32_t first, KvType type, std::byte* block);
  /// Softmax attention by the online method (Milakov and Gimelshein 2018, arXiv:1805.02867).
  void (*attention)(const AttentionTile& tile);
  /// The same in parts: what positions [segment * kAttentionSegment, ... + kAttentionSegment) give,
  /// into `part`, 64-byte aligned; then all parts, `stride` floats apart, into tile.out.
  void (*attention_segment)(const AttentionTile& tile, uint32_t segment, float* part);
  void (*attention_join)(const AttentionTile& tile, const float* parts, size_t stride,
                         uint32_t segments);
};

const VectorKernels& vector_kernels(Isa isa);

}  // namespace omg
