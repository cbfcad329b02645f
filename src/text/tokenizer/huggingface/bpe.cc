// SPDX-License-Identifier: Apache-2.0
//
// Byte-pair encoding as tokenizer.json describes it. Symbols are token ids. Two shortcuts keep long
// texts fast: a word that is known to merge into one token is looked up, and where no token has a
// U+2581 after another character a text is cut there, as no merge can cross.
#include <array>
#include <span>
#include <utility>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/huggingface/model.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/vocabulary.h"
#include "text/tokenizer/word_cache.h"

namespace omg::huggingface {
namespace {

class Bpe final : public Model {
 public:
  Bpe(const TokenTable& tokens, const std::vector<MergeRule>& rules, BpeOptions options)
      : tokens_(tokens),
        options_(std::move(options)),
        direct_bytes_(options_.byte_level && options_.prefix.empty() && options_.suffix.empty()),
        merges_(rules.size()),
        whole_(tokens.size()) {
    read_rules(rules);
    index_bytes();
    if (direct_bytes_) index_words();
    words_independent_ = find_independence(rules);
  }

  void encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const override;

 private:
  void read_rules(const std::vector<MergeRule>& rules);
  void index_bytes();
  void index_words();
  bool find_independence(const std::vector<MergeRule>& rules) const;

  TokenId find_word(std::string_view word) const {
    return direct_bytes_ ? words_.find(word) : tokens_.find_in_model(word);
  }
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const;
  void merge_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const;
  bool add_byte_symbols(std::string_view word, std::vector<Symbol>& symbols) const;
  void add_characters(std::string_view word, std::vector<Symbol>& symbols) const;
  bool add_fallback(std::string_view text, uint32_t start, std::vector<Symbol>& symbols) const;

  const TokenTable& tokens_;
  const BpeOptions options_;
  const bool direct_bytes_;
  MergeMap merges_;
  std::string word_bytes_;                  // what words_ has views of
  StringMap words_;                         // bytes of a word to the token that is all of it
  std::array<TokenId, 256> symbols_{};      // of the byte alphabet
  std::array<TokenId, 256> byte_tokens_{};  // "<0x00>" and so on
  bool words_independent_ = false;
  const WholeWords whole_;
};

/// Backwards, as the first rule that a MergeMap gets for a pair stays.
void Bpe::read_rules(const std::vector<MergeRule>& rules) {
  constexpr size_t kAhead = 16;
  for (size_t i = rules.size(); i-- > 0;) {
    if (i >= kAhead) merges_.prefetch(rules[i - kAhead].left, rules[i - kAhead].right);
    merges_.add(rules[i].left, rules[i].right, {static_cast<uint32_t>(i), rules[i].result});
  }
}

void Bpe::index_bytes() {
  for (size_t byte = 0; byte < 256; ++byte) {
    std::string text;
    append_utf8(text, byte_alphabet().character[byte]);
    symbols_[byte] = tokens_.find_in_model(text);
    byte_tokens_[byte] = tokens_.find_in_model(byte_text(static_cast<uint8_t>(byte)));
  }
}

void Bpe::index_words() {
  size_t total = 0;
  for (size_t i = 0; i < tokens_.size(); ++i) total += tokens_.text(static_cast<TokenId>(i)).size();
  word_bytes_.reserve(total);  // bytes are never more than their characters: no view moves
  std::vector<StringMap::Entry> entries;
  entries.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = tokens_.text(id);
    const size_t start = word_bytes_.size();
    size_t position = 0;
    while (position < text.size()) {
      // The alphabet's characters have one byte or two; texts are UTF-8.
      uint32_t point = static_cast<uint8_t>(text[position++]);
      if (point >= 0xC0 && point < 0xE0 && position < text.size())
        point = (point & 0x1F) << 6 | (text[position++] & 0x3F);
      const int byte = byte_alphabet().byte_of(point);
      if (byte < 0) {
        position = 0;
        break;
      }
      word_bytes_ += static_cast<char>(byte);
    }
    if (position == text.size() && start < word_bytes_.size()) {
      entries.push_back({std::string_view(word_bytes_).substr(start), id});
    } else {
      word_bytes_.resize(start);  // no word is written like this
    }
  }
  words_.set_all(entries);
}

/// True if text may be cut before a U+2581 that follows another character: no merge makes such a
/// pair, the mark is a token, so that no run of unknown characters goes on past it, and nothing
/// depends on where a word begins or ends.
bool Bpe::find_independence(const std::vector<MergeRule>& rules) const {
  if (options_.byte_level || options_.ignore_merges || !options_.prefix.empty() ||
      !options_.suffix.empty() || tokens_.find_in_model(kSpaceMark) < 0) {
    return false;
  }
  for (const MergeRule& rule : rules) {
    const std::string_view left = tokens_.text(rule.left);
    if (tokens_.text(rule.right).starts_with(kSpaceMark) && !left.ends_with(kSpaceMark))
      return false;
  }
  return true;
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const {
  if (!words_independent_) return encode_word(word, scratch, output);
  WordCache cache(word.size());
  for (size_t start = 0; start < word.size();) {
    size_t inside = start;
    while (word.substr(inside, kSpaceMark.size()) == kSpaceMark) inside += kSpaceMark.size();
    const size_t end = std::min(word.find(kSpaceMark, inside), word.size());
    cache.append(word, start, end - start, output,
                 [&] { encode_word(word.substr(start, end - start), scratch, output); });
    start = end;
  }
}

void Bpe::encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const {
  const TokenId token = find_word(word);
  if (token < 0) return merge_word(word, scratch, output);
  if (options_.ignore_merges || whole_.state(token) == WholeWords::kWhole) {
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

bool Bpe::add_byte_symbols(std::string_view word, std::vector<Symbol>& symbols) const {
  for (size_t i = 0; i < word.size(); ++i) {
    const TokenId symbol = symbols_[static_cast<uint8_t>(word[i])];
    if (symbol < 0) return false;
    symbols.push_back({symbol, static_cast<uint32_t>(i), 1});
  }
  return true;
}

/// The bytes of a character that is no token; false if one of them is no token either.
bool Bpe::add_fallback(std::string_view text, uint32_t start, std::vector<Symbol>& symbols) const {
  for (const char c : text) {
    if (byte_tokens_[static_cast<uint8_t>(c)] < 0) return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    symbols.push_back(
        {byte_tokens_[static_cast<uint8_t>(text[i])], start + static_cast<uint32_t>(i), 1});
  }
  return true;
}

void Bpe::add_characters(std::string_view word, std::vector<Symbol>& symbols) const {
  std::string decorated;
  bool after_unknown = false;
  for (size_t i = 0; i < word.size();) {
    const uint32_t length = decode_utf8(word, i).size;
    const auto start = static_cast<uint32_t>(i);
    std::string_view text = word.substr(i, length);
    const bool has_prefix = i > 0 && !options_.prefix.empty();
    const bool has_suffix = i + length == word.size() && !options_.suffix.empty();
    if (has_prefix || has_suffix) {
      decorated = has_prefix ? options_.prefix : "";
      decorated.append(text).append(has_suffix ? options_.suffix : "");
      text = decorated;
    }
    i += length;
    if (const TokenId id = tokens_.find_in_model(text); id >= 0) {
      symbols.push_back({id, start, length});
      after_unknown = false;
    } else if (options_.byte_fallback && add_fallback(text, start, symbols)) {
      after_unknown = false;
    } else if (options_.unknown >= 0) {
      if (after_unknown && options_.fuse_unknown) {
        symbols.back().length += length;
      } else {
        symbols.push_back({options_.unknown, start, length});
      }
      after_unknown = true;
    }
  }
}

void Bpe::merge_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  if (!direct_bytes_ || !add_byte_symbols(word, symbols)) {
    symbols.clear();
    if (options_.byte_level) {
      scratch.text.clear();
      for (const char c : word)
        append_utf8(scratch.text, byte_alphabet().character[static_cast<uint8_t>(c)]);
      word = scratch.text;
    }
    add_characters(word, symbols);
  }
  merge_symbols(symbols, scratch.merge, [this](const Symbol& left, const Symbol& right) {
    return merges_.find(left.id, right.id);
  });
  for (const Symbol& symbol : symbols) output.push_back(symbol.id);
}

}  // namespace

std::unique_ptr<Model> make_bpe(const TokenTable& tokens, const std::vector<MergeRule>& rules,
                                BpeOptions options) {
  return std::make_unique<Bpe>(tokens, rules, std::move(options));
}

}  // namespace omg::huggingface
