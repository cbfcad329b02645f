// SPDX-License-Identifier: Apache-2.0
//
// Finds special tokens written in a text, before anything else looks at it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace omg {

/// A stretch of the text, or (`token` >= 0) a special token that stood there.
struct Fragment {
  size_t start = 0;
  size_t length = 0;
  TokenId token = -1;
};

/// Immutable after construction.
class SpecialMatcher {
 public:
  /// The vocabulary must outlive it.
  explicit SpecialMatcher(const Vocabulary& vocabulary);

  /// The text in order, with the special tokens found. User-defined tokens always count, control
  /// and unknown ones with `parse_special`. Longer tokens take precedence over shorter ones
  /// wherever they stand, then smaller ids, then earlier places. Whitespace that a token strips
  /// belongs to no fragment; there are no empty ones.
  std::vector<Fragment> partition(std::string_view text, bool parse_special) const;

 private:
  struct Match {
    TokenId token;
    size_t start;
  };
  std::vector<Match> find_all(std::string_view text, bool parse_special) const;

  const Vocabulary& vocabulary_;
  // A trie: an edge is (node << 8 | byte), its value the node it leads to. Node 0 is the root.
  std::unordered_map<uint64_t, uint32_t> edges_;
  std::vector<TokenId> terminals_ = {-1};        // token that ends at a node
  std::array<bool, 256> starts_user_defined_{};  // first bytes of tokens that always count
  std::array<bool, 256> starts_any_{};
};

}  // namespace omg
