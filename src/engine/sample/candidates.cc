// SPDX-License-Identifier: Apache-2.0
//
// Selection and cuts without a full sort. The hot loops run over fixed numbers of independent
// lanes, which compilers turn into vector code without changing the order of any sum.
#include "engine/sample/candidates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace omg {
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kBlock = 1024;  // 4 KiB of floats: stays in the first-level cache

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

bool smaller_key(const Candidate& a, const Candidate& b) {
  return a.key < b.key || (a.key == b.key && a.token < b.token);
}

inline float fast_exp(float x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0x1.62e4p-1f;  // 17 bits: its product with an exponent is exact
  constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  constexpr float kRound = 0x1.8p23f;  // adding it rounds to the nearest integer
  // The bits of negative floats rise with their magnitude. Clamping them as integers keeps the
  // function free of branches, which compilers would not vectorise.
  constexpr uint32_t kLeast = std::bit_cast<uint32_t>(-87.0f);
  const auto x_bits = std::bit_cast<uint32_t>(x);
  const auto clamped = std::bit_cast<float>(std::min(x_bits, kLeast));
  const float exponent = (clamped * kLog2E + kRound) - kRound;
  const float rest = (clamped - exponent * kLn2High) - exponent * kLn2Low;  // within ln(2) / 2
  // Taylor: the first term left out is rest^8 / 8!, at most 5.2e-9.
  float value = 1.0f / 5040;
  value = value * rest + 1.0f / 720;
  value = value * rest + 1.0f / 120;
  value = value * rest + 1.0f / 24;
  value = value * rest + 1.0f / 6;
  value = value * rest + 0.5f;
  value = value * rest + 1.0f;
  value = value * rest + 1.0f;
  const auto biased = static_cast<uint32_t>(static_cast<int32_t>(exponent) + 127);
  const auto bits = std::bit_cast<uint32_t>(value * std::bit_cast<float>(biased << 23));
  return std::bit_cast<float>(bits & (x_bits > kLeast ? 0u : ~0u));
}

/// Largest of a block, or NaN if a value in it is not finite. Compared as integers of the same
/// order: unlike with floats, compilers may then regroup the reduction into vector lanes.
float block_max(std::span<const float> values) {
  constexpr int32_t kMagnitude = 0x7fffffff;
  constexpr int32_t kInfinity = 0x7f800000;
  int32_t best = std::numeric_limits<int32_t>::min();
  int32_t magnitude = 0;
  for (const float value : values) {
    const auto bits = std::bit_cast<int32_t>(value);
    best = std::max(best, bits ^ (bits >> 31 & kMagnitude));
    magnitude = std::max(magnitude, bits & kMagnitude);
  }
  if (magnitude >= kInfinity) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(best ^ (best >> 31 & kMagnitude));
}

double sum(std::span<const float> values) {
  std::array<double, kLanes> lanes{};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane];
  }
  for (size_t lane = 0; i < values.size(); ++i, ++lane) lanes[lane] += values[i];
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

struct BlockWeights {
  std::array<float, kBlock> values;
  size_t count;
  double sum;
};

/// exp((logit - peak) / temperature) of the block that begins at `start`.
void weigh_block(std::span<const float> logits, size_t start, float peak, float temperature,
                 BlockWeights& weights) {
  const size_t count = std::min(kBlock, logits.size() - start);
  const float* block = logits.data() + start;
  weights.count = count;
  for (size_t i = 0; i < count; ++i) {
    weights.values[i] = fast_exp((block[i] - peak) / temperature);
  }
  weights.sum = sum(std::span(weights.values).first(count));
}

/// Sorts by key from the front, only as far as needed for the weights to reach `mass`, and drops
/// the rest. Parts grow fourfold, so the work stays linear when nearly all is kept.
void keep_prefix_by_key(std::vector<Candidate>& candidates, double mass) {
  size_t done = 0;
  double reached = 0;
  for (size_t part = 64; done < candidates.size(); part *= 4) {
    const size_t end = candidates.size() - done > part ? done + part : candidates.size();
    const auto first = candidates.begin() + static_cast<ptrdiff_t>(done);
    const auto last = candidates.begin() + static_cast<ptrdiff_t>(end);
    if (last != candidates.end()) std::nth_element(first, last, candidates.end(), smaller_key);
    std::sort(first, last, smaller_key);
    for (; done < end; ++done) {
      reached += candidates[done].weight;
      if (reached >= mass) {
        candidates.resize(done + 1, Candidate{0, 0});
        return;
      }
    }
  }
}

}  // namespace

Peak find_peak(std::span<const float> logits) {
  size_t best_start = 0;
  float best = -std::numeric_limits<float>::infinity();
  for (size_t start = 0; start < logits.size(); start += kBlock) {
    const auto block = logits.subspan(start, std::min(kBlock, logits.size() - start));
    const float value = block_max(block);
    if (std::isnan(value)) return {0, value, false};
    if (value > best) {
      best = value;
      best_start = start;
    }
  }
  size_t token = best_start;
  while (logits[token] != best) ++token;
  return {static_cast<int32_t>(token), best, true};
}

float exp_weight(float x) {
  return fast_exp(x);
}

double sum_weights(std::span<const float> logits, float peak) {
  double total = 0;
  BlockWeights weights;
  for (size_t start = 0; start < logits.size(); start += kBlock) {
    weigh_block(logits, start, peak, 1.0f, weights);
    total += weights.sum;
  }
  return total;
}

std::vector<Candidate> select_top_k(std::span<const float> logits, size_t k) {
  k = std::min(k, logits.size());
  // Room for twice k: when full, a selection drops the worse half and raises the bar. Ids rise, so
  // a later token that only equals the bar loses its tie and is passed over.
  const size_t capacity = k > logits.size() / 2 ? logits.size() : std::max<size_t>(2 * k, 64);
  std::vector<Candidate> best;
  best.reserve(capacity);
  float bar = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > bar)) continue;
    best.push_back({static_cast<int32_t>(i), logits[i]});
    if (best.size() == capacity && capacity > k) {
      const auto kth = best.begin() + static_cast<ptrdiff_t>(k - 1);
      std::nth_element(best.begin(), kth, best.end(), likelier);
      bar = kth->logit;
      best.resize(k, Candidate{0, 0});
    }
  }
  if (best.size() > k) {
    const auto kth = best.begin() + static_cast<ptrdiff_t>(k - 1);
    std::nth_element(best.begin(), kth, best.end(), likelier);
    best.resize(k, Candidate{0, 0});
  }
  std::sort(best.begin(), best.end(), likelier);
  return best;
}

std::vector<Candidate> select_at_least(std::span<const float> logits, float least) {
  std::vector<Candidate> result;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] >= least) result.push_back({static_cast<int32_t>(i), logits[i]});
  }
  return result;
}

double fill_weights(std::vector<Candidate>& candidates) {
  float peak = -std::numeric_limits<float>::infinity();
  for (const Candidate& candidate : candidates) peak = std::max(peak, candidate.logit);
  double total = 0;
  for (Candidate& candidate : candidates) {
    candidate.weight = fast_exp(candidate.logit - peak);
    total += candidate.weight;
  }
  return total;
}

float top_p_floor(float peak, double total, size_t count, float p) {
  // A thousandth of slack covers the rounding of weights and sums.
  const double weight = (1.0 - p) * total / static_cast<double>(count) * 0.999;
  return static_cast<float>(peak + std::log(weight));
}

void keep_top_p(std::vector<Candidate>& candidates, float p, double total) {
  for (Candidate& candidate : candidates) candidate.key = -candidate.logit;
  keep_prefix_by_key(candidates, p * total);
}

void keep_min_p(std::vector<Candidate>& candidates, float min_p) {
  float peak = -std::numeric_limits<float>::infinity();
  for (const Candidate& candidate : candidates) peak = std::max(peak, candidate.logit);
  const float least = peak + std::log(min_p);
  std::erase_if(candidates, [least](const Candidate& c) { return c.logit < least; });
}

void keep_typical(std::vector<Candidate>& candidates, float p, double total) {
  float peak = -std::numeric_limits<float>::infinity();
  for (const Candidate& candidate : candidates) peak = std::max(peak, candidate.logit);
  const double log_total = std::log(total);
  double entropy = log_total;  // -sum of w/total * (logit - peak - log_total)
  for (const Candidate& candidate : candidates) {
    if (candidate.weight > 0) {
      entropy -= candidate.weight / total * (static_cast<double>(candidate.logit) - peak);
    }
  }
  for (Candidate& candidate : candidates) {
    const double surprise = log_total - (static_cast<double>(candidate.logit) - peak);
    candidate.key = static_cast<float>(std::abs(surprise - entropy));
  }
  keep_prefix_by_key(candidates, p * total);
}

size_t draw_index(std::span<const float> logits, float peak, float temperature, double uniform) {
  BlockWeights weights;
  std::vector<double> ends;  // running sums at the blocks' ends: no weight needs to be stored
  double total = 0;
  for (size_t start = 0; start < logits.size(); start += kBlock) {
    weigh_block(logits, start, peak, temperature, weights);
    total += weights.sum;
    ends.push_back(total);
  }
  // The target is less than the total (uniform <= 1 - 2^-53), so some block passes it.
  const double target = uniform * total;
  const auto block = std::upper_bound(ends.begin(), ends.end(), target);
  const size_t start = static_cast<size_t>(block - ends.begin()) * kBlock;
  double reached = block == ends.begin() ? 0 : *(block - 1);
  weigh_block(logits, start, peak, temperature, weights);
  // One by one the block may add up to a little less: then its last positive weight is meant.
  size_t chosen = start;
  for (size_t i = 0; i < weights.count && reached <= target; ++i) {
    if (weights.values[i] > 0) chosen = start + i;
    reached += weights.values[i];
  }
  return chosen;
}

}  // namespace omg
