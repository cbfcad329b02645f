// SPDX-License-Identifier: Apache-2.0
//
// The models of tokenizer.json besides BPE, most of them the engines that model files use too.
#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/huggingface/model.h"

namespace omg::huggingface {
namespace {

class WordLevel final : public Model {
 public:
  WordLevel(const TokenTable& tokens, TokenId unknown) : tokens_(tokens), unknown_(unknown) {}

  void encode(std::string_view word, Scratch&, std::vector<TokenId>& output) const override {
    TokenId id = tokens_.find_in_model(word);
    if (id < 0) id = unknown_;
    if (id >= 0) output.push_back(id);
  }

 private:
  const TokenTable& tokens_;
  const TokenId unknown_;
};

/// Calls `use(text, id)` for every token of the model.
template <typename Use>
void for_each_token(const TokenTable& tokens, const Use& use) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (const std::string_view text = tokens.text(id); !text.empty()) use(text, id);
  }
}

class WordPiece final : public Model {
 public:
  WordPiece(const TokenTable& tokens, WordPieceOptions options)
      : model_(pieces_of(tokens), std::move(options)) {}

  void encode(std::string_view word, Scratch& scratch,
              std::vector<TokenId>& output) const override {
    model_.encode(word, scratch.text, output);
  }

 private:
  static std::vector<WordPieceModel::Piece> pieces_of(const TokenTable& tokens) {
    std::vector<WordPieceModel::Piece> pieces;
    for_each_token(tokens,
                   [&](std::string_view text, TokenId id) { pieces.push_back({text, id}); });
    return pieces;
  }

  const WordPieceModel model_;
};

class Unigram final : public Model {
 public:
  Unigram(const TokenTable& tokens, const std::vector<double>& scores, UnigramOptions options)
      : model_(pieces_of(tokens, scores), std::move(options)) {}

  void encode(std::string_view word, Scratch&, std::vector<TokenId>& output) const override {
    model_.encode(word, output);
  }

 private:
  static std::vector<UnigramPiece> pieces_of(const TokenTable& tokens,
                                             const std::vector<double>& scores) {
    std::vector<UnigramPiece> pieces;
    for_each_token(tokens, [&](std::string_view text, TokenId id) {
      pieces.push_back({text, id, scores[static_cast<size_t>(id)]});
    });
    return pieces;
  }

  const UnigramModel model_;
};

class InByteAlphabet final : public Model {
 public:
  explicit InByteAlphabet(std::unique_ptr<Model> model) : model_(std::move(model)) {}

  void encode(std::string_view word, Scratch& scratch,
              std::vector<TokenId>& output) const override {
    std::string text;
    for (const char c : word) append_utf8(text, byte_alphabet().character[static_cast<uint8_t>(c)]);
    model_->encode(text, scratch, output);
  }

 private:
  const std::unique_ptr<Model> model_;
};

}  // namespace

std::unique_ptr<Model> make_word_level(const TokenTable& tokens, TokenId unknown) {
  return std::make_unique<WordLevel>(tokens, unknown);
}

std::unique_ptr<Model> make_word_piece(const TokenTable& tokens, WordPieceOptions options) {
  return std::make_unique<WordPiece>(tokens, std::move(options));
}

std::unique_ptr<Model> make_unigram(const TokenTable& tokens, const std::vector<double>& scores,
                                    UnigramOptions options) {
  return std::make_unique<Unigram>(tokens, scores, std::move(options));
}

std::unique_ptr<Model> write_in_byte_alphabet(std::unique_ptr<Model> model) {
  return std::make_unique<InByteAlphabet>(std::move(model));
}

}  // namespace omg::huggingface
