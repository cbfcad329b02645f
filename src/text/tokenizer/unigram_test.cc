// SPDX-License-Identifier: Apache-2.0
//
// Unigram vocabularies: the model against all segmentations there are, and the normalisation.
#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <random>

#include "base/error.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"
#include "text/tokenizer/unigram_model.h"

namespace omg {
namespace {

using testing::small_unigram;
using Ids = std::vector<TokenId>;

std::string little_endian(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

/// A map of single bytes to texts, in the layout that charsmap.h describes: the root's children
/// begin at offset 256, and the value of byte b stands at 512 + b.
std::string charsmap_of(const std::vector<std::pair<char, std::string>>& rules) {
  std::vector<uint32_t> units(1024);
  units[0] = 256u << 10;
  std::string replacements;
  for (const auto& [byte, text] : rules) {
    const auto b = static_cast<uint8_t>(byte);
    const uint32_t node = 256u ^ b;
    units[node] = (node ^ (512u + b)) << 10 | 1u << 8 | b;
    units[512u + b] = 1u << 31 | static_cast<uint32_t>(replacements.size());
    replacements += text + '\0';
  }
  std::string bytes = little_endian(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) bytes += little_endian(unit);
  return bytes + replacements;
}

Metadata with_charsmap(Metadata metadata, const std::string& bytes) {
  MetadataArray array{
      MetadataType::kU8, bytes.size(), std::as_bytes(std::span(bytes.data(), bytes.size())), {}};
  metadata.add("tokenizer.ggml.precompiled_charsmap", {MetadataType::kArray, array});
  return metadata;
}

TEST(UnigramModel, FindsTheBestOfAllSegmentations) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> texts;
    std::vector<UnigramPiece> pieces;
    for (size_t i = 0; i < 3 + random() % 12; ++i) {
      std::string text;
      for (size_t k = 0; k < 1 + random() % 4; ++k) text += static_cast<char>('a' + random() % 3);
      if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
    }
    for (size_t i = 0; i < texts.size(); ++i) {
      pieces.push_back(
          {texts[i], static_cast<TokenId>(i + 1), -static_cast<double>(random() % 100000) / 7919});
    }
    const double unknown_score = -30;
    const UnigramModel model(pieces,
                             {.unknown = 0, .unknown_score = unknown_score, .byte_tokens = {}});
    std::string text;
    for (size_t k = 0; k < random() % 11; ++k) text += static_cast<char>('a' + random() % 4);
    // All ways, by recursion; a character that is a piece is never unknown.
    std::vector<std::pair<double, Ids>> ways;
    const std::function<void(size_t, double, Ids)> go = [&](size_t at, double score, Ids ids) {
      if (at == text.size()) {
        ways.emplace_back(score, ids);
        return;
      }
      bool known = false;
      for (const UnigramPiece& piece : pieces) {
        if (text.compare(at, piece.text.size(), piece.text) != 0) continue;
        known |= piece.text.size() == 1;
        Ids more = ids;
        more.push_back(piece.id);
        go(at + piece.text.size(), score + piece.score, more);
      }
      if (known) return;
      if (ids.empty() || ids.back() != 0) ids.push_back(0);
      go(at + 1, score + unknown_score, ids);
    };
    go(0, 0, {});
    std::sort(ways.begin(), ways.end(), std::greater<>());
    Ids ids;
    model.encode(text, ids);
    // Ways that tie but for rounding are all right.
    bool among_best = false;
    for (const auto& [score, way] : ways)
      among_best |= way == ids && score > ways.front().first - 1e-9;
    EXPECT_TRUE(among_best) << text;
  }
}

TEST(UnigramModel, WritesUnknownCharactersInBytesWhereItHasThem) {
  std::vector<TokenId> bytes(256);
  for (size_t i = 0; i < 256; ++i) bytes[i] = static_cast<TokenId>(1000 + i);
  const std::vector<UnigramPiece> pieces = {{"a", 1, -1}};
  const UnigramModel model(pieces, {.unknown = 0, .unknown_score = -11, .byte_tokens = bytes});
  Ids ids;
  model.encode("aéa", ids);
  EXPECT_EQ(ids, (Ids{1, 1000 + 0xC3, 1000 + 0xA9, 1}));
}

TEST(Unigram, CutsAndJoinsUnknownCharacters) {
  const auto tokenizer = make_tokenizer(small_unigram().plain("t5"));
  EXPECT_EQ(tokenizer->encode("ab"), Ids{6});          // -4 against -6.5
  EXPECT_EQ(tokenizer->encode("abc"), (Ids{6, 8}));    // -8.5 against -9
  EXPECT_EQ(tokenizer->encode("abcb"), (Ids{4, 10}));  // -8 against -12
  EXPECT_EQ(tokenizer->encode("zzéa"), (Ids{2, 4}));
  EXPECT_EQ(tokenizer->encode("zz b"), (Ids{2, 3, 5}));
  EXPECT_EQ(tokenizer->encode(""), Ids{});
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), (Ids{4, 1}));
  EXPECT_EQ(tokenizer->encode("a<user>a"), (Ids{4, 11, 4}));
  EXPECT_EQ(tokenizer->encode("<unk>"), Ids{2});  // characters, all unknown
}

TEST(Unigram, SpacesGoAsTheFileSays) {
  Metadata metadata = small_unigram().plain("t5");
  EXPECT_EQ(make_tokenizer(metadata)->encode(" b  b "), (Ids{3, 5, 3, 3, 5, 3}));
  metadata.set_bool("tokenizer.ggml.add_space_prefix", true);
  EXPECT_EQ(make_tokenizer(metadata)->encode("b  b"), (Ids{3, 5, 3, 3, 5}));
  EXPECT_EQ(make_tokenizer(metadata)->decode(Ids{9, 5}), "ab");
  metadata.set_bool("tokenizer.ggml.remove_extra_whitespaces", true);
  EXPECT_EQ(make_tokenizer(metadata)->encode("  b   b "), (Ids{3, 5, 3, 5}));
  metadata.set_bool("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(make_tokenizer(metadata)->encode("b"), (Ids{3, 5}));
}

TEST(Unigram, NormalisesByTheMapAndBrokenBytesToTheReplacementCharacter) {
  const std::string map = charsmap_of({{'A', "a"}, {'\t', " "}, {'X', ""}, {'Z', "abc"}});
  const auto tokenizer = make_tokenizer(with_charsmap(small_unigram().plain("t5"), map));
  EXPECT_EQ(tokenizer->encode("AXb"), Ids{6});
  EXPECT_EQ(tokenizer->encode("b\tZ"), (Ids{5, 9, 5, 8}));
  EXPECT_EQ(tokenizer->encode("a\xFF\x80z"), (Ids{4, 2}));
  // What begins a user-defined token is not normalised: '<' but not 'A'.
  const auto mapped = make_tokenizer(
      with_charsmap(small_unigram().plain("t5"), charsmap_of({{'<', "a"}, {'u', "a"}})));
  EXPECT_EQ(mapped->encode("<u<user>"), (Ids{2, 11}));
  EXPECT_EQ(mapped->encode("u"), Ids{4});
}

TEST(Unigram, RefusesBrokenMapsAndSurvivesBrokenLinks) {
  const std::string good = charsmap_of({{'A', "a"}});
  const std::vector<std::string> bad = {"\1", good.substr(0, 100), little_endian(UINT32_MAX) + "xx",
                                        good + "x", good + std::string(2000, 'y') + '\0'};
  for (const std::string& bytes : bad) {
    try {
      make_tokenizer(with_charsmap(small_unigram().plain("t5"), bytes));
      FAIL() << "no error for " << bytes.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      EXPECT_NE(std::string(error.what()).find("precompiled_charsmap"), std::string::npos);
    }
  }
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int k = 0; k < 20; ++k) bytes[4 + random() % 4096] = static_cast<char>(random());
    const Charsmap map(bytes, "test");
    std::string text;
    for (int k = 0; k < 20; ++k) text += static_cast<char>(random());
    const auto match = map.longest(text);
    EXPECT_LE(match ? match->length : 0, text.size());
  }
}

TEST(Unigram, AMegabyteOfAnythingTakesTimeInProportion) {
  const auto tokenizer = make_tokenizer(small_unigram().plain("t5"));
  for (const char* unit : {"a", " ", "🚀", "caab"}) {
    std::string text;
    while (text.size() < 1 << 20) text += unit;
    EXPECT_GT(tokenizer->encode(text).size(), 0u);
  }
}

}  // namespace
}  // namespace omg
