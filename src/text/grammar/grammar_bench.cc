// SPDX-License-Identifier: Apache-2.0
//
// What masks cost over a vocabulary of 128k tokens: compiling, and each step of writing a document,
// with nothing known yet (the first request that uses a grammar) and again (all others). Median and
// worst are over the steps of the document.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <filesystem>

#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/reader.h"
#include "text/grammar/matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {
namespace {

const std::string kPath = reference_dir().string() + "/tokenizers/llama-bpe.gguf";

struct Setup {
  std::unique_ptr<Tokenizer> tokenizer;
  std::shared_ptr<const GrammarVocabulary> vocabulary;
};

std::vector<GrammarVocabulary::Token> tokens_of(const Tokenizer& tokenizer) {
  std::vector<GrammarVocabulary::Token> tokens;
  for (TokenId id = 0; id < static_cast<TokenId>(tokenizer.vocab_size()); ++id) {
    TokenUse use = TokenUse::kText;
    if (tokenizer.is_control(id)) use = TokenUse::kNever;
    if (tokenizer.is_end_of_generation(id)) use = TokenUse::kEnd;
    tokens.push_back({tokenizer.token_bytes(id), use});
  }
  return tokens;
}

const Setup* setup(benchmark::State& state) {
  static const auto made = []() -> std::unique_ptr<Setup> {
    if (!std::filesystem::exists(kPath)) return nullptr;
    auto result = std::make_unique<Setup>();
    result->tokenizer = make_tokenizer(gguf::open(kPath).metadata());
    result->vocabulary = std::make_shared<const GrammarVocabulary>(tokens_of(*result->tokenizer));
    return result;
  }();
  if (made == nullptr) state.SkipWithError("no reference folder");
  return made.get();
}

const char kToolCall[] = R"({"type":"object","properties":{
  "name":{"type":"string","enum":["get_weather","search_web","send_mail","book_flight"]},
  "arguments":{"type":"object","properties":{
    "location":{"type":"string","description":"The city","minLength":1,"maxLength":200},
    "unit":{"type":"string","enum":["celsius","fahrenheit"]},
    "days":{"type":"integer","minimum":1,"maximum":14},
    "confidence":{"type":"number","minimum":0,"maximum":1},
    "when":{"type":"string","format":"date-time"},
    "tags":{"type":"array","items":{"type":"string"},"maxItems":8}},
   "required":["location","unit"],"additionalProperties":false}},
  "required":["name","arguments"],"additionalProperties":false})";

const char kToolCallText[] = R"({"name": "get_weather", "arguments": {
    "location": "Saint-Étienne-du-Rouvray, Normandie, France; near the old town hall",
    "unit": "celsius", "days": 7, "confidence": 0.875, "when": "2026-11-21T18:00:00Z",
    "tags": ["weekend", "travel plans", "umbrella or not?"]}})";

const char kDocumentText[] = R"({"title": "The quick brown fox",
  "authors": [{"name": "Ada Lovelace", "born": 1815}, {"name": "Charles Babbage", "born": 1791}],
  "abstract": "An engine that weaves algebraic patterns, just as the loom.\nIt \"thinks\" not.",
  "ratio": -1.25e-3, "open": true, "extra": {"a": {"b": [[1, 2], [3, null]]}, "größe": "日本語 😀"}})";

Grammar make_json_mode() {
  return Grammar::any_json();
}
Grammar make_tool_call() {
  return Grammar::from_json_schema(parse_json(kToolCall, "schema"));
}

/// 5000 names, as of products or places.
std::string enum_value(int i) {
  static const char* const kWords[] = {"north", "harbour", "mill", "Grand", "upper", "saint"};
  return std::string(kWords[i % 6]) + " " + kWords[i / 6 % 6] + "-" + std::to_string(i * 7919);
}
Grammar make_wide_enum() {
  json::array values;
  for (int i = 0; i < 5000; ++i) values.emplace_back(enum_value(i));
  return Grammar::from_json_schema(
      json::object{{"type", "array"}, {"items", json::object{{"enum", values}}}});
}
std::string wide_enum_text() {
  std::string text = "[";
  for (int i = 0; i < 12; ++i) {
    text += (i > 0 ? ", \"" : "\"") + enum_value(i * 411) + "\"";
  }
  return text + "]";
}

Grammar make_bounded_text() {
  return Grammar::from_json_schema(
      parse_json(R"({"type":"string","minLength":20,"maxLength":300})", "schema"));
}

/// Nearly everything is a letter, but the plain tokens cannot be taken at once.
Grammar make_letters() {
  return Grammar::from_json_schema(
      parse_json(R"({"type":"string","pattern":"^[A-Za-z ,]+$","maxLength":400})", "schema"));
}

double microseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

/// One step: a mask, and the token that the document has there.
std::vector<double> write_document(const std::shared_ptr<GrammarMatcher>& matcher,
                                   const std::vector<TokenId>& tokens,
                                   std::vector<uint32_t>& bits) {
  std::vector<double> times;
  GrammarState state(matcher);
  for (const TokenId token : tokens) {
    const auto begin = std::chrono::steady_clock::now();
    state.fill_mask(bits);
    const bool fits = state.accept(static_cast<uint32_t>(token));
    times.push_back(microseconds_since(begin));
    if (!fits) return {};
  }
  return times;
}

void report(benchmark::State& state, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  double sum = 0;
  for (const double time : times) sum += time;
  state.counters["mean_us"] = sum / static_cast<double>(times.size());
  state.counters["median_us"] = times[times.size() / 2];
  state.counters["worst_us"] = times.back();
}

void masks(benchmark::State& state, Grammar (*make)(), const std::string& text, bool first) {
  const Setup* made = setup(state);
  if (made == nullptr) return;
  const Grammar grammar = make();
  const std::vector<TokenId> tokens = made->tokenizer->encode(text);
  std::vector<uint32_t> bits(made->vocabulary->mask_words());
  auto matcher = std::make_shared<GrammarMatcher>(grammar, made->vocabulary);
  if (write_document(matcher, tokens, bits).empty()) {
    state.SkipWithError("the document is refused");
    return;
  }
  std::vector<double> best;  // of each step over all runs: other programs steal time
  for (auto _ : state) {
    if (first) matcher = std::make_shared<GrammarMatcher>(grammar, made->vocabulary);
    const auto times = write_document(matcher, tokens, bits);
    if (best.empty()) best = times;
    for (size_t i = 0; i < times.size(); ++i) best[i] = std::min(best[i], times[i]);
  }
  report(state, std::move(best));
  state.counters["tokens"] = static_cast<double>(tokens.size());
  state.counters["cache_KiB"] = static_cast<double>(matcher->memory_bytes()) / 1024;
}

void compile(benchmark::State& state, Grammar (*make)()) {
  for (auto _ : state) benchmark::DoNotOptimize(make());
}

void vocabulary(benchmark::State& state) {
  const Setup* made = setup(state);
  if (made == nullptr) return;
  const auto tokens = tokens_of(*made->tokenizer);
  for (auto _ : state) benchmark::DoNotOptimize(GrammarVocabulary(tokens));
}

const std::string kBoundedText =
    '"' +
    std::string(
        "It was the best of times, it was the worst of "
        "times, it was the age of wisdom, it was the age of foolishness, it was the epoch of "
        "belief, it "
        "was the epoch of incredulity, it was the season of Light, it was the season of Darkness") +
    '"';

BENCHMARK(vocabulary)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(compile, json_mode, make_json_mode)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(compile, tool_call, make_tool_call)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(compile, wide_enum, make_wide_enum)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(masks, json_mode_first, make_json_mode, kDocumentText, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, json_mode_again, make_json_mode, kDocumentText, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, tool_call_first, make_tool_call, kToolCallText, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, tool_call_again, make_tool_call, kToolCallText, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, wide_enum_first, make_wide_enum, wide_enum_text(), true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, wide_enum_again, make_wide_enum, wide_enum_text(), false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, bounded_text_first, make_bounded_text, kBoundedText, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, letters_first, make_letters, kBoundedText, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, letters_again, make_letters, kBoundedText, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(masks, bounded_text_again, make_bounded_text, kBoundedText, false)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace omg
