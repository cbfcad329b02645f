// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/rwkv.h"

#include <deque>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/tokenizer_base.h"

namespace omg {
namespace {

uint8_t hex_value(char c) {
  return static_cast<uint8_t>(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/// The bytes that a token's text writes: "\x" and two lower-case digits, \t \n \r, and a backslash
/// before any other character for that character.
std::string unescape(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      if (text[i] != '\\') bytes += text[i];
      continue;
    }
    const char c = text[++i];
    if (c == 'x') {
      if (i + 2 < text.size())
        bytes += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
      i += 2;
    } else {
      bytes += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    }
  }
  return bytes;
}

ByteTrie make_trie(const Vocabulary& vocabulary) {
  std::deque<std::string> texts;  // a deque: the views stay
  std::vector<ByteTrie::Entry> entries;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    entries.push_back({texts.emplace_back(unescape(vocabulary.text(id))), id});
  }
  return ByteTrie(entries);
}

class RwkvTokenizer final : public TokenizerBase {
 public:
  explicit RwkvTokenizer(const Metadata& metadata)
      : TokenizerBase(metadata, {.never_adds = true}), trie_(make_trie(vocabulary_)) {}

  bool strips_leading_space() const override { return false; }

 private:
  void encode_plain(std::string_view text, bool /*after_special*/,
                    std::vector<TokenId>& output) const override {
    while (!text.empty()) {
      const ByteTrie::Match match = trie_.longest(text);
      if (match.length > 0) {
        output.push_back(match.value);
      } else if (vocabulary_.special().unknown) {
        output.push_back(*vocabulary_.special().unknown);
      }
      text.remove_prefix(match.length > 0 ? match.length : 1);
    }
  }
  std::string plain_bytes(std::string_view text) const override { return unescape(text); }

  const ByteTrie trie_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_rwkv_tokenizer(const Metadata& metadata) {
  return std::make_unique<RwkvTokenizer>(metadata);
}

}  // namespace omg
