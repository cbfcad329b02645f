// SPDX-License-Identifier: Apache-2.0
//
// GBNF and regular expressions: what they let through, and how bad ones are refused.
#include <chrono>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/grammar/test_support.h"

namespace omg {
namespace {

using grammar::testing::accepts;

struct Language {
  const char* text;
  std::vector<std::string> accepted, refused;
};

void check(const Language& language, const Grammar& grammar) {
  const auto matcher =
      std::make_shared<GrammarMatcher>(grammar, grammar::testing::byte_vocabulary());
  for (const std::string& text : language.accepted) {
    EXPECT_TRUE(accepts(matcher, text)) << language.text << "\nshould accept: " << text;
  }
  for (const std::string& text : language.refused) {
    EXPECT_FALSE(accepts(matcher, text)) << language.text << "\nshould refuse: " << text;
  }
}

const std::vector<Language> kGbnf = {
    {"root ::= \"a\" \"b\"", {"ab"}, {"", "a", "b", "abc"}},
    {"root ::= \"a\" | \"b\" |", {"a", "b", ""}, {"ab"}},
    {"root ::= [a-c]+", {"a", "abcabc"}, {"", "d", "ad"}},
    {"root ::= [^a-c]", {"d", "\n", "é", "日", "😀"}, {"a", "", "dd", "\x80", "\xed\xa0\x80"}},
    {"root ::= .", {"a", "\n", "é", "😀"}, {"", "ab", "\xc3", "\xff"}},
    {"root ::= [a\\-c^]+", {"a-c^"}, {"b"}},
    {"root ::= [-a]+", {"-a"}, {"b"}},
    {"root ::= [a-]+", {"-a"}, {"b"}},
    {"root ::= [\\]\\[\\\\\"]+", {"][\\\""}, {"a"}},
    {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\\"\"", {"Aé😀\n\t\r\\\""}, {"A"}},
    {"root ::= [ぁ-ゟ]+", {"ひらがな"}, {"カ", "a", "\xe3\x81"}},
    {"root ::= [\\u3041-\\u309f]{2}", {"ひら"}, {"ひ", "ひらが"}},
    {"root ::= \"a\"{2,4}", {"aa", "aaa", "aaaa"}, {"a", "aaaaa"}},
    {"root ::= \"a\"{2}", {"aa"}, {"a", "aaa"}},
    {"root ::= \"a\"{2,}", {"aa", "aaaaaaaa"}, {"a"}},
    {"root ::= \"a\"{0,2}", {"", "a", "aa"}, {"aaa"}},
    {"root ::= \"a\"{0}", {""}, {"a"}},
    {"root ::= \"ab\"{12,13}",
     {"abababababababababababab", "ababababababababababababab"},
     {"ababababababababababab", "abababababababababababababab"}},
    {"root ::= (\"a\" | \"b\" \"c\")* \"d\"", {"d", "ad", "bcabcd"}, {"bd", "a"}},
    {"root ::= (\"a\"*)*", {"", "aaa"}, {"b"}},
    {"root ::= (\"a\"?){3,5} \"b\"", {"b", "ab", "aaaaab"}, {"aaaaaab"}},
    {"root ::= (\"a\"? \"b\"?){20}", {"", "abab", "bbbb"}, {"c"}},
    {"root ::= x y\nx ::= \"1\" # comment\n\n# more\ny ::= \"2\" |\n  \"3\"\n",
     {"12", "13"},
     {"1"}},
    {"root ::= (\n  \"a\" # first\n  \"b\"\n)\r\n", {"ab"}, {"a"}},
    {"root   ::=   \"a\"   \t\n", {"a"}, {}},
    // Recursion in the middle, at the end, on the left, and through a rule that may be empty.
    {"root ::= \"(\" root \")\" | \"x\"", {"x", "(x)", "(((x)))"}, {"(x", "x)", "((x)"}},
    {"root ::= \"a\" root | \"b\"", {"b", "aaaab"}, {"a", "ba"}},
    {"root ::= root \"+\" \"n\" | \"n\"", {"n", "n+n", "n+n+n"}, {"", "n+", "+n"}},
    {"root ::= e\ne ::= e \"a\" | e \"b\" | \"c\"", {"c", "cabba"}, {"", "a", "ac"}},
    {"root ::= s s\ns ::= \"a\" s | ", {"", "a", "aaaa"}, {"b"}},
    {"root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"\"",
     {"", "aa", "abba", "baab"},
     {"a", "ab", "aba"}},
    {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"x\"", {"x", "axb", "aaaxbcb"}, {"axbb"}},
    {"root ::= expr\nexpr ::= term ([-+] term)*\nterm ::= [0-9]+ | \"(\" expr \")\"",
     {"1", "1+2", "(1-2)+((3))"},
     {"1+", "(1", "1)"}},
    {"root ::= list\nlist ::= item (\",\" list)?\nitem ::= [a-z]", {"a", "a,b,c"}, {"a,", ",a"}},
    // A branch that can never end is no way to go.
    {"root ::= \"a\" | \"b\" x\nx ::= \"c\" x", {"a"}, {"b", "bc"}},
};

TEST(Gbnf, AcceptsExactlyItsLanguage) {
  for (const Language& language : kGbnf) check(language, Grammar::from_gbnf(language.text));
}

TEST(Gbnf, NeverBeginsWhatItCannotFinish) {
  GrammarState state(std::make_shared<GrammarMatcher>(
      Grammar::from_gbnf("root ::= \"a\" | \"b\" x\nx ::= \"c\" x"),
      grammar::testing::byte_vocabulary()));
  EXPECT_FALSE(state.accept('b'));
  EXPECT_TRUE(state.accept('a'));
}

const std::vector<Language> kRegex = {
    {"abc", {"abc"}, {"", "ab", "abcd"}},
    {"^abc$", {"abc"}, {"ab"}},
    {"a|bc|", {"a", "bc", ""}, {"b", "abc"}},
    {"(a|b)+c?", {"a", "abac"}, {"", "c", "acc"}},
    {"[a-z0-9_]{2,3}", {"ab", "a_9"}, {"a", "abcd", "A1"}},
    {"\\d{3}-\\d{4}", {"555-1234"}, {"5551234", "555-123"}},
    {"[^\\d\\s]+", {"ab!"}, {"a1", "a b"}},
    {"\\w+@\\w+\\.com", {"me@here.com"}, {"me@here!com"}},
    {"\\S\\s\\D\\W", {"a a-"}, {"aaa-", "a 1-"}},
    {".", {"a", "é", "\t"}, {"\n", "\r", ""}},
    {"[.]\\.", {".."}, {"a."}},
    {"a{2}b{1,}c{,2}", {"aab", "aabbbcc"}, {"ab", "aabccc"}},
    {"a{,}", {"a{,}"}, {"a"}},
    {"x{y}{", {"x{y}{"}, {"x"}},
    {"(?:ab)*?", {"", "abab"}, {"a"}},
    {"(?<year>\\d{4})(?P<m>-\\d\\d)?", {"2024", "2024-01"}, {"2024-"}},
    {"[\\]\\-a-c]+", {"]-abc"}, {"d"}},
    {"[a-c-]+", {"a-"}, {"d"}},
    {"[\\w-]+", {"a-b"}, {"a b"}},
    {"\\x41\\u00e9\\u{1F600}\\ud83d\\ude00\\n\\t", {"Aé😀😀\n\t"}, {}},
    {"\\/\\^\\$\\|\\(\\)\\[\\{\\*\\+\\?\\\\", {"/^$|()[{*+?\\"}, {}},
    {"日本|[ぁ-ん]+", {"日本", "ひらがな"}, {"日"}},
    {"\\A\\d\\Z", {"1"}, {"11"}},
    {"(a{1,100}){1,3}", {"a", std::string(300, 'a')}, {"", std::string(301, 'a')}},
    {"a{1000}", {std::string(1000, 'a')}, {std::string(999, 'a'), std::string(1001, 'a')}},
};

TEST(Regex, AcceptsExactlyItsLanguage) {
  for (const Language& language : kRegex) check(language, Grammar::from_regex(language.text));
}

struct Bad {
  std::string text;
  ErrorCode code;
  const char* says;  // the error's text contains it
};

template <typename Make>
void check_bad(const std::vector<Bad>& table, Make make) {
  for (const Bad& bad : table) {
    const std::string shown = bad.text.substr(0, 200);
    const auto begin = std::chrono::steady_clock::now();
    try {
      make(bad.text);
      ADD_FAILURE() << "was not refused: " << shown;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), bad.code) << shown << "\n" << error.what();
      EXPECT_NE(std::string(error.what()).find(bad.says), std::string::npos) << shown << "\n"
                                                                             << error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << shown;
  }
}

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

constexpr ErrorCode kInvalid = ErrorCode::kInvalidArgument;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
constexpr ErrorCode kLimit = ErrorCode::kLimitExceeded;

TEST(Gbnf, RefusesBadGrammarsByName) {
  const std::vector<Bad> table = {
      {"", kInvalid, "root"},
      {"a ::= \"b\"", kInvalid, "root"},
      {"root = \"b\"", kInvalid, "::="},
      {"root ::= b", kInvalid, "'b'"},
      {"root ::= \"b", kInvalid, "no end"},
      {"root ::= [a-", kInvalid, "ends in the middle"},
      {"root ::= [a", kInvalid, "no end"},
      {"root ::= [z-a]", kInvalid, "backwards"},
      {"root ::= (\"a\"", kInvalid, "')'"},
      {"root ::= \"a\")", kInvalid, "end of the rule"},
      {"root ::= *", kInvalid, "nothing to repeat"},
      {"root ::= \"a\"{", kInvalid, "number"},
      {"root ::= \"a\"{3", kInvalid, "'}'"},
      {"root ::= \"a\"{3,2}", kInvalid, "larger"},
      {"root ::= \"a\"{99999999999}", kLimit, "too large"},
      {"root ::= \"\\q\"", kInvalid, "\\q"},
      {"root ::= \"\\x4\"", kInvalid, "hexadecimal"},
      {"root ::= \"\\ud800\"", kInvalid, "Unicode"},
      {"root ::= \"\\U00110000\"", kInvalid, "Unicode"},
      {"root ::= \"\\", kInvalid, "escape"},
      {"root ::= <think>", kUnsupported, "tokens"},
      {"root ::= !<[1]>", kUnsupported, "tokens"},
      {"root ::= \"a\"\nroot ::= \"b\"", kInvalid, "twice"},
      {"root ::= \"\xff\"", kInvalid, "UTF-8"},
      {"root ::= a\na ::= b\nb ::= a \"x\" | \"y\"", kInvalid, "left-recursive"},
      {"root ::= \"a\"? root \"b\" | \"c\"", kInvalid, "left-recursive"},
      {"root ::= a* root \"b\" | \"c\"\na ::= \"x\" |", kInvalid, "left-recursive"},
      {"root ::= root", kInvalid, "no text at all"},
      {"root ::= \"a\" root", kInvalid, "no text at all"},
      {"root ::= []", kInvalid, "no text at all"},
      {"root ::= " + repeated("(", 1000) + "\"a\"" + repeated(")", 1000), kLimit, "deep"},
      {"root ::= \"a\"" + repeated("?*", 5000), kLimit, "deep"},
      {"root ::= " + repeated("\"a\" ", 400'000), kLimit, "too l"},
      {"root ::= \"" + std::string(2 << 20, 'a') + "\"", kLimit, "too long"},
      {"root ::= " + repeated(".", 200'000), kLimit, "too large"},
  };
  check_bad(table, [](const std::string& text) { Grammar::from_gbnf(text); });
  try {
    Grammar::from_gbnf("root ::= \"a\"\nb ::= )");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("line 2, column 7"), std::string::npos)
        << error.what();
  }
}

TEST(Regex, RefusesByName) {
  const std::vector<Bad> table = {
      {"(a", kInvalid, "')'"},
      {"a)", kInvalid, "')'"},
      {"[a", kInvalid, "no end"},
      {"[]a]", kInvalid, "empty"},
      {"[z-a]", kInvalid, "backwards"},
      {"[a-\\d]", kInvalid, "range"},
      {"*a", kInvalid, "nothing to repeat"},
      {"a**", kInvalid, "repeated"},
      {"a{2}{3}", kInvalid, "repeated"},
      {"a{3,2}", kInvalid, "larger"},
      {"a{4000000000}", kLimit, "too large"},
      {"a\\", kInvalid, "escape"},
      {"\\xg0", kInvalid, "hexadecimal"},
      {"\\u{110000}", kInvalid, "Unicode"},
      {"\\ud800", kInvalid, "Unicode"},
      {"(a)\\1", kUnsupported, "back-reference"},
      {"(?<n>a)\\k<n>", kUnsupported, "back-reference"},
      {"(?=a)b", kUnsupported, "look-ahead"},
      {"(?!a)b", kUnsupported, "look-ahead"},
      {"(?<=a)b", kUnsupported, "look-behind"},
      {"(?<!a)b", kUnsupported, "look-behind"},
      {"(?>a)b", kUnsupported, "(?>"},
      {"(?i)a", kUnsupported, "(?i"},
      {"a++", kUnsupported, "possessive"},
      {"\\bword", kUnsupported, "border"},
      {"\\p{L}", kUnsupported, "property"},
      {"[[:alpha:]]", kUnsupported, "POSIX"},
      {"\\q", kUnsupported, "\\q"},
      {"a^b", kUnsupported, "anchor"},
      {"(^a)b", kUnsupported, "anchor"},
      {"(a$)", kUnsupported, "anchor"},
      {"\xff", kInvalid, "UTF-8"},
      {repeated("(", 500) + "a" + repeated(")", 500), kLimit, "deep"},
  };
  check_bad(table, [](const std::string& text) { Grammar::from_regex(text); });
}

TEST(Grammar, BoundsWhatAmbiguityMayCost) {
  // Counts of counts of counts: the number of ways to read the text grows with its cube.
  const Grammar grammar = Grammar::from_regex("(((a{1,1000}){1,1000}){1,1000}){1,1000}");
  GrammarState state(
      std::make_shared<GrammarMatcher>(grammar, grammar::testing::byte_vocabulary(),
                                       GrammarMatcherOptions{.max_cache_bytes = 1u << 20}));
  bool refused = false;
  try {
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(state.accept('a'));
  } catch (const Error& error) {
    refused = error.code() == kLimit;
  }
  EXPECT_TRUE(refused);
}

TEST(Grammar, LargeCountsAndLongChainsAreCheap) {
  EXPECT_TRUE(accepts(Grammar::from_regex("(ab|c){0,1000000000}"), "abcab"));
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 5000; ++i) {
    chain += "r" + std::to_string(i) + " ::= \"a\"? r" + std::to_string(i + 1) + "\n";
  }
  chain += "r5000 ::= \"b\"\n";
  EXPECT_TRUE(accepts(Grammar::from_gbnf(chain), "aaab"));
}

}  // namespace
}  // namespace omg
