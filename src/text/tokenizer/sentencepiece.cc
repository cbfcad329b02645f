// SPDX-License-Identifier: Apache-2.0
//
// The merging runs over a whole text, but in most vocabularies no token has U+2581 anywhere except
// at its front. Then no merge crosses from a character to a following U+2581, the text falls into
// independent words, and short ones need no heap.
#include "text/tokenizer/sentencepiece.h"

#include <algorithm>
#include <bit>

#include "base/utf8.h"
#include "text/tokenizer/merge.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/word_cache.h"

namespace omg {
namespace {

/// Order of floats turned round: a higher score gives a smaller key, below Merge::kNone.
uint32_t key_of_score(float score) {
  const auto bits = std::bit_cast<uint32_t>(score == 0 ? 0.0f : score);  // -0 equals 0
  const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

class SentencePieceTokenizer final : public TokenizerBase {
 public:
  explicit SentencePieceTokenizer(const Metadata& metadata)
      : TokenizerBase(metadata, {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true}),
        add_space_prefix_(metadata.find_bool("tokenizer.ggml.add_space_prefix").value_or(true)),
        whole_(vocabulary_.size()) {
    for (size_t i = 0; i < vocabulary_.size(); ++i) {
      if (has_inner_space(vocabulary_.text(static_cast<TokenId>(i)))) words_independent_ = false;
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      TokenId token = vocabulary_.find(byte_text(static_cast<uint8_t>(byte)));
      if (token < 0) token = vocabulary_.find(std::string(1, static_cast<char>(byte)));
      byte_tokens_[byte] = token;
    }
  }

  bool strips_leading_space() const override { return add_space_prefix_; }

 private:
  struct Scratch {
    std::vector<Symbol> symbols;
    MergeScratch merge;
    std::string escaped;
  };

  static bool has_inner_space(std::string_view text);
  void encode_plain(std::string_view text, bool after_special,
                    std::vector<TokenId>& output) const override;
  std::string plain_bytes(std::string_view text) const override { return unescape_spaces(text); }
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const;
  void merge_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const;
  void append_character(std::string_view text, std::vector<TokenId>& output) const;
  Merge find_merge(std::string_view joined) const;

  const bool add_space_prefix_;
  bool words_independent_ = true;
  std::array<TokenId, 256> byte_tokens_{};  // -1 where a byte has no token
  const WholeWords whole_;
};

/// Size of the character that a first byte announces. As in llama.cpp it is believed, so in text
/// that is not UTF-8 a character may swallow what follows it, spaces too.
size_t announced_size(char first) {
  const auto byte = static_cast<uint8_t>(first);
  if (byte < 0xC0) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

/// Size of a space or U+2581 at text[i]; 0 for anything else.
size_t space_size(std::string_view text, size_t i) {
  if (text[i] == ' ') return 1;
  return text[i] == kSpaceMark[0] && text.substr(i, kSpaceMark.size()) == kSpaceMark
             ? kSpaceMark.size()
             : 0;
}

/// End of the word that begins at `start`: spaces, then anything up to the next space.
size_t word_end(std::string_view text, size_t start) {
  size_t i = start;
  while (i < text.size()) {
    const size_t size = space_size(text, i);
    if (size == 0) break;
    i += size;
  }
  while (i < text.size() && space_size(text, i) == 0) ++i;
  return i;
}

/// True if U+2581 follows any other byte.
bool SentencePieceTokenizer::has_inner_space(std::string_view text) {
  while (text.starts_with(kSpaceMark)) text.remove_prefix(kSpaceMark.size());
  return text.find(kSpaceMark) != std::string_view::npos;
}

void SentencePieceTokenizer::encode_plain(std::string_view text, bool after_special,
                                          std::vector<TokenId>& output) const {
  Scratch scratch;
  const auto encode_part = [&](std::string_view part, bool prefixed) {
    scratch.escaped.clear();
    if (prefixed) scratch.escaped = kSpaceMark;
    append_escaped(scratch.escaped, part);
    encode_word(scratch.escaped, scratch, output);
  };
  const bool prefixed = add_space_prefix_ && after_special;
  if (!words_independent_ || !is_valid_utf8(text)) {
    if (prefixed || !text.empty()) encode_part(text, prefixed);
    return;
  }
  size_t start = 0;
  if (prefixed) {  // the prefix joins the first word
    start = word_end(text, 0);
    encode_part(text.substr(0, start), true);
  }
  WordCache cache(text.size());
  while (start < text.size()) {
    const size_t end = word_end(text, start);
    cache.append(text, start, end - start, output,
                 [&] { encode_part(text.substr(start, end - start), false); });
    start = end;
  }
}

void SentencePieceTokenizer::encode_word(std::string_view word, Scratch& scratch,
                                         std::vector<TokenId>& output) const {
  const TokenId token = word.size() <= vocabulary_.longest() ? vocabulary_.find(word) : -1;
  if (token < 0) return merge_word(word, scratch, output);
  if (whole_.state(token) == WholeWords::kWhole) {
    output.push_back(token);
    return;
  }
  const size_t before = output.size();
  merge_word(word, scratch, output);
  if (whole_.state(token) == WholeWords::kUnknown) {
    const bool whole = output.size() == before + 1 && output[before] == token;
    whole_.set(token, whole ? WholeWords::kWhole : WholeWords::kMerges);
  }
}

Merge SentencePieceTokenizer::find_merge(std::string_view joined) const {
  if (joined.size() > vocabulary_.longest()) return {};
  const TokenId token = vocabulary_.find(joined);
  if (token < 0) return {};
  const auto& scores = vocabulary_.scores();
  const float score = scores.empty() ? 0.0f : scores[static_cast<size_t>(token)];
  return {key_of_score(score), token};
}

void SentencePieceTokenizer::merge_word(std::string_view word, Scratch& scratch,
                                        std::vector<TokenId>& output) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  for (size_t i = 0; i < word.size();) {
    const auto length = static_cast<uint32_t>(std::min(announced_size(word[i]), word.size() - i));
    symbols.push_back({-1, static_cast<uint32_t>(i), length});
    i += length;
  }
  merge_symbols(symbols, scratch.merge, [&](const Symbol& left, const Symbol& right) {
    return find_merge(word.substr(left.start, left.length + right.length));
  });
  for (const Symbol& symbol : symbols) {
    const std::string_view text = word.substr(symbol.start, symbol.length);
    // Merged symbols know their token; a single character has to be looked up.
    const TokenId token = symbol.id >= 0 ? symbol.id : vocabulary_.find(text);
    if (token >= 0) {
      output.push_back(token);
      continue;
    }
    append_character(text, output);
  }
}

/// A character without a token: its bytes, or where those have none either the unknown token.
void SentencePieceTokenizer::append_character(std::string_view text,
                                              std::vector<TokenId>& output) const {
  const auto byte_token = [&](char c) { return byte_tokens_[static_cast<uint8_t>(c)]; };
  if (std::all_of(text.begin(), text.end(), [&](char c) { return byte_token(c) >= 0; })) {
    for (const char c : text) output.push_back(byte_token(c));
  } else if (vocabulary_.special().unknown) {
    output.push_back(*vocabulary_.special().unknown);
  }
}

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const Metadata& metadata) {
  return std::make_unique<SentencePieceTokenizer>(metadata);
}

}  // namespace omg
