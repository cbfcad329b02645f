// SPDX-License-Identifier: Apache-2.0
//
// The kinds bert, rwkv and plamo2, and the trie and character table below them.
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <random>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/character_class.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"
#include "text/tokenizer/word_piece_model.h"

namespace omg {
namespace {

using testing::small_plamo2;
using testing::small_rwkv;
using testing::small_word_piece;
using Ids = std::vector<TokenId>;

Metadata bert() {
  Metadata metadata = small_word_piece().plain("bert");
  metadata.set_u32("tokenizer.ggml.unknown_token_id", 1);
  metadata.set_u32("tokenizer.ggml.bos_token_id", 2);
  metadata.set_u32("tokenizer.ggml.seperator_token_id", 3);
  return metadata;
}

TEST(ByteTrie, FindsWhatAMapFinds) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, int32_t> map;
    std::vector<std::string> texts(1 + random() % 300);
    std::vector<ByteTrie::Entry> entries;
    const unsigned letters = round % 2 == 0 ? 3 : 256;
    for (std::string& text : texts) {
      for (size_t i = 0; i < random() % 5; ++i) text += static_cast<char>(random() % letters);
      const auto value = static_cast<int32_t>(entries.size());
      entries.push_back({text, value});
      if (!text.empty()) map[text] = value;
    }
    const ByteTrie trie(entries);
    for (int probe = 0; probe < 100; ++probe) {
      std::string text;
      for (size_t i = 0; i < random() % 7; ++i) text += static_cast<char>(random() % letters);
      ByteTrie::Match expected;
      for (size_t length = 1; length <= text.size(); ++length) {
        const auto found = map.find(text.substr(0, length));
        if (found != map.end()) expected = {length, found->second};
      }
      const ByteTrie::Match match = trie.longest(text);
      ASSERT_EQ(match.length, expected.length);
      ASSERT_EQ(match.value, expected.value);
    }
  }
}

TEST(CharacterTable, KnowsCategoriesCasesAndDecompositions) {
  const CharacterTable& table = character_table();
  EXPECT_EQ(table.flags('a'), kLetter);
  EXPECT_EQ(table.flags('7'), kNumber);
  EXPECT_EQ(table.flags(' '), kWhitespace);
  EXPECT_EQ(table.flags('\n'), kWhitespace | kOther);
  EXPECT_EQ(table.flags('!'), kPunctuation);
  EXPECT_EQ(table.flags('$'), kSymbol);
  EXPECT_EQ(table.flags(0x301), kMark);
  EXPECT_EQ(table.flags(0x200D), kOther);
  EXPECT_EQ(table.flags(0x1FAE8), kSymbol);  // Unicode 15
  EXPECT_EQ(table.flags(0x2EBF0), kLetter);  // Unicode 15.1
  EXPECT_EQ(table.flags(0x378), 0);
  EXPECT_EQ(table.flags(0x10FFFF), 0);
  EXPECT_EQ(lower_case('Q'), uint32_t{'q'});
  EXPECT_EQ(lower_case(0x410), 0x430u);
  EXPECT_EQ(lower_case(0x100), 0x101u);
  EXPECT_EQ(lower_case(0x101), 0x101u);
  EXPECT_EQ(lower_case(0x1E9E), 0xDFu);
  EXPECT_EQ(decomposition_start(0xE9), uint32_t{'e'});
  EXPECT_EQ(decomposition_start(0xD55C), 0x1112u);
  EXPECT_EQ(decomposition_start(0x2FA1D), 0x2A600u);
  EXPECT_EQ(decomposition_start('e'), uint32_t{'e'});
}

TEST(WordPiece, TakesTheLongestPieceAtEachPlace) {
  const auto tokenizer = make_tokenizer(bert());
  EXPECT_EQ(tokenizer->encode("unaffables"), (Ids{4, 13, 14, 15}));
  EXPECT_EQ(tokenizer->encode("affable uncle"), (Ids{6, 8}));
  EXPECT_EQ(tokenizer->encode("affx un"), (Ids{1, 4}));  // a word is known as a whole or not
  EXPECT_EQ(tokenizer->encode("  \n"), Ids{});
  EXPECT_EQ(tokenizer->encode("un", {.add_special = true}), (Ids{2, 4, 3}));
  EXPECT_EQ(tokenizer->encode("[CLS]un", {.parse_special = true}), (Ids{2, 4}));
  EXPECT_EQ(tokenizer->decode(Ids{2, 6, 8}), "affable uncle");
}

TEST(WordPiece, CleansTheText) {
  const auto tokenizer = make_tokenizer(bert());
  EXPECT_EQ(tokenizer->encode("UNcafés"), (Ids{4, 16, 15}));
  EXPECT_EQ(tokenizer->encode("cafe\u0301"), Ids{17});
  EXPECT_EQ(tokenizer->encode("un!able~un中un"), (Ids{4, 9, 7, 10, 4, 11, 4}));
  EXPECT_EQ(tokenizer->encode("u\u200Dn\xFF\u00A0un"), (Ids{4, 4}));
  Metadata keeps = bert();
  keeps.set_bool("tokenizer.ggml.normalizer.lowercase", false);
  EXPECT_EQ(make_tokenizer(keeps)->encode("é un UN"), (Ids{12, 4, 1}));
  keeps.set_bool("tokenizer.ggml.normalizer.strip_accents", true);
  EXPECT_EQ(make_tokenizer(keeps)->encode("café"), Ids{17});
}

TEST(WordPieceModel, KnowsPrefixesOfPiecesThatGoOn) {
  const std::vector<WordPieceModel::Piece> pieces = {{"un", 1}, {"##able", 2}, {"able", 3}};
  const WordPieceModel model(
      pieces, {.unknown = 0, .word_prefix = "", .continuation_prefix = "##", .max_characters = 8});
  const auto encode = [&](std::string_view word) {
    Ids ids;
    std::string scratch;
    model.encode(word, scratch, ids);
    return ids;
  };
  EXPECT_EQ(encode("unable"), (Ids{1, 2}));
  EXPECT_EQ(encode("able"), Ids{3});
  EXPECT_EQ(encode("ununable"), Ids{0});
  EXPECT_EQ(encode("unableable"), Ids{0});  // ten characters
  EXPECT_EQ(encode(""), Ids{});
}

TEST(Rwkv, TakesTheLongestTokenAndGivesAnyBytesBack) {
  const auto tokenizer = make_tokenizer(small_rwkv().plain("rwkv"));
  EXPECT_EQ(tokenizer->encode("ababab"), (Ids{258, 257}));
  EXPECT_EQ(tokenizer->encode("aba"), (Ids{257, 1 + 'a'}));
  EXPECT_EQ(tokenizer->encode("\n\n\\"), (Ids{259, 260}));
  EXPECT_EQ(tokenizer->encode("中\xE4\xB8"), (Ids{262, 261}));
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), Ids{1 + 'a'});
  EXPECT_EQ(tokenizer->token_bytes(261), "\xE4\xB8");
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t i = 0; i < random() % 40; ++i)
      text += random() % 2 == 0 ? "ab\n\\"[random() % 4] : static_cast<char>(random() % 256);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(Rwkv, WhatNoTokenBeginsIsUnknownOrNothing) {
  testing::VocabularyBuilder builder;
  builder.add("abc");
  builder.add("<unk>", TokenType::kUnknown);
  Metadata metadata = builder.plain("rwkv");
  EXPECT_EQ(make_tokenizer(metadata)->encode("abxabc"), Ids{0});
  metadata.set_u32("tokenizer.ggml.unknown_token_id", 1);
  EXPECT_EQ(make_tokenizer(metadata)->encode("abxabc"), (Ids{1, 1, 1, 0}));
}

TEST(Plamo2, FindsTheCheapestWayLongestFirstAmongEquals) {
  const auto tokenizer = make_tokenizer(small_plamo2().plain("plamo2"));
  EXPECT_EQ(tokenizer->encode("abab"), Ids{264});
  EXPECT_EQ(tokenizer->encode("aba"), (Ids{262, 260}));  // a tie with "a" "ba"
  EXPECT_EQ(tokenizer->encode("\xEF\xBB\xBF中 a"), (Ids{265, 266, 260}));
  EXPECT_EQ(tokenizer->encode("é"), (Ids{4 + 0xC3, 4 + 0xA9}));
  EXPECT_EQ(tokenizer->encode("\xFF"), (Ids{4 + 0xEF, 4 + 0xBF, 4 + 0xBD}));
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), Ids{260});
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("é中 xab")), "é中 xab");
}

TEST(Plamo2, NeedsAllBytes) {
  testing::VocabularyBuilder builder = small_plamo2();
  builder.tokens[4 + 0x20] = "space";
  try {
    make_tokenizer(builder.plain("plamo2"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find("<0x20>"), std::string::npos) << error.what();
  }
}

TEST(OtherKinds, AMegabyteOfAnythingTakesTimeInProportion) {
  for (const auto& tokenizer : {make_tokenizer(bert()), make_tokenizer(small_rwkv().plain("rwkv")),
                                make_tokenizer(small_plamo2().plain("plamo2"))}) {
    for (const char* unit : {"a", " ", "🚀", "ab"}) {
      std::string text;
      while (text.size() < 1 << 20) text += unit;
      EXPECT_LE(tokenizer->encode(text).size(), text.size());
    }
  }
}

}  // namespace
}  // namespace omg
