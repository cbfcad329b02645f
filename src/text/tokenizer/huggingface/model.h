// SPDX-License-Identifier: Apache-2.0
//
// The models of tokenizer.json: a word to tokens.
// Source: https://huggingface.co/docs/tokenizers/api/models
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/huggingface/json_node.h"
#include "text/tokenizer/huggingface/token_table.h"
#include "text/tokenizer/merge.h"
#include "text/tokenizer/unigram_model.h"
#include "text/tokenizer/word_piece_model.h"

namespace omg::huggingface {

/// Immutable after construction but for caches: many threads may encode at once.
class Model {
 public:
  /// Memory that encoding keeps between words; for one thread.
  struct Scratch {
    std::vector<Symbol> symbols;
    MergeScratch merge;
    std::string text;
  };

  virtual ~Model() = default;
  /// Appends the tokens of one word of at most 1 GiB; never fails, whatever the bytes.
  virtual void encode(std::string_view word, Scratch& scratch,
                      std::vector<TokenId>& output) const = 0;
};

struct BpeOptions {
  TokenId unknown = -1;  // -1: characters that are no token vanish
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a word that is a token is that token
  bool byte_level = false;     // words are bytes to be written in the byte alphabet
  std::string prefix;          // of symbols that do not begin a word
  std::string suffix;          // of the symbol that ends a word
};

/// A merge: two tokens become a third.
struct MergeRule {
  TokenId left, right, result;
};

/// `tokens` must outlive the model. Rules are in order of precedence; of two for the same pair the
/// last holds.
std::unique_ptr<Model> make_bpe(const TokenTable& tokens, const std::vector<MergeRule>& rules,
                                BpeOptions options);

/// A word is a token or unknown. `tokens` must outlive the model.
std::unique_ptr<Model> make_word_level(const TokenTable& tokens, TokenId unknown);

std::unique_ptr<Model> make_word_piece(const TokenTable& tokens, WordPieceOptions options);
/// `scores` by id.
std::unique_ptr<Model> make_unigram(const TokenTable& tokens, const std::vector<double>& scores,
                                    UnigramOptions options);

/// Writes words in the byte alphabet, for a model that takes characters.
std::unique_ptr<Model> write_in_byte_alphabet(std::unique_ptr<Model> model);

struct ModelParts {
  std::unique_ptr<TokenTable> tokens;
  std::unique_ptr<Model> model;  // refers to `tokens`
  TokenId unknown = -1;
};
/// What stands under `node` ("$.model"). `byte_level`: words come as bytes that the vocabulary has
/// in the byte alphabet. Error(kUnsupported) naming a type that is not known.
ModelParts read_model(const JsonNode& node, bool byte_level);

}  // namespace omg::huggingface
