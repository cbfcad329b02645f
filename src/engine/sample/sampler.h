// SPDX-License-Identifier: Apache-2.0
//
// Chooses the next token of one sequence from its logits. The order of the steps is: logit bias,
// penalties, (greedy if temperature is 0), top_k, typical_p, top_p, min_p, temperature, draw.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace omg {

/// Ranges are inclusive; numbers that are not finite are refused.
struct SamplingOptions {
  float temperature = 0.8f;  // 0 to 100; 0: greedy, of equally likely tokens the lowest id
  int32_t top_k = 40;        // 0: off
  float top_p = 0.9f;        // 0 to 1; 1: off
  float min_p = 0.0f;        // 0 to 1; 0: off
  float typical_p = 1.0f;    // 0 to 1; 1: off
  /// 0.01 to 100. A token in the window has its logit divided by this, or multiplied if negative.
  float repeat_penalty = 1.0f;
  float presence_penalty = 0.0f;  // -100 to 100, subtracted from the logit of a token in the window
  float frequency_penalty = 0.0f;  // -100 to 100, subtracted once for each time it occurs there
  int32_t repeat_last_n = 64;      // window of the penalties; 0: off, -1: all tokens so far
  /// Random numbers of a sequence depend on this alone. Drawn from the system when negative.
  int64_t seed = -1;
  /// Token and what is added to its logit, -1e9 to 1e9; entries of one token add up.
  std::vector<std::pair<int32_t, float>> logit_bias;
  /// How many of the most likely tokens to report with each token; -1: none, 0: the chosen one
  /// alone. At most 1000.
  int32_t top_logprobs = -1;
};

/// Error(kInvalidArgument) naming the field that is out of its range.
void validate(const SamplingOptions& options);

struct Candidate;  // candidates.h

struct TokenLogprob {
  int32_t token;
  float logprob;  // natural logarithm, of the model's distribution before any sampling step
};

struct SampledToken {
  int32_t token;
  float logprob = 0;              // filled when top_logprobs >= 0
  std::vector<TokenLogprob> top;  // most likely first
};

/// State of one sequence: its random numbers and the tokens that penalties look back on. Not
/// thread-safe. Same options, same logits, same tokens: independent of everything else.
class Sampler {
 public:
  /// Validates the options.
  explicit Sampler(const SamplingOptions& options);
  /// Tells the sampler about a token that penalties count (prompt and answer alike).
  void accept(int32_t token);
  /// Chooses; does not accept(). `logits` is the whole vocabulary, of finite numbers:
  /// Error(kCorrupt) when one is not. Error(kInvalidArgument) when logit_bias names a token outside
  /// the vocabulary. With `allowed`, only tokens t may come whose bit t % 32 of word t / 32 is set;
  /// at least one is. It holds a bit for every logit. Logits of others are lost; the rest are as
  /// they were on return, so that another choice can be made.
  SampledToken sample(std::span<float> logits, std::span<const uint32_t> allowed = {});
  /// What draws the same tokens again when given as SamplingOptions::seed.
  uint64_t seed() const { return seed_; }

 private:
  using Changes = std::vector<std::pair<int32_t, float>>;  // token, its logit before

  void apply_bias(std::span<float> logits, Changes& changes) const;
  void apply_penalties(std::span<float> logits, Changes& changes) const;
  int32_t choose(std::span<const float> logits);
  std::vector<Candidate> cut(std::span<const float> logits, std::span<const float> peaks,
                             float peak, bool cuts_k) const;

  SamplingOptions options_;
  uint64_t seed_;
  uint64_t draws_ = 0;
  bool penalises_;
  std::deque<int32_t> recent_;  // oldest first; unused where the window has no end
  std::unordered_map<int32_t, uint32_t> counts_;  // of the tokens in the window
};

}  // namespace omg
