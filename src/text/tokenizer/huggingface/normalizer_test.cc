// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/normalizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tokenizer/huggingface/unicode.h"

namespace omg::huggingface {
namespace {

std::string run(const char* rules, std::string_view text) {
  const json::value value = parse_json(rules, "test");
  return read_normalizer(JsonNode(value, "test"))->normalize(text);
}

TEST(Normalizer, NormalForms) {
  const std::string text = "e\u0301\u1e69 \ufb01 Å 한 ①";
  EXPECT_EQ(run(R"({"type": "NFC"})", text), "é\u1e69 \ufb01 Å 한 ①");
  EXPECT_EQ(run(R"({"type": "NFD"})", text),
            "e\u0301s\u0323\u0307 \ufb01 A\u030a \u1112\u1161\u11ab ①");
  EXPECT_EQ(run(R"({"type": "NFKC"})", text), "é\u1e69 fi Å 한 1");
  EXPECT_EQ(run(R"({"type": "NFKD"})", text),
            "e\u0301s\u0323\u0307 fi A\u030a \u1112\u1161\u11ab 1");
}

TEST(Normalizer, MarksAreOrderedInLinearTime) {
  // Insertion would take half a million times a million steps.
  std::string marks = "a";
  for (int i = 0; i < 250'000; ++i) marks += "\u0301\u0323";
  const std::string out = run(R"({"type": "NFD"})", marks);
  EXPECT_EQ(out.size(), marks.size());
  EXPECT_EQ(out.substr(0, 5), "a\u0323\u0323");
  EXPECT_EQ(out.substr(out.size() - 4), "\u0301\u0301");
}

TEST(Normalizer, BytesThatAreNoTextStay) {
  const std::string bytes =
      "\xff"
      "e\u0301\x80\xc3";
  EXPECT_EQ(run(R"({"type": "NFC"})", bytes),
            "\xff"
            "é\x80\xc3");
  EXPECT_EQ(run(R"({"type": "Lowercase"})",
                "A\xff"
                "B"),
            "a\xff"
            "b");
  EXPECT_EQ(run(R"({"type": "Nmt"})", "\xff"), "\xff");
}

TEST(Normalizer, CaseAndAccents) {
  EXPECT_EQ(run(R"({"type": "Lowercase"})", "ÀΣİß"), "àσi\u0307ß");
  EXPECT_EQ(run(R"({"type": "StripAccents"})", "e\u0301é"), "eé");
}

TEST(Normalizer, Strip) {
  const char* both = R"({"type": "Strip", "strip_left": true, "strip_right": true})";
  const char* left = R"({"type": "Strip", "strip_left": true, "strip_right": false})";
  EXPECT_EQ(run(both, " \u3000a b\n\u00a0"), "a b");
  EXPECT_EQ(run(left, " a "), "a ");
  EXPECT_EQ(run(both, " \n"), "");
}

TEST(Normalizer, ReplaceAndPrepend) {
  EXPECT_EQ(run(R"({"type": "Replace", "pattern": {"String": "aa"}, "content": "b"})", "aaaxa"),
            "baxa");
  EXPECT_EQ(run(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})", "a   b c"),
            "a b c");
  EXPECT_EQ(run(R"({"type": "Replace", "pattern": {"Regex": "a"}, "content": "$0"})", "a"), "$0");
  EXPECT_EQ(run(R"({"type": "Prepend", "prepend": "▁"})", "a"), "▁a");
  EXPECT_EQ(run(R"({"type": "Prepend", "prepend": "▁"})", ""), "");
}

TEST(Normalizer, Bert) {
  const char* rules = R"({"type": "BertNormalizer", "clean_text": true,
      "handle_chinese_chars": true, "strip_accents": null, "lowercase": true})";
  EXPECT_EQ(run(rules, std::string("É\tA\0\u200b漢B", 12)), "e a 漢 b");
  const char* cased = R"({"type": "BertNormalizer", "clean_text": false,
      "handle_chinese_chars": false, "strip_accents": null, "lowercase": false})";
  EXPECT_EQ(run(cased, "É\t漢"), "É\t漢");
  const char* accents = R"({"type": "BertNormalizer", "clean_text": true,
      "handle_chinese_chars": true, "strip_accents": false, "lowercase": true})";
  EXPECT_EQ(run(accents, "É"), "é");
}

TEST(Normalizer, Nmt) {
  EXPECT_EQ(run(R"({"type": "Nmt"})", "a\u0001b\tc\u200bd\u2581"), "ab c d ");
}

TEST(Normalizer, ByteLevelWritesTheAlphabet) {
  EXPECT_EQ(run(R"({"type": "ByteLevel"})", " é"), "ĠÃ©");
}

/// A trie of one key "a" to the replacement "bc": root, 'a' below it, and its leaf.
TEST(Normalizer, PrecompiledCharsmap) {
  std::vector<uint32_t> units(512, 0);
  units[0] = 1u << 10;                          // children at 1 ^ label
  units[1 ^ 'a'] = 'a' | 1u << 8 | 300u << 10;  // a leaf at (1 ^ 'a') ^ 300
  units[(1 ^ 'a') ^ 300] = 1u << 31 | 0;
  std::string bytes;
  const auto put = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i, value >>= 8) bytes += static_cast<char>(value & 0xFF);
  };
  put(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) put(unit);
  bytes.append("bc").push_back('\0');
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string encoded;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (int shift = 18; shift >= 0; shift -= 6) encoded += kDigits[group >> shift & 63];
  }
  const size_t padding = (3 - bytes.size() % 3) % 3;
  encoded.replace(encoded.size() - padding, padding, std::string(padding, '='));
  const json::value rules = {{"type", "Precompiled"}, {"precompiled_charsmap", encoded}};
  const auto normalizer = read_normalizer(JsonNode(rules, "test"));
  EXPECT_EQ(normalizer->normalize("xaya"), "xbcybc");
  // A cluster of up to 5 bytes goes by its shortest known prefix, longer ones by characters.
  EXPECT_EQ(normalizer->normalize("a\u0301"), "bc");
  EXPECT_EQ(normalizer->normalize("a\u0301\u0301\u0301"), "bc\u0301\u0301\u0301");
}

TEST(Normalizer, WhatIsNotKnownIsNamed) {
  try {
    run(R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Shout"}]})", "");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    const std::string what = error.what();
    EXPECT_NE(what.find("$.normalizers[1].type"), std::string::npos) << what;
    EXPECT_NE(what.find("'Shout'"), std::string::npos) << what;
  }
}

TEST(Normalizer, GrowthWithoutMeasureIsRefused) {
  json::array steps;
  for (int i = 0; i < 64; ++i) {
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aaaaaaaa"}});
  }
  const json::value rules = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto normalizer = read_normalizer(JsonNode(rules, "test"));
  EXPECT_EQ(normalizer->normalize("b"), "b");
  try {
    normalizer->normalize("a");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded);
  }
}

TEST(Unicode, WordCharacters) {
  for (const uint32_t c : {0x61u, 0x5Au, 0x30u, 0x5Fu, 0xE9u, 0x301u, 0x2165u, 0x200Du, 0x24B6u})
    EXPECT_TRUE(is_word_character(c)) << c;
  for (const uint32_t c : {0x20u, 0x2Du, 0xBDu, 0x2014u, 0x1F600u})
    EXPECT_FALSE(is_word_character(c)) << c;
}

}  // namespace
}  // namespace omg::huggingface
