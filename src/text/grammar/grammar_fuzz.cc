// SPDX-License-Identifier: Apache-2.0
//
// Fuzzer: any text as GBNF, a regular expression or a JSON Schema. It is refused with an Error, or
// compiled, and then walked along its masks: each mask must say of each token what following the
// token says, what a schema lets end must be JSON, and nothing may take long.
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar/test_support.h"

namespace {

using omg::Grammar;
using omg::GrammarState;
using omg::GrammarVocabulary;
using omg::TokenUse;

enum Kind : uint8_t { kGbnf, kRegex, kSchema };

void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

Grammar compile(uint8_t kind, std::string_view text) {
  omg::GrammarLimits limits;
  limits.max_nodes = 4000;
  limits.max_states = 8000;
  limits.max_nesting = 40;
  if (kind == kGbnf) return Grammar::from_gbnf(text, limits);
  if (kind == kRegex) return Grammar::from_regex(text, limits);
  omg::JsonSchemaOptions options;
  options.limits = limits;
  return Grammar::from_json_schema(omg::parse_json(text, "schema", {.max_depth = 60}), options);
}

void walk(const Grammar& grammar, uint8_t kind, uint8_t choice) {
  static const auto vocabulary = omg::grammar::testing::whole_vocabulary();
  const auto matcher = std::make_shared<omg::GrammarMatcher>(
      grammar, vocabulary, omg::GrammarMatcherOptions{.max_cache_bytes = 2u << 20});
  GrammarState state(matcher);
  std::vector<uint32_t> bits(vocabulary->mask_words());
  std::string text;
  for (int step = 0; step < 12; ++step) {
    const bool any = state.fill_mask(bits);
    for (uint32_t token = 0; token < vocabulary->size(); ++token) {
      GrammarState copy = state;
      require(copy.accept(token) == omg::grammar::testing::has_bit(bits, token),
              "token " + std::to_string(token) + " after '" + text + "'");
    }
    const auto tokens = omg::grammar::testing::set_bits(bits);
    // Every byte is a token, and no way is a dead end.
    require(any && !tokens.empty(), "nothing may follow '" + text + "'");
    const uint32_t token =
        tokens[(choice * 31u + static_cast<uint32_t>(step) * 7u) % tokens.size()];
    require(state.accept(token), "an allowed token is refused");
    if (state.has_ended()) {
      if (kind == kSchema) omg::parse_json(text, "the answer");
      return;
    }
    text += vocabulary->bytes(token);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 2000) return 0;
  const uint8_t kind = data[0] % 3;
  std::optional<Grammar> grammar;
  try {
    grammar = compile(kind, {reinterpret_cast<const char*>(data) + 2, size - 2});
  } catch (const omg::Error&) {
    return 0;  // most texts are no grammar
  }
  try {
    walk(*grammar, kind, data[1]);
  } catch (const omg::Error& error) {
    require(error.code() == omg::ErrorCode::kLimitExceeded, error.what());
  }
  return 0;
}
