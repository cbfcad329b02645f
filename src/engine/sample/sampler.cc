// SPDX-License-Identifier: Apache-2.0
//
// The steps of sampling in their order. What a step costs is bounded by what it must look at:
// greedy and top_k pass over the vocabulary once, top_p and min_p without top_k twice, typical_p
// three times; what the draw is made from is what the first of them has left.
#include "engine/sample/sampler.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "base/error.h"
#include "engine/sample/candidates.h"
#include "engine/sample/philox.h"

namespace omg {
namespace {

constexpr int32_t kMaxInt = std::numeric_limits<int32_t>::max();

template <class T>
struct Range {
  const char* field;
  T SamplingOptions::* member;
  T low;
  T high;
};

constexpr std::array<Range<float>, 7> kFloatRanges = {{
    {"temperature", &SamplingOptions::temperature, 0.0f, 100.0f},
    {"top_p", &SamplingOptions::top_p, 0.0f, 1.0f},
    {"min_p", &SamplingOptions::min_p, 0.0f, 1.0f},
    {"typical_p", &SamplingOptions::typical_p, 0.0f, 1.0f},
    {"repeat_penalty", &SamplingOptions::repeat_penalty, 0.01f, 100.0f},
    {"presence_penalty", &SamplingOptions::presence_penalty, -100.0f, 100.0f},
    {"frequency_penalty", &SamplingOptions::frequency_penalty, -100.0f, 100.0f},
}};

constexpr std::array<Range<int32_t>, 3> kIntRanges = {{
    {"top_k", &SamplingOptions::top_k, 0, kMaxInt},
    {"repeat_last_n", &SamplingOptions::repeat_last_n, -1, kMaxInt},
    {"top_logprobs", &SamplingOptions::top_logprobs, -1, 1000},
}};

/// Far beyond any logit: bans or forces a token.
constexpr float kMaxBias = 1e9f;
/// Changed logits stay finite, so that differences of two are no NaN.
constexpr float kMaxLogit = 1e30f;
/// Of tokens that may not come: below all others, so never the best, and of no weight beside any.
constexpr float kForbidden = std::numeric_limits<float>::lowest();

std::string number_text(float value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%g", static_cast<double>(value));
  return text.data();
}

std::string number_text(int32_t value) {
  return std::to_string(value);
}

template <class T>
void check_range(const std::string& field, T value, T low, T high) {
  if (value >= low && value <= high) return;  // false for NaN
  throw Error(ErrorCode::kInvalidArgument, field + " is " + number_text(value) +
                                               ": it must lie between " + number_text(low) +
                                               " and " + number_text(high));
}

uint64_t random_seed() {
  std::random_device device;
  const uint64_t high = device();
  return (high << 32 | device()) >> 1;  // 63 bits: stays a seed that a request can name
}

float clamp_logit(float logit) {
  return std::clamp(logit, -kMaxLogit, kMaxLogit);
}

std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, std::span<const float> peaks,
                                       int32_t count, double log_sum) {
  std::vector<TokenLogprob> result;
  if (count == 0) return result;
  for (const Candidate& candidate : select_top_k(logits, static_cast<size_t>(count), peaks)) {
    result.push_back({candidate.token, static_cast<float>(candidate.logit - log_sum)});
  }
  return result;
}

void forbid_others(std::span<float> logits, std::span<const uint32_t> allowed) {
  assert(allowed.size() * 32 >= logits.size());
  for (size_t start = 0; start < logits.size(); start += 32) {
    const uint32_t word = allowed[start / 32];
    if (word == ~0u) continue;
    const size_t count = std::min<size_t>(32, logits.size() - start);
    for (size_t i = 0; i < count; ++i) {
      if ((word >> i & 1) == 0) logits[start + i] = kForbidden;
    }
  }
}

/// One NaN among the weights of a damaged file reaches every logit: that is an error, not a crash.
Peak find_finite_peak(std::span<const float> logits, std::span<const float> peaks) {
  const Peak peak = find_peak(logits, peaks);
  if (!peak.finite) {
    throw Error(ErrorCode::kCorrupt,
                "no token can be chosen: the model computed logits that are not finite numbers; "
                "its weights may be damaged, verify the model file");
  }
  return peak;
}

}  // namespace

void validate(const SamplingOptions& options) {
  for (const auto& range : kFloatRanges) {
    check_range<float>(range.field, options.*range.member, range.low, range.high);
  }
  for (const auto& range : kIntRanges) {
    check_range<int32_t>(range.field, options.*range.member, range.low, range.high);
  }
  for (const auto& [token, bias] : options.logit_bias) {
    check_range("a token of logit_bias", token, 0, kMaxInt);
    check_range("logit_bias of token " + std::to_string(token), bias, -kMaxBias, kMaxBias);
  }
}

Sampler::Sampler(const SamplingOptions& options)
    : options_((validate(options), options)),
      seed_(options.seed < 0 ? random_seed() : static_cast<uint64_t>(options.seed)),
      penalises_(options.repeat_last_n != 0 &&
                 (options.repeat_penalty != 1.0f || options.presence_penalty != 0.0f ||
                  options.frequency_penalty != 0.0f)) {}

void Sampler::accept(int32_t token) {
  if (!penalises_) return;
  ++counts_[token];
  if (options_.repeat_last_n < 0) return;
  recent_.push_back(token);
  if (recent_.size() <= static_cast<size_t>(options_.repeat_last_n)) return;
  const auto oldest = counts_.find(recent_.front());
  if (--oldest->second == 0) counts_.erase(oldest);
  recent_.pop_front();
}

void Sampler::apply_bias(std::span<float> logits, Changes& changes) const {
  for (const auto& [token, bias] : options_.logit_bias) {
    if (static_cast<size_t>(token) >= logits.size()) {
      throw Error(ErrorCode::kInvalidArgument, "logit_bias names token " + std::to_string(token) +
                                                   ": the vocabulary has " +
                                                   std::to_string(logits.size()) + " tokens");
    }
    float& logit = logits[static_cast<size_t>(token)];
    changes.emplace_back(token, logit);
    logit = clamp_logit(logit + bias);
  }
}

void Sampler::apply_penalties(std::span<float> logits, Changes& changes) const {
  for (const auto& [token, count] : counts_) {
    if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
    float& logit = logits[static_cast<size_t>(token)];
    changes.emplace_back(token, logit);
    const float scaled =
        logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    logit = clamp_logit(scaled - static_cast<float>(count) * options_.frequency_penalty -
                        options_.presence_penalty);
  }
}

SampledToken Sampler::sample(std::span<float> logits, std::span<const uint32_t> allowed) {
  assert(!logits.empty());
  SampledToken result{};
  double log_sum = 0;
  const bool reports = options_.top_logprobs >= 0;
  if (reports) {
    const std::vector<float> peaks = block_peaks(logits);
    const float peak = find_finite_peak(logits, peaks).logit;
    log_sum = peak + std::log(sum_weights(logits, peak));
    result.top = top_logprobs(logits, peaks, options_.top_logprobs, log_sum);
  }
  Changes changes;
  apply_bias(logits, changes);
  apply_penalties(logits, changes);
  if (!allowed.empty()) forbid_others(logits, allowed);
  result.token = choose(logits);
  // Backwards: the first change of a token knew the logit that the model gave it.
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    logits[static_cast<size_t>(change->first)] = change->second;
  }
  if (reports) {
    result.logprob = static_cast<float>(logits[static_cast<size_t>(result.token)] - log_sum);
  }
  return result;
}

int32_t Sampler::choose(std::span<const float> logits) {
  const std::vector<float> peaks = block_peaks(logits);
  const Peak peak = find_finite_peak(logits, peaks);
  if (options_.temperature == 0) return peak.token;

  const double uniform = uniform_draw(seed_, draws_++);
  const bool cuts_k = options_.top_k > 0 && static_cast<size_t>(options_.top_k) < logits.size();
  if (!cuts_k && options_.typical_p == 1 && options_.top_p == 1 && options_.min_p == 0) {
    return static_cast<int32_t>(draw_index(logits, peak.logit, options_.temperature, uniform));
  }
  const std::vector<Candidate> candidates = cut(logits, peaks, peak.logit, cuts_k);
  std::vector<float> kept(candidates.size());
  std::transform(candidates.begin(), candidates.end(), kept.begin(),
                 [](const Candidate& candidate) { return candidate.logit; });
  const float best = *std::max_element(kept.begin(), kept.end());
  return candidates[draw_index(kept, best, options_.temperature, uniform)].token;
}

std::vector<Candidate> Sampler::cut(std::span<const float> logits, std::span<const float> peaks,
                                    float peak, bool cuts_k) const {
  const bool cuts_typical = options_.typical_p < 1;
  const bool cuts_p = options_.top_p < 1;
  std::vector<Candidate> candidates;
  if (cuts_k) {
    candidates = select_top_k(logits, static_cast<size_t>(options_.top_k), peaks);
  } else if (cuts_typical) {
    candidates = select_typical(logits, options_.typical_p, peaks);
  } else if (cuts_p) {
    candidates = select_top_p(logits, options_.top_p, peaks);
  } else {
    candidates = select_at_least(logits, peak + std::log(options_.min_p), peaks);
  }
  if (cuts_k || cuts_typical) fill_weights(candidates);
  if (cuts_k && cuts_typical) {
    keep_typical(candidates, options_.typical_p);
    fill_weights(candidates);
  }
  if (cuts_p && (cuts_k || cuts_typical)) keep_top_p(candidates, options_.top_p);
  if (options_.min_p > 0) keep_min_p(candidates, options_.min_p);
  return candidates;
}

}  // namespace omg
