// SPDX-License-Identifier: Apache-2.0
//
// Chooses the next token of one sequence from its logits. The order of the steps is: logit bias,
// penalties, (greedy if temperature is 0), top_k, typical_p, top_p, min_p, temperature, draw.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace omg {

struct SamplingOptions {
  float temperature = 0.8f;  // 0: greedy
  int32_t top_k = 40;        // 0: off
  float top_p = 0.9f;        // 1: off
  float min_p = 0.0f;        // 0: off
  float typical_p = 1.0f;    // 1: off
  float repeat_penalty = 1.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  int32_t repeat_last_n = 64;  // window of the penalties; 0: off, -1: all tokens so far
  /// Random numbers of a sequence depend on this alone. Drawn from the system when negative.
  int64_t seed = -1;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, added to its logit
  /// How many of the most likely tokens to report with each token; -1: none, 0: the chosen one
  /// alone.
  int32_t top_logprobs = -1;
};

/// Error(kInvalidArgument) naming the field that is out of its range (ranges stand in sampler.cc).
void validate(const SamplingOptions& options);

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
  explicit Sampler(const SamplingOptions& options);
  /// Tells the sampler about a token that penalties count (prompt and answer alike).
  void accept(int32_t token);
  /// Chooses; does not accept(). `logits` is the whole vocabulary, of finite numbers. It is
  /// scratch: changed on return.
  SampledToken sample(std::span<float> logits);
  uint64_t seed() const { return seed_; }

 private:
  SamplingOptions options_;
  uint64_t seed_;
  uint64_t draws_ = 0;
  std::deque<int32_t> recent_;
};

}  // namespace omg
