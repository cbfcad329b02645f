// SPDX-License-Identifier: Apache-2.0
//
// What every kind of tokenizer reads from a model's metadata: the tokens' texts, scores and types,
// the tokens with a meaning to the runtime, and the set that ends an answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/metadata.h"
#include "text/tokenizer/flat_map.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Numbers of `tokenizer.ggml.token_type`.
enum class TokenType : uint8_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

/// What a kind of tokenizer assumes where the file says nothing.
struct VocabularyDefaults {
  std::optional<TokenId> bos, eos, unknown, separator, padding;
  bool add_bos = false;
  bool force_bos = false;  // whatever the file says
  bool add_eos = false;
  bool add_separator = false;
  bool never_adds = false;  // BOS or EOS, whatever the file says
};

/// Immutable after construction, and not movable: the index holds views of its own texts.
class Vocabulary {
 public:
  /// Reads the keys `tokenizer.ggml.*`; an empty text becomes "[EMPTY_<id>]", and of equal texts
  /// the last token is the one that is found. Error(kCorrupt) naming the key that is missing or
  /// wrong.
  Vocabulary(const Metadata& metadata, const VocabularyDefaults& defaults);
  Vocabulary(const Vocabulary&) = delete;

  size_t size() const { return tokens_.size(); }
  std::string_view text(TokenId id) const {
    const Token& token = tokens_[static_cast<size_t>(id)];
    return {texts_.data() + token.offset, token.length};
  }
  TokenType type(TokenId id) const { return tokens_[static_cast<size_t>(id)].type; }
  /// Empty where the file has no scores.
  const std::vector<float>& scores() const { return scores_; }
  /// -1 when no token has this text.
  TokenId find(std::string_view text) const { return index_.find(text); }
  /// The index behind find(), for many look-ups at once.
  const StringMap& index() const { return index_; }
  /// Bytes of the longest text.
  size_t longest() const { return longest_; }

  const SpecialTokens& special() const { return special_; }
  bool ends_generation(TokenId id) const { return tokens_[static_cast<size_t>(id)].ends; }
  /// Whitespace before or after the token in a text belongs to it.
  bool strips_left(TokenId id) const { return tokens_[static_cast<size_t>(id)].strips_left; }
  bool strips_right(TokenId id) const { return tokens_[static_cast<size_t>(id)].strips_right; }

  /// Byte of a token "<0x0A>" of type kByte; -1 for any other.
  int byte_of(TokenId id) const;
  /// Control and unknown tokens: read from text only on request, and shown only on request.
  bool is_hidden(TokenId id) const {
    return type(id) == TokenType::kControl || type(id) == TokenType::kUnknown;
  }

 private:
  struct Token {
    uint32_t offset = 0;
    uint32_t length = 0;
    TokenType type = TokenType::kNormal;
    bool ends = false;
    bool strips_left = false;
    bool strips_right = false;
  };

  void read_texts(const Metadata& metadata);
  void read_types(const Metadata& metadata);
  void read_scores(const Metadata& metadata);
  void read_special(const Metadata& metadata, const VocabularyDefaults& defaults);
  void find_end_tokens(const Metadata& metadata);
  void set_stripping(const Metadata& metadata);
  Token& token(TokenId id) { return tokens_[static_cast<size_t>(id)]; }
  /// A token of this text that may play a special part; makes it a control token.
  std::optional<TokenId> claim_control(std::string_view text);

  std::string texts_;
  std::vector<Token> tokens_;
  std::vector<float> scores_;
  StringMap index_;
  size_t longest_ = 0;
  SpecialTokens special_;
};

/// The byte that "<0xNN>" (two hexadecimal digits) writes; -1 for any other text.
int parse_byte_text(std::string_view text);
/// "<0xNN>" for a byte.
std::string byte_text(uint8_t byte);

}  // namespace omg
