// SPDX-License-Identifier: Apache-2.0
//
// Byte-level BPE on a vocabulary small enough to merge by hand.
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>

#include "base/utf8.h"
#include "text/tokenizer/merge.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/splitter.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"

namespace omg {
namespace {

using testing::small_byte_level;
using testing::VocabularyBuilder;
using Ids = std::vector<TokenId>;

std::unique_ptr<Tokenizer> make(const VocabularyBuilder& builder,
                                const std::string& pre = "gpt-2") {
  return make_tokenizer(builder.byte_level(pre));
}

TEST(ByteLevel, MergesByRank) {
  const auto tokenizer = make(small_byte_level());
  // h e l l o: "he" (rank 0), "ll" (1), "hell" (2); no merge has "hell" "o".
  EXPECT_EQ(tokenizer->encode("hello"), (Ids{258, 'o'}));
  // The space goes with the word: Ġ w, o r, then "Ġw" "or".
  EXPECT_EQ(tokenizer->encode("hello world"), (Ids{258, 'o', 261, 'l', 'd'}));
  EXPECT_EQ(tokenizer->encode(""), Ids{});
}

TEST(ByteLevel, MergesTheLeftmostOfEqualPairs) {
  const auto tokenizer = make(small_byte_level());
  EXPECT_EQ(tokenizer->encode("aa"), Ids{262});
  EXPECT_EQ(tokenizer->encode("aaa"), Ids{263});          // aa a, then aaa
  EXPECT_EQ(tokenizer->encode("aaaa"), (Ids{262, 262}));  // both pairs go before rank 7
  EXPECT_EQ(tokenizer->encode("aaaaa"), (Ids{262, 263}));
  Ids expected(19, 262);  // 41 letters take the way of long words
  expected.push_back(263);
  EXPECT_EQ(tokenizer->encode(std::string(41, 'a')), expected);
}

TEST(ByteLevel, OneHugeWordTakesNearLinearTime) {
  const auto tokenizer = make(small_byte_level());
  EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a')).size(), size_t{1} << 19);
}

TEST(ByteLevel, BothWaysOfMergingAgree) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    const size_t letters = 2 + random() % 4;
    MergeMap map(64);
    for (uint32_t rank = 0; rank < 40; ++rank) {
      map.add(static_cast<int32_t>(random() % (letters + rank)),
              static_cast<int32_t>(random() % (letters + rank)),
              {rank / 2, static_cast<int32_t>(letters + rank)});
    }
    std::vector<Symbol> word;
    for (uint32_t i = 0; i < 1 + random() % 60; ++i)
      word.push_back({static_cast<int32_t>(random() % letters), i, 1});
    const auto find = [&](const Symbol& a, const Symbol& b) { return map.find(a.id, b.id); };
    MergeScratch scratch;
    std::vector<Symbol> quick = word, slow = word;
    merge_detail::merge_long(quick, scratch, find);
    merge_detail::merge_short(slow, scratch.merges, find);
    ASSERT_EQ(quick.size(), slow.size());
    for (size_t i = 0; i < quick.size(); ++i) {
      ASSERT_EQ(quick[i].id, slow[i].id);
      ASSERT_EQ(quick[i].start, slow[i].start);
      ASSERT_EQ(quick[i].length, slow[i].length);
    }
  }
}

TEST(ByteLevel, MergingLooksAtEachPairAFewTimes) {
  // Counted, not timed: a symbol is looked at with its neighbours at first and after each merge.
  std::mt19937 random(8);
  for (const size_t letters : {1, 2, 20}) {
    MergeMap map(400);
    for (uint32_t rank = 0; rank < 300; ++rank) {
      map.add(static_cast<int32_t>(random() % (letters + rank)),
              static_cast<int32_t>(random() % (letters + rank)),
              {rank, static_cast<int32_t>(letters + rank)});
    }
    std::vector<Symbol> word;
    for (uint32_t i = 0; i < 1u << 20; ++i)
      word.push_back({static_cast<int32_t>(random() % letters), i, 1});
    size_t looks = 0;
    MergeScratch scratch;
    merge_symbols(word, scratch, [&](const Symbol& a, const Symbol& b) {
      ++looks;
      return map.find(a.id, b.id);
    });
    EXPECT_LE(looks, size_t{3} << 20);
  }
}

/// Merging as its definition says, on strings, over the words that the patterns alone give.
Ids slow_encode(const Metadata& metadata, const PreTokenizer& pre, std::string_view text) {
  std::map<std::string, TokenId> ids;
  const auto& tokens = metadata.get_strings("tokenizer.ggml.tokens");
  for (size_t i = 0; i < tokens.size(); ++i) ids[std::string(tokens[i])] = static_cast<TokenId>(i);
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  const auto& merges = metadata.get_strings("tokenizer.ggml.merges");
  for (size_t i = 0; i < merges.size(); ++i) {
    const size_t space = merges[i].find(' ', 1);
    ranks.try_emplace(
        {std::string(merges[i].substr(0, space)), std::string(merges[i].substr(space + 1))}, i);
  }
  std::vector<SplitStep> steps = pre.steps;
  for (SplitStep& step : steps) step.scanner = Scanner::kNone;
  std::vector<size_t> ends;
  Splitter(steps).split(text, ends);
  Ids output;
  size_t start = 0;
  for (const size_t end : ends) {
    std::vector<std::string> parts;
    std::string whole;
    for (; start < end; ++start)
      whole += parts.emplace_back(testing::byte_character(static_cast<uint8_t>(text[start])));
    if (pre.ignore_merges && ids.contains(whole)) parts = {whole};
    while (true) {
      size_t best = merges.size(), place = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto rank = ranks.find({parts[i], parts[i + 1]});
        if (rank != ranks.end() && rank->second < best) {
          best = rank->second;
          place = i;
        }
      }
      if (best == merges.size()) break;
      parts[place] += parts[place + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(place) + 1);
    }
    for (const std::string& part : parts) output.push_back(ids.at(part));
  }
  return output;
}

TEST(ByteLevel, AgreesWithTheDefinitionInEveryVocabularyOfChance) {
  std::mt19937 random(6);
  const std::string letters = "abcde  \n1";
  for (int round = 0; round < 60; ++round) {
    VocabularyBuilder builder = small_byte_level();
    std::vector<std::string> parts;
    for (const char c : letters) parts.push_back(testing::byte_character(c));
    for (int i = 0; i < 60; ++i) {
      const std::string left = parts[random() % parts.size()];
      const std::string right = parts[random() % parts.size()];
      const auto& known = builder.tokens;
      if (std::find(known.begin(), known.end(), left + right) == known.end()) {
        parts.push_back(left + right);
        builder.add(left + right);
      }
      builder.merges.push_back(left + " " + right);
    }
    const char* name = round % 3 == 0 ? "gpt-2" : round % 3 == 1 ? "llama-bpe" : "starcoder";
    const Metadata metadata = builder.byte_level(name);
    const auto tokenizer = make_tokenizer(metadata);
    const PreTokenizer pre = find_pre_tokenizer(name);
    for (int text_number = 0; text_number < 12; ++text_number) {
      std::string text;
      for (size_t i = 0; i < random() % 300; ++i) text += letters[random() % letters.size()];
      ASSERT_EQ(tokenizer->encode(text), slow_encode(metadata, pre, text)) << name << text;
    }
  }
}

TEST(ByteLevel, EveryPreTokenizerGivesAnyTextBack) {
  std::mt19937 random(7);
  for (const std::string_view name : pre_tokenizer_names()) {
    if (find_pre_tokenizer(name).raw_text) continue;
    const auto tokenizer = make(small_byte_level(), std::string(name));
    for (int round = 0; round < 40; ++round) {
      std::string text;
      for (size_t i = 0; i < random() % 60; ++i) {
        const uint32_t c = random() % 0x110000;
        if (round % 2 == 0) {
          text += static_cast<char>(c);
        } else {
          append_utf8(text, c % 3 == 0 ? c % 0x250 : c >= 0xD800 && c < 0xE000 ? ' ' : c);
        }
      }
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
    }
  }
}

TEST(ByteLevel, AWordOfTheVocabularyWithoutMergesNeedsIgnoreMerges) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId bell = builder.add("bell");
  EXPECT_EQ(make(builder, "gpt-2")->encode("bell"), (Ids{'b', 'e', 257}));
  EXPECT_EQ(make(builder, "llama-bpe")->encode("bell"), Ids{bell});
}

TEST(ByteLevel, AnyBytesComeBack) {
  const auto tokenizer = make(small_byte_level());
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t i = 0; i < random() % 40; ++i) text += static_cast<char>(random() % 256);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
  // A byte that is no UTF-8 does not disturb its neighbours.
  EXPECT_EQ(tokenizer->encode("hell\xFFhell"), (Ids{258, 0xFF, 258}));
}

TEST(ByteLevel, MissingBytesAndMergeResultsFallBack) {
  VocabularyBuilder builder;
  builder.add("a");
  builder.add("b");
  builder.add("c");
  builder.merges = {"a b", "ab c"};  // neither result is a token
  Metadata metadata = builder.byte_level("gpt-2");
  EXPECT_EQ(make_tokenizer(metadata)->encode("abcz"), (Ids{0, 1, 2}));
  metadata.set_u32("tokenizer.ggml.unknown_token_id", 2);
  EXPECT_EQ(make_tokenizer(metadata)->encode("abz"), (Ids{0, 1, 2}));
}

TEST(ByteLevel, Gemma4MergesRawTextAndFallsBackToBytes) {
  VocabularyBuilder builder;
  for (int byte = 0; byte < 256; ++byte)
    builder.add(byte_text(static_cast<uint8_t>(byte)), TokenType::kByte);
  const TokenId bos = builder.add("<bos>", TokenType::kControl);
  builder.add("▁");  // 257
  builder.add("a");  // 258
  builder.merge("▁", "a");
  builder.add("\n");    // 260
  builder.add("\n\n");  // 261, without a merge
  Metadata metadata = builder.byte_level("");
  metadata.set_string("tokenizer.ggml.model", "gemma4");
  metadata.set_u32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(bos));
  metadata.set_bool("tokenizer.ggml.add_bos_token", false);
  const auto tokenizer = make_tokenizer(metadata);
  EXPECT_EQ(tokenizer->encode("a a\n\né"), (Ids{258, 259, 261, 0xC3, 0xA9}));
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), (Ids{bos, 258}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a a\n\né")), "a a\n\né");
}

TEST(ByteLevel, WhitespaceKindDropsSpacesAndMergesRawText) {
  VocabularyBuilder builder;
  for (const char* text : {"中", "文", "a", "b", "<0xC3>", "<0xA9>"}) builder.add(text);  // 0 to 5
  builder.merge("中", "文");                                                              // 6
  builder.merge("a", "b");                                                                // 7
  Metadata metadata = builder.byte_level("whitespace");
  metadata.set_string("tokenizer.ggml.model", "whitespace");
  EXPECT_EQ(make_tokenizer(metadata)->encode(" 中文\u3000 ab\na B"), (Ids{6, 7, 2}));
  metadata.set_bool("tokenizer.ggml.normalizer.lowercase", true);
  EXPECT_EQ(make_tokenizer(metadata)->encode("AB a\u00A0É"), (Ids{7, 2, 4, 5}));
  EXPECT_EQ(make_tokenizer(metadata)->token_bytes(6), "中文");
}

TEST(ByteLevel, DnaGoesInGroupsOfSix) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId open = builder.add("<dna>");
  const TokenId close = builder.add("</dna>");
  const TokenId unknown = builder.add("<oov>");
  const TokenId first = builder.add("ACGTAC\uE000");
  const TokenId filled = builder.add("GGAAAA\uE000");
  builder.add("ACGTAC");
  Metadata metadata = builder.byte_level("gpt-2");
  metadata.set_string("tokenizer.ggml.model", "hybriddna");
  const auto tokenizer = make_tokenizer(metadata);
  EXPECT_EQ(tokenizer->encode("a<dna>acgtacGG</dna>he"),
            (Ids{'a', open, first, filled, close, 256}));
  EXPECT_EQ(tokenizer->encode("<dna>ACGTNN"), (Ids{open, unknown}));
  EXPECT_EQ(tokenizer->encode("<dna></dna>"), (Ids{open, close}));
  EXPECT_EQ(tokenizer->token_bytes(first), "ACGTAC");
}

TEST(ByteLevel, KimiMayComeWithoutMerges) {
  Metadata metadata = small_byte_level().byte_level("kimi-k2");
  metadata.erase("tokenizer.ggml.merges");
  EXPECT_EQ(make_tokenizer(metadata)->encode("he"), (Ids{'h', 'e'}));
}

TEST(ByteLevel, TokenBytesReverseTheAlphabet) {
  const auto tokenizer = make(small_byte_level());
  for (TokenId id = 0; id < 256; ++id)
    EXPECT_EQ(tokenizer->token_bytes(id), std::string(1, static_cast<char>(id)));
  EXPECT_EQ(tokenizer->token_bytes(261), " wor");
  EXPECT_EQ(tokenizer->token_text(261), "Ġwor");
  EXPECT_EQ(tokenizer->find_token("Ġwor"), 261);
  EXPECT_EQ(tokenizer->find_token("nothing"), std::nullopt);
}

}  // namespace
}  // namespace omg
