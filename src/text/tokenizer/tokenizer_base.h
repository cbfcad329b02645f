// SPDX-License-Identifier: Apache-2.0
//
// What the kinds of tokenizer share: the vocabulary, the recognition of special tokens in a text,
// and where BOS and EOS go. A kind adds how plain text becomes tokens and tokens become bytes.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer/special_matcher.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocabulary.h"

namespace omg {

/// Words are merged with 32-bit offsets, so text goes through in blocks of at most this size.
inline constexpr size_t kMaxBlock = 1u << 30;

class TokenizerBase : public Tokenizer {
 public:
  TokenizerBase(const Metadata& metadata, const VocabularyDefaults& defaults);

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const final;
  std::string token_bytes(TokenId token, bool show_special) const final;
  std::string_view token_text(TokenId token) const final;
  std::optional<TokenId> find_token(std::string_view text) const final;
  size_t vocab_size() const final { return vocabulary_.size(); }
  const SpecialTokens& special_tokens() const final { return vocabulary_.special(); }
  bool is_end_of_generation(TokenId token) const final;
  bool is_control(TokenId token) const final;

 protected:
  /// Appends the tokens of text without special tokens; `after_special` at the beginning of the
  /// text and after a special token. Called for blocks of at most kMaxBlock bytes.
  virtual void encode_plain(std::string_view text, bool after_special,
                            std::vector<TokenId>& output) const = 0;
  /// Bytes of a token that is neither hidden nor user-defined nor a byte token.
  virtual std::string plain_bytes(std::string_view text) const = 0;

  bool contains(TokenId token) const {
    return token >= 0 && static_cast<size_t>(token) < vocabulary_.size();
  }

  const Vocabulary vocabulary_;

 private:
  void check(TokenId token) const;
  const SpecialMatcher specials_;
};

/// Remembers which tokens come out when their own text is encoded, so that a word that is one token
/// need not be merged. Filled as words are met; threads may race, as they write equal values.
class WholeWords {
 public:
  explicit WholeWords(size_t vocab_size)
      : states_(std::make_unique<std::atomic<uint8_t>[]>(vocab_size)) {}

  enum State : uint8_t { kUnknown = 0, kWhole = 1, kMerges = 2 };
  State state(TokenId token) const {
    return State{states_[static_cast<size_t>(token)].load(std::memory_order_relaxed)};
  }
  void set(TokenId token, State state) const {
    states_[static_cast<size_t>(token)].store(state, std::memory_order_relaxed);
  }

 private:
  std::unique_ptr<std::atomic<uint8_t>[]> states_;
};

}  // namespace omg
