// SPDX-License-Identifier: Apache-2.0
//
// Built level by level from the sorted texts: a node's children are numbered together when the node
// is taken up.
#include "text/tokenizer/byte_trie.h"

#include <algorithm>

namespace omg {

namespace {

/// By text; of equal texts in the order given.
std::vector<ByteTrie::Entry> sorted(const std::vector<ByteTrie::Entry>& entries) {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].text.empty()) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const int compared = entries[a].text.compare(entries[b].text);
    return compared != 0 ? compared < 0 : a < b;
  });
  std::vector<ByteTrie::Entry> result;
  result.reserve(order.size());
  for (const uint32_t i : order) result.push_back(entries[i]);
  return result;
}

}  // namespace

ByteTrie::ByteTrie(const std::vector<Entry>& unsorted) {
  const std::vector<Entry> entries = sorted(unsorted);
  struct Range {
    uint32_t begin, end;  // entries whose texts go through the node
  };
  nodes_.emplace_back();
  std::vector<Range> level = {{0, static_cast<uint32_t>(entries.size())}}, below;
  uint32_t node = 0;
  for (size_t depth = 0; !level.empty(); ++depth) {
    below.clear();
    for (const Range range : level) {
      uint32_t i = range.begin;
      // Texts that end here come first, as they are the shortest.
      for (; i < range.end && entries[i].text.size() == depth; ++i)
        nodes_[node].value = entries[i].value;
      nodes_[node].children = static_cast<uint32_t>(nodes_.size());
      while (i < range.end) {
        const auto byte = static_cast<uint8_t>(entries[i].text[depth]);
        const uint32_t begin = i;
        while (i < range.end && static_cast<uint8_t>(entries[i].text[depth]) == byte) ++i;
        below.push_back({begin, i});
        ++nodes_[node].count;
        nodes_.push_back({.byte = byte});
      }
      ++node;
    }
    level.swap(below);
  }
  from_root_.fill(kNone);
  for (uint32_t i = 0; i < nodes_[kRoot].count; ++i)
    from_root_[nodes_[nodes_[kRoot].children + i].byte] = nodes_[kRoot].children + i;
}

ByteTrie::Node ByteTrie::step(Node node, uint8_t byte) const {
  if (node == kRoot) return from_root_[byte];
  const NodeData* children = nodes_.data() + nodes_[node].children;
  uint32_t low = 0, high = nodes_[node].count;
  while (high - low > 8) {
    const uint32_t middle = (low + high) / 2;
    if (children[middle].byte <= byte) {
      low = middle;
    } else {
      high = middle;
    }
  }
  for (; low < high; ++low) {
    if (children[low].byte == byte) return nodes_[node].children + low;
  }
  return kNone;
}

ByteTrie::Match ByteTrie::longest(std::string_view text, Node node) const {
  Match match;
  for (size_t i = 0; i < text.size();) {
    node = step(node, static_cast<uint8_t>(text[i++]));
    if (node == kNone) break;
    if (nodes_[node].value >= 0) match = {i, nodes_[node].value};
  }
  return match;
}

}  // namespace omg
