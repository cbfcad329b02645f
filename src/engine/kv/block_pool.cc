// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/block_pool.h"

#include <cassert>
#include <string>

#include "base/error.h"

namespace omg {
namespace {

uint32_t blocks_for(uint64_t tokens) {
  return static_cast<uint32_t>((tokens + kKvBlockTokens - 1) / kKvBlockTokens);
}

}  // namespace

KvBlockPool::KvBlockPool(uint32_t block_count, uint32_t max_sequences) : sequences_(max_sequences) {
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
    sequences_[id] = {.alive = true, .length = 0, .blocks = {}};
    return id;
  }
  throw Error(ErrorCode::kUnavailable,
              "all " + std::to_string(sequences_.size()) + " sequences of this engine are in use");
}

void KvBlockPool::free_sequence(SequenceId sequence) {
  truncate(sequence, 0);
  at(sequence).alive = false;
}

uint32_t KvBlockPool::blocks_needed(SequenceId sequence, uint32_t tokens) const {
  const auto& entry = at(sequence);
  const uint32_t wanted = blocks_for(uint64_t{entry.length} + tokens);
  return wanted > entry.blocks.size() ? wanted - static_cast<uint32_t>(entry.blocks.size()) : 0;
}

void KvBlockPool::reserve(SequenceId sequence, uint32_t tokens) {
  const uint32_t needed = blocks_needed(sequence, tokens);
  if (needed > free_.size()) {
    throw Error(ErrorCode::kOutOfMemory, "the KV cache is full: " + std::to_string(needed) +
                                             " more blocks of " + std::to_string(kKvBlockTokens) +
                                             " tokens are needed, " + std::to_string(free_.size()) +
                                             " are free");
  }
  auto& blocks = at(sequence).blocks;
  blocks.insert(blocks.end(), free_.rbegin(), free_.rbegin() + needed);
  free_.resize(free_.size() - needed);
}

void KvBlockPool::commit(SequenceId sequence, uint32_t tokens) {
  auto& entry = at(sequence);
  entry.length += tokens;
  assert(blocks_for(entry.length) <= entry.blocks.size());
}

void KvBlockPool::release_unused(SequenceId sequence) {
  auto& entry = at(sequence);
  const uint32_t kept = blocks_for(entry.length);
  while (entry.blocks.size() > kept) {
    free_.push_back(entry.blocks.back());
    entry.blocks.pop_back();
  }
}

void KvBlockPool::truncate(SequenceId sequence, uint32_t length) {
  auto& entry = at(sequence);
  assert(length <= entry.length);
  entry.length = length;
  release_unused(sequence);
}

}  // namespace omg
