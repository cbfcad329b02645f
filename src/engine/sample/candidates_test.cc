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

/// Number of leading ids whose probabilities reach p.
size_t prefix_of(const std::vector<double>& probabilities, const std::vector<int32_t>& order,
                 double p) {
  double reached = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    reached += probabilities[static_cast<size_t>(order[i])];
    if (reached >= p) return i + 1;
  }
  return order.size();
}

/// The cut at share p may lie between those of two shares that differ by rounding.
void expect_prefix(const std::vector<Candidate>& kept, const std::vector<double>& probabilities,
                   const std::vector<int32_t>& order, float p) {
  constexpr double kRounding = 1e-6;
  EXPECT_GE(kept.size(), prefix_of(probabilities, order, p * (1 - kRounding)));
  EXPECT_LE(kept.size(), prefix_of(probabilities, order, p * (1 + kRounding)));
  EXPECT_TRUE(std::equal(kept.begin(), kept.end(), order.begin(),
                         [](const Candidate& c, int32_t id) { return c.token == id; }));
}

TEST(Candidates, TopPEqualsAFullSort) {
  for (const size_t vocab : kVocabs) {
    for (uint32_t seed = 0; seed < 4; ++seed) {
      for (const float spread : {0.5f, 4.0f, 20.0f}) {
        const auto logits = random_logits(vocab, seed, spread);
        const auto order = sorted_ids(logits);
        const auto probabilities = softmax(logits);
        for (const float p : {0.0f, 0.1f, 0.5f, 0.9f, 0.99f, 0.9999f}) {
          auto candidates = all_of(logits);
          const double total = fill_weights(candidates);
          keep_top_p(candidates, p, total);
          expect_prefix(candidates, probabilities, order, p);

          // The floor leaves out nothing that belongs to the prefix.
          const float peak = find_peak(logits).logit;
          auto fewer = select_at_least(logits, top_p_floor(peak, total, vocab, p));
          fill_weights(fewer);
          keep_top_p(fewer, p, total);
          EXPECT_EQ(ids_of(fewer), ids_of(candidates)) << vocab << " " << p;
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

TEST(Candidates, TypicalEqualsAFullSort) {
  for (const size_t vocab : kVocabs) {
    for (uint32_t seed = 0; seed < 4; ++seed) {
      const auto logits = random_logits(vocab, seed);
      const auto probabilities = softmax(logits);
      double entropy = 0;
      for (const double p : probabilities) entropy -= p > 0 ? p * std::log(p) : 0;
      const auto distance = [&](int32_t id) {
        return std::abs(-std::log(probabilities[static_cast<size_t>(id)]) - entropy);
      };
      std::vector<int32_t> order(vocab);
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(),
                [&](int32_t a, int32_t b) { return distance(a) < distance(b); });
      for (const float p : {0.0f, 0.2f, 0.9f}) {
        auto candidates = all_of(logits);
        const double total = fill_weights(candidates);
        keep_typical(candidates, p, total);
        constexpr double kRounding = 1e-5;
        const size_t least = prefix_of(probabilities, order, p * (1 - kRounding));
        const size_t most = prefix_of(probabilities, order, p * (1 + kRounding));
        EXPECT_GE(candidates.size(), least);
        EXPECT_LE(candidates.size(), most);
        // Distances that are equal in floats may change places: compare them, not the ids.
        for (size_t i = 0; i < candidates.size(); ++i) {
          ASSERT_NEAR(distance(candidates[i].token), distance(order[i]), 1e-5) << i;
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
