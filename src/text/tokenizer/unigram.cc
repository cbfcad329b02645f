// SPDX-License-Identifier: Apache-2.0
//
// What is normal, user-defined or unused may be a piece; a user-defined one costs nothing, and its
// text is not normalised. These rules are llama.cpp's.
#include "text/tokenizer/unigram.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/unigram_model.h"

namespace omg {
namespace {

constexpr double kUnknownPenalty = 10;  // below the lowest score of a normal piece

Charsmap read_charsmap(const Metadata& metadata) {
  static constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  const MetadataArray* array = metadata.find_array(kKey);
  if (array == nullptr || array->count == 0) return {};
  if (array->element_type != MetadataType::kU8 && array->element_type != MetadataType::kI8) {
    throw Error(ErrorCode::kCorrupt, "cannot read the vocabulary: key '" + std::string(kKey) +
                                         "' does not hold bytes; the model file is damaged or was "
                                         "made wrongly");
  }
  const auto* data = reinterpret_cast<const char*>(array->bytes.data());
  return Charsmap({data, array->bytes.size()}, "key '" + std::string(kKey) + "'");
}

UnigramModel make_model(const Vocabulary& vocabulary) {
  std::vector<UnigramPiece> pieces;
  float lowest = std::numeric_limits<float>::max();
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const TokenType type = vocabulary.type(id);
    const float score = vocabulary.scores().empty() ? 0.0f : vocabulary.scores()[i];
    if (type == TokenType::kNormal) lowest = std::min(lowest, score);
    if (type == TokenType::kNormal || type == TokenType::kUnused)
      pieces.push_back({vocabulary.text(id), id, score});
    if (type == TokenType::kUserDefined) pieces.push_back({vocabulary.text(id), id, 0.0});
  }
  return UnigramModel(pieces, {.unknown = vocabulary.special().unknown.value_or(-1),
                               .unknown_score = static_cast<float>(lowest - kUnknownPenalty),
                               .byte_tokens = {}});
}

ByteTrie user_defined(const Vocabulary& vocabulary) {
  std::vector<ByteTrie::Entry> entries;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (vocabulary.type(id) == TokenType::kUserDefined)
      entries.push_back({vocabulary.text(id), id});
  }
  return ByteTrie(entries);
}

class UnigramTokenizer final : public TokenizerBase {
 public:
  explicit UnigramTokenizer(const Metadata& metadata)
      : TokenizerBase(metadata, {.eos = 1, .unknown = 2, .add_eos = true}),
        charsmap_(read_charsmap(metadata)),
        model_(make_model(vocabulary_)),
        user_defined_(user_defined(vocabulary_)),
        add_space_prefix_(metadata.find_bool("tokenizer.ggml.add_space_prefix").value_or(false)),
        merge_spaces_(
            metadata.find_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false)) {}

  bool strips_leading_space() const override { return add_space_prefix_; }

 private:
  void encode_plain(std::string_view text, bool /*after_special*/,
                    std::vector<TokenId>& output) const override {
    model_.encode(normalize(text), output);
  }
  std::string plain_bytes(std::string_view text) const override { return unescape_spaces(text); }

  std::string normalize(std::string_view text) const;
  size_t verbatim_length(std::string_view text) const;

  const Charsmap charsmap_;
  const UnigramModel model_;
  const ByteTrie user_defined_;
  const bool add_space_prefix_;
  const bool merge_spaces_;
};

/// Whole characters at the beginning of `text` that begin a user-defined token: as in llama.cpp
/// they stand for themselves even if the rest of the token does not follow.
size_t UnigramTokenizer::verbatim_length(std::string_view text) const {
  ByteTrie::Node node = ByteTrie::kRoot;
  size_t length = 0;
  while (length < text.size()) {
    node = user_defined_.step(node, static_cast<uint8_t>(text[length]));
    if (node == ByteTrie::kNone) break;
    ++length;
  }
  // A character that has only begun is taken back.
  while (length > 0 && length < text.size() && (text[length] & 0xC0) == 0x80) --length;
  return length;
}

std::string UnigramTokenizer::normalize(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  bool prefixed = false, in_word = false;
  const auto append = [&](std::string_view part) {
    for (const char c : part) {
      if (c != ' ') {
        const bool starts = !in_word && ((add_space_prefix_ && !prefixed) || merge_spaces_);
        in_word = true;
        if (starts) {
          out += kSpaceMark;
          prefixed = true;
        }
        out += c;
      } else {
        in_word = false;
        if (!merge_spaces_) out += kSpaceMark;
      }
    }
  };
  while (!text.empty()) {
    size_t length = verbatim_length(text);
    if (length > 0) {
      append(text.substr(0, length));
    } else if (const auto match = charsmap_.longest(text)) {
      length = match->length;
      append(match->replacement);
    } else {
      const DecodedCodePoint point = decode_utf8(text, 0);
      length = point.size;
      append(point.valid ? text.substr(0, length) : "\xEF\xBF\xBD");
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

std::unique_ptr<Tokenizer> make_unigram_tokenizer(const Metadata& metadata) {
  return std::make_unique<UnigramTokenizer>(metadata);
}

}  // namespace omg
