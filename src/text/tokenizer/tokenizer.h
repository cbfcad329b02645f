// SPDX-License-Identifier: Apache-2.0
//
// Text to tokens and back, as the model's own vocabulary defines it. One interface over the kinds
// of tokenizer that model files name in `tokenizer.ggml.model`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/metadata.h"

namespace omg {

using TokenId = int32_t;

struct EncodeOptions {
  /// Put the model's BOS (and EOS) where the model wants them.
  bool add_special = false;
  /// Recognise control tokens ("<|im_end|>") written in the text. User-defined tokens are always
  /// recognised.
  bool parse_special = false;
};

/// Ids that have a meaning to the runtime; absent where the model has none.
struct SpecialTokens {
  std::optional<TokenId> bos, eos, eot, eom, unknown, padding, separator;
  bool add_bos = false;
  bool add_eos = false;
  bool add_separator = false;  // at the end, as BERT wants it
};

/// Immutable after construction: many threads may encode and decode at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Never fails on any bytes: what is not UTF-8 is encoded byte by byte or as the unknown token.
  virtual std::vector<TokenId> encode(std::string_view text,
                                      const EncodeOptions& options = {}) const = 0;

  /// Bytes that a token stands for; may be part of a UTF-8 character. Control tokens give nothing
  /// unless `show_special`. Error(kInvalidArgument) for an id outside the vocabulary.
  virtual std::string token_bytes(TokenId token, bool show_special = false) const = 0;

  /// The token as it stands in the vocabulary ("Ġthe", "▁the", "<0x0A>").
  virtual std::string_view token_text(TokenId token) const = 0;
  /// Id of the vocabulary entry with exactly this text.
  virtual std::optional<TokenId> find_token(std::string_view text) const = 0;
  virtual size_t vocab_size() const = 0;
  virtual const SpecialTokens& special_tokens() const = 0;
  /// True for tokens that end an answer (EOS, end of turn, end of message).
  virtual bool is_end_of_generation(TokenId token) const = 0;
  virtual bool is_control(TokenId token) const = 0;
  /// SentencePiece puts a space before the text; when decoding starts at the text's beginning it is
  /// taken away again.
  virtual bool strips_leading_space() const = 0;

  /// Whole text of a sequence that starts a text.
  std::string decode(std::span<const TokenId> tokens, bool show_special = false) const;
};

/// Builds the tokenizer that a model file's metadata describes (keys `tokenizer.ggml.*`). Copies
/// what it needs. Error(kUnsupported) names a kind or pre-tokenizer that is not known;
/// Error(kCorrupt) names the key that is missing or wrong.
std::unique_ptr<Tokenizer> make_tokenizer(const Metadata& metadata);

}  // namespace omg
