// SPDX-License-Identifier: Apache-2.0
//
// Every step against a reference that sorts everything in double precision.
#include "engine/sample/candidates.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>
#include <random>

#include "engine/sample/philox.h"

namespace omg {
namespace {

constexpr size_t kVocabs[] = {1, 2, 33, 128 * 1024};

std::vector<float> random_logits(size_t count, uint32_t seed, float spread = 4.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

/// Whole numbers from 0 to 7: nearly all ties.
std::vector<float> tied_logits(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = static_cast<float>(random() % 8);
  return logits;
}

/// All ids, likeliest first, ties by id.
std::vector<int32_t> sorted_ids(std::span<const float> logits) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
    const float left = logits[static_cast<size_t>(a)];
    const float right = logits[static_cast<size_t>(b)];
    return left > right || (left == right && a < b);
  });
  return ids;
}

std::vector<double> softmax(std::span<const float> logits) {
  const double peak = *std::max_element(logits.begin(), logits.end());
  std::vector<double> result;
  double total = 0;
  for (const float logit : logits) total += result.emplace_back(std::exp(logit - peak));
  for (double& value : result) value /= total;
  return result;
}

std::vector<int32_t> ids_of(const std::vector<Candidate>& candidates) {
  std::vector<int32_t> ids;
  for (const Candidate& candidate : candidates) ids.push_back(candidate.token);
  return ids;
}

std::vector<Candidate> all_of(std::span<const float> logits) {
  return select_at_least(logits, -std::numeric_limits<float>::infinity());
}

TEST(Philox, GivesThePublishedVectors) {
  // From the authors' Random123 library, kat_vectors, philox4x32 with 10 rounds.
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformDrawsFillTheirInterval) {
  double sum = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = uniform_draw(7, static_cast<uint64_t>(i));
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * 0.2887 / std::sqrt(kDraws));
  EXPECT_NE(uniform_draw(7, 0), uniform_draw(8, 0));
  EXPECT_NE(uniform_draw(7, 0), uniform_draw(7, uint64_t{1} << 32));
}

TEST(Candidates, ExponentialIsCloseEverywhere) {
  for (float x = 0; x > -87; x -= 0.00037f) {
    const double expected = std::exp(static_cast<double>(x));
    ASSERT_NEAR(exp_weight(x) / expected, 1.0, 2e-7) << x;
  }
  EXPECT_EQ(exp_weight(0.0f), 1.0f);
  EXPECT_EQ(exp_weight(-0.0f), 1.0f);
  EXPECT_GT(exp_weight(-87.0f), 0.0f);
  EXPECT_EQ(exp_weight(-87.001f), 0.0f);
  EXPECT_EQ(exp_weight(-3e38f), 0.0f);
  EXPECT_EQ(exp_weight(-std::numeric_limits<float>::infinity()), 0.0f);
}

TEST(Candidates, PeakIsTheLowestIdOfTheLargest) {
  for (const size_t vocab : kVocabs) {
    for (uint32_t seed = 0; seed < 8; ++seed) {
      for (const auto& logits : {random_logits(vocab, seed), tied_logits(vocab, seed)}) {
        const Peak peak = find_peak(logits);
        const auto expected = std::max_element(logits.begin(), logits.end());
        EXPECT_TRUE(peak.finite);
        EXPECT_EQ(peak.token, expected - logits.begin());
        EXPECT_EQ(peak.logit, *expected);
      }
    }
  }
  EXPECT_EQ(find_peak(std::vector<float>{-3, -1, -2}).token, 1);
  EXPECT_EQ(find_peak(std::vector<float>{-0.0f, 0.0f}).token, 0);
}

TEST(Candidates, PeakFindsWhatIsNotFiniteAnywhere) {
  for (const size_t vocab : {size_t{1}, size_t{33}, size_t{5000}}) {
    for (size_t place = 0; place < vocab; place += 1 + vocab / 37) {
      for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
        auto logits = random_logits(vocab, 3);
        logits[place] = bad;
        EXPECT_FALSE(find_peak(logits).finite) << place;
      }
    }
  }
}

TEST(Candidates, TopKEqualsAFullSort) {
  for (const size_t vocab : kVocabs) {
    auto ascending = random_logits(vocab, 1);
    std::sort(ascending.begin(), ascending.end());
    for (const auto& logits : {random_logits(vocab, 2), tied_logits(vocab, 3), ascending}) {
      const auto expected = sorted_ids(logits);
      for (const size_t k :
           {size_t{1}, size_t{2}, size_t{40}, size_t{1000}, vocab / 2 + 1, vocab, vocab + 1}) {
        const auto best = ids_of(select_top_k(logits, k));
        ASSERT_EQ(best.size(), std::min(k, vocab));
        EXPECT_TRUE(std::equal(best.begin(), best.end(), expected.begin())) << vocab << " " << k;
      }
    }
  }
}

std::vector<int32_t> in_order(std::vector<int32_t> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// Ids of the shortest beginning of `order` that has the share p, as the header defines it: sums
/// are exact.
std::vector<int32_t> prefix_of(std::span<const float> logits, const std::vector<int32_t>& order,
                               float p) {
  const float peak = *std::max_element(logits.begin(), logits.end());
  std::vector<int64_t> units;
  for (const float logit : logits) {
    units.push_back(std::llrint(static_cast<double>(exp_weight(logit - peak)) * 0x1p39));
  }
  const auto total = static_cast<double>(std::accumulate(units.begin(), units.end(), int64_t{0}));
  int64_t reached = 0;
  std::vector<int32_t> ids;
  for (const int32_t id : order) {
    ids.push_back(id);
    reached += units[static_cast<size_t>(id)];
    if (static_cast<double>(reached) >= static_cast<double>(p) * total) break;
  }
  return in_order(ids);
}

/// How many of the likeliest have the share p, in double precision all through.
size_t prefix_size(const std::vector<double>& probabilities, const std::vector<int32_t>& order,
                   double p) {
  double reached = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    reached += probabilities[static_cast<size_t>(order[i])];
    if (reached >= p) return i + 1;
  }
  return order.size();
}

/// Logits of many kinds: spread, peaked, tied in part and altogether, forbidden in part.
std::vector<std::vector<float>> kinds_of_logits(size_t vocab, uint32_t seed) {
  std::vector<std::vector<float>> kinds;
  for (const float spread : {0.01f, 0.5f, 3.0f, 20.0f}) {
    kinds.push_back(random_logits(vocab, seed, spread));
  }
  kinds.push_back(tied_logits(vocab, seed));
  kinds.emplace_back(vocab, -1.5f);
  kinds.push_back(random_logits(vocab, seed, 1.0f));
  kinds.back()[vocab / 2] += 9;
  kinds.push_back(random_logits(vocab, seed, 4.0f));
  for (size_t i = 0; i + 1 < vocab; i += 1 + seed) {
    kinds.back()[i] = std::numeric_limits<float>::lowest();
  }
  kinds.push_back(tied_logits(vocab, seed));  // both zeros are one
  for (float& logit : kinds.back()) logit = logit < 4 ? -0.0f : logit < 6 ? 0.0f : -0.25f;
  return kinds;
}

constexpr size_t kPrefixVocabs[] = {1, 2, 33, 300, 5000, 128 * 1024};

std::vector<float> shares_for(size_t vocab) {
  if (vocab > 5000) return {0.5f, 0.95f, 0.99999994f};
  return {0.0f, 1e-8f, 0.1f, 0.5f, 0.9f, 0.95f, 0.9999f, 0.99999994f};
}

TEST(Candidates, TopPEqualsAFullSort) {
  for (const size_t vocab : kPrefixVocabs) {
    for (uint32_t seed = 0; seed < (vocab > 5000 ? 1u : 8u); ++seed) {
      for (const auto& logits : kinds_of_logits(vocab, seed)) {
        const auto order = sorted_ids(logits);
        const auto probabilities = softmax(logits);
        auto all = all_of(logits);
        fill_weights(all);
        auto likeliest_first = select_top_k(logits, vocab);
        fill_weights(likeliest_first);
        for (const float p : shares_for(vocab)) {
          const auto expected = prefix_of(logits, order, p);
          ASSERT_EQ(ids_of(select_top_p(logits, p)), expected) << vocab << " " << p;
          auto candidates = all;
          keep_top_p(candidates, p);
          ASSERT_EQ(ids_of(candidates), expected) << vocab << " " << p;
          candidates = likeliest_first;
          keep_top_p(candidates, p);
          ASSERT_EQ(candidates.size(), expected.size());
          ASSERT_TRUE(std::equal(candidates.begin(), candidates.end(), order.begin(),
                                 [](const Candidate& c, int32_t id) { return c.token == id; }));
          // And that is what it should be, but for the rounding of weights.
          ASSERT_GE(expected.size(), prefix_size(probabilities, order, p - 1e-6)) << vocab;
          ASSERT_LE(expected.size(), prefix_size(probabilities, order, p + 1e-6)) << vocab;
        }
      }
    }
  }
}

TEST(Candidates, MinPEqualsItsDefinition) {
  for (const size_t vocab : kVocabs) {
    const auto logits = random_logits(vocab, 5);
    const auto probabilities = softmax(logits);
    const double best = *std::max_element(probabilities.begin(), probabilities.end());
    for (const float min_p : {0.0001f, 0.05f, 0.5f, 1.0f}) {
      auto candidates = all_of(logits);
      keep_min_p(candidates, min_p);
      std::vector<bool> kept(vocab);
      for (const int32_t id : ids_of(candidates)) kept[static_cast<size_t>(id)] = true;
      for (size_t i = 0; i < vocab; ++i) {
        if (std::abs(probabilities[i] / best / min_p - 1) < 1e-5 && min_p < 1) continue;
        ASSERT_EQ(kept[i], probabilities[i] >= min_p * best) << i;
      }
    }
  }
}

/// What is left out is further away than what is kept, and one less would not have been enough;
/// how far away a token is can be told to 1e-4, and its weight to 1e-6.
void expect_typical(const std::vector<Candidate>& kept, std::span<const float> logits, float p) {
  const auto probabilities = softmax(logits);
  double entropy = 0;
  for (const double q : probabilities) entropy -= q > 0 ? q * std::log(q) : 0;
  const double peak = *std::max_element(logits.begin(), logits.end());
  double log_total = 0;
  for (const float logit : logits) log_total += std::exp(logit - peak);
  log_total = std::log(log_total);
  const auto distance = [&](size_t id) {
    return std::abs(log_total - (logits[id] - peak) - entropy);
  };
  std::vector<bool> is_kept(logits.size());
  double furthest = 0;
  double reached = 0;
  for (const Candidate& candidate : kept) {
    const auto id = static_cast<size_t>(candidate.token);
    is_kept[id] = true;
    furthest = std::max(furthest, distance(id));
    reached += probabilities[id];
  }
  double nearer = 0;  // weight of what is nearer than the last
  for (size_t id = 0; id < logits.size(); ++id) {
    if (!is_kept[id]) {
      ASSERT_GE(distance(id), furthest - 1e-4) << id;
    }
    if (distance(id) < furthest - 1e-4) nearer += probabilities[id];
  }
  ASSERT_GE(reached, p - 1e-6);
  ASSERT_LE(nearer, p + 1e-6);
}

TEST(Candidates, TypicalEqualsItsDefinition) {
  for (const size_t vocab : kPrefixVocabs) {
    for (uint32_t seed = 0; seed < (vocab > 5000 ? 1u : 8u); ++seed) {
      for (const auto& logits : kinds_of_logits(vocab, seed)) {
        for (const float p : shares_for(vocab)) {
          const auto kept = select_typical(logits, p);
          expect_typical(kept, logits, p);
          auto candidates = all_of(logits);
          fill_weights(candidates);
          keep_typical(candidates, p);
          ASSERT_EQ(ids_of(candidates), ids_of(kept)) << vocab << " " << p;
        }
      }
    }
  }
}

TEST(Candidates, DrawFollowsTheRunningSum) {
  for (const size_t vocab : {size_t{1}, size_t{2}, size_t{33}, size_t{1025}, size_t{5000}}) {
    for (const float temperature : {0.5f, 1.0f, 3.0f}) {
      const auto logits = random_logits(vocab, 11);
      std::vector<float> scaled;
      for (const float logit : logits) scaled.push_back(logit / temperature);
      const auto probabilities = softmax(scaled);
      const float peak = find_peak(logits).logit;
      for (uint64_t draw = 0; draw < 300; ++draw) {
        const double uniform = uniform_draw(1, draw);
        const size_t chosen = draw_index(logits, peak, temperature, uniform);
        const auto begin = probabilities.begin();
        const double before = std::accumulate(begin, begin + static_cast<ptrdiff_t>(chosen), 0.0);
        EXPECT_LE(before, uniform + 1e-6);
        EXPECT_GE(before + probabilities[chosen], uniform - 1e-6);
      }
    }
  }
}

TEST(Candidates, DrawNeverTakesWhatWeighsNothing) {
  std::vector<float> logits(3000, -1000.0f);
  logits[1500] = 5.0f;
  for (const double uniform : {0.0, 0.5, 1 - 0x1p-53}) {
    EXPECT_EQ(draw_index(logits, 5.0f, 1.0f, uniform), 1500u);
    EXPECT_EQ(draw_index(logits, 5.0f, 1e-45f, uniform), 1500u);
  }
}

}  // namespace
}  // namespace omg
