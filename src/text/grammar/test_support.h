// SPDX-License-Identifier: Apache-2.0
//
// For tests: vocabularies, and whether a grammar accepts a text.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/matcher.h"

namespace omg::grammar::testing {

/// A token for each byte, and an end token, which is number 256.
inline std::shared_ptr<const GrammarVocabulary> byte_vocabulary() {
  std::vector<GrammarVocabulary::Token> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back({std::string(1, static_cast<char>(byte)), TokenUse::kText});
  }
  tokens.push_back({"</s>", TokenUse::kEnd});
  return std::make_shared<const GrammarVocabulary>(tokens);
}

inline constexpr uint32_t kByteVocabularyEnd = 256;

inline bool accepts(const std::shared_ptr<GrammarMatcher>& matcher, std::string_view text) {
  GrammarState state(matcher);
  return state.accept_text(text) && state.is_complete();
}

inline bool accepts(const Grammar& grammar, std::string_view text) {
  return accepts(std::make_shared<GrammarMatcher>(grammar, byte_vocabulary()), text);
}

inline bool has_bit(const std::vector<uint32_t>& bits, uint32_t token) {
  return (bits[token / 32] >> (token % 32) & 1) != 0;
}

inline std::vector<uint32_t> set_bits(const std::vector<uint32_t>& bits) {
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < bits.size() * 32; ++i) {
    if (has_bit(bits, i)) tokens.push_back(i);
  }
  return tokens;
}

/// Tokens of the kind that real vocabularies have beside single bytes: words with and without a
/// space, runs of white space, punctuation of JSON in clusters, halves of characters.
inline std::vector<GrammarVocabulary::Token> small_vocabulary() {
  std::vector<GrammarVocabulary::Token> tokens;
  for (const char byte : std::string_view(
           "\n\t !\"#'()*+,-./0123456789:<=>?@ABCDEFT[\\]^_abcdefghimnopqrstuxz{|}~\x7f\x01"
           "\x80\x97\x98\x9f\xa4\xa5\xa9\xc3\xe3\xe6\xed\xf0\xf4\xff")) {
    tokens.push_back({std::string(1, byte), TokenUse::kText});
  }
  for (const char* text :
       {"the",      " the", " a",  "na",  "me", "name", "\"name", "\":",      "\": ",    "\": \"",
        "\", \"",   "\",",  ", ",  "},",  "}}", "}]",   "]}",     "\"}",      "\"]",     "\"},",
        "{\"",      "[\"",  "[[",  "{}",  "[]", "\n",   "\n  ",   "\n    ",   "    ",    "  ",
        "\\n",      "\\\"", "\\u", "00",  "12", "123",  "0.",     ".5",       "-1",      "true",
        "false",    "null", "tr",  "ue",  "é",  "日",   "日本",   "\xe6\x97", "\xa5",    "\xf0\x9f",
        "\x98\x80", "😀",   "ab",  "abc", "bc", "aaaa", "zz\"",   "a\"b",     "\x80\x80"}) {
    tokens.push_back({text, TokenUse::kText});
  }
  tokens.push_back({"the", TokenUse::kText});  // a second token of equal text
  tokens.push_back({"", TokenUse::kText});
  tokens.push_back({"<|ctrl|>", TokenUse::kNever});
  tokens.push_back({"a", TokenUse::kNever});
  tokens.push_back({"</s>", TokenUse::kEnd});
  tokens.push_back({"<|eot|>", TokenUse::kEnd});
  return tokens;
}

/// The same with all single bytes: no text is out of reach.
inline std::shared_ptr<const GrammarVocabulary> whole_vocabulary() {
  std::vector<GrammarVocabulary::Token> tokens = small_vocabulary();
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back({std::string(1, static_cast<char>(byte)), TokenUse::kText});
  }
  return std::make_shared<const GrammarVocabulary>(tokens);
}

}  // namespace omg::grammar::testing
