// SPDX-License-Identifier: Apache-2.0
//
// The unigram model: of all ways to write a text as pieces, the one with the highest sum of scores
// (Viterbi). Source: T. Kudo 2018, https://arxiv.org/abs/1804.10959.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

struct UnigramPiece {
  std::string_view text;
  TokenId id;
  double score;  // beyond +-1e30 it counts as that
};

struct UnigramOptions {
  /// A run of characters that no piece covers becomes one of these; -1: nothing.
  TokenId unknown = -1;
  /// Of one such character.
  double unknown_score = 0;
  /// 256 ids: then the run is written byte by byte instead. Empty for none.
  std::vector<TokenId> byte_tokens;
};

/// Immutable after construction; keeps no views.
class UnigramModel {
 public:
  /// Of pieces with equal texts the last counts.
  UnigramModel(std::span<const UnigramPiece> pieces, UnigramOptions options);

  /// Appends the tokens of normalised text of at most 4 GiB. Takes time in proportion to the text
  /// times the length of the longest piece, and memory for the longest stretch that pieces cover
  /// without a common border.
  void encode(std::string_view text, std::vector<TokenId>& output) const;

 private:
  struct Best {  // way to write the stretch up to a place
    double score;
    TokenId id;
    uint32_t start;  // of the last piece, from the stretch's beginning
  };
  struct Run {  // of unknown characters, while it lasts
    bool open = false;
  };
  void extend(std::string_view text, size_t start, size_t base, std::vector<Best>& best) const;
  void emit(std::string_view stretch, const std::vector<Best>& best, Run& run,
            std::vector<TokenId>& reversed, std::vector<TokenId>& output) const;

  ByteTrie trie_;
  std::vector<TokenId> ids_;  // of the trie's values, which are places in here
  std::vector<double> scores_;
  const UnigramOptions options_;
};

}  // namespace omg
