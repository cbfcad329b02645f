// SPDX-License-Identifier: Apache-2.0
//
// Attention on the CPU: norm and rotation of queries and keys, the cache append, and the split of
// the work into tiles.
#include <algorithm>

#include "engine/cpu/cpu_backend.h"
#include "engine/cpu/cpu_rope_table.h"
#include "engine/cpu/cpu_tensors.h"
#include "engine/cpu/cpu_work.h"

namespace omg {

std::byte* CpuBackend::key_block(uint32_t layer, uint32_t head) const {
  return keys_[layer].data() + head * key_head_bytes_;
}

std::byte* CpuBackend::value_block(uint32_t layer, uint32_t head) const {
  return values_[layer].data() + head * value_head_bytes_;
}

void CpuBackend::attend(const AttentionOp& op) {
  rotate(op);
  append(op);
  attend_parts(op);
}

void CpuBackend::rotate(const AttentionOp& op) {
  const Timed timed(profiler_.get(), Operation::kRope,
                    [&] { return row_work(rows_, op.query.count + op.key.count, 2, 3); });
  const RopeTable& rope = op.windowed ? *windowed_rope_ : *rope_;
  const auto turn = [&](const BufferSlice& slice, const Vector* norm, size_t row) {
    float* heads = cpu(*slice.buffer).activations.row(row) + slice.begin;
    for (size_t begin = 0; begin < slice.count; begin += spec_.key_length) {
      float* head = heads + begin;
      if (norm) vector_.rms_norm(head, data(norm), spec_.norm_epsilon, spec_.key_length, head);
      rope.rotate(row, head);
    }
  };
  for_rows(rows_, [&](size_t row) {
    turn(op.query, op.query_norm, row);
    turn(op.key, op.key_norm, row);
  });
}

void CpuBackend::append(const AttentionOp& op) {
  const auto& keys = cpu(*op.key.buffer).activations;
  const auto& values = cpu(*op.value.buffer).activations;
  const Timed timed(profiler_.get(), Operation::kCacheWrite,
                    [&] { return row_work(rows_, op.key.count + op.value.count, 1.5, 0); });
  // One unit of work is one head of the step's tokens in one block, so that no two threads write to
  // one cache line.
  for (const auto& part : step_->parts) {
    const uint32_t first_block = part.first_position / kKvBlockTokens;
    const uint32_t last_block = (part.first_position + part.tokens - 1) / kKvBlockTokens;
    const size_t units = size_t{last_block - first_block + 1} * spec_.kv_heads;
    const size_t grain = part.tokens == 1 ? units : 1;  // one token: too little to share out
    pool_.run(units, grain, [&](size_t begin, size_t end, size_t) {
      for (size_t unit = begin; unit < end; ++unit) {
        const auto index = first_block + static_cast<uint32_t>(unit / spec_.kv_heads);
        const auto head = static_cast<uint32_t>(unit % spec_.kv_heads);
        const uint32_t start = std::max(part.first_position, index * kKvBlockTokens);
        const uint32_t stop =
            std::min(part.first_position + part.tokens, (index + 1) * kKvBlockTokens);
        const size_t row = part.first_row + (start - part.first_position);
        const size_t offset = part.blocks[index] * size_t{spec_.kv_heads};
        vector_.store_keys(keys.row(row) + op.key.begin + head * spec_.key_length, keys.stride,
                           stop - start, spec_.key_length, start % kKvBlockTokens, options_.kv_type,
                           key_block(op.layer, head) + offset * key_head_bytes_);
        vector_.store_values(values.row(row) + op.value.begin + head * spec_.value_length,
                             values.stride, stop - start, spec_.value_length,
                             start % kKvBlockTokens, options_.kv_type,
                             value_block(op.layer, head) + offset * value_head_bytes_);
      }
    });
  }
}

void CpuBackend::attend_parts(const AttentionOp& op) {
  const auto& queries = cpu(*op.query.buffer).activations;
  auto& out = cpu(*op.out).activations;
  out.reshape(rows_, op.out->columns);
  const Timed timed(profiler_.get(), Operation::kAttention, [&] {
    return attention_work(*step_, spec_, kv_bytes(options_.kv_type),
                          op.windowed ? spec_.window : 0);
  });
  const uint32_t groups = spec_.heads / spec_.kv_heads;
  const uint32_t tokens_per_tile = std::max(1u, kMaxAttentionRows / groups);
  struct Unit {
    const StepPart* part;
    uint32_t first_token;
    uint32_t head;
  };
  std::vector<Unit> units;
  for (const auto& part : step_->parts) {
    // From the last token on: later tokens see more positions, and the longest unit starts first.
    const uint32_t tiles = (part.tokens + tokens_per_tile - 1) / tokens_per_tile;
    for (uint32_t tile = tiles; tile > 0; --tile) {
      for (uint32_t head = 0; head < spec_.kv_heads; ++head) {
        units.push_back({&part, (tile - 1) * tokens_per_tile, head});
      }
    }
  }
  pool_.run(units.size(), 1, [&](size_t begin, size_t end, size_t worker) {
    for (size_t i = begin; i < end; ++i) {
      const auto& [part, first_token, head] = units[i];
      // More query heads than a tile has rows: several tiles share the key-value head.
      for (uint32_t group = 0; group < groups; group += kMaxAttentionRows) {
        AttentionTile tile;
        tile.tokens = std::min(tokens_per_tile, part->tokens - first_token);
        tile.groups = std::min(groups - group, kMaxAttentionRows);
        tile.first_position = part->first_position + first_token;
        const size_t row = part->first_row + first_token;
        const size_t query_head = size_t{head} * groups + group;
        tile.queries = queries.row(row) + op.query.begin + query_head * spec_.key_length;
        tile.query_stride = queries.stride;
        tile.out = out.row(row) + query_head * spec_.value_length;
        tile.out_stride = out.stride;
        tile.key_length = spec_.key_length;
        tile.value_length = spec_.value_length;
        tile.scale = spec_.query_scale;
        tile.softcap = spec_.attention_softcap;
        tile.window = op.windowed ? spec_.window : 0;
        tile.type = options_.kv_type;
        tile.keys = key_block(op.layer, head);
        tile.values = value_block(op.layer, head);
        tile.key_block_stride = spec_.kv_heads * key_head_bytes_;
        tile.value_block_stride = spec_.kv_heads * value_head_bytes_;
        tile.blocks = part->blocks.data();
        tile.scratch = reinterpret_cast<float*>(attention_scratch_[worker].data());
        vector_.attention(tile);
      }
    }
  });
}

}  // namespace omg
