// SPDX-License-Identifier: Apache-2.0
//
// Token masks: which tokens of a vocabulary may come next if the answer is to belong to a grammar.
//
// Why this way. A mask is a function of the configuration (machine.h) that the text has led to, and
// few configurations matter: while a model writes a string, or the next element of an array, it
// stays in one, or returns to it. So masks are kept by configuration, and most calls are a copy of
// 16 KB (128k tokens). A mask that is not known is found by walking a trie of the vocabulary, which
// shares the tokens' beginnings and leaves a branch with its first byte that may not come. Where
// nearly everything may come, inside strings, the walk would visit the whole trie (400k nodes,
// milliseconds), so vocabularies keep the tokens that are plain characters apart, and of these the
// letters: one look at the configuration says how many plain characters may follow, those tokens
// enter the mask at once, and the walk only visits the rest. Nothing is computed before it is
// needed: an index of all states, as Outlines builds, takes seconds for real schemas and cannot
// follow recursion.
//
// Use: one GrammarVocabulary a model, one GrammarMatcher a grammar in use, one GrammarState a
// sequence.
//
//     auto matcher = std::make_shared<GrammarMatcher>(Grammar::from_json_schema(s), vocabulary);
//     GrammarState state(matcher);
//     state.fill_mask(bits);       // sample among the set bits
//     state.accept(token);
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/grammar.h"

namespace omg {

enum class TokenUse : uint8_t {
  kText,   // stands for its bytes, which may be part of a character
  kEnd,    // ends the answer: allowed exactly where the text may end
  kNever,  // control tokens and unused entries
};

/// A vocabulary in the order of a trie. Immutable: one serves all grammars and threads. About 9 MB
/// and 0.1 s for 128k tokens.
class GrammarVocabulary {
 public:
  struct Token {
    std::string bytes;
    TokenUse use = TokenUse::kText;
  };

  /// tokens[i] is what token i stands for. Texts without bytes are never allowed.
  explicit GrammarVocabulary(std::span<const Token> tokens);

  size_t size() const { return bytes_begin_.size() - 1; }
  /// Words of 32 bits that a mask has.
  size_t mask_words() const { return (size() + 31) / 32; }
  TokenUse use(uint32_t token) const { return uses_[token]; }
  std::string_view bytes(uint32_t token) const {
    return std::string_view(bytes_).substr(bytes_begin_[token],
                                           bytes_begin_[token + 1] - bytes_begin_[token]);
  }
  /// Of the longest text.
  uint32_t longest() const { return longest_; }

 private:
  friend class GrammarMatcher;

  /// Nodes lie in depth-first order.
  struct Node {
    uint32_t end;          // the node after all of this one's branch
    uint32_t first_token;  // in order_; its tokens reach to the next node's first
    uint16_t depth;        // bytes up to and with this one
    uint8_t byte;
    /// By slice: characters of the longest token in the branch that belongs to none narrower. 255
    /// for the widest: a token belongs to none.
    std::array<uint8_t, 3> needs;
  };

  void build_trie(std::vector<uint32_t> texts);
  void build_slice_masks();
  uint8_t characters(uint32_t token) const;

  std::string bytes_;
  std::vector<uint32_t> bytes_begin_;
  std::vector<TokenUse> uses_;
  std::vector<uint32_t> ends_;   // tokens that end
  std::vector<uint32_t> order_;  // text tokens in the order of the trie
  std::vector<Node> nodes_;      // one more than there are, for the tokens' end
  /// [slice][n]: its tokens of at most n characters.
  std::array<std::vector<std::vector<uint32_t>>, 3> slice_masks_;
  std::array<uint32_t, 3> most_characters_ = {};  // by slice
  uint32_t longest_ = 0;
};

struct GrammarMatcherOptions {
  /// What is remembered: configurations and masks. Beyond it all is forgotten and found again.
  size_t max_cache_bytes = 64u << 20;
};

/// A grammar over a vocabulary, with what was learnt of the two. Shared by sequences and threads; a
/// lock is held while a mask is found (microseconds, at worst a few milliseconds).
class GrammarMatcher {
 public:
  GrammarMatcher(Grammar grammar, std::shared_ptr<const GrammarVocabulary> vocabulary,
                 const GrammarMatcherOptions& options = {});
  ~GrammarMatcher();
  const GrammarVocabulary& vocabulary() const { return *vocabulary_; }
  /// Of the caches.
  size_t memory_bytes() const;

 private:
  friend class GrammarState;
  struct Memory;
  struct Mask;

  const Mask& mask_of(Memory& memory, uint32_t config);
  void find_mask(Memory& memory, uint32_t config, std::span<uint32_t> bits) const;
  std::shared_ptr<Memory> new_memory() const;
  void keep_within_bounds();

  const Grammar grammar_;
  const std::shared_ptr<const GrammarVocabulary> vocabulary_;
  const GrammarMatcherOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<Memory> memory_;  // those that sequences left behind in are kept by them
  std::vector<uint32_t> scratch_;
};

/// Where one sequence stands. A copy is a snapshot and costs two reference counts: keep one to roll
/// back. Not for several threads at once; copies are independent.
class GrammarState {
 public:
  explicit GrammarState(std::shared_ptr<GrammarMatcher> matcher);

  /// Sets bit t of `bits` (vocabulary().mask_words() words) exactly for tokens that may come next,
  /// and clears the others. False if no token may: after the end, or where no token of the
  /// vocabulary fits. Error(kLimitExceeded) if the grammar is hopelessly ambiguous.
  bool fill_mask(std::span<uint32_t> bits);

  /// Goes on by a token. False, and nothing changes, if it may not come.
  bool accept(uint32_t token);
  /// Goes on by bytes, as accept.
  bool accept_text(std::string_view bytes);

  /// Whether the text may end here.
  bool is_complete() const;
  /// Whether an end token was accepted.
  bool has_ended() const { return ended_; }
  /// Bytes that must come next whatever the model says, at most `max_bytes`; empty if there is a
  /// choice, or if the text may end.
  std::string forced_text(size_t max_bytes = 256);

 private:
  GrammarMatcher::Memory& current_memory();

  std::shared_ptr<GrammarMatcher> matcher_;
  std::shared_ptr<GrammarMatcher::Memory> memory_;
  uint32_t config_ = 0;
  bool ended_ = false;
};

}  // namespace omg
