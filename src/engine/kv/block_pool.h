// SPDX-License-Identifier: Apache-2.0
//
// Which blocks of the paged KV cache belong to which sequence. Bookkeeping alone: the memory is the
// backend's. A block holds kKvBlockTokens consecutive positions of one sequence, in all layers.
// Source of the idea: PagedAttention, arXiv:2309.06180.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/prefix_tree.h"

namespace omg {

using SequenceId = uint32_t;

/// A block whose content the backend must copy to another before anything is written.
struct KvBlockCopy {
  uint32_t from = 0;
  uint32_t to = 0;
};

/// Who is told which blocks the tree has. Must not call the pool.
class KvBlockObserver {
 public:
  virtual ~KvBlockObserver() = default;
  /// A block is full. `parent`: the one before it, PrefixTree::kRoot for the first of a text.
  virtual void on_kept(uint32_t parent, uint32_t block, const PrefixTree::Tokens& tokens) = 0;
  /// Its room is needed for something else. What it holds is still there.
  virtual void on_evicted(uint32_t block) = 0;
  /// It will be written over by the sequence that has it.
  virtual void on_reopened(uint32_t block) = 0;
};

/// Sequences share the full blocks of what they have in common at their beginnings, and blocks of
/// sequences that are gone are kept, while there is room, for those that will begin alike
/// (prefix_tree.h). Not thread-safe.
class KvBlockPool {
 public:
  KvBlockPool(uint32_t block_count, uint32_t max_sequences);
  /// Before the first sequence; must outlive the pool's use.
  void set_observer(KvBlockObserver* observer) { observer_ = observer; }

  /// Error(kUnavailable) when max_sequences are alive.
  SequenceId create_sequence();
  void free_sequence(SequenceId sequence);
  bool is_alive(SequenceId sequence) const;
  uint32_t length(SequenceId sequence) const { return at(sequence).length; }
  /// Blocks in the order of positions; the last one may be partly filled.
  std::span<const uint32_t> blocks(SequenceId sequence) const { return at(sequence).blocks; }
  /// Those that reserve() can hand out: free ones, and idle ones of the tree.
  uint32_t free_blocks() const { return static_cast<uint32_t>(free_.size()) + tree_.idle_blocks(); }

  /// Gives an empty sequence the full blocks that are there already for the beginning of `tokens`.
  /// Returns how many tokens it holds now.
  uint32_t attach_prefix(SequenceId sequence, std::span<const int32_t> tokens);
  /// Makes room for `tokens` more without changing the length. Error(kOutOfMemory), with nothing
  /// changed, when too few blocks are free. What it adds to `copies` must be done, in order, before
  /// the next write, also when there will be no step.
  void reserve(SequenceId sequence, uint32_t tokens, std::vector<KvBlockCopy>& copies);
  /// Blocks that reserve() would take.
  uint32_t blocks_needed(SequenceId sequence, uint32_t tokens) const;
  /// Blocks that no other sequence has.
  uint32_t only_its_own(SequenceId sequence) const;
  /// Whether the next token needs a copy of the last block: it was partly forgotten, but others
  /// have it, or texts that go on after it are kept.
  bool copies_block(SequenceId sequence) const;
  /// Counts tokens that were written into reserved room. Equal blocks become one: results do not
  /// depend on the batch, so their bytes are equal too.
  void commit(SequenceId sequence, std::span<const int32_t> tokens);
  /// Gives back blocks beyond the length (after a step that failed).
  void release_unused(SequenceId sequence);
  /// Forgets positions from `length` on.
  void truncate(SequenceId sequence, uint32_t length);

 private:
  struct Sequence {
    bool alive = false;
    uint32_t length = 0;
    std::vector<uint32_t> blocks;
    std::vector<int32_t> tail;  // tokens of the last block while it is not full
  };
  Sequence& at(SequenceId sequence);
  const Sequence& at(SequenceId sequence) const;
  uint32_t take_block();
  void use(uint32_t block);
  void release(uint32_t block);
  void settle_full_block(Sequence& sequence, size_t index);

  std::vector<uint32_t> free_;
  std::vector<uint32_t> users_;  // sequences that have a block, by block
  PrefixTree tree_;              // of all full blocks
  KvBlockObserver* observer_ = nullptr;
  std::vector<Sequence> sequences_;
};

}  // namespace omg
