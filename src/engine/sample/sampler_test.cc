// SPDX-License-Identifier: Apache-2.0
//
// The whole chain of sampling against a distribution that is written out naively: everything is
// sorted, in double precision, in the order that sampler.h promises.
#include "engine/sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <random>

#include "base/error.h"

namespace omg {
namespace {

std::vector<float> random_logits(size_t count, uint32_t seed, float spread = 2.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

SamplingOptions all_off() {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.top_k = 0;
  options.top_p = 1.0f;
  options.seed = 1;
  return options;
}

struct Entry {
  int32_t token;
  double logit;
};

std::vector<double> probabilities_of(const std::vector<Entry>& entries, double temperature = 1) {
  double peak = -std::numeric_limits<double>::infinity();
  for (const Entry& entry : entries) peak = std::max(peak, entry.logit);
  std::vector<double> result;
  double total = 0;
  for (const Entry& entry : entries) {
    total += result.emplace_back(std::exp((entry.logit - peak) / temperature));
  }
  for (double& value : result) value /= total;
  return result;
}

/// Sorts by `key` and keeps the shortest prefix that reaches p.
void keep_prefix(std::vector<Entry>& entries, double p, const std::vector<double>& keys) {
  const auto probabilities = probabilities_of(entries);
  std::vector<size_t> order(entries.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return keys[a] < keys[b] || (keys[a] == keys[b] && a < b); });
  std::vector<Entry> kept;
  double reached = 0;
  for (const size_t i : order) {
    kept.push_back(entries[i]);
    reached += probabilities[i];
    if (reached >= p) break;
  }
  entries = kept;
}

/// Probability of each token that sample() may return.
std::map<int32_t, double> reference(std::span<const float> logits, const SamplingOptions& options,
                                    const std::vector<int32_t>& history) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < logits.size(); ++i) {
    entries.push_back({static_cast<int32_t>(i), logits[i]});
  }
  for (const auto& [token, bias] : options.logit_bias) {
    entries[static_cast<size_t>(token)].logit += bias;
  }
  const size_t window =
      options.repeat_last_n < 0 ? history.size() : static_cast<size_t>(options.repeat_last_n);
  const size_t first = history.size() > window ? history.size() - window : 0;
  for (Entry& entry : entries) {
    const auto count =
        std::count(history.begin() + static_cast<ptrdiff_t>(first), history.end(), entry.token);
    if (count == 0) continue;
    if (entry.logit > 0) {
      entry.logit /= options.repeat_penalty;
    } else {
      entry.logit *= options.repeat_penalty;
    }
    entry.logit -= static_cast<double>(count) * options.frequency_penalty;
    entry.logit -= options.presence_penalty;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  });
  if (options.temperature == 0) return {{entries.front().token, 1.0}};
  if (options.top_k > 0 && entries.size() > static_cast<size_t>(options.top_k)) {
    entries.resize(static_cast<size_t>(options.top_k));
  }
  if (options.typical_p < 1) {
    const auto probabilities = probabilities_of(entries);
    double entropy = 0;
    for (const double p : probabilities) entropy -= p * std::log(p);
    std::vector<double> keys;
    for (const double p : probabilities) keys.push_back(std::abs(-std::log(p) - entropy));
    keep_prefix(entries, options.typical_p, keys);
  }
  if (options.top_p < 1) {
    std::vector<double> keys;
    for (const Entry& entry : entries) keys.push_back(-entry.logit);
    keep_prefix(entries, options.top_p, keys);
  }
  if (options.min_p > 0) {
    const auto probabilities = probabilities_of(entries);
    const double best = *std::max_element(probabilities.begin(), probabilities.end());
    std::vector<Entry> kept;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (probabilities[i] >= options.min_p * best) kept.push_back(entries[i]);
    }
    entries = kept;
  }
  const auto probabilities = probabilities_of(entries, options.temperature);
  std::map<int32_t, double> result;
  for (size_t i = 0; i < entries.size(); ++i) result[entries[i].token] = probabilities[i];
  return result;
}

/// Draws many times and compares the counts by a chi-square test. Each seed is fixed, so a run
/// that passes passes always; 5 standard deviations leave no doubt about one that fails.
void expect_distribution(std::span<const float> logits, const SamplingOptions& options,
                         const std::vector<int32_t>& history = {}) {
  constexpr int kDraws = 20000;
  const auto expected = reference(logits, options, history);
  Sampler sampler(options);
  for (const int32_t token : history) sampler.accept(token);
  std::map<int32_t, int> counts;
  std::vector<float> scratch;
  for (int i = 0; i < kDraws; ++i) {
    scratch.assign(logits.begin(), logits.end());
    const int32_t token = sampler.sample(scratch).token;
    ASSERT_TRUE(expected.count(token)) << "token " << token << " was cut off";
    ++counts[token];
  }
  double statistic = 0;
  double rare_expected = 0;  // tokens expected fewer than 5 times are taken together
  double rare_seen = 0;
  int cells = 0;
  for (const auto& [token, probability] : expected) {
    const double mean = probability * kDraws;
    if (mean < 5) {
      rare_expected += mean;
      rare_seen += counts[token];
      continue;
    }
    statistic += (counts[token] - mean) * (counts[token] - mean) / mean;
    ++cells;
  }
  if (rare_expected >= 5) {
    statistic += (rare_seen - rare_expected) * (rare_seen - rare_expected) / rare_expected;
    ++cells;
  }
  const double freedom = std::max(1, cells - 1);
  EXPECT_LT(statistic, freedom + 5 * std::sqrt(2 * freedom));
}

TEST(Sampler, TemperatureAloneFollowsTheSoftmax) {
  for (const size_t vocab : {size_t{1}, size_t{2}, size_t{33}}) {
    for (const float temperature : {0.3f, 1.0f, 2.0f}) {
      SamplingOptions options = all_off();
      options.temperature = temperature;
      expect_distribution(random_logits(vocab, 1), options);
    }
  }
}

TEST(Sampler, EachCutLeavesItsDistribution) {
  for (const size_t vocab : {size_t{1}, size_t{2}, size_t{33}}) {
    for (uint32_t seed = 1; seed < 4; ++seed) {
      const auto logits = random_logits(vocab, seed);
      SamplingOptions top_k = all_off();
      top_k.top_k = 5;
      expect_distribution(logits, top_k);
      SamplingOptions top_p = all_off();
      top_p.top_p = 0.8f;
      expect_distribution(logits, top_p);
      SamplingOptions min_p = all_off();
      min_p.min_p = 0.1f;
      expect_distribution(logits, min_p);
      SamplingOptions typical = all_off();
      typical.typical_p = 0.7f;
      expect_distribution(logits, typical);
    }
  }
}

TEST(Sampler, AllStepsTogetherFollowTheirOrder) {
  for (uint32_t seed = 1; seed < 6; ++seed) {
    SamplingOptions options;
    options.temperature = 1.3f;
    options.top_k = 20;
    options.typical_p = 0.95f;
    options.top_p = 0.9f;
    options.min_p = 0.02f;
    options.repeat_penalty = 1.3f;
    options.presence_penalty = 0.2f;
    options.frequency_penalty = 0.1f;
    options.repeat_last_n = 4;
    options.logit_bias = {{3, 1.0f}, {4, -1e9f}, {3, 0.5f}};
    options.seed = seed;
    expect_distribution(random_logits(33, seed), options, {1, 2, 2, 3, 3, 3, 7});
  }
}

TEST(Sampler, PenaltiesLookBackOnTheirWindow) {
  const auto logits = random_logits(33, 9);
  const std::vector<int32_t> history = {5, 6, 5, 7, 8, 8, 8, 9};
  for (const int32_t window : {0, 1, 3, 64, -1}) {
    SamplingOptions options = all_off();
    options.repeat_penalty = 1.5f;
    options.frequency_penalty = 0.4f;
    options.presence_penalty = -0.3f;
    options.repeat_last_n = window;
    expect_distribution(logits, options, history);
  }
}

TEST(Sampler, DrawsFromLargeVocabulariesStayInsideTheCuts) {
  constexpr size_t kVocab = 128 * 1024;
  const auto logits = random_logits(kVocab, 4, 3.0f);
  for (int kind = 0; kind < 5; ++kind) {
    SamplingOptions options = all_off();
    if (kind == 0) options.top_k = 40;
    if (kind == 1) options.top_p = 0.3f;
    if (kind == 2) options.min_p = 0.2f;
    if (kind == 3) options.typical_p = 0.2f;
    if (kind == 4) options = {.temperature = 0.0f};
    const auto expected = reference(logits, options, {});
    Sampler sampler(options);
    for (int i = 0; i < 50; ++i) {
      auto scratch = logits;
      EXPECT_TRUE(expected.count(sampler.sample(scratch).token)) << kind;
    }
  }
}

TEST(Sampler, GreedyTakesTheBestAndOfEqualsTheFirst) {
  for (const size_t vocab : {size_t{1}, size_t{2}, size_t{33}, size_t{128 * 1024}}) {
    const auto logits = random_logits(vocab, 21);
    Sampler sampler({.temperature = 0.0f});
    auto scratch = logits;
    EXPECT_EQ(sampler.sample(scratch).token,
              std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  Sampler sampler({.temperature = 0.0f});
  std::vector<float> ties = {1, 3, 2, 3};
  EXPECT_EQ(sampler.sample(ties).token, 1);
}

TEST(Sampler, GreedyHeedsBiasAndPenalties) {
  SamplingOptions options;
  options.temperature = 0;
  options.logit_bias = {{0, -1e9f}};
  options.repeat_penalty = 2.0f;
  Sampler sampler(options);
  sampler.accept(1);
  std::vector<float> logits = {9, 5, 3, 1};
  EXPECT_EQ(sampler.sample(logits).token, 2);
}

TEST(Sampler, TiniestTemperatureIsGreedy) {
  SamplingOptions options = all_off();
  options.temperature = std::numeric_limits<float>::denorm_min();
  Sampler sampler(options);
  const auto logits = random_logits(33, 2);
  for (int i = 0; i < 20; ++i) {
    auto scratch = logits;
    EXPECT_EQ(sampler.sample(scratch).token,
              std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
}

std::vector<int32_t> draw_tokens(Sampler& sampler, int count, uint32_t first_seed = 0) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) {
    auto logits = random_logits(1000, first_seed + static_cast<uint32_t>(i), 1.0f);
    tokens.push_back(sampler.sample(logits).token);
    sampler.accept(tokens.back());
  }
  return tokens;
}

TEST(Sampler, SameSeedGivesSameTokensWhateverElseIsSampled) {
  SamplingOptions options;
  options.seed = 42;
  options.repeat_penalty = 1.2f;
  Sampler first(options);
  const auto alone = draw_tokens(first, 50);

  Sampler again(options);
  SamplingOptions other_options;
  other_options.seed = 43;
  Sampler other(other_options);
  std::vector<int32_t> mixed;
  for (int i = 0; i < 50; ++i) {
    draw_tokens(other, 3, 1000);
    auto logits = random_logits(1000, static_cast<uint32_t>(i), 1.0f);
    mixed.push_back(again.sample(logits).token);
    again.accept(mixed.back());
  }
  EXPECT_EQ(mixed, alone);
  EXPECT_NE(draw_tokens(other, 50), alone);
}

/// As if the others were not in the vocabulary; and the logits are there for another choice.
TEST(Sampler, OnlyAllowedTokensComeAndTheRestIsAsWithoutTheOthers) {
  constexpr size_t kCount = 700;
  const auto logits = random_logits(kCount, 5);
  std::vector<int32_t> few;
  std::vector<uint32_t> allowed((kCount + 31) / 32);
  for (size_t i = 3; i < kCount; i += 1 + i % 40) {
    few.push_back(static_cast<int32_t>(i));
    allowed[i / 32] |= 1u << (i % 32);
  }
  std::vector<SamplingOptions> kinds(6, all_off());
  kinds[0].temperature = 0;
  kinds[1].top_k = 5;
  kinds[2].top_k = 12;
  kinds[3].top_p = 0.7f;
  kinds[4].typical_p = 0.6f;
  kinds[5].min_p = 0.05f;
  for (SamplingOptions options : kinds) {
    options.repeat_penalty = 1.3f;
    options.top_logprobs = 0;
    options.logit_bias = {{few[2], 3.0f}, {0, 100.0f}};
    SamplingOptions own = options;
    own.logit_bias = {{2, 3.0f}};
    Sampler sampler(options);
    Sampler small(own);
    sampler.accept(few[1]);
    small.accept(1);
    for (int draw = 0; draw < 300; ++draw) {
      std::vector<float> all = logits;
      std::vector<float> kept;
      for (const int32_t token : few) kept.push_back(logits[static_cast<size_t>(token)]);
      const SampledToken chosen = sampler.sample(all, allowed);
      ASSERT_EQ(chosen.token, few[static_cast<size_t>(small.sample(kept).token)]);
      ASSERT_EQ(all[static_cast<size_t>(chosen.token)], logits[static_cast<size_t>(chosen.token)]);
      ASSERT_LT(chosen.logprob, 0);
      for (const int32_t token : few) {
        ASSERT_EQ(all[static_cast<size_t>(token)], logits[static_cast<size_t>(token)]);
      }
    }
  }
}

TEST(Sampler, ReportsTheSeedThatItDrew) {
  SamplingOptions options;
  options.seed = -1;
  Sampler random(options);
  Sampler other(options);
  EXPECT_NE(random.seed(), other.seed());
  options.seed = static_cast<int64_t>(random.seed());
  ASSERT_GE(options.seed, 0);
  Sampler same(options);
  EXPECT_EQ(draw_tokens(random, 30), draw_tokens(same, 30));
}

TEST(Sampler, LogprobsAreTheModelsOwn) {
  for (const size_t vocab : {size_t{1}, size_t{2}, size_t{33}, size_t{128 * 1024}}) {
    const auto logits = random_logits(vocab, 31, 3.0f);
    SamplingOptions options;
    options.seed = 3;
    options.top_logprobs = 7;
    options.repeat_penalty = 1.7f;
    options.logit_bias = {{0, 2.0f}, {0, 2.0f}};
    Sampler sampler(options);
    for (int32_t token = 0; token < static_cast<int32_t>(std::min<size_t>(vocab, 20)); ++token) {
      sampler.accept(token);
    }
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit));
    auto expected = reference(logits, {.temperature = 1, .top_k = 7, .top_p = 1}, {});
    for (int i = 0; i < 5; ++i) {
      auto scratch = logits;
      const SampledToken sampled = sampler.sample(scratch);
      const auto logprob = [&](int32_t token) {
        return logits[static_cast<size_t>(token)] - std::log(total);
      };
      EXPECT_NEAR(sampled.logprob, logprob(sampled.token), 2e-5);
      ASSERT_EQ(sampled.top.size(), std::min<size_t>(7, vocab));
      for (size_t n = 0; n < sampled.top.size(); ++n) {
        EXPECT_TRUE(expected.count(sampled.top[n].token));
        EXPECT_NEAR(sampled.top[n].logprob, logprob(sampled.top[n].token), 2e-5);
        if (n == 0) continue;
        EXPECT_GE(sampled.top[n - 1].logprob, sampled.top[n].logprob);
      }
    }
  }
  Sampler chosen_alone({.seed = 1, .top_logprobs = 0});
  std::vector<float> logits = {0.0f, 0.0f};
  const SampledToken sampled = chosen_alone.sample(logits);
  EXPECT_NEAR(sampled.logprob, std::log(0.5), 1e-6);
  EXPECT_TRUE(sampled.top.empty());
}

TEST(Sampler, DamagedLogitsAreAnErrorNotACrash) {
  for (const float bad : {NAN, INFINITY}) {
    for (const int32_t logprobs : {-1, 3}) {
      SamplingOptions options;
      options.top_logprobs = logprobs;
      Sampler sampler(options);
      std::vector<float> logits(100, 0.0f);
      logits[77] = bad;
      try {
        sampler.sample(logits);
        FAIL() << "accepted " << bad;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      }
    }
  }
}

TEST(Sampler, ExtremeLogitsStayHarmless) {
  constexpr float kHuge = std::numeric_limits<float>::max();
  for (int kind = 0; kind < 4; ++kind) {
    SamplingOptions options = all_off();
    options.temperature = 0.1f;
    options.repeat_penalty = 0.01f;
    options.logit_bias = {{1, 1e9f}};
    if (kind == 1) options.top_k = 3;
    if (kind == 2) options.typical_p = 0.5f;
    if (kind == 3) options.top_p = 0.5f;
    Sampler sampler(options);
    sampler.accept(0);
    std::vector<float> logits = {kHuge, kHuge, -kHuge, -kHuge, 0.0f};
    const int32_t token = sampler.sample(logits).token;
    EXPECT_TRUE(token == 0 || token == 1) << kind << " " << token;
  }
}

void expect_refused(const SamplingOptions& options, const std::string& field) {
  try {
    validate(options);
    FAIL() << field << " was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
  }
}

TEST(SamplingOptions, FloatsOutOfRangeAreNamed) {
  const std::vector<std::tuple<std::string, float SamplingOptions::*, float, float>> fields = {
      {"temperature", &SamplingOptions::temperature, -0.01f, 100.1f},
      {"top_p", &SamplingOptions::top_p, -0.01f, 1.01f},
      {"min_p", &SamplingOptions::min_p, -0.01f, 1.01f},
      {"typical_p", &SamplingOptions::typical_p, -0.01f, 1.01f},
      {"repeat_penalty", &SamplingOptions::repeat_penalty, 0.0f, 100.1f},
      {"presence_penalty", &SamplingOptions::presence_penalty, -100.01f, 100.1f},
      {"frequency_penalty", &SamplingOptions::frequency_penalty, -100.01f, 100.1f}};
  for (const auto& [name, member, below, above] : fields) {
    for (const float bad : {below, above, NAN, INFINITY, -INFINITY}) {
      SamplingOptions options;
      options.*member = bad;
      expect_refused(options, name);
    }
    for (const float good : {below + 0.011f, above - 0.11f}) {
      SamplingOptions options;
      options.*member = good;
      EXPECT_NO_THROW(validate(options)) << name << " " << good;
    }
  }
}

TEST(SamplingOptions, IntegersAndBiasesOutOfRangeAreNamed) {
  constexpr int32_t kLowest = std::numeric_limits<int32_t>::min();
  for (const int32_t bad : {-1, kLowest}) expect_refused({.top_k = bad}, "top_k");
  for (const int32_t bad : {-2, kLowest}) expect_refused({.repeat_last_n = bad}, "repeat_last_n");
  for (const int32_t bad : {-2, 1001, kLowest}) {
    expect_refused({.top_logprobs = bad}, "top_logprobs");
  }
  for (const float bad : {2e9f, -2e9f, NAN, INFINITY}) {
    expect_refused({.logit_bias = {{5, bad}}}, "logit_bias of token 5");
  }
  expect_refused({.logit_bias = {{-1, 1.0f}}}, "logit_bias");
  EXPECT_NO_THROW(validate({.top_k = std::numeric_limits<int32_t>::max(), .repeat_last_n = -1}));
  EXPECT_THROW(Sampler({.temperature = -1}), Error);

  Sampler sampler({.logit_bias = {{100, 1.0f}}});
  std::vector<float> logits(100);
  EXPECT_THROW(sampler.sample(logits), Error);
}

}  // namespace
}  // namespace omg
