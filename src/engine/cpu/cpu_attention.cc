// SPDX-License-Identifier: Apache-2.0
//
// Attention on the CPU: norm and rotation of queries and keys, the cache append, and the split of
// the work into tiles.
#include <algorithm>
#include <cstring>

#include "engine/cpu/cpu_backend.h"
#include "engine/cpu/cpu_rope_table.h"
#include "engine/cpu/cpu_tensors.h"
#include "engine/cpu/cpu_work.h"

namespace omg {
namespace {

/// Tiles that a prompt is cut into at least, for each worker.
constexpr size_t kUnitsPerWorker = 4;

static_assert(kKvBlockTokens == kKvTile, "the cache's blocks are the kernels'");

}  // namespace

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

void CpuBackend::copy_kv_block(uint32_t from, uint32_t to) {
  const auto copy = [&](AlignedBytes& layer, size_t head_bytes) {
    const size_t bytes = head_bytes * spec_.kv_heads;
    std::memcpy(layer.data() + to * bytes, layer.data() + from * bytes, bytes);
  };
  for (AlignedBytes& layer : keys_) copy(layer, key_head_bytes_);
  for (AlignedBytes& layer : values_) copy(layer, value_head_bytes_);
}

size_t CpuBackend::kv_block_bytes() const {
  return kv_bytes_per_block(spec_, options_.kv_type);
}

void CpuBackend::read_kv_block(uint32_t block, std::span<std::byte> bytes) const {
  std::byte* out = bytes.data();
  const auto copy = [&](const AlignedBytes& layer, size_t head_bytes) {
    const size_t size = head_bytes * spec_.kv_heads;
    std::memcpy(out, layer.data() + block * size, size);
    out += size;
  };
  for (const AlignedBytes& layer : keys_) copy(layer, key_head_bytes_);
  for (const AlignedBytes& layer : values_) copy(layer, value_head_bytes_);
}

void CpuBackend::write_kv_block(uint32_t block, std::span<const std::byte> bytes) {
  const std::byte* in = bytes.data();
  const auto copy = [&](AlignedBytes& layer, size_t head_bytes) {
    const size_t size = head_bytes * spec_.kv_heads;
    std::memcpy(layer.data() + block * size, in, size);
    in += size;
  };
  for (AlignedBytes& layer : keys_) copy(layer, key_head_bytes_);
  for (AlignedBytes& layer : values_) copy(layer, value_head_bytes_);
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

/// Tokens of one part of the step, and the query heads of one tile of them.
struct CpuBackend::AttentionUnit {
  const StepPart* part;
  uint32_t first_token, tokens;
  uint32_t head;  // key-value head
  uint32_t first_group, groups;
  uint64_t cost;              // scores
  float* parts = nullptr;     // of its segments, when they are computed apart
  uint32_t segment = kWhole;  // the one to compute
  static constexpr uint32_t kWhole = UINT32_MAX;

  uint32_t segments() const {
    return (part->first_position + first_token + tokens - 1) / kAttentionSegment + 1;
  }
};

std::vector<CpuBackend::AttentionUnit> CpuBackend::attention_units(uint32_t window) const {
  const uint32_t groups = spec_.heads / spec_.kv_heads;
  const uint32_t most_rows = attention_tile_rows(spec_.key_length, spec_.value_length);
  // Tiles as large as they may be, unless that leaves too few of them for all workers.
  const size_t wanted = pool_.worker_count() * kUnitsPerWorker;
  const auto fair = static_cast<uint32_t>(rows_ * spec_.kv_heads / wanted);
  const uint32_t tile_tokens =
      std::clamp(fair, std::min(8u, most_rows / groups), most_rows / groups);
  const uint32_t step = std::max(1u, tile_tokens);
  std::vector<AttentionUnit> units;
  for (const auto& part : step_->parts) {
    for (uint32_t first = 0; first < part.tokens; first += step) {
      const uint32_t tokens = std::min(step, part.tokens - first);
      const uint32_t seen = part.first_position + first + tokens;
      // More query heads than a tile has rows: several tiles share the key-value head.
      for (uint32_t group = 0; group < groups; group += most_rows) {
        const uint32_t count = std::min(groups - group, most_rows);
        const uint64_t cost = uint64_t{tokens} * count * (window ? std::min(seen, window) : seen);
        for (uint32_t head = 0; head < spec_.kv_heads; ++head) {
          units.push_back({&part, first, tokens, head, group, count, cost});
        }
      }
    }
  }
  return units;
}

/// Splits units that are more than their share of a worker's work (one token of a long sequence
/// beside short ones, or of a model with fewer key-value heads than there are threads) into their
/// segments. The original stays at its place in `whole`, to be joined.
std::vector<CpuBackend::AttentionUnit> CpuBackend::split_units(
    std::vector<AttentionUnit>& whole) const {
  uint64_t total = 0;
  for (const auto& unit : whole) total += unit.cost;
  const size_t room = attention_parts_.size() / sizeof(float);
  size_t used = 0;
  std::vector<AttentionUnit> work;
  for (auto& unit : whole) {
    const uint32_t segments = unit.segments();
    const size_t floats = segments * part_stride(unit);
    if (unit.cost * 2 * pool_.worker_count() <= total || segments == 1 || floats > room - used) {
      work.push_back(unit);
      continue;
    }
    unit.parts = reinterpret_cast<float*>(attention_parts_.data()) + used;
    used += floats;
    for (uint32_t segment = 0; segment < segments; ++segment) {
      AttentionUnit piece = unit;
      piece.segment = segment;
      piece.cost /= segments;
      work.push_back(piece);
    }
  }
  // Longest first, so that the last to finish keeps nobody waiting long.
  std::stable_sort(work.begin(), work.end(),
                   [](const auto& a, const auto& b) { return a.cost > b.cost; });
  return work;
}

size_t CpuBackend::part_stride(const AttentionUnit& unit) const {
  return (attention_part_floats(spec_.value_length, unit.tokens * unit.groups) + 15) / 16 * 16;
}

AttentionTile CpuBackend::attention_tile(const AttentionOp& op, const AttentionUnit& unit,
                                         size_t worker) const {
  const auto& queries = cpu(*op.query.buffer).activations;
  const auto& out = cpu(*op.out).activations;
  const size_t row = unit.part->first_row + unit.first_token;
  const size_t query_head = size_t{unit.head} * (spec_.heads / spec_.kv_heads) + unit.first_group;
  AttentionTile tile;
  tile.tokens = unit.tokens;
  tile.groups = unit.groups;
  tile.first_position = unit.part->first_position + unit.first_token;
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
  tile.keys = key_block(op.layer, unit.head);
  tile.values = value_block(op.layer, unit.head);
  tile.key_block_stride = spec_.kv_heads * key_head_bytes_;
  tile.value_block_stride = spec_.kv_heads * value_head_bytes_;
  tile.blocks = unit.part->blocks.data();
  tile.scratch = reinterpret_cast<float*>(attention_scratch_[worker].data());
  return tile;
}

void CpuBackend::attend_parts(const AttentionOp& op) {
  cpu(*op.out).activations.reshape(rows_, op.out->columns);
  const Timed timed(profiler_.get(), Operation::kAttention, [&] {
    return attention_work(
        *step_, spec_, double(kv_bytes_per_block(spec_, options_.kv_type)) / spec_.layers / kKvTile,
        op.windowed ? spec_.window : 0);
  });
  std::vector<AttentionUnit> units = attention_units(op.windowed ? spec_.window : 0);
  const std::vector<AttentionUnit> work = split_units(units);
  pool_.run(work.size(), 1, [&](size_t begin, size_t end, size_t worker) {
    for (size_t i = begin; i < end; ++i) {
      const auto& unit = work[i];
      const AttentionTile tile = attention_tile(op, unit, worker);
      if (unit.segment == AttentionUnit::kWhole) {
        vector_.attention(tile);
      } else {
        vector_.attention_segment(tile, unit.segment,
                                  unit.parts + unit.segment * part_stride(unit));
      }
    }
  });
  std::erase_if(units, [](const AttentionUnit& unit) { return !unit.parts; });
  pool_.run(units.size(), 1, [&](size_t begin, size_t end, size_t worker) {
    for (size_t i = begin; i < end; ++i) {
      vector_.attention_join(attention_tile(op, units[i], worker), units[i].parts,
                             part_stride(units[i]), units[i].segments());
    }
  });
}

}  // namespace omg
