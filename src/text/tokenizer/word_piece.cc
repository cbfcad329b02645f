// SPDX-License-Identifier: Apache-2.0
//
// The normalisation is llama.cpp's form of BERT's: accents go by way of the first code point of a
// character's decomposition (so a Hangul syllable keeps only its first consonant), and bytes that
// are not UTF-8 vanish.
#include "text/tokenizer/word_piece.h"

#include "base/utf8.h"
#include "text/tokenizer/character_class.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/word_piece_model.h"

namespace omg {
namespace {

/// Each is a word of its own. The ranges are those of Hugging Face's normalizer, slip included: the
/// block of extension E begins at U+2B820.
bool is_chinese(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::vector<WordPieceModel::Piece> pieces_of(const Vocabulary& vocabulary) {
  std::vector<WordPieceModel::Piece> pieces;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    pieces.push_back({vocabulary.text(id), id});
  }
  return pieces;
}

class WordPieceTokenizer final : public TokenizerBase {
 public:
  explicit WordPieceTokenizer(const Metadata& metadata)
      : TokenizerBase(metadata, {.bos = 101,
                                 .unknown = 100,
                                 .separator = 102,
                                 .padding = 0,
                                 .force_bos = true,
                                 .add_separator = true}),
        model_(pieces_of(vocabulary_), {.unknown = vocabulary_.special().unknown.value_or(-1),
                                        .word_prefix = std::string(kSpaceMark),
                                        .continuation_prefix = "",
                                        .max_characters = 0}),
        lower_case_(metadata.find_bool("tokenizer.ggml.normalizer.lowercase").value_or(true)),
        strip_accents_(
            metadata.find_bool("tokenizer.ggml.normalizer.strip_accents").value_or(lower_case_)) {}

  bool strips_leading_space() const override { return true; }

 private:
  void encode_plain(std::string_view text, bool /*after_special*/,
                    std::vector<TokenId>& output) const override;
  std::string plain_bytes(std::string_view text) const override { return unescape_spaces(text); }

  const WordPieceModel model_;
  const bool lower_case_;
  const bool strip_accents_;
};

void WordPieceTokenizer::encode_plain(std::string_view text, bool /*after_special*/,
                                      std::vector<TokenId>& output) const {
  const CharacterTable& characters = character_table();
  std::string word, scratch;
  const auto finish_word = [&] {
    model_.encode(word, scratch, output);
    word.clear();
  };
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    i += point.size;
    const uint32_t c = strip_accents_ ? decomposition_start(point.value) : point.value;
    const uint8_t flags = characters.flags(c);
    if (flags & kWhitespace) {
      finish_word();
      continue;
    }
    if (c == 0 || c == 0xFFFD || (flags & kOther) || (strip_accents_ && (flags & kMark))) continue;
    const bool alone = (flags & kPunctuation) || (c < 0x7F && (flags & kSymbol)) || is_chinese(c);
    if (alone) finish_word();
    append_utf8(word, lower_case_ ? lower_case(c) : c);
    if (alone) finish_word();
  }
  finish_word();
}

}  // namespace

std::unique_ptr<Tokenizer> make_word_piece_tokenizer(const Metadata& metadata) {
  return std::make_unique<WordPieceTokenizer>(metadata);
}

}  // namespace omg
