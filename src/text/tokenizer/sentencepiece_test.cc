// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece-style BPE on a vocabulary small enough to merge by hand.
#include <gtest/gtest.h>
#include <random>

#include "text/tokenizer/tokenizer_test_vocabulary.h"

namespace omg {
namespace {

using testing::small_sentencepiece;
using testing::VocabularyBuilder;
using Ids = std::vector<TokenId>;

TokenId byte_id(int byte) {
  return 3 + byte;
}

TEST(SentencePiece, BelievesTheFirstByteOfBrokenCharacters) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  // Three bytes from 0xE4 on are one character without a token: "b" cannot join "c".
  EXPECT_EQ(tokenizer->encode("\xE4\xB8"
                              "bc"),
            (Ids{259, byte_id(0xE4), byte_id(0xB8), byte_id('b'), 262}));
  // The space's mark is cut in the middle.
  EXPECT_EQ(tokenizer->encode("\xE4 abc"),
            (Ids{259, byte_id(0xE4), byte_id(0xE2), byte_id(0x96), byte_id(0x81), 260, 264}));
}

TEST(SentencePiece, MergesTheHighestScoreFirst) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  // ▁ a b c: "bc" (-1), then "▁a" (-3), then "▁abc" (-5).
  EXPECT_EQ(tokenizer->encode("abc"), Ids{267});
  // ▁ a b: "ab" (-2) goes before "▁a" (-3), and "▁ab" is no token.
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{259, 263}));
  EXPECT_EQ(tokenizer->encode("abc abc"), (Ids{267, 267}));
  EXPECT_EQ(tokenizer->encode(""), Ids{});
}

TEST(SentencePiece, MergesTheLeftmostOfEqualScores) {
  Metadata metadata = small_sentencepiece().sentencepiece();
  metadata.set_bool("tokenizer.ggml.add_space_prefix", false);
  const auto tokenizer = make_tokenizer(metadata);
  EXPECT_EQ(tokenizer->encode("aaa"), (Ids{266, 260}));
  EXPECT_FALSE(tokenizer->strips_leading_space());
  EXPECT_EQ(tokenizer->decode(Ids{265, 260}), " aa");
}

TEST(SentencePiece, PutsASpaceBeforeTheTextAndTakesItAway) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  EXPECT_TRUE(tokenizer->strips_leading_space());
  EXPECT_EQ(tokenizer->encode(" a"), (Ids{259, 265}));  // "▁a" (-3) goes before "▁▁" (-6)
}

TEST(SentencePiece, FallsBackToBytes) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  EXPECT_EQ(tokenizer->encode("é"), (Ids{259, byte_id(0xC3), byte_id(0xA9)}));
  EXPECT_EQ(tokenizer->encode("\xFF\n"), (Ids{259, byte_id(0xFF), byte_id('\n')}));
  EXPECT_EQ(tokenizer->decode(Ids{259, byte_id(0xC3), byte_id(0xA9)}), "é");
}

TEST(SentencePiece, FallsBackToUnknownWithoutByteTokens) {
  VocabularyBuilder builder;
  builder.add("<unk>", TokenType::kUnknown);
  builder.add("<s>", TokenType::kControl);
  builder.add("</s>", TokenType::kControl);
  builder.add("▁");
  builder.add("a");
  const auto tokenizer = make_tokenizer(builder.sentencepiece());
  EXPECT_EQ(tokenizer->encode("aéa"), (Ids{3, 4, 0, 4}));
}

TEST(SentencePiece, AnyBytesComeBack) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  std::mt19937 random(3);
  const std::string alphabet = "abc a b\n\xC3\xA9\xFF";
  for (int round = 0; round < 1000; ++round) {
    std::string text;
    for (size_t i = 0; i < random() % 50; ++i) text += alphabet[random() % alphabet.size()];
    // A space that a broken character swallowed comes back as the mark's bytes.
    std::string decoded = tokenizer->decode(tokenizer->encode(text));
    if (!is_valid_utf8(text)) decoded = unescape_spaces(decoded);
    EXPECT_EQ(decoded, text);
  }
}

// A vocabulary with a token across a space must not be cut into words; both give what a merge over
// the whole text gives.
TEST(SentencePiece, WordsAreCutOnlyWhereNoTokenCrosses) {
  VocabularyBuilder builder = small_sentencepiece();
  EXPECT_EQ(make_tokenizer(builder.sentencepiece())->encode("c a"), (Ids{259, 262, 265}));
  const TokenId crossing = builder.add("c▁", TokenType::kNormal, 0);
  EXPECT_EQ(make_tokenizer(builder.sentencepiece())->encode("c a"), (Ids{259, crossing, 260}));
}

TEST(SentencePiece, OneHugeWordTakesNearLinearTime) {
  Metadata metadata = small_sentencepiece().sentencepiece();
  const auto tokenizer = make_tokenizer(metadata);
  EXPECT_EQ(tokenizer->encode(std::string((1 << 20) - 1, 'a')).size(), size_t{1} << 19);
}

TEST(SentencePiece, BosAndEosFollowTheKeys) {
  Metadata metadata = small_sentencepiece().sentencepiece();
  EXPECT_EQ(make_tokenizer(metadata)->encode("abc", {.add_special = true}), (Ids{1, 267}));
  EXPECT_EQ(make_tokenizer(metadata)->encode("", {.add_special = true}), Ids{1});
  metadata.set_bool("tokenizer.ggml.add_bos_token", false);
  metadata.set_bool("tokenizer.ggml.add_eos_token", true);
  EXPECT_EQ(make_tokenizer(metadata)->encode("abc", {.add_special = true}), (Ids{267, 2}));
  EXPECT_EQ(make_tokenizer(metadata)->encode("abc"), Ids{267});
}

TEST(SentencePiece, TheSpaceComesAgainAfterASpecialToken) {
  VocabularyBuilder builder = small_sentencepiece();
  const TokenId tool = builder.add("<tool>", TokenType::kUserDefined);
  const auto tokenizer = make_tokenizer(builder.sentencepiece());
  EXPECT_EQ(tokenizer->encode("abc<tool>abc"), (Ids{267, tool, 267}));
  EXPECT_EQ(tokenizer->encode("<s>abc", {.parse_special = true}), (Ids{1, 267}));
}

}  // namespace
}  // namespace omg
