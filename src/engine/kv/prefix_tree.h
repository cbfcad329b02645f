// SPDX-License-Identifier: Apache-2.0
//
// Which blocks of the KV cache hold which beginnings of texts: a tree whose node is a full block
// and whose edge is the block's tokens. A key or value depends on all tokens before it, so a block
// is right exactly for those texts whose beginning is its path. Tokens are compared, not only
// hashed. Source of the idea: SGLang's RadixAttention, arXiv:2312.07104; whole blocks as in vLLM.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace omg {

/// 32 positions are two AVX-512 registers of scores, so a block is one tile of the attention
/// kernel.
inline constexpr uint32_t kKvBlockTokens = 32;

/// A block is in use (some sequence has it) or idle: kept for texts to come until its room is
/// needed. Who has a block has those above it, so that no idle block is above one in use. Not
/// thread-safe.
class PrefixTree {
 public:
  using Tokens = std::array<int32_t, kKvBlockTokens>;
  /// The parent of blocks that begin a text.
  static constexpr uint32_t kRoot = UINT32_MAX;

  explicit PrefixTree(uint32_t block_count) : nodes_(block_count) {}

  /// The block below `parent` that holds these tokens.
  std::optional<uint32_t> find(uint32_t parent, const Tokens& tokens) const;
  /// Adds a block that is in use. There is none with these tokens yet.
  void insert(uint32_t parent, uint32_t block, const Tokens& tokens);
  bool contains(uint32_t block) const { return nodes_[block].is_member; }
  bool has_children(uint32_t block) const { return nodes_[block].children > 0; }
  const Tokens& tokens(uint32_t block) const { return nodes_[block].tokens; }

  void set_idle(uint32_t block);
  void set_in_use(uint32_t block);
  uint32_t idle_blocks() const { return idle_; }
  /// Takes a block without children out.
  void remove(uint32_t block);
  /// Takes out the idle block without children that became idle first, and returns it. There is an
  /// idle one.
  uint32_t evict();

 private:
  struct Node {
    bool is_member = false;
    bool is_idle = false;
    uint32_t parent = kRoot;
    uint32_t children = 0;
    uint64_t idle_since = 0;
    Tokens tokens = {};
  };
  static uint64_t hash(uint32_t parent, const Tokens& tokens);
  void update_evictable(uint32_t block);

  std::vector<Node> nodes_;                              // by block
  std::unordered_multimap<uint64_t, uint32_t> by_hash_;  // of parent and tokens
  std::set<std::pair<uint64_t, uint32_t>> evictable_;    // idle, without children: oldest first
  uint32_t idle_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace omg
