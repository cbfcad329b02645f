// SPDX-License-Identifier: Apache-2.0
//
// The tokenizer that a tokenizer.json describes, put together from its parts.
#pragma once

#include <memory>
#include <vector>

#include "text/tokenizer/huggingface/added_tokens.h"
#include "text/tokenizer/huggingface/decoder.h"
#include "text/tokenizer/huggingface/folder.h"
#include "text/tokenizer/huggingface/model.h"
#include "text/tokenizer/huggingface/normalizer.h"
#include "text/tokenizer/huggingface/post_processor.h"
#include "text/tokenizer/huggingface/word_splitter.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::huggingface {

struct Parts {
  ModelParts model;
  std::unique_ptr<Normalizer> normalizer;  // null: texts stay as they are
  WordSplitter splitter;
  std::unique_ptr<AddedTokenMatcher> raw, normalized;  // null where there are no such tokens
  std::vector<AddedToken> added;
  Frame frame;
  Decoder decoder;
  SpecialTokens special;
  std::vector<TokenId> end_ids;
};

class AssembledTokenizer final : public Tokenizer {
 public:
  explicit AssembledTokenizer(Parts parts);

  /// Error(kLimitExceeded) where the normalizer makes a text grow without measure.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string token_bytes(TokenId token, bool show_special) const override;
  std::string_view token_text(TokenId token) const override;
  std::optional<TokenId> find_token(std::string_view text) const override;
  size_t vocab_size() const override { return tokens().size(); }
  const SpecialTokens& special_tokens() const override { return parts_.special; }
  bool is_end_of_generation(TokenId token) const override { return has(token, kEnds); }
  bool is_control(TokenId token) const override { return has(token, kControl); }
  bool strips_leading_space() const override { return parts_.decoder.strips_leading_space(); }

 private:
  enum Flag : uint8_t {
    kControl = 1,
    kEnds = 2,
    kVerbatim = 4,  // stands for its own text: not of the model's vocabulary
  };
  const TokenTable& tokens() const { return *parts_.model.tokens; }
  bool has(TokenId token, Flag flag) const {
    return tokens().contains(token) && (flags_[static_cast<size_t>(token)] & flag) != 0;
  }
  void check(TokenId token) const;
  void set(TokenId token, Flag flag) { flags_[static_cast<size_t>(token)] |= flag; }
  void find_end_tokens();
  void encode_fragment(std::string_view text, bool at_text_start, bool parse_special,
                       Model::Scratch& scratch, std::vector<TokenId>& output) const;
  void encode_words(std::string_view text, bool at_text_start, Model::Scratch& scratch,
                    std::vector<TokenId>& output) const;

  Parts parts_;
  std::vector<uint8_t> flags_;  // by id
};

/// Reads a tokenizer.json; what `settings` say goes before what it leaves open.
std::unique_ptr<Tokenizer> read_tokenizer_json(const JsonNode& root, const Settings& settings);

}  // namespace omg::huggingface
