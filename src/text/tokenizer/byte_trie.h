// SPDX-License-Identifier: Apache-2.0
//
// A trie over byte strings for walking along a text: which of many thousand tokens stand here.
// Children of a node lie side by side in ascending order of their bytes, so a node takes 12 bytes
// and a step is one search among few neighbours.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace omg {

/// Immutable after construction; keeps no views.
class ByteTrie {
 public:
  struct Entry {
    std::string_view text;
    int32_t value;  // >= 0
  };
  using Node = uint32_t;
  static constexpr Node kRoot = 0;
  static constexpr Node kNone = UINT32_MAX;

  /// Of equal texts the last entry counts. Empty texts are left out.
  explicit ByteTrie(const std::vector<Entry>& entries);

  /// The node after `byte`, or kNone.
  Node step(Node node, uint8_t byte) const;
  /// Value of the text that ends at the node; -1 for none.
  int32_t value(Node node) const { return nodes_[node].value; }

  struct Match {
    size_t length = 0;  // 0: nothing stands at the beginning of the text
    int32_t value = -1;
  };
  /// The longest entry at the beginning of `text`, going on from `node`; its length counts from
  /// there.
  Match longest(std::string_view text, Node node = kRoot) const;

 private:
  struct NodeData {
    uint32_t children = 0;  // the first one's number
    int32_t value = -1;
    uint16_t count = 0;  // of children
    uint8_t byte = 0;    // that leads here
  };
  std::vector<NodeData> nodes_;
  std::array<Node, 256> from_root_{};  // the root has up to 256 children
};

}  // namespace omg
