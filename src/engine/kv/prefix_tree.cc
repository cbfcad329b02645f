// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/prefix_tree.h"

#include <cassert>

namespace omg {

uint64_t PrefixTree::hash(uint32_t parent, const Tokens& tokens) {
  // FNV-1a over 32-bit words: collisions only cost a comparison.
  uint64_t value = 14695981039346656037ull ^ parent;
  for (const int32_t token : tokens) value = (value ^ static_cast<uint32_t>(token)) * 1099511628211;
  return value;
}

std::optional<uint32_t> PrefixTree::find(uint32_t parent, const Tokens& tokens) const {
  const auto [begin, end] = by_hash_.equal_range(hash(parent, tokens));
  for (auto it = begin; it != end; ++it) {
    const Node& node = nodes_[it->second];
    if (node.parent == parent && node.tokens == tokens) return it->second;
  }
  return std::nullopt;
}

void PrefixTree::insert(uint32_t parent, uint32_t block, const Tokens& tokens) {
  assert(!contains(block) && !find(parent, tokens));
  nodes_[block] = Node{.is_member = true, .parent = parent, .tokens = tokens};
  by_hash_.emplace(hash(parent, tokens), block);
  if (parent == kRoot) return;
  assert(contains(parent));
  ++nodes_[parent].children;
  update_evictable(parent);
}

void PrefixTree::update_evictable(uint32_t block) {
  const Node& node = nodes_[block];
  const std::pair entry(node.idle_since, block);
  if (node.is_idle && node.children == 0) {
    evictable_.insert(entry);
  } else {
    evictable_.erase(entry);
  }
}

void PrefixTree::set_idle(uint32_t block) {
  Node& node = nodes_[block];
  assert(node.is_member && !node.is_idle);
  node.is_idle = true;
  node.idle_since = ++clock_;
  ++idle_;
  update_evictable(block);
}

void PrefixTree::set_in_use(uint32_t block) {
  Node& node = nodes_[block];
  if (!node.is_idle) return;
  node.is_idle = false;
  --idle_;
  update_evictable(block);
}

void PrefixTree::remove(uint32_t block) {
  Node& node = nodes_[block];
  assert(node.is_member && node.children == 0);
  set_in_use(block);
  const auto [begin, end] = by_hash_.equal_range(hash(node.parent, node.tokens));
  for (auto it = begin; it != end; ++it) {
    if (it->second != block) continue;
    by_hash_.erase(it);
    break;
  }
  node.is_member = false;
  if (node.parent == kRoot) return;
  --nodes_[node.parent].children;
  update_evictable(node.parent);
}

uint32_t PrefixTree::evict() {
  assert(!evictable_.empty());
  const uint32_t block = evictable_.begin()->second;
  remove(block);
  return block;
}

}  // namespace omg
