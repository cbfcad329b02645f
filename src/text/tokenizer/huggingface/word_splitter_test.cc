// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/word_splitter.h"

#include <chrono>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tokenizer/huggingface/pattern.h"

namespace omg::huggingface {
namespace {

using Texts = std::vector<std::string>;

Texts split(const json::value& rules, std::string_view text, bool at_text_start = true) {
  const WordSplitter splitter{JsonNode(rules, "test")};
  Words words(text, at_text_start);
  splitter.split(words);
  Texts texts;
  for (const Words::Range& range : words.ranges()) texts.emplace_back(words.word(range));
  return texts;
}

json::value cut(const char* kind, const char* pattern, const char* behavior, bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{kind, pattern}}},
          {"behavior", behavior},
          {"invert", invert}};
}

// The example of the library's documentation.
TEST(WordSplitter, SplitBehaviors) {
  const std::string text = "the-final--countdown";
  EXPECT_EQ(split(cut("String", "-", "Removed"), text), (Texts{"the", "final", "countdown"}));
  EXPECT_EQ(split(cut("String", "-", "Isolated"), text),
            (Texts{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split(cut("String", "-", "MergedWithPrevious"), text),
            (Texts{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split(cut("String", "-", "MergedWithNext"), text),
            (Texts{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split(cut("String", "-", "Contiguous"), text),
            (Texts{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(split(cut("Regex", "[a-z]+", "Removed", true), text),
            (Texts{"the", "final", "countdown"}));
  EXPECT_EQ(split(cut("Regex", "[a-z]+", "Removed"), text), (Texts{"-", "--"}));
}

TEST(WordSplitter, EmptyMatchesCut) {
  EXPECT_EQ(split(cut("Regex", R"((?=(\d{3})+(?!\d)))", "Isolated"), "1234567 12"),
            (Texts{"1", "234", "567 12"}));
  EXPECT_EQ(split(cut("Regex", "x*", "Isolated"), "axxé"), (Texts{"a", "xx", "é"}));
}

TEST(WordSplitter, Oniguruma) {
  EXPECT_EQ(split(cut("Regex", R"(\h+)", "Isolated"), "xyfF0z"), (Texts{"xy", "fF0", "z"}));
  EXPECT_EQ(split(cut("Regex", "^b", "Isolated"), "a\nb"), (Texts{"a\n", "b"}));
  EXPECT_EQ(split(cut("Regex", "(?m:a.)", "Isolated"), "ba\nc"), (Texts{"b", "a\n", "c"}));
  EXPECT_EQ(split(cut("Regex", R"([\p{L}&&[^\p{Han}]]+)", "Isolated"), "漢ab字"),
            (Texts{"漢", "ab", "字"}));
  EXPECT_EQ(split(cut("Regex", R"([^\p{L}&&a-z]+)", "Isolated"), "ab1é"), (Texts{"ab", "1é"}));
  EXPECT_EQ(split(cut("Regex", R"([a[bc]]+)", "Isolated"), "xabcx"), (Texts{"x", "abc", "x"}));
  EXPECT_EQ(split(cut("Regex", R"(\bé\b)", "Isolated"), "é éa"), (Texts{"é", " éa"}));
  EXPECT_EQ(split(cut("Regex", R"(\p{Han}+)", "Isolated"), "漢。"), (Texts{"漢", "。"}));
  EXPECT_EQ(split(cut("Regex", R"(\p{Lowercase_Letter}+)", "Isolated"), "aB"), (Texts{"a", "B"}));
  EXPECT_EQ(split(cut("Regex", R"(a{,2})", "Removed"), "aaab"), (Texts{"b"}));
  EXPECT_EQ(split(cut("Regex", R"(\u00e9\x{1F600})", "Isolated"), "aé😀"), (Texts{"a", "é😀"}));
}

TEST(WordSplitter, ExpressionsWithoutCounterpartAreRefused) {
  for (const char* expression : {"(*NO_JIT)a", "(*LIMIT_MATCH=9)a", R"(\g<1>)", R"(\K)", R"(\Qa)",
                                 "a{2}+", "(?R)", "(?1)", "(?P<a>b)", R"([a&&])", "[", "(",
                                 R"(\xFF)", "a\\", R"([a[^b]])", "(a", R"(\p{Nonsense})"}) {
    try {
      split(cut("Regex", expression, "Isolated"), "a");
      ADD_FAILURE() << "no error: " << expression;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << expression;
      EXPECT_NE(std::string(error.what()).find("$.pattern.Regex"), std::string::npos)
          << error.what();
    }
  }
}

TEST(WordSplitter, ExpressionsThatNeverEndAreStopped) {
  const auto start = std::chrono::steady_clock::now();
  const std::string text = std::string(60, 'a') + "!";
  EXPECT_EQ(split(cut("Regex", "(?:a+)+$", "Isolated"), text), Texts{text});
  std::string many;
  for (int i = 0; i < 2000; ++i) many += std::string(40, 'a') + "b\n";
  EXPECT_FALSE(split(cut("Regex", "(?:a|a)*c", "Isolated"), many).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(WordSplitter, TextThatIsNotUtf8) {
  EXPECT_EQ(split(cut("Regex", R"(\s+)", "Removed"), "a\xff b\x80\xc3 c"),
            (Texts{"a\xff", "b\x80\xc3", "c"}));
  EXPECT_EQ(split(cut("Regex", R"([^a]+)", "Isolated"), "a\xff\xfe"), (Texts{"a", "\xff\xfe"}));
}

TEST(WordSplitter, KnownExpressionsAreScannedAsTheyAreMatched) {
  // A group around it keeps an expression from being known.
  const std::string known =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string unknown = "(?:" + known + ")";
  for (const char* text : {"I'LL don'\u017F  x\n\n 12 é!\r\n", "it'S'\u017Fa", "a\xff\n  "}) {
    EXPECT_EQ(split(cut("Regex", known.c_str(), "Isolated"), text),
              split(cut("Regex", unknown.c_str(), "Isolated"), text))
        << text;
    EXPECT_EQ(split(cut("Regex", known.c_str(), "Removed", true), text),
              split(cut("Regex", unknown.c_str(), "Isolated"), text))
        << text;
  }
  EXPECT_EQ(split(cut("Regex", R"(\p{N})", "Removed"), "a12b"), (Texts{"a", "b"}));
  EXPECT_EQ(split(cut("Regex", R"(\p{N}{1,3})", "Isolated"), "a1234"), (Texts{"a", "123", "4"}));
}

TEST(WordSplitter, ByteLevel) {
  const json::value rules = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
  EXPECT_EQ(split(rules, "Hello my friend's  x"),
            (Texts{" Hello", " my", " friend", "'s", " ", " x"}));
  EXPECT_EQ(split(rules, ""), Texts{});
  const WordSplitter splitter{JsonNode(rules, "test")};
  EXPECT_TRUE(splitter.is_byte_level());
  // Where something comes after it, the alphabet is written.
  const json::value first = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "ByteLevel"}, {"add_prefix_space", false}}, cut("String", "Ġ", "Isolated")}}};
  EXPECT_EQ(split(first, "a é"), (Texts{"a", "Ġ", "Ã©"}));
  EXPECT_FALSE(WordSplitter{JsonNode(first, "test")}.is_byte_level());
}

TEST(WordSplitter, Metaspace) {
  const auto metaspace = [](const char* scheme, bool split_words) {
    return json::value{{"type", "Metaspace"},
                       {"replacement", "▁"},
                       {"prepend_scheme", scheme},
                       {"split", split_words}};
  };
  const std::string text = "Hey   friend!";
  EXPECT_EQ(split(metaspace("always", true), text), (Texts{"▁Hey", "▁", "▁", "▁friend!"}));
  EXPECT_EQ(split(metaspace("always", false), text), (Texts{"▁Hey▁▁▁friend!"}));
  EXPECT_EQ(split(metaspace("never", true), text), (Texts{"Hey", "▁", "▁", "▁friend!"}));
  EXPECT_EQ(split(metaspace("first", true), "a", false), Texts{"a"});
  EXPECT_EQ(split(metaspace("first", true), "a", true), Texts{"▁a"});
  EXPECT_EQ(split(metaspace("always", true), " a"), Texts{"▁a"});
  const json::value old = {
      {"type", "Metaspace"}, {"replacement", "_"}, {"add_prefix_space", false}};
  EXPECT_EQ(split(old, "a b"), (Texts{"a", "_b"}));
  const json::value odd = {
      {"type", "Metaspace"}, {"add_prefix_space", false}, {"prepend_scheme", "always"}};
  EXPECT_THROW(split(odd, "a"), Error);
}

TEST(WordSplitter, Characters) {
  EXPECT_EQ(split({{"type", "Whitespace"}}, "Hello there! [x1]é..\u3000_"),
            (Texts{"Hello", "there", "!", "[", "x1", "]", "é", "..", "_"}));
  EXPECT_EQ(split({{"type", "WhitespaceSplit"}}, " a\u00a0b  c!\n"), (Texts{"a", "b", "c!"}));
  EXPECT_EQ(split({{"type", "BertPreTokenizer"}}, "Hey, you。x_y"),
            (Texts{"Hey", ",", "you", "。", "x", "_", "y"}));
  EXPECT_EQ(split({{"type", "Punctuation"}}, "a?!b"), (Texts{"a", "?", "!", "b"}));
  EXPECT_EQ(split({{"type", "Punctuation"}, {"behavior", "Contiguous"}}, "a?!b"),
            (Texts{"a", "?!", "b"}));
  EXPECT_EQ(split({{"type", "Digits"}, {"individual_digits", false}}, "Call 911½!"),
            (Texts{"Call ", "911½", "!"}));
  EXPECT_EQ(split({{"type", "Digits"}, {"individual_digits", true}}, "911!"),
            (Texts{"9", "1", "1", "!"}));
  EXPECT_EQ(split({{"type", "CharDelimiterSplit"}, {"delimiter", "é"}}, "aéébé"),
            (Texts{"a", "b"}));
  EXPECT_EQ(split({{"type", "FixedLength"}, {"length", 2}}, "aébcd"), (Texts{"aé", "bc", "d"}));
}

// The examples of the library's own tests.
TEST(WordSplitter, UnicodeScripts) {
  const json::value rules = {{"type", "UnicodeScripts"}};
  EXPECT_EQ(split(rules, "どこで生れ。Yes"), (Texts{"どこで生れ", "。", "Yes"}));
  EXPECT_EQ(split(rules, "Apples are りんご 林檎"), (Texts{"Apples are ", "りんご 林檎"}));
  EXPECT_EQ(split(rules, "  a, бカー"), (Texts{"a", ", ", "б", "カー"}));
}

TEST(WordSplitter, WhatIsWrongIsNamed) {
  const auto code = [](const char* text) {
    try {
      split(parse_json(text, "test"), "a b");
    } catch (const Error& error) {
      return std::string(error_name(error.code())) + " " + error.what();
    }
    return std::string();
  };
  EXPECT_NE(code(R"({"type": "Magic"})").find("'Magic'"), std::string::npos);
  EXPECT_NE(code(R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd"})")
                .find("$.behavior is 'Odd'"),
            std::string::npos);
  EXPECT_NE(code(R"({"type": "Split", "pattern": {"String": ""}})").find("empty pattern"),
            std::string::npos);
  EXPECT_NE(code(R"({"pretokenizers": []})").find("no member 'type'"), std::string::npos);
  EXPECT_NE(code(R"({"type": "CharDelimiterSplit", "delimiter": "ab"})").find("one character"),
            std::string::npos);
  EXPECT_NE(code(R"({"type": 3})").find("not a string"), std::string::npos);
  std::string deep = R"({"type": "Punctuation"})";
  for (int i = 0; i < 20; ++i) deep = R"({"type": "Sequence", "pretokenizers": [)" + deep + "]}";
  EXPECT_NE(code(deep.c_str()).find("inside more than 8 others"), std::string::npos);
}

}  // namespace
}  // namespace omg::huggingface
