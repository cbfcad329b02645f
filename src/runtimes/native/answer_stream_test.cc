// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/answer_stream.h"

#include <gtest/gtest.h>
#include <random>

#include "base/utf8.h"
#include "runtimes/native/fake_model.h"

namespace omg {
namespace {

using testing::FakeTokenizer;
using testing::kBos;
using testing::kCat;
using testing::kStar;

struct Shown {
  std::vector<AnswerPiece> pieces;
  std::string text;
  std::vector<TokenId> tokens;
  std::string stop;
  size_t pushed = 0;  // until the stream ended
};

Shown stream(const std::vector<TokenId>& tokens, const std::vector<std::string>& stops) {
  Shown shown;
  const FakeTokenizer tokenizer;
  const PieceSink sink = [&](AnswerPiece&& piece) {
    EXPECT_TRUE(is_valid_utf8(piece.text));
    EXPECT_FALSE(piece.text.empty() && piece.tokens.empty());
    EXPECT_EQ(piece.tokens.size(), piece.token_count);
    shown.text += piece.text;
    for (const AnswerToken& token : piece.tokens) shown.tokens.push_back(token.token);
    shown.pieces.push_back(std::move(piece));
  };
  AnswerStream answer(tokenizer, stops, sink, {}, /*reports_tokens=*/true);
  for (const TokenId token : tokens) {
    ++shown.pushed;
    if (!answer.push({token})) break;
  }
  answer.finish();
  if (answer.stop_sequence() != nullptr) shown.stop = *answer.stop_sequence();
  return shown;
}

std::vector<TokenId> bytes_of(std::string_view text) {
  return {reinterpret_cast<const unsigned char*>(text.data()),
          reinterpret_cast<const unsigned char*>(text.data()) + text.size()};
}

TEST(AnswerStream, PiecesAreWholeCharactersWithTheirTokens) {
  const auto tokens = bytes_of("aé€😀b");
  const Shown shown = stream(tokens, {});
  EXPECT_EQ(shown.text, "aé€😀b");
  EXPECT_EQ(shown.tokens, tokens);
  ASSERT_EQ(shown.pieces.size(), 5u);
  EXPECT_EQ(shown.pieces[2].text, "€");
  EXPECT_EQ(shown.pieces[2].tokens.size(), 3u);
}

TEST(AnswerStream, UnfinishedCharacterIsReplacedAtTheEnd) {
  const Shown shown = stream(bytes_of("a\xe2\x82"), {});
  EXPECT_EQ(shown.text, "a\xef\xbf\xbd");
  EXPECT_EQ(shown.tokens.size(), 3u);
}

TEST(AnswerStream, TokensWithoutTextComeWithTheNextPiece) {
  const Shown shown = stream({kBos, 'a', kBos}, {});
  ASSERT_EQ(shown.pieces.size(), 2u);
  EXPECT_EQ(shown.pieces[0].tokens.size(), 2u);
  EXPECT_EQ(shown.pieces[1].text, "");
  EXPECT_EQ(shown.pieces[1].tokens.size(), 1u);
}

TEST(AnswerStream, StopStringsSpanTokensAndHideTheirs) {
  const Shown shown = stream({'a', ' ', kStar, 'o', 'p', '!'}, {"stop"});
  EXPECT_EQ(shown.text, "a ");
  EXPECT_EQ(shown.stop, "stop");
  EXPECT_EQ(shown.tokens, (std::vector<TokenId>{'a', ' '}));
  EXPECT_EQ(shown.pushed, 5u);
}

TEST(AnswerStream, TokenThatIsShownInPartIsReported) {
  const Shown shown = stream({'x', kCat, kStar, 'z'}, {"ts"});
  EXPECT_EQ(shown.text, "xca");
  EXPECT_EQ(shown.tokens, (std::vector<TokenId>{'x', kCat}));
  EXPECT_EQ(shown.pushed, 3u);
}

TEST(AnswerStream, HeldTextIsShownWhenNoStopFollows) {
  const Shown shown = stream({'x', kStar, 'o'}, {"stop"});
  EXPECT_EQ(shown.text, "xsto");
  EXPECT_EQ(shown.tokens.size(), 3u);
  EXPECT_EQ(shown.stop, "");
}

/// Whatever the tokens are, pieces join to the text, tokens keep their order, and none is lost.
TEST(AnswerStream, NothingIsLostOrReordered) {
  std::mt19937 random(1);
  const std::string alphabet[] = {"c", "a", "t", "s", "\xc3", "\xa9"};
  for (int round = 0; round < 3000; ++round) {
    std::vector<TokenId> tokens;
    for (size_t n = random() % 14; n > 0; --n) {
      const auto kind = random() % 8;
      tokens.push_back(kind == 6   ? kCat
                       : kind == 7 ? kStar
                                   : static_cast<unsigned char>(alphabet[kind][0]));
    }
    const FakeTokenizer tokenizer;
    const std::string whole = replace_invalid_utf8(tokenizer.decode(tokens));
    const Shown free = stream(tokens, {});
    ASSERT_EQ(free.text, whole);
    ASSERT_EQ(free.tokens, tokens);

    const std::vector<std::string> stops = {"tc", "sts", "é"};
    const Shown stopped = stream(tokens, stops);
    StopMatcher matcher(stops);
    std::string before_stop = matcher.push(whole);
    before_stop += matcher.finish();
    ASSERT_EQ(stopped.text, before_stop);
    ASSERT_TRUE(std::equal(stopped.tokens.begin(), stopped.tokens.end(), tokens.begin()));
    ASSERT_TRUE(!stopped.stop.empty() || stopped.tokens == tokens);
  }
}

}  // namespace
}  // namespace omg
