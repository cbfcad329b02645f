// SPDX-License-Identifier: Apache-2.0
//
// WordPiece: a word is the longest piece that begins it, then the longest that goes on, and so to
// its end; a word for which that fails is unknown as a whole. Source: Y. Wu et al. 2016,
// https://arxiv.org/abs/1609.08144, as BERT applies it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

struct WordPieceOptions {
  TokenId unknown = -1;  // -1: unknown words vanish
  /// What is put before a word ("▁" in GGUF) and before each piece that goes on ("##" in BERT's own
  /// files) to look it up.
  std::string word_prefix, continuation_prefix;
  /// Longer words are unknown; 0 for no limit.
  size_t max_characters = 0;
};

/// Immutable after construction; keeps no views.
class WordPieceModel {
 public:
  struct Piece {
    std::string_view text;
    TokenId id;
  };
  /// Of pieces with equal texts the last counts.
  WordPieceModel(std::span<const Piece> pieces, WordPieceOptions options);

  /// Appends the tokens of one normalised word; nothing for an empty one. `scratch` is memory to
  /// use again for the next word.
  void encode(std::string_view word, std::string& scratch, std::vector<TokenId>& output) const;

 private:
  bool too_long(std::string_view word) const;

  const ByteTrie trie_;
  const WordPieceOptions options_;
  ByteTrie::Node continuation_ = ByteTrie::kRoot;  // after the prefix; kNone: nothing goes on
};

}  // namespace omg
