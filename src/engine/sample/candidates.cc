// SPDX-License-Identifier: Apache-2.0
//
// Selection and cuts without a full sort. The hot loops run over fixed numbers of independent
// lanes, which compilers turn into vector code without changing the order of any sum.
#include "engine/sample/candidates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <compare>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

namespace omg {
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kBlock = 1024;  // 4 KiB of floats: stays in the first-level cache
/// Of block_peaks(). At 128 Ki logits and k = 40, the likeliest lie in at most 40 of 512 blocks.
constexpr size_t kPeakBlock = 256;

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
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

/// A vector register of SSE or NEON. GCC 12 keeps lanes that are spelled out as an array in scalar
/// registers, and takes wider vectors apart.
using Lanes = float __attribute__((vector_size(16)));
constexpr size_t kLanesInVector = sizeof(Lanes) / sizeof(float);
constexpr size_t kVectors = 4;  // hide how long an addition takes

/// Largest of a block, or NaN if a value in it is not finite. Each lane compares in an order of its
/// own, so that compilers need not regroup anything: a max and, for what is not finite, a product
/// with 0, which is then NaN.
float block_max(std::span<const float> values) {
  std::array<Lanes, kVectors> best;
  std::array<Lanes, kVectors> zero{};
  best.fill(Lanes{} - std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kVectors * kLanesInVector <= values.size(); i += kVectors * kLanesInVector) {
    for (size_t v = 0; v < kVectors; ++v) {
      Lanes value;
      std::memcpy(&value, values.data() + i + v * kLanesInVector, sizeof value);
      best[v] = value > best[v] ? value : best[v];
      zero[v] += value * 0.0f;
    }
  }
  float largest = -std::numeric_limits<float>::infinity();
  float check = 0;
  for (; i < values.size(); ++i) {
    largest = std::max(largest, values[i]);
    check += values[i] * 0.0f;
  }
  for (size_t v = 0; v < kVectors; ++v) {
    for (size_t lane = 0; lane < kLanesInVector; ++lane) {
      largest = std::max(largest, best[v][lane]);
      check += zero[v][lane];
    }
  }
  return std::isnan(check) ? check : largest;
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

/// A weight in whole units of 2^-39: 2^24 tokens of weight 1 add up to less than 2^64.
inline uint64_t units_of(float weight) {
  constexpr double kAnchor = 0x1p13;  // of doubles between this and twice this, the last bit
  return std::bit_cast<uint64_t>(weight + kAnchor) - std::bit_cast<uint64_t>(kAnchor);
}

/// Of `total` units, those that a prefix has to reach.
uint64_t share_of(uint64_t total, float p) {
  const double share = std::ceil(static_cast<double>(p) * static_cast<double>(total));
  return std::clamp<uint64_t>(static_cast<uint64_t>(share), 1, total);
}

/// Where a token stands in the order of a prefix. The key's bits are turned so that they rise with
/// it.
struct Place {
  uint32_t key;
  int32_t token;
  auto operator<=>(const Place&) const = default;
};

Place place_of(float key, int32_t token) {
  const auto bits = std::bit_cast<uint32_t>(key + 0.0f);  // -0 becomes 0
  return {bits >> 31 != 0 ? ~bits : bits | 0x80000000u, token};
}

struct Entry {
  Place place;
  uint64_t units;
};

/// The last place of the prefix that reaches `share` units, which all together do.
Place end_of_prefix(std::vector<Entry> entries, uint64_t share) {
  constexpr size_t kFew = 256;  // are sorted in less time than the sums below are cleared
  constexpr uint32_t kDigit = 0x7FF;
  for (const int shift : {21, 10, 0}) {
    if (entries.size() <= kFew) break;
    std::vector<uint64_t> sums(kDigit + 1);
    for (const Entry& entry : entries) sums[entry.place.key >> shift & kDigit] += entry.units;
    uint32_t digit = 0;
    while (sums[digit] < share) share -= sums[digit++];
    std::erase_if(entries,
                  [&](const Entry& entry) { return (entry.place.key >> shift & kDigit) != digit; });
  }
  const auto stands_before = [](const Entry& a, const Entry& b) { return a.place < b.place; };
  if (!std::is_sorted(entries.begin(), entries.end(), stands_before)) {
    std::sort(entries.begin(), entries.end(), stands_before);
  }
  uint64_t reached = 0;
  const auto last = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    reached += entry.units;
    return reached >= share;
  });
  assert(last != entries.end());
  return last->place;
}

void drop_behind(std::vector<Candidate>& candidates, const Place& end) {
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return place_of(candidate.key, candidate.token) > end;
  });
}

void keep_prefix_by_key(std::vector<Candidate>& candidates, float p) {
  std::vector<Entry> entries;
  entries.reserve(candidates.size());
  uint64_t total = 0;
  for (const Candidate& candidate : candidates) {
    const uint64_t units = units_of(candidate.weight);
    entries.push_back({place_of(candidate.key, candidate.token), units});
    total += units;
  }
  drop_behind(candidates, end_of_prefix(std::move(entries), share_of(total, p)));
}

/// Keys of a whole vocabulary are told apart by 1024 buckets first, 32 for each factor e of
/// probability. The last one has all that is further away.
constexpr size_t kBuckets = 1024;
constexpr float kBucketsPerFactor = 32;

inline int32_t bucket_of(float key, float least_key) {
  return static_cast<int32_t>(std::min((key - least_key) * kBucketsPerFactor, float{kBuckets - 1}));
}

/// How a whole vocabulary is ordered for a prefix: what has a small key comes first.
template <class KeyOf>
struct Order {
  KeyOf key_of;
  float least_key;  // that there can be
  float floor;      // logits below it are not in the prefix

  int32_t bucket(float logit) const { return bucket_of(key_of(logit), least_key); }
};

/// A prefix ends in this bucket, of which it takes so many units.
struct Cut {
  int32_t bucket = 0;
  uint64_t share = 0;
};

template <class KeyOf>
Cut find_cut(std::span<const float> logits, std::span<const float> peaks, float peak,
             uint64_t share, const Order<KeyOf>& order) {
  std::array<float, kPeakBlock> kept;
  std::array<int32_t, kPeakBlock> buckets;
  std::array<uint64_t, kPeakBlock> units;
  // Two of each, so that neighbours in one bucket need not wait for each other.
  std::array<std::array<uint64_t, kBuckets>, 2> sums{};
  for (size_t start = 0; start < logits.size(); start += kPeakBlock) {
    if (peaks[start / kPeakBlock] < order.floor) continue;
    size_t count = 0;  // without branches: they would be guessed wrongly
    for (const float logit : logits.subspan(start, std::min(kPeakBlock, logits.size() - start))) {
      kept[count] = logit;
      count += logit >= order.floor ? 1 : 0;
    }
    for (size_t i = 0; i < count; ++i) buckets[i] = order.bucket(kept[i]);
    for (size_t i = 0; i < count; ++i) units[i] = units_of(fast_exp(kept[i] - peak));
    for (size_t i = 0; i < count; ++i) sums[i % 2][static_cast<size_t>(buckets[i])] += units[i];
  }
  Cut cut{0, share};
  for (size_t bucket = 0; sums[0][bucket] + sums[1][bucket] < cut.share; ++bucket, ++cut.bucket) {
    cut.share -= sums[0][bucket] + sums[1][bucket];
  }
  return cut;
}

/// The prefix that ends at `cut`.
template <class KeyOf>
std::vector<Candidate> select_prefix(std::span<const float> logits, std::span<const float> peaks,
                                     float peak, const Cut& cut, const Order<KeyOf>& order) {
  std::vector<Candidate> kept;
  std::vector<Entry> in_last_bucket;
  std::array<uint32_t, kPeakBlock> chosen;
  for (size_t start = 0; start < logits.size(); start += kPeakBlock) {
    if (peaks[start / kPeakBlock] < order.floor) continue;
    const auto block = logits.subspan(start, std::min(kPeakBlock, logits.size() - start));
    size_t count = 0;
    for (size_t i = 0; i < block.size(); ++i) {
      chosen[count] = static_cast<uint32_t>(i);
      count += block[i] >= order.floor ? 1 : 0;
    }
    for (size_t n = 0; n < count; ++n) {
      const float logit = block[chosen[n]];
      const int32_t bucket = order.bucket(logit);
      if (bucket > cut.bucket) continue;
      const float key = order.key_of(logit);
      const auto token = static_cast<int32_t>(start + chosen[n]);
      kept.push_back({token, logit, 0, key});
      if (bucket < cut.bucket) continue;
      in_last_bucket.push_back({place_of(key, token), units_of(fast_exp(logit - peak))});
    }
  }
  drop_behind(kept, end_of_prefix(std::move(in_last_bucket), cut.share));
  return kept;
}

/// Of all weights together, in units.
uint64_t sum_units(std::span<const float> logits, float peak) {
  std::array<float, kBlock> weights;
  uint64_t total = 0;
  for (size_t start = 0; start < logits.size(); start += kBlock) {
    const auto block = logits.subspan(start, std::min(kBlock, logits.size() - start));
    for (size_t i = 0; i < block.size(); ++i) weights[i] = fast_exp(block[i] - peak);
    for (size_t i = 0; i < block.size(); ++i) total += units_of(weights[i]);
  }
  return total;
}

/// A logit below which none of `count` can be in the prefix by likelihood that has `share` of
/// `total` units: all of them together would be no more than what it leaves out.
float floor_of(float peak, uint64_t share, uint64_t total, size_t count) {
  const double most = static_cast<double>(total - share) / static_cast<double>(count);
  // Half a unit is what rounding adds, and as much counts as nothing; a thousandth covers the rest.
  const double weight = std::max(most - 0.5, 0.5) * 0x1p-39 * 0.999;
  return static_cast<float>(peak + std::log(weight));
}

/// Mean of logit - peak, weighed by exp() of the same.
float mean_below_peak(std::span<const float> logits, float peak) {
  std::array<float, kBlock> weights;
  std::array<float, kBlock> products;
  double mass = 0;
  double total = 0;
  for (size_t start = 0; start < logits.size(); start += kBlock) {
    const auto block = logits.subspan(start, std::min(kBlock, logits.size() - start));
    // Below -87 the weight is 0, and the difference might be no number to multiply that with.
    for (size_t i = 0; i < block.size(); ++i) products[i] = std::max(block[i] - peak, -88.0f);
    for (size_t i = 0; i < block.size(); ++i) weights[i] = fast_exp(products[i]);
    for (size_t i = 0; i < block.size(); ++i) products[i] *= weights[i];
    mass += sum(std::span(weights).first(block.size()));
    total += sum(std::span(products).first(block.size()));
  }
  return static_cast<float>(total / mass);
}

}  // namespace

std::vector<float> block_peaks(std::span<const float> logits) {
  std::vector<float> peaks;
  peaks.reserve((logits.size() + kPeakBlock - 1) / kPeakBlock);
  for (size_t start = 0; start < logits.size(); start += kPeakBlock) {
    peaks.push_back(block_max(logits.subspan(start, std::min(kPeakBlock, logits.size() - start))));
  }
  return peaks;
}

Peak find_peak(std::span<const float> logits, std::span<const float> peaks) {
  size_t best_block = 0;
  for (size_t block = 0; block < peaks.size(); ++block) {
    if (std::isnan(peaks[block])) return {0, peaks[block], false};
    if (peaks[block] > peaks[best_block]) best_block = block;
  }
  const float best = peaks[best_block];
  size_t token = best_block * kPeakBlock;
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

std::vector<Candidate> select_top_k(std::span<const float> logits, size_t k,
                                    std::span<const float> peaks) {
  k = std::min(k, logits.size());
  // As many logits as there are blocks reach their peaks: none of the k likeliest lies below the
  // k-th highest peak.
  float bar = -std::numeric_limits<float>::infinity();
  if (k < peaks.size()) {
    std::vector<float> order(peaks.begin(), peaks.end());
    const auto kth = order.begin() + static_cast<ptrdiff_t>(k - 1);
    std::nth_element(order.begin(), kth, order.end(), std::greater<>());
    bar = std::nextafter(*kth, bar);
  }
  // Room for twice k: when full, a selection drops the worse half and raises the bar. Ids rise, so
  // a later token that only equals the bar loses its tie and is passed over.
  const size_t capacity = k > logits.size() / 2 ? logits.size() : std::max<size_t>(2 * k, 64);
  std::vector<Candidate> best;
  best.reserve(capacity);
  for (size_t block = 0; block < peaks.size(); ++block) {
    if (!(peaks[block] > bar)) continue;
    const size_t end = std::min((block + 1) * kPeakBlock, logits.size());
    for (size_t i = block * kPeakBlock; i < end; ++i) {
      if (!(logits[i] > bar)) continue;
      best.push_back({static_cast<int32_t>(i), logits[i]});
      if (best.size() == capacity && capacity > k) {
        const auto kth = best.begin() + static_cast<ptrdiff_t>(k - 1);
        std::nth_element(best.begin(), kth, best.end(), likelier);
        bar = kth->logit;
        best.resize(k, Candidate{0, 0});
      }
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

std::vector<Candidate> select_at_least(std::span<const float> logits, float least,
                                       std::span<const float> peaks) {
  std::vector<Candidate> result;
  for (size_t block = 0; block < peaks.size(); ++block) {
    if (peaks[block] < least) continue;
    const size_t end = std::min((block + 1) * kPeakBlock, logits.size());
    for (size_t i = block * kPeakBlock; i < end; ++i) {
      if (logits[i] >= least) result.push_back({static_cast<int32_t>(i), logits[i]});
    }
  }
  return result;
}

std::vector<Candidate> select_top_p(std::span<const float> logits, float p,
                                    std::span<const float> peaks) {
  const float peak = *std::max_element(peaks.begin(), peaks.end());
  const uint64_t total = sum_units(logits, peak);
  const uint64_t share = share_of(total, p);
  Order order{[](float logit) { return -logit; }, -peak,
              floor_of(peak, share, total, logits.size())};
  const Cut cut = find_cut(logits, peaks, peak, share, order);
  // Nothing in the buckets up to that one lies lower, but for rounding.
  const float lowest = peak - static_cast<float>(cut.bucket + 1) / kBucketsPerFactor * 1.00001f;
  if (cut.bucket + 1 < int32_t{kBuckets}) order.floor = std::max(order.floor, lowest);
  return select_prefix(logits, peaks, peak, cut, order);
}

std::vector<Candidate> select_typical(std::span<const float> logits, float p,
                                      std::span<const float> peaks) {
  const float peak = *std::max_element(peaks.begin(), peaks.end());
  const float centre = peak + mean_below_peak(logits, peak);
  const Order order{[centre](float logit) { return std::abs(centre - logit); }, 0.0f,
                    -std::numeric_limits<float>::infinity()};
  const uint64_t share = share_of(sum_units(logits, peak), p);
  const Cut cut = find_cut(logits, peaks, peak, share, order);
  return select_prefix(logits, peaks, peak, cut, order);
}

void fill_weights(std::vector<Candidate>& candidates) {
  float peak = -std::numeric_limits<float>::infinity();
  for (const Candidate& candidate : candidates) peak = std::max(peak, candidate.logit);
  for (Candidate& candidate : candidates) candidate.weight = fast_exp(candidate.logit - peak);
}

void keep_top_p(std::vector<Candidate>& candidates, float p) {
  for (Candidate& candidate : candidates) candidate.key = -candidate.logit;
  keep_prefix_by_key(candidates, p);
}

void keep_typical(std::vector<Candidate>& candidates, float p) {
  std::vector<float> logits;
  for (const Candidate& candidate : candidates) logits.push_back(candidate.logit);
  const float peak = *std::max_element(logits.begin(), logits.end());
  const float centre = peak + mean_below_peak(logits, peak);
  for (Candidate& candidate : candidates) candidate.key = std::abs(centre - candidate.logit);
  keep_prefix_by_key(candidates, p);
}

void keep_min_p(std::vector<Candidate>& candidates, float min_p) {
  float peak = -std::numeric_limits<float>::infinity();
  for (const Candidate& candidate : candidates) peak = std::max(peak, candidate.logit);
  const float least = peak + std::log(min_p);
  std::erase_if(candidates, [least](const Candidate& c) { return c.logit < least; });
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
