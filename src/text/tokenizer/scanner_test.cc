// SPDX-License-Identifier: Apache-2.0
//
// Every scanner cuts as the pattern beside it in the table says, on texts made to be nasty.
#include "text/tokenizer/scanner.h"

#include <gtest/gtest.h>
#include <random>
#include <string>

#include "base/utf8.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/splitter.h"

namespace omg {
namespace {

std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> parts = {
      " ",      "  ",          "\n",         "\r\n",       "\t",     "'s",      "'S",     "'Re",
      "'ll",    "'lL",         "'",          "a",          "B",      "aB",      "Bc",     "XML",
      "é",      "É",           "e\u0301",    "\u0301",     "中",     "文字",    "カ",     "한",
      "ไทย",    "1",           "23",         "4567",       "٣",      "½",       "!",      "?!",
      "~",      "$",           "/",          "//\n",       "\u00A0", "\u3000",  "\u0085", "\u200D",
      "🚀",     "👩‍👧", "\u0378",     "\uFA6E",     "ǅ",      "ʰ",       "_",      "-",
      "\u00AD", "\uE000",      "\U0001FAE8", "\U0002EBF0", "\xFF",   "\xE4\xB8"};
  std::string text;
  const size_t count = random() % 24;
  for (size_t i = 0; i < count; ++i) {
    if (random() % 8 == 0) {
      const uint32_t c = random() % 0x32000;
      append_utf8(text, c >= 0xD800 && c < 0xE000 ? 'x' : c);
    } else {
      const std::string& part = parts[random() % parts.size()];
      for (size_t k = 0; k < (random() % 6 == 0 ? 3 : 1); ++k) text += part;
    }
  }
  return text;
}

TEST(Scanner, CutsAsItsPatternSays) {
  std::mt19937 random(11);
  std::vector<bool> seen(16);
  for (const std::string_view name : pre_tokenizer_names()) {
    const PreTokenizer pre = find_pre_tokenizer(name);
    std::vector<SplitStep> slow_steps = pre.steps;
    bool has_scanner = false;
    for (SplitStep& step : slow_steps) {
      has_scanner |= step.scanner != Scanner::kNone;
      seen[static_cast<size_t>(step.scanner)] = true;
      step.scanner = Scanner::kNone;
    }
    if (!has_scanner) continue;
    const Splitter quick(pre.steps), slow(slow_steps);
    std::vector<size_t> quick_ends, slow_ends;
    for (int round = 0; round < 1000; ++round) {
      const std::string text = random_text(random);
      quick.split(text, quick_ends);
      slow.split(text, slow_ends);
      ASSERT_EQ(quick_ends, slow_ends) << name << ": " << ::testing::PrintToString(text);
    }
  }
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_TRUE(seen[i]) << "scanner " << i;
}

// Anything that looks again at what it has read would take hours for these.
TEST(Scanner, ReadsLongRunsOfAnythingOnce) {
  for (size_t number = 1; number < 16; ++number) {
    for (const char* unit : {"a", "A", " ", "\n", "1", "'", "é", "éA", " \n", "\u0301", "🚀",
                             "\xFF", "中", ".", "a'", "\u00A0"}) {
      std::string text;
      while (text.size() < 1 << 18) text += unit;
      std::vector<size_t> ends;
      scan(static_cast<Scanner>(number), text + "x", 0, ends);
      ASSERT_EQ(ends.back(), text.size() + 1);
    }
  }
}

TEST(Scanner, TakesCasesOfLettersAsPatternsWithoutCategoriesDo) {
  const auto words = [](Scanner scanner, std::string_view text) {
    std::vector<size_t> ends;
    scan(scanner, text, 0, ends);
    std::vector<std::string> pieces;
    size_t start = 0;
    for (const size_t end : ends) {
      pieces.emplace_back(text.substr(start, end - start));
      start = end;
    }
    return pieces;
  };
  using Words = std::vector<std::string>;
  // "é" counts as small and as capital: it ends the first word before capitals that nothing
  // follows.
  EXPECT_EQ(words(Scanner::kGpt4o, "éABC ABCé ABc'LLx"),
            (Words{"é", "ABC", " ABCé", " ABc'LL", "x"}));
  EXPECT_EQ(words(Scanner::kTekken, "HTTPServer's"), (Words{"HTTPServer", "'s"}));
  EXPECT_EQ(words(Scanner::kTekken, "fooBarBAZ!"), (Words{"foo", "Bar", "BAZ", "!"}));
}

}  // namespace
}  // namespace omg
