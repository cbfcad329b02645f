// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/block_pool.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "base/error.h"

namespace omg {
namespace {

uint32_t blocks_for(uint64_t tokens) {
  return static_cast<uint32_t>((tokens + kKvBlockTokens - 1) / kKvBlockTokens);
}

}  // namespace

KvBlockPool::KvBlockPool(uint32_t block_count, uint32_t max_sequences)
    : users_(block_count), tree_(block_count), sequences_(max_sequences) {
  free_.reserve(block_count);
  // Handed out from the back: low blocks first, so that memory is touched in order.
  for (uint32_t block = block_count; block > 0; --block) free_.push_back(block - 1);
}

KvBlockPool::Sequence& KvBlockPool::at(SequenceId sequence) {
  assert(is_alive(sequence));
  return sequences_[sequence];
}

const KvBlockPool::Sequence& KvBlockPool::at(SequenceId sequence) const {
  assert(is_alive(sequence));
  return sequences_[sequence];
}

bool KvBlockPool::is_alive(SequenceId sequence) const {
  return sequence < sequences_.size() && sequences_[sequence].alive;
}

SequenceId KvBlockPool::create_sequence() {
  for (SequenceId id = 0; id < sequences_.size(); ++id) {
    if (sequences_[id].alive) continue;
    sequences_[id] = {.alive = true, .length = 0, .blocks = {}, .tail = {}};
    return id;
  }
  throw Error(ErrorCode::kUnavailable,
              "all " + std::to_string(sequences_.size()) + " sequences of this engine are in use");
}

void KvBlockPool::free_sequence(SequenceId sequence) {
  truncate(sequence, 0);
  at(sequence).alive = false;
}

bool KvBlockPool::copies_block(SequenceId id) const {
  const Sequence& sequence = at(id);
  if (sequence.length % kKvBlockTokens == 0) return false;
  const uint32_t block = sequence.blocks[sequence.length / kKvBlockTokens];
  return tree_.contains(block) && (users_[block] > 1 || tree_.has_children(block));
}

uint32_t KvBlockPool::only_its_own(SequenceId sequence) const {
  const auto& blocks = at(sequence).blocks;
  return static_cast<uint32_t>(std::count_if(blocks.begin(), blocks.end(),
                                             [&](uint32_t block) { return users_[block] == 1; }));
}

uint32_t KvBlockPool::take_block() {
  if (free_.empty()) {
    const uint32_t evicted = tree_.evict();
    if (observer_ != nullptr) observer_->on_evicted(evicted);
    return evicted;
  }
  const uint32_t block = free_.back();
  free_.pop_back();
  return block;
}

void KvBlockPool::use(uint32_t block) {
  ++users_[block];
  if (tree_.contains(block)) tree_.set_in_use(block);
}

void KvBlockPool::release(uint32_t block) {
  if (--users_[block] > 0) return;
  if (tree_.contains(block)) {
    tree_.set_idle(block);
  } else {
    free_.push_back(block);
  }
}

uint32_t KvBlockPool::blocks_needed(SequenceId sequence, uint32_t tokens) const {
  const auto& entry = at(sequence);
  if (tokens == 0) return 0;
  const uint32_t wanted = blocks_for(uint64_t{entry.length} + tokens);
  const auto held = static_cast<uint32_t>(entry.blocks.size());
  return (wanted > held ? wanted - held : 0) + (copies_block(sequence) ? 1 : 0);
}

uint32_t KvBlockPool::attach_prefix(SequenceId sequence, std::span<const int32_t> tokens) {
  Sequence& entry = at(sequence);
  assert(entry.length == 0 && entry.blocks.empty());
  uint32_t parent = PrefixTree::kRoot;
  while (tokens.size() - entry.length >= kKvBlockTokens) {
    PrefixTree::Tokens wanted;
    std::copy_n(tokens.begin() + entry.length, kKvBlockTokens, wanted.begin());
    const auto block = tree_.find(parent, wanted);
    if (!block) break;
    use(*block);
    entry.blocks.push_back(*block);
    entry.length += kKvBlockTokens;
    parent = *block;
  }
  return entry.length;
}

void KvBlockPool::reserve(SequenceId sequence, uint32_t tokens, std::vector<KvBlockCopy>& copies) {
  const uint32_t needed = blocks_needed(sequence, tokens);
  if (needed > free_blocks()) {
    throw Error(ErrorCode::kOutOfMemory, "the KV cache is full: " + std::to_string(needed) +
                                             " more blocks of " + std::to_string(kKvBlockTokens) +
                                             " tokens are needed, " +
                                             std::to_string(free_blocks()) + " are free");
  }
  if (tokens == 0) return;
  Sequence& entry = at(sequence);
  if (copies_block(sequence)) {
    uint32_t& last = entry.blocks[entry.length / kKvBlockTokens];
    const uint32_t copy = take_block();
    use(copy);
    copies.push_back({last, copy});
    release(last);
    last = copy;
  } else if (entry.length % kKvBlockTokens != 0) {
    const uint32_t last = entry.blocks[entry.length / kKvBlockTokens];
    if (tree_.contains(last)) {  // nobody else has it: it may be written over
      tree_.remove(last);
      if (observer_ != nullptr) observer_->on_reopened(last);
    }
  }
  const uint32_t wanted = blocks_for(uint64_t{entry.length} + tokens);
  while (entry.blocks.size() < wanted) {
    entry.blocks.push_back(take_block());
    use(entry.blocks.back());
  }
}

void KvBlockPool::settle_full_block(Sequence& sequence, size_t index) {
  uint32_t& block = sequence.blocks[index];
  const uint32_t parent = index == 0 ? PrefixTree::kRoot : sequence.blocks[index - 1];
  PrefixTree::Tokens tokens;
  std::copy_n(sequence.tail.begin(), kKvBlockTokens, tokens.begin());
  sequence.tail.clear();
  if (const auto same = tree_.find(parent, tokens)) {
    use(*same);
    release(block);
    block = *same;
  } else {
    tree_.insert(parent, block, tokens);
    if (observer_ != nullptr) observer_->on_kept(parent, block, tokens);
  }
}

void KvBlockPool::commit(SequenceId sequence, std::span<const int32_t> tokens) {
  Sequence& entry = at(sequence);
  for (const int32_t token : tokens) {
    entry.tail.push_back(token);
    ++entry.length;
    if (entry.tail.size() == kKvBlockTokens) {
      settle_full_block(entry, entry.length / kKvBlockTokens - 1);
    }
  }
  assert(blocks_for(entry.length) <= entry.blocks.size());
}

void KvBlockPool::release_unused(SequenceId sequence) {
  Sequence& entry = at(sequence);
  const uint32_t kept = blocks_for(entry.length);
  while (entry.blocks.size() > kept) {  // from the end: what is nearer to the begin is kept longer
    release(entry.blocks.back());
    entry.blocks.pop_back();
  }
}

void KvBlockPool::truncate(SequenceId sequence, uint32_t length) {
  Sequence& entry = at(sequence);
  assert(length <= entry.length);
  const size_t index = length / kKvBlockTokens;
  const size_t rest = length % kKvBlockTokens;
  if (index < entry.length / kKvBlockTokens && rest > 0) {  // into a block that was full
    const PrefixTree::Tokens& tokens = tree_.tokens(entry.blocks[index]);
    entry.tail.assign(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(rest));
  } else {
    entry.tail.resize(rest);
  }
  entry.length = length;
  release_unused(sequence);
}

}  // namespace omg
