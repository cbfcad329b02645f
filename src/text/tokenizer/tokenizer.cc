// SPDX-License-Identifier: Apache-2.0
//
// The parts of tokenizing that do not depend on the kind, and the choice of the kind.
#include "text/tokenizer/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/plamo2.h"
#include "text/tokenizer/rwkv.h"
#include "text/tokenizer/sentencepiece.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/unigram.h"
#include "text/tokenizer/word_piece.h"

namespace omg {

TokenizerBase::TokenizerBase(const Metadata& metadata, const VocabularyDefaults& defaults)
    : vocabulary_(metadata, defaults), specials_(vocabulary_) {}

std::vector<TokenId> TokenizerBase::encode(std::string_view text,
                                           const EncodeOptions& options) const {
  std::vector<TokenId> output;
  output.reserve(text.size() / 4 + 4);
  const SpecialTokens& special = vocabulary_.special();
  if (options.add_special && special.add_bos) output.push_back(*special.bos);
  bool after_special = true;
  for (const Fragment& fragment : specials_.partition(text, options.parse_special)) {
    if (fragment.token >= 0) {
      output.push_back(fragment.token);
      after_special = true;
      continue;
    }
    std::string_view rest = text.substr(fragment.start, fragment.length);
    while (!rest.empty()) {
      const std::string_view block = rest.substr(0, kMaxBlock);
      encode_plain(block, after_special, output);
      after_special = false;
      rest.remove_prefix(block.size());
    }
  }
  if (options.add_special && special.add_eos) output.push_back(*special.eos);
  if (options.add_special && special.add_separator) output.push_back(*special.separator);
  return output;
}

void TokenizerBase::check(TokenId token) const {
  if (contains(token)) return;
  throw Error(ErrorCode::kInvalidArgument, "token " + std::to_string(token) +
                                               " does not exist: the vocabulary has " +
                                               std::to_string(vocabulary_.size()) + " tokens");
}

std::string TokenizerBase::token_bytes(TokenId token, bool show_special) const {
  check(token);
  const std::string_view text = vocabulary_.text(token);
  if (vocabulary_.is_hidden(token)) return show_special ? std::string(text) : std::string();
  if (vocabulary_.type(token) == TokenType::kUserDefined) return std::string(text);
  if (const int byte = vocabulary_.byte_of(token); byte >= 0)
    return std::string(1, static_cast<char>(byte));
  return plain_bytes(text);
}

std::string_view TokenizerBase::token_text(TokenId token) const {
  check(token);
  return vocabulary_.text(token);
}

std::optional<TokenId> TokenizerBase::find_token(std::string_view text) const {
  const TokenId token = vocabulary_.find(text);
  return token < 0 ? std::nullopt : std::optional<TokenId>(token);
}

bool TokenizerBase::is_end_of_generation(TokenId token) const {
  return contains(token) && vocabulary_.ends_generation(token);
}

bool TokenizerBase::is_control(TokenId token) const {
  return contains(token) && vocabulary_.type(token) == TokenType::kControl;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, bool show_special) const {
  std::string text;
  bool at_start = strips_leading_space();
  for (const TokenId token : tokens) {
    std::string bytes = token_bytes(token, show_special);
    // Control tokens do not begin a text: the space comes after BOS.
    if (at_start && !is_control(token)) {
      if (bytes.starts_with(' ')) bytes.erase(0, 1);
      at_start = false;
    }
    text += bytes;
  }
  return text;
}

std::unique_ptr<Tokenizer> make_tokenizer(const Metadata& metadata) {
  const std::string_view model = metadata.get_string("tokenizer.ggml.model");
  if (model == "llama") return make_sentencepiece_tokenizer(metadata);
  if (model == "gpt2" || model == "whitespace" || model == "hybriddna") {
    // Files from before this key existed; llama.cpp reads them the same way.
    const auto pre = metadata.find_string("tokenizer.ggml.pre").value_or("");
    const ByteLevelKind kind = model == "gpt2"         ? ByteLevelKind::kPlain
                               : model == "whitespace" ? ByteLevelKind::kWithoutSpaces
                                                       : ByteLevelKind::kDna;
    return make_byte_level_tokenizer(metadata, pre.empty() ? "default" : pre, kind);
  }
  if (model == "bert") return make_word_piece_tokenizer(metadata);
  if (model == "t5") return make_unigram_tokenizer(metadata);
  if (model == "rwkv") return make_rwkv_tokenizer(metadata);
  if (model == "plamo2") return make_plamo2_tokenizer(metadata);
  if (model == "gemma4") return make_byte_level_tokenizer(metadata, "gemma4");
  throw Error(ErrorCode::kUnsupported,
              "cannot tokenize: tokenizer '" + std::string(model) +
                  "' (key tokenizer.ggml.model) is not supported; bert, gemma4, gpt2, "
                  "hybriddna, llama, plamo2, rwkv, t5 and whitespace are");
}

}  // namespace omg
