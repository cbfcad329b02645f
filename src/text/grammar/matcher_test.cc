// SPDX-License-Identifier: Apache-2.0
//
// Masks against an oracle that tries every token: random grammars over a small vocabulary, real
// grammars over real vocabularies; and what sequences, copies and full caches do.
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/reader.h"
#include "text/grammar/reference_acceptor.h"
#include "text/grammar/test_support.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {
namespace {

using grammar::testing::has_bit;
using grammar::testing::ReferenceAcceptor;
using grammar::testing::set_bits;
using grammar::testing::Verdict;

using Random = std::mt19937;

uint32_t below(Random& random, uint32_t limit) {
  return std::uniform_int_distribution<uint32_t>(0, limit - 1)(random);
}

/// Grammars whose every part can be completed: each rule has a way without other rules, and others
/// mostly stand behind a character.
class RandomGrammar {
 public:
  explicit RandomGrammar(Random& random) : random_(random) {}

  std::string make() {
    rules_ = 1 + below(random_, 4);
    std::string text;
    for (uint32_t rule = 0; rule < rules_; ++rule) {
      text += name(rule) + " ::= " + alternatives(2, rule);
      text += " | " + terminal() + "\n";
    }
    return text;
  }

 private:
  static std::string name(uint32_t rule) { return rule == 0 ? "root" : "r" + std::to_string(rule); }

  std::string terminal() {
    static const char* const kTerminals[] = {"\"a\"",
                                             "\"ab\"",
                                             "\"the\"",
                                             "[a-c]",
                                             "[^a]",
                                             "\"\\\"\"",
                                             "\"é\"",
                                             "\"日本\"",
                                             "[\\u0080-\\uffff]",
                                             "[é日x]",
                                             ".",
                                             "\" \"",
                                             "[0-9]",
                                             "\"{\"",
                                             "\"\\n\"",
                                             "[^\"\\\\\\x00-\\x1f]",
                                             "\"name\"",
                                             "\"😀\""};
    return kTerminals[below(random_, std::size(kTerminals))];
  }

  std::string part(uint32_t depth, uint32_t rule) {
    std::string text;
    switch (below(random_, depth == 0 ? 2 : 4)) {
      case 0:
        text = terminal();
        break;
      case 1:
        text = terminal();
        return text + " " + name(below(random_, rules_));
      case 2:
        text = "(" + alternatives(depth - 1, rule) + ")";
        break;
      default:
        // Later rules may stand in front: that is no left recursion by itself.
        text = rule + 1 < rules_ ? name(rule + 1 + below(random_, rules_ - rule - 1)) : terminal();
        break;
    }
    static const char* const kRepetitions[] = {"",  "",     "",      "?",      "*",
                                               "+", "{2,}", "{1,3}", "{0,12}", "{9,14}"};
    return text + kRepetitions[below(random_, std::size(kRepetitions))];
  }

  std::string alternatives(uint32_t depth, uint32_t rule) {
    std::string text;
    const uint32_t count = 1 + below(random_, 3);
    for (uint32_t i = 0; i < count; ++i) {
      if (i > 0) text += " | ";
      const uint32_t parts = 1 + below(random_, 3);
      for (uint32_t p = 0; p < parts; ++p) text += part(depth, rule) + " ";
    }
    return text;
  }

  Random& random_;
  uint32_t rules_ = 1;
};

/// Compares the mask with what the oracle says of each token, and returns the allowed ones.
std::vector<uint32_t> compare_mask(GrammarState& state, const GrammarVocabulary& vocabulary,
                                   ReferenceAcceptor& oracle, const std::string& text) {
  std::vector<uint32_t> bits(vocabulary.mask_words());
  const bool any = state.fill_mask(bits);
  std::vector<uint32_t> wrong;
  for (uint32_t token = 0; token < vocabulary.size(); ++token) {
    bool allowed = false;
    if (vocabulary.use(token) == TokenUse::kEnd) allowed = oracle.judge(text).complete;
    if (vocabulary.use(token) == TokenUse::kText && !vocabulary.bytes(token).empty()) {
      allowed = oracle.judge(text + std::string(vocabulary.bytes(token))).viable;
    }
    if (allowed != has_bit(bits, token)) {
      ADD_FAILURE() << "token " << token << " '" << vocabulary.bytes(token) << "' is "
                    << (allowed ? "missing" : "too much") << " after '" << text << "'";
    }
  }
  const auto tokens = set_bits(bits);
  EXPECT_EQ(any, !tokens.empty());
  EXPECT_EQ(state.is_complete(), oracle.judge(text).complete) << text;
  return tokens;
}

void walk_with_oracle(uint32_t seed, size_t max_cache_bytes, int& grammars) {
  Random random(seed);
  const std::string text = RandomGrammar(random).make();
  SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + text);
  std::optional<Grammar> grammar;
  try {
    grammar = Grammar::from_gbnf(text);
  } catch (const Error& error) {  // left recursion behind something that may be empty
    EXPECT_NE(std::string(error.what()).find("left-recursive"), std::string::npos) << error.what();
    return;
  }
  ++grammars;
  static const auto vocabulary =
      std::make_shared<const GrammarVocabulary>(grammar::testing::small_vocabulary());
  const auto matcher = std::make_shared<GrammarMatcher>(
      *grammar, vocabulary, GrammarMatcherOptions{.max_cache_bytes = max_cache_bytes});
  ReferenceAcceptor oracle(grammar->expressions());
  for (int walk = 0; walk < 2; ++walk) {
    GrammarState state(matcher);
    std::string so_far;
    for (int step = 0; step < 5 && so_far.size() < 20; ++step) {
      const auto tokens = compare_mask(state, *vocabulary, oracle, so_far);
      if (tokens.empty()) break;  // this vocabulary does not have every byte
      const uint32_t token = tokens[below(random, static_cast<uint32_t>(tokens.size()))];
      ASSERT_TRUE(state.accept(token));
      if (state.has_ended()) break;
      so_far += vocabulary->bytes(token);
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Matcher, MasksEqualTheOraclesOnRandomGrammars) {
  int grammars = 0, too_ambiguous = 0;
  for (uint32_t seed = 141; seed < 166; ++seed) {
    try {
      walk_with_oracle(seed, 64u << 20, grammars);
    } catch (const Error& error) {  // repetitions of repetitions of anything
      EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded);
      ++too_ambiguous;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(grammars, 12);
  EXPECT_LE(too_ambiguous, 3);
}

TEST(Matcher, FullCachesChangeNothing) {
  int grammars = 0;
  // Bounds so low that everything is forgotten between most calls.
  for (uint32_t seed = 1000; seed < 1012; ++seed) {
    try {
      walk_with_oracle(seed, 400'000, grammars);
    } catch (const Error& error) {  // not even one mask fits
      EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded);
      --grammars;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(grammars, 3);
}

GrammarState state_for(const Grammar& grammar,
                       std::shared_ptr<const GrammarVocabulary> vocabulary) {
  return GrammarState(std::make_shared<GrammarMatcher>(grammar, std::move(vocabulary)));
}

TEST(Matcher, EndTokensAreAllowedExactlyWhereTheTextMayEnd) {
  const auto vocabulary =
      std::make_shared<const GrammarVocabulary>(grammar::testing::small_vocabulary());
  const auto size = static_cast<uint32_t>(vocabulary->size());
  GrammarState state = state_for(Grammar::from_regex("ab?"), vocabulary);
  std::vector<uint32_t> bits(vocabulary->mask_words());
  EXPECT_FALSE(state.accept(size - 1));
  ASSERT_TRUE(state.accept_text("a"));
  ASSERT_TRUE(state.fill_mask(bits));
  EXPECT_TRUE(has_bit(bits, size - 1));
  EXPECT_TRUE(has_bit(bits, size - 2));
  EXPECT_FALSE(has_bit(bits, size - 3));  // a control token
  EXPECT_FALSE(state.accept(size - 3));
  EXPECT_FALSE(state.accept(size));
  ASSERT_TRUE(state.accept(size - 2));
  EXPECT_TRUE(state.has_ended());
  EXPECT_FALSE(state.fill_mask(bits));
  EXPECT_TRUE(set_bits(bits).empty());
  EXPECT_FALSE(state.accept_text("b"));
  EXPECT_FALSE(state.accept(size - 2));
}

TEST(Matcher, CopiesAreSnapshots) {
  GrammarState state = state_for(Grammar::from_gbnf("root ::= \"(\" root \")\" | \"x\""),
                                 grammar::testing::byte_vocabulary());
  ASSERT_TRUE(state.accept_text("(("));
  const GrammarState before = state;
  ASSERT_TRUE(state.accept_text("x))"));
  EXPECT_TRUE(state.is_complete());
  EXPECT_FALSE(state.accept(')'));
  state = before;
  EXPECT_FALSE(state.accept_text("x)))"));  // and nothing has changed
  EXPECT_TRUE(state.accept_text("(x)"));
  EXPECT_FALSE(state.is_complete());
}

TEST(Matcher, TellsWhatMustFollow) {
  const Grammar grammar = Grammar::from_json_schema(
      parse_json(R"({"properties":{"name":{"type":"boolean"}},"required":["name"]})", "schema"));
  GrammarState state = state_for(grammar, grammar::testing::byte_vocabulary());
  EXPECT_EQ(state.forced_text(), "{");
  ASSERT_TRUE(state.accept_text("{\""));
  EXPECT_EQ(state.forced_text(), "name\":");
  EXPECT_EQ(state.forced_text(2), "na");
  ASSERT_TRUE(state.accept_text("name\":t"));
  EXPECT_EQ(state.forced_text(), "rue");
}

TEST(Matcher, SaysWhenNoTokenFits) {
  const std::vector<GrammarVocabulary::Token> tokens = {{"a"}, {"</s>", TokenUse::kEnd}};
  GrammarState state =
      state_for(Grammar::from_regex("ab"), std::make_shared<const GrammarVocabulary>(tokens));
  std::vector<uint32_t> bits(1);
  EXPECT_TRUE(state.fill_mask(bits));
  ASSERT_TRUE(state.accept(0));
  EXPECT_FALSE(state.fill_mask(bits));
  EXPECT_EQ(bits[0], 0u);
  std::vector<uint32_t> wrong(2);
  EXPECT_THROW(state.fill_mask(wrong), Error);
}

TEST(Matcher, ServesManyThreadsAtOnce) {
  const auto vocabulary =
      std::make_shared<const GrammarVocabulary>(grammar::testing::small_vocabulary());
  const auto matcher = std::make_shared<GrammarMatcher>(
      Grammar::any_json(), vocabulary, GrammarMatcherOptions{.max_cache_bytes = 1u << 20});
  const auto walk = [&](uint32_t seed) {
    Random random(seed);
    GrammarState state(matcher);
    std::vector<uint32_t> bits(vocabulary->mask_words());
    std::string log;
    for (int i = 0; i < 200 && state.fill_mask(bits); ++i) {
      const auto tokens = set_bits(bits);
      const uint32_t token = tokens[below(random, static_cast<uint32_t>(tokens.size()))];
      EXPECT_TRUE(state.accept(token));
      log += std::to_string(token) + " ";
    }
    return log;
  };
  std::vector<std::string> alone, together(4);
  for (uint32_t seed = 0; seed < 4; ++seed) alone.push_back(walk(seed));
  {
    std::vector<std::jthread> threads;
    for (uint32_t seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] { together[seed] = walk(seed); });
    }
  }
  EXPECT_EQ(together, alone);
}

// Real vocabularies.

std::string reference(const std::string& path) {
  return reference_dir().string() + "/" + path;
}

std::shared_ptr<const GrammarVocabulary> load(const std::string& name) {
  const auto tokenizer =
      make_tokenizer(gguf::open(reference("tokenizers/" + name + ".gguf")).metadata());
  std::vector<GrammarVocabulary::Token> tokens;
  for (TokenId id = 0; id < static_cast<TokenId>(tokenizer->vocab_size()); ++id) {
    TokenUse use = TokenUse::kText;
    if (tokenizer->is_control(id)) use = TokenUse::kNever;
    if (tokenizer->is_end_of_generation(id)) use = TokenUse::kEnd;
    tokens.push_back({tokenizer->token_bytes(id), use});
  }
  return std::make_shared<const GrammarVocabulary>(tokens);
}

/// Each mask against every token on its own, and some tokens against the oracle.
void check_text(const Grammar& grammar, std::shared_ptr<const GrammarVocabulary> vocabulary,
                const std::string& text, size_t stride, Random& random) {
  ReferenceAcceptor oracle(grammar.expressions());
  GrammarState state = state_for(grammar, vocabulary);
  std::vector<uint32_t> bits(vocabulary->mask_words());
  size_t allowed = 0;
  for (size_t position = 0; position <= text.size(); ++position) {
    if (position % stride == 0 || position == text.size()) {
      state.fill_mask(bits);
      for (uint32_t token = 0; token < vocabulary->size(); ++token) {
        GrammarState copy = state;
        const bool fits = copy.accept(token);
        ASSERT_EQ(fits, has_bit(bits, token))
            << "token " << token << " '" << vocabulary->bytes(token) << "' after '"
            << text.substr(0, position) << "'";
        allowed += fits;
      }
      for (int i = 0; i < 40; ++i) {
        const uint32_t token = below(random, static_cast<uint32_t>(vocabulary->size()));
        if (vocabulary->use(token) != TokenUse::kText || vocabulary->bytes(token).empty()) continue;
        const std::string longer = text.substr(0, position) + std::string(vocabulary->bytes(token));
        ASSERT_EQ(oracle.judge(longer).viable, has_bit(bits, token)) << longer;
      }
    }
    if (position == text.size()) break;
    ASSERT_TRUE(state.accept_text(text.substr(position, 1))) << text.substr(0, position + 1);
  }
  EXPECT_TRUE(state.is_complete());
  EXPECT_GT(allowed, 0u);
}

TEST(Matcher, MasksOfRealVocabulariesEqualTokenByToken) {
  if (!std::filesystem::exists(reference("tokenizers")))
    GTEST_SKIP() << "no reference folder at " << reference_dir();
  const Grammar schema = Grammar::from_json_schema(parse_json(R"({"type":"object","properties":{
      "city":{"type":"string","minLength":2,"maxLength":12},
      "unit":{"enum":["celsius","fahrenheit","日本"]},"days":{"type":"integer","minimum":1,
      "maximum":14}},"required":["city"]})",
                                                              "schema"));
  const Grammar lines = Grammar::from_gbnf("root ::= (\"- \" [^\\n]{1,300} \"\\n\")+");
  Random random(7);
  for (const char* name : {"llama-bpe", "llama-spm", "gpt-2"}) {
    SCOPED_TRACE(name);
    const auto vocabulary = load(name);
    check_text(schema, vocabulary, R"({"city": "Köln 日本","unit":"celsius", "days": 12})", 3,
               random);
    check_text(Grammar::any_json(), vocabulary,
               "{\"a\": [1.5e3, \"x\\u00e9\\n😀\", {}],\n  \"b\": null}", 4, random);
    check_text(lines, vocabulary, "- é1\n- zwei\n", 3, random);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace omg
