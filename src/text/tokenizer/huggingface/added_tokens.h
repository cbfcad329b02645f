// SPDX-License-Identifier: Apache-2.0
//
// Tokens that were added to a model's vocabulary ("<|im_end|>"): found in a text before anything
// else looks at it, the longest first, from left to right.
// Source: https://huggingface.co/docs/tokenizers/api/added-tokens
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/huggingface/json_node.h"
#include "text/tokenizer/special_matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::huggingface {

struct AddedToken {
  std::string content;
  TokenId id = -1;
  bool special = false;      // a control token
  bool normalized = true;    // looked for in the normalized text
  bool single_word = false;  // only where no word goes on before or after it
  bool lstrip = false;       // takes the whitespace before it
  bool rstrip = false;       // and after it
};

/// Reads content and flags of a token written as an object or as a string; not its id.
AddedToken read_added_token(const JsonNode& node, bool special);

/// Finds tokens of one of the two kinds, normalized or not. Immutable after construction.
class AddedTokenMatcher {
 public:
  /// `contents` are the tokens' texts as they stand in the texts to come.
  AddedTokenMatcher(std::vector<AddedToken> tokens, const std::vector<std::string>& contents);

  /// The text in order, with the tokens found; special ones only with `parse_special`, else they
  /// are text. Whitespace that a token strips belongs to its fragment. No fragment is empty.
  void partition(std::string_view text, bool parse_special, std::vector<Fragment>& fragments) const;

 private:
  struct Match {
    size_t start = 0, end = 0;
    const AddedToken* token = nullptr;
  };
  bool find(std::string_view text, size_t from, Match& match) const;

  const std::vector<AddedToken> tokens_;
  const ByteTrie trie_;  // to places in tokens_
  std::array<bool, 256> starts_{};
};

}  // namespace omg::huggingface
