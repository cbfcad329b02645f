// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/stop_matcher.h"

#include <gtest/gtest.h>
#include <random>

namespace omg {
namespace {

struct Found {
  std::string text;  // shown
  std::string stop;  // empty: none
  bool operator==(const Found&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Found& found) {
  return out << "'" << found.text << "' before '" << found.stop << "'";
}

/// Looks at every end of the text in turn.
Found naive_search(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::string best;
    for (const std::string& stop : stops) {
      if (text.substr(0, end).ends_with(stop) && stop.size() > best.size()) best = stop;
    }
    if (!best.empty()) return {text.substr(0, end - best.size()), best};
  }
  return {text, ""};
}

/// Feeds pieces that begin at each byte whose bit is set in `cuts`, and checks on the way that
/// nothing is shown too early or held back without need.
Found matched_search(const std::string& text, const std::vector<std::string>& stops,
                     uint64_t cuts) {
  const Found expected = naive_search(text, stops);
  StopMatcher matcher(stops);
  std::string shown;
  size_t start = 0;
  for (size_t i = 1; i <= text.size(); ++i) {
    if (i < text.size() && (cuts >> i & 1) == 0) continue;
    shown += matcher.push(text.substr(start, i - start));
    start = i;
    EXPECT_TRUE(expected.text.starts_with(shown));
    if (matcher.matched() != nullptr) continue;
    const std::string held = text.substr(shown.size(), i - shown.size());
    const bool needed =
        held.empty() || std::any_of(stops.begin(), stops.end(),
                                    [&](const auto& stop) { return stop.starts_with(held); });
    EXPECT_TRUE(needed) << "'" << held << "' was held back";
  }
  shown += matcher.finish();
  return {shown, matcher.matched() != nullptr ? *matcher.matched() : ""};
}

TEST(StopMatcher, MatchesAcrossEveryCut) {
  const std::vector<std::vector<std::string>> sets = {
      {},          {"a"},          {"ab"},         {"aab", "b"},       {"abab", "baa"},
      {"aaab"},    {"abc", "bcd"}, {"abcd", "bc"}, {"c", "bc", "abc"}, {"aa", "aaa"},
      {"ab", "ab"}};
  std::mt19937 random(1);
  for (const auto& stops : sets) {
    for (int round = 0; round < 40; ++round) {
      std::string text;
      for (int i = 0; i < 9; ++i) text += static_cast<char>('a' + random() % 4);
      const Found expected = naive_search(text, stops);
      for (uint64_t cuts = 0; cuts < 512; ++cuts) {  // bit 0 means nothing: all cuts, twice
        ASSERT_EQ(matched_search(text, stops, cuts), expected) << text;
      }
    }
  }
}

TEST(StopMatcher, RandomStopsAgreeWithANaiveSearch) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20000; ++round) {
    const auto word = [&](size_t longest) {
      std::string result;
      for (size_t n = 1 + random() % longest; n > 0; --n) {
        result += static_cast<char>('a' + random() % 2);
      }
      return result;
    };
    std::vector<std::string> stops;
    for (size_t n = random() % 4; n > 0; --n) stops.push_back(word(7));
    const std::string text = word(40);
    ASSERT_EQ(matched_search(text, stops, random()), naive_search(text, stops)) << text;
  }
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"</end>"});
  EXPECT_EQ(matcher.push("Hello <"), "Hello ");
  EXPECT_EQ(matcher.push("/e"), "");
  EXPECT_EQ(matcher.push("m> <"), "</em> ");
  EXPECT_EQ(matcher.finish(), "<");
  EXPECT_EQ(matcher.matched(), nullptr);
}

TEST(StopMatcher, DropsAllTextAfterAMatch) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(matcher.push("one stop two"), "one ");
  ASSERT_NE(matcher.matched(), nullptr);
  EXPECT_EQ(*matcher.matched(), "stop");
  EXPECT_EQ(matcher.push("three"), "");
  EXPECT_EQ(matcher.finish(), "");
}

}  // namespace
}  // namespace omg
