// SPDX-License-Identifier: Apache-2.0
//
// Small hand-made vocabularies for the tests, the benchmark and the fuzzer of this folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "formats/metadata.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/vocabulary.h"

namespace omg::testing {

struct VocabularyBuilder {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<float> scores;
  std::vector<std::string> merges;

  TokenId add(const std::string& text, TokenType type = TokenType::kNormal, float score = 0) {
    tokens.push_back(text);
    types.push_back(static_cast<int32_t>(type));
    scores.push_back(score);
    return static_cast<TokenId>(tokens.size() - 1);
  }

  /// A merge and the token that it makes.
  TokenId merge(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    return add(left + right);
  }

  Metadata byte_level(const std::string& pre) const {
    Metadata metadata;
    metadata.set_string("tokenizer.ggml.model", "gpt2");
    if (!pre.empty()) metadata.set_string("tokenizer.ggml.pre", pre);
    metadata.set_strings("tokenizer.ggml.tokens", tokens);
    metadata.set_i32_array("tokenizer.ggml.token_type", types);
    metadata.set_strings("tokenizer.ggml.merges", merges);
    return metadata;
  }

  Metadata sentencepiece() const { return plain("llama"); }

  /// A kind that needs no merges.
  Metadata plain(const std::string& model) const {
    Metadata metadata;
    metadata.set_string("tokenizer.ggml.model", model);
    metadata.set_strings("tokenizer.ggml.tokens", tokens);
    metadata.set_i32_array("tokenizer.ggml.token_type", types);
    metadata.set_f32_array("tokenizer.ggml.scores", scores);
    return metadata;
  }
};

/// Character of a byte in GPT-2's alphabet, written out independently of the tokenizer.
inline std::string byte_character(int byte) {
  static const std::vector<int> moved = [] {
    std::vector<int> bytes;
    for (int b = 0; b < 256; ++b) {
      if (b < '!' || (b > '~' && b < 0xA1) || b == 0xAD) bytes.push_back(b);
    }
    return bytes;
  }();
  std::string text;
  for (size_t i = 0; i < moved.size(); ++i) {
    if (moved[i] == byte) {
      append_utf8(text, static_cast<uint32_t>(256 + i));
      return text;
    }
  }
  append_utf8(text, static_cast<uint32_t>(byte));
  return text;
}

/// Tokens 0 to 255 are the bytes; then a few merges of English.
inline VocabularyBuilder small_byte_level() {
  VocabularyBuilder builder;
  for (int byte = 0; byte < 256; ++byte) builder.add(byte_character(byte));
  builder.merge("h", "e");    // 256
  builder.merge("l", "l");    // 257
  builder.merge("he", "ll");  // 258
  builder.merge("Ġ", "w");    // 259
  builder.merge("o", "r");    // 260
  builder.merge("Ġw", "or");  // 261
  builder.merge("a", "a");    // 262
  builder.merge("aa", "a");   // 263; nothing merges "aa" with "aa"
  return builder;
}

/// 0 <unk>, 1 <s>, 2 </s>, 3 to 258 the bytes; then characters and words.
inline VocabularyBuilder small_sentencepiece() {
  VocabularyBuilder builder;
  builder.add("<unk>", TokenType::kUnknown);
  builder.add("<s>", TokenType::kControl);
  builder.add("</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte)
    builder.add(byte_text(static_cast<uint8_t>(byte)), TokenType::kByte);
  const std::string mark(kSpaceMark);
  builder.add(mark, TokenType::kNormal, -10);         // 259
  builder.add("a", TokenType::kNormal, -11);          // 260
  builder.add("b", TokenType::kNormal, -12);          // 261
  builder.add("c", TokenType::kNormal, -13);          // 262
  builder.add("ab", TokenType::kNormal, -2);          // 263
  builder.add("bc", TokenType::kNormal, -1);          // 264
  builder.add(mark + "a", TokenType::kNormal, -3);    // 265
  builder.add("aa", TokenType::kNormal, -4);          // 266
  builder.add(mark + "abc", TokenType::kNormal, -5);  // 267
  builder.add(mark + mark, TokenType::kNormal, -6);   // 268
  return builder;
}

/// 0 <pad>, 1 </s>, 2 <unk>, then pieces.
inline VocabularyBuilder small_unigram() {
  VocabularyBuilder builder;
  builder.add("<pad>", TokenType::kControl);
  builder.add("</s>", TokenType::kControl);
  builder.add("<unk>", TokenType::kUnknown);
  const std::string mark(kSpaceMark);
  builder.add(mark, TokenType::kNormal, -2);             // 3
  builder.add("a", TokenType::kNormal, -3);              // 4
  builder.add("b", TokenType::kNormal, -3.5);            // 5
  builder.add("ab", TokenType::kNormal, -4);             // 6
  builder.add("abc", TokenType::kNormal, -9);            // 7
  builder.add("c", TokenType::kNormal, -4.5);            // 8
  builder.add(mark + "a", TokenType::kNormal, -2.25);    // 9
  builder.add("bcb", TokenType::kUnused, -5);            // 10
  builder.add("<user>", TokenType::kUserDefined, -100);  // 11
  builder.add("caab", TokenType::kNormal, -7.25);        // 12
  return builder;
}

/// Words in the manner of GGUF: '▁' before what begins a word. 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP].
inline VocabularyBuilder small_word_piece() {
  VocabularyBuilder builder;
  for (const char* text : {"[PAD]", "[UNK]", "[CLS]", "[SEP]"})
    builder.add(text, TokenType::kControl);
  const std::string mark(kSpaceMark);
  // 4 to 12
  for (const char* text : {"un", "aff", "affable", "able", "uncle", "!", "~", "中", "é"})
    builder.add(mark + text);
  for (const char* text : {"aff", "able", "s", "cafe"}) builder.add(text);  // 13 to 16
  builder.add(mark + "cafe");                                               // 17
  return builder;
}

/// 0 is control; tokens 1 to 256 are the bytes, written escaped; then some words.
inline VocabularyBuilder small_rwkv() {
  VocabularyBuilder builder;
  builder.add("<s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    const auto value = static_cast<size_t>(byte);
    builder.add(std::string("\\x") + kDigits[value >> 4] + kDigits[value & 15]);
  }
  for (const char* text : {"ab", "abab", "\\n\\n", "\\\\", "\\xe4\\xb8", "中"}) builder.add(text);
  return builder;
}

/// 0 to 3 special, 4 to 259 the bytes, then words.
inline VocabularyBuilder small_plamo2() {
  VocabularyBuilder builder;
  builder.add("<|plamo:unk|>", TokenType::kUnknown);
  for (const char* text : {"<|plamo:bos|>", "<|plamo:eos|>", "<|plamo:pad|>"})
    builder.add(text, TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte)
    builder.add(byte_text(static_cast<uint8_t>(byte)), TokenType::kByte);
  builder.add("a", TokenType::kNormal, -3);     // 260
  builder.add("b", TokenType::kNormal, -3);     // 261
  builder.add("ab", TokenType::kNormal, -4);    // 262
  builder.add("ba", TokenType::kNormal, -4);    // 263
  builder.add("abab", TokenType::kNormal, -8);  // 264: ties with "ab" "ab"
  builder.add("中", TokenType::kNormal, -5);    // 265
  builder.add(" ", TokenType::kNormal, -2);     // 266
  return builder;
}

}  // namespace omg::testing
