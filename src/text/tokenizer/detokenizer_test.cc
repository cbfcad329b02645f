// SPDX-License-Identifier: Apache-2.0
//
// What comes out piece by piece is what decode() gives at once, in whole characters.
#include "text/tokenizer/detokenizer.h"

#include <gtest/gtest.h>
#include <random>

#include "base/utf8.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"

namespace omg {
namespace {

using testing::small_byte_level;
using testing::small_sentencepiece;

TEST(StreamingDetokenizer, HoldsBackUnfinishedCharacters) {
  const auto tokenizer = make_tokenizer(small_byte_level().byte_level("gpt-2"));
  StreamingDetokenizer stream(*tokenizer);
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push(0xB8), "");
  EXPECT_EQ(stream.push(0xAD), "中");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push('a'), "\uFFFDa");
  EXPECT_EQ(stream.push(0xFF), "\uFFFD");
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(StreamingDetokenizer, DropsTheFirstSpaceOnlyAtTheTextsStart) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  StreamingDetokenizer continuing(*tokenizer), starting(*tokenizer, true);
  EXPECT_EQ(continuing.push(267), " abc");
  EXPECT_EQ(starting.push(1), "");
  EXPECT_EQ(starting.push(267), "abc");
  EXPECT_EQ(starting.push(267), " abc");
}

TEST(StreamingDetokenizer, ShowsSpecialTokensOnlyOnRequest) {
  auto builder = small_byte_level();
  const TokenId control = builder.add("<|end|>", TokenType::kControl);
  const TokenId user = builder.add("<tag>", TokenType::kUserDefined);
  const auto tokenizer = make_tokenizer(builder.byte_level("gpt-2"));
  StreamingDetokenizer hiding(*tokenizer), showing(*tokenizer, false, true);
  EXPECT_EQ(hiding.push(control), "");
  EXPECT_EQ(hiding.push(user), "<tag>");
  EXPECT_EQ(showing.push(control), "<|end|>");
  // A character that a special token interrupts is broken where that token shows.
  hiding.push(0xC3);
  showing.push(0xC3);
  EXPECT_EQ(hiding.push(control), "");
  EXPECT_EQ(hiding.push(0xA9), "é");
  EXPECT_EQ(showing.push(control), "\uFFFD<|end|>");
}

TEST(StreamingDetokenizer, NeitherLosesNorDoublesSpaces) {
  const auto tokenizer = make_tokenizer(small_sentencepiece().sentencepiece());
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t i = 0; i < random() % 30; ++i) text += " \nab\t"[random() % 5];
    StreamingDetokenizer stream(*tokenizer, true);
    std::string streamed;
    for (const TokenId id : tokenizer->encode(text, {.add_special = true}))
      streamed += stream.push(id);
    ASSERT_EQ(streamed + stream.finish(), text);
  }
}

TEST(StreamingDetokenizer, EqualsDecodeForAnyTokens) {
  std::mt19937 random(4);
  const auto byte_level = make_tokenizer(small_byte_level().byte_level("gpt-2"));
  const auto sentencepiece = make_tokenizer(small_sentencepiece().sentencepiece());
  const auto unigram = make_tokenizer(testing::small_unigram().plain("t5"));
  const auto word_piece = make_tokenizer(testing::small_word_piece().plain("bert"));
  const auto rwkv = make_tokenizer(testing::small_rwkv().plain("rwkv"));
  const auto plamo2 = make_tokenizer(testing::small_plamo2().plain("plamo2"));
  for (const Tokenizer* tokenizer : {byte_level.get(), sentencepiece.get(), unigram.get(),
                                     word_piece.get(), rwkv.get(), plamo2.get()}) {
    for (int round = 0; round < 2000; ++round) {
      std::vector<TokenId> ids;
      if (round % 2 == 0) {
        for (size_t i = 0; i < random() % 20; ++i)
          ids.push_back(static_cast<TokenId>(random() % tokenizer->vocab_size()));
      } else {
        std::string text;
        for (size_t i = 0; i < random() % 20; ++i)
          append_utf8(text, static_cast<uint32_t>(random() % 0xD800));
        ids = tokenizer->encode(text);
      }
      const bool show_special = random() % 2 == 0;
      StreamingDetokenizer stream(*tokenizer, true, show_special);
      std::string streamed;
      for (const TokenId id : ids) {
        const std::string piece = stream.push(id);
        ASSERT_TRUE(is_valid_utf8(piece));
        streamed += piece;
      }
      streamed += stream.finish();
      std::string whole = tokenizer->decode(ids, show_special);
      const size_t unfinished = incomplete_utf8_suffix(whole);
      whole.resize(whole.size() - unfinished);
      ASSERT_EQ(streamed, replace_invalid_utf8(whole) + (unfinished > 0 ? "\uFFFD" : ""));
    }
  }
}

}  // namespace
}  // namespace omg
