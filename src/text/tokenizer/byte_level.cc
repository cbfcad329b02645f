// SPDX-License-Identifier: Apache-2.0
//
// Merges work on symbols, which are numbered like the tokens of the same text; a part of a merge
// that is no token gets a number past the vocabulary. A symbol that stays and is no token is
// written byte by byte.
#include "text/tokenizer/byte_level.h"

#include <algorithm>
#include <array>
#include <deque>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/character_class.h"
#include "text/tokenizer/merge.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/splitter.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/word_cache.h"

namespace omg {
namespace {

constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";
constexpr size_t kMaxMerges = 1u << 24;

/// Marks the tokens that stand for groups of DNA letters, which other tokens may look like.
constexpr std::string_view kDnaMark = "\xEE\x80\x80";
constexpr size_t kDnaGroup = 6;

const std::vector<std::string_view>& merge_lines(const Metadata& metadata, bool optional) {
  static const std::vector<std::string_view> none;
  if (optional && !metadata.contains(kMergesKey)) return none;
  const auto& lines = metadata.get_strings(kMergesKey);
  if (lines.size() <= kMaxMerges) return lines;
  throw Error(ErrorCode::kLimitExceeded,
              "cannot read the vocabulary: key '" + std::string(kMergesKey) + "' has " +
                  std::to_string(lines.size()) + " entries, the limit is " +
                  std::to_string(kMaxMerges));
}

/// A merge line is "left right"; the left part may itself begin with a space.
std::pair<std::string_view, std::string_view> parse_merge(std::string_view line, size_t number) {
  const size_t space = line.find(' ', 1);
  if (space != std::string_view::npos && space + 1 < line.size())
    return {line.substr(0, space), line.substr(space + 1)};
  throw Error(ErrorCode::kCorrupt, "cannot read the vocabulary: key '" + std::string(kMergesKey) +
                                       "' has at " + std::to_string(number) +
                                       " no two parts with a space between them; the model file "
                                       "is damaged or was made wrongly");
}

class ByteLevelTokenizer final : public TokenizerBase {
 public:
  ByteLevelTokenizer(const Metadata& metadata, const PreTokenizer& pre, ByteLevelKind kind)
      : TokenizerBase(metadata, {.add_bos = pre.add_bos, .force_bos = pre.force_bos}),
        pre_(pre),
        kind_(kind),
        lower_case_(metadata.find_bool("tokenizer.ggml.normalizer.lowercase").value_or(false)),
        splitter_(pre.steps),
        merges_(merge_lines(metadata, pre.merges_optional).size()),
        whole_(vocabulary_.size()) {
    read_merges(merge_lines(metadata, pre.merges_optional));
    index_words();
    index_bytes();
  }

  bool strips_leading_space() const override { return false; }

 private:
  struct Scratch {
    std::vector<size_t> ends;
    std::vector<Symbol> symbols;
    MergeScratch merge;
  };

  void read_merges(const std::vector<std::string_view>& lines);
  void index_words();
  void index_bytes();
  int32_t intern(std::string_view text);
  int32_t find_symbol(std::string_view text) const;

  void encode_plain(std::string_view text, bool after_special,
                    std::vector<TokenId>& output) const override;
  std::string plain_bytes(std::string_view text) const override;
  void encode_words(std::string_view text, std::vector<TokenId>& output) const;
  void encode_without_spaces(std::string_view text, std::vector<TokenId>& output) const;
  void encode_dna(std::string_view text, std::vector<TokenId>& output) const;
  void append_dna(std::string_view letters, TokenId unknown, std::vector<TokenId>& output) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const;
  void merge_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& output) const;
  void append_bytes(std::string_view bytes, std::vector<TokenId>& output) const;

  const PreTokenizer pre_;
  const ByteLevelKind kind_;
  const bool lower_case_;
  const Splitter splitter_;
  std::deque<std::string> extra_texts_;  // of symbols that are no tokens; a deque never moves them
  StringMap extra_symbols_;
  MergeMap merges_;
  std::string word_bytes_;  // what words_ has views of
  StringMap words_;         // bytes of a word to the token that is all of it
  std::array<int32_t, 256> byte_symbols_{};
  std::array<TokenId, 256> byte_tokens_{};  // -1 where a byte has no token
  const WholeWords whole_;
};

int32_t ByteLevelTokenizer::find_symbol(std::string_view text) const {
  const TokenId token = vocabulary_.find(text);
  return token >= 0 ? token : extra_symbols_.find(text);
}

int32_t ByteLevelTokenizer::intern(std::string_view text) {
  if (const int32_t known = find_symbol(text); known >= 0) return known;
  const auto symbol = static_cast<int32_t>(vocabulary_.size() + extra_texts_.size());
  extra_symbols_.set(extra_texts_.emplace_back(text), symbol);
  return symbol;
}

/// In batches, so that the cache misses of their look-ups overlap: that takes loading Llama 3's
/// 128k tokens and 280k merges from 113 ms to 80 ms.
void ByteLevelTokenizer::read_merges(const std::vector<std::string_view>& lines) {
  constexpr size_t kBatch = 32;
  struct Part {
    std::string_view text;
    uint64_t hash;
    int32_t symbol;
  };
  std::array<std::array<Part, 3>, kBatch> batch;  // left, right, and what they become
  std::array<std::string, kBatch> joined;
  const StringMap& index = vocabulary_.index();
  for (size_t first = 0; first < lines.size(); first += kBatch) {
    const std::span merges(batch.data(), std::min(kBatch, lines.size() - first));
    for (size_t i = 0; i < merges.size(); ++i) {
      const auto [left, right] = parse_merge(lines[first + i], first + i);
      joined[i].assign(left).append(right);
      merges[i] = {{{left, 0, -1}, {right, 0, -1}, {joined[i], 0, -1}}};
      for (Part& part : merges[i]) {
        part.hash = hash_bytes(part.text);
        index.prefetch_slot(part.hash);
      }
    }
    for (const auto& merge : merges) {
      for (const Part& part : merge) index.prefetch_key(part.hash);
    }
    for (auto& merge : merges) {
      for (Part& part : merge) {
        part.symbol = index.find(part.text, part.hash);
        if (part.symbol < 0) part.symbol = intern(part.text);
      }
      merges_.prefetch(merge[0].symbol, merge[1].symbol);
    }
    for (size_t i = 0; i < merges.size(); ++i) {
      const auto& [left, right, result] = merges[i];
      merges_.add(left.symbol, right.symbol, {static_cast<uint32_t>(first + i), result.symbol});
    }
  }
}

void ByteLevelTokenizer::index_words() {
  if (pre_.raw_text) return;
  size_t total = 0;
  for (size_t i = 0; i < vocabulary_.size(); ++i)
    total += vocabulary_.text(static_cast<TokenId>(i)).size();
  word_bytes_.reserve(total);  // bytes are never more than their characters': no view moves
  std::vector<StringMap::Entry> entries;
  entries.reserve(vocabulary_.size());
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = vocabulary_.text(id);
    const size_t start = word_bytes_.size();
    size_t position = 0;
    while (position < text.size()) {
      const DecodedCodePoint point = decode_utf8(text, position);
      const int byte = point.valid ? byte_alphabet().byte_of(point.value) : -1;
      if (byte < 0) break;
      word_bytes_ += static_cast<char>(byte);
      position += point.size;
    }
    if (position == text.size()) {
      entries.push_back({std::string_view(word_bytes_).substr(start), id});
    } else {
      word_bytes_.resize(start);  // no word is written like this
    }
  }
  words_.set_all(entries);
}

void ByteLevelTokenizer::index_bytes() {
  for (size_t byte = 0; byte < 256; ++byte) {
    std::string text;
    if (pre_.raw_text) {
      text = byte_text(static_cast<uint8_t>(byte));
    } else {
      append_utf8(text, byte_alphabet().character[byte]);
      byte_symbols_[byte] = find_symbol(text);
    }
    byte_tokens_[byte] = vocabulary_.find(text);
  }
}

void ByteLevelTokenizer::encode_plain(std::string_view text, bool /*after_special*/,
                                      std::vector<TokenId>& output) const {
  switch (kind_) {
    case ByteLevelKind::kPlain:
      return encode_words(text, output);
    case ByteLevelKind::kWithoutSpaces:
      return encode_without_spaces(text, output);
    case ByteLevelKind::kDna:
      return encode_dna(text, output);
  }
}

void ByteLevelTokenizer::encode_without_spaces(std::string_view text,
                                               std::vector<TokenId>& output) const {
  const CharacterTable& characters = character_table();
  std::string part;
  for (size_t i = 0; i <= text.size();) {
    const DecodedCodePoint point =
        i < text.size() ? decode_utf8(text, i) : DecodedCodePoint{' ', 1, true};
    i += point.size;
    if (characters.flags(point.value) & kWhitespace) {
      if (!part.empty()) encode_words(part, output);
      part.clear();
    } else {
      append_utf8(part, lower_case_ ? lower_case(point.value) : point.value);
    }
  }
}

void ByteLevelTokenizer::encode_dna(std::string_view text, std::vector<TokenId>& output) const {
  static constexpr std::string_view kOpen = "<dna>", kClose = "</dna>";
  const TokenId open = vocabulary_.find(kOpen), close = vocabulary_.find(kClose),
                unknown = vocabulary_.find("<oov>");
  if (open < 0 || close < 0 || unknown < 0) return encode_words(text, output);
  while (!text.empty()) {
    const size_t start = std::min(text.find(kOpen), text.size());
    if (start > 0) encode_words(text.substr(0, start), output);
    text.remove_prefix(start);
    if (text.empty()) return;
    output.push_back(open);
    text.remove_prefix(kOpen.size());
    const size_t end = std::min(text.find(kClose), text.size());
    append_dna(text.substr(0, end), unknown, output);
    text.remove_prefix(end);
    if (text.empty()) return;
    output.push_back(close);
    text.remove_prefix(kClose.size());
  }
}

/// The last group is filled up with 'A'.
void ByteLevelTokenizer::append_dna(std::string_view letters, TokenId unknown,
                                    std::vector<TokenId>& output) const {
  for (size_t i = 0; i < letters.size(); i += kDnaGroup) {
    std::string group(letters.substr(i, kDnaGroup));
    for (char& c : group) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 0x20);
    }
    group.resize(kDnaGroup, 'A');
    const TokenId token = vocabulary_.find(group.append(kDnaMark));
    output.push_back(token >= 0 ? token : unknown);
  }
}

void ByteLevelTokenizer::encode_words(std::string_view text, std::vector<TokenId>& output) const {
  std::string escaped;
  if (pre_.raw_text && !pre_.keep_spaces) {
    escaped = escape_spaces(text);
    text = escaped;
  }
  Scratch scratch;
  splitter_.split(text, scratch.ends);
  size_t start = 0;
  WordCache cache(text.size());
  for (const size_t end : scratch.ends) {
    cache.append(text, start, end - start, output,
                 [&] { encode_word(text.substr(start, end - start), scratch, output); });
    start = end;
  }
}

void ByteLevelTokenizer::encode_word(std::string_view word, Scratch& scratch,
                                     std::vector<TokenId>& output) const {
  const TokenId token = pre_.raw_text ? vocabulary_.find(word) : words_.find(word);
  if (token < 0) return merge_word(word, scratch, output);
  const bool newlines =
      pre_.whole_newlines && word.find_first_not_of('\n') == std::string_view::npos;
  if (pre_.ignore_merges || newlines || whole_.state(token) == WholeWords::kWhole) {
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

void ByteLevelTokenizer::merge_word(std::string_view word, Scratch& scratch,
                                    std::vector<TokenId>& output) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  for (size_t i = 0; i < word.size();) {
    uint32_t length = 1;
    int32_t symbol;
    if (pre_.raw_text) {
      length = decode_utf8(word, i).size;
      symbol = find_symbol(word.substr(i, length));
    } else {
      symbol = byte_symbols_[static_cast<uint8_t>(word[i])];
    }
    symbols.push_back({symbol, static_cast<uint32_t>(i), length});
    i += length;
  }
  merge_symbols(symbols, scratch.merge, [this](const Symbol& left, const Symbol& right) {
    return left.id < 0 || right.id < 0 ? Merge{} : merges_.find(left.id, right.id);
  });
  for (const Symbol& symbol : symbols) {
    if (contains(symbol.id)) {
      output.push_back(symbol.id);
    } else {
      append_bytes(word.substr(symbol.start, symbol.length), output);
    }
  }
}

/// Bytes that have no token become the unknown token, or nothing where there is none.
void ByteLevelTokenizer::append_bytes(std::string_view bytes, std::vector<TokenId>& output) const {
  for (const char c : bytes) {
    const TokenId token = byte_tokens_[static_cast<uint8_t>(c)];
    if (token >= 0) {
      output.push_back(token);
    } else if (vocabulary_.special().unknown) {
      output.push_back(*vocabulary_.special().unknown);
    }
  }
}

std::string ByteLevelTokenizer::plain_bytes(std::string_view text) const {
  if (pre_.raw_text) return pre_.keep_spaces ? std::string(text) : unescape_spaces(text);
  if (kind_ == ByteLevelKind::kDna && text.ends_with(kDnaMark)) text.remove_suffix(kDnaMark.size());
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    const int byte = point.valid ? byte_alphabet().byte_of(point.value) : -1;
    if (byte >= 0) {
      bytes += static_cast<char>(byte);
    } else {
      bytes += text.substr(i, point.size);  // not of the alphabet: stands for itself
    }
    i += point.size;
  }
  return bytes;
}

}  // namespace

std::unique_ptr<Tokenizer> make_byte_level_tokenizer(const Metadata& metadata,
                                                     std::string_view pre_tokenizer,
                                                     ByteLevelKind kind) {
  return std::make_unique<ByteLevelTokenizer>(metadata, find_pre_tokenizer(pre_tokenizer), kind);
}

}  // namespace omg
