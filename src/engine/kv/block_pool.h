// SPDX-License-Identifier: Apache-2.0
//
// Which blocks of the paged KV cache belong to which sequence. Bookkeeping alone: the memory is the
// backend's. A block holds kKvBlockTokens consecutive positions of one sequence, in all layers.
// Source of the idea: PagedAttention, arXiv:2309.06180.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace omg {

/// 32 positions are two AVX-512 registers of scores, so a block is one tile of the attention
/// kernel.
inline constexpr uint32_t kKvBlockTokens = 32;

using SequenceId = uint32_t;

/// Not thread-safe.
class KvBlockPool {
 public:
  KvBlockPool(uint32_t block_count, uint32_t max_sequences);

  /// Error(kUnavailable) when max_sequences are alive.
  SequenceId create_sequence();
  void free_sequence(SequenceId sequence);
  bool is_alive(SequenceId sequence) const;
  uint32_t length(SequenceId sequence) const { return at(sequence).length; }
  /// Blocks in the order of positions; the last one may be partly filled.
  std::span<const uint32_t> blocks(SequenceId sequence) const { return at(sequence).blocks; }
  uint32_t free_blocks() const { return static_cast<uint32_t>(free_.size()); }

  /// Makes room for `tokens` more without changing the length. Error(kOutOfMemory), with nothing
  /// changed, when too few blocks are free.
  void reserve(SequenceId sequence, uint32_t tokens);
  /// Blocks that reserve() would take.
  uint32_t blocks_needed(SequenceId sequence, uint32_t tokens) const;
  /// Counts `tokens` that were written into reserved room.
  void commit(SequenceId sequence, uint32_t tokens);
  /// Gives back blocks beyond the length (after a step that failed).
  void release_unused(SequenceId sequence);
  /// Forgets positions from `length` on.
  void truncate(SequenceId sequence, uint32_t length);

 private:
  struct Sequence {
    bool alive = false;
    uint32_t length = 0;
    std::vector<uint32_t> blocks;
  };
  Sequence& at(SequenceId sequence);
  const Sequence& at(SequenceId sequence) const;

  std::vector<uint32_t> free_;
  std::vector<Sequence> sequences_;
};

}  // namespace omg
