// SPDX-License-Identifier: Apache-2.0
//
// Time of one choice among 128 Ki tokens, for the usual settings. It is added to every token of
// every user, so it must stay far below the time of a step through the smallest model (about 2 ms).
#include <benchmark/benchmark.h>
#include <random>
#include <vector>

#include "engine/sample/sampler.h"

namespace omg {
namespace {

constexpr size_t kVocab = 128 * 1024;

/// Normally distributed logits, and ten that stand above them by 0.1, 0.2 … of `lead`.
void run(benchmark::State& state, SamplingOptions options, float spread = 3.0f, float lead = 0) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> logits(kVocab);
  for (float& logit : logits) logit = spread * normal(random);
  for (size_t i = 1; i <= 10; ++i) logits[i * 1000] += 0.1f * static_cast<float>(i) * lead;
  options.seed = 1;
  Sampler sampler(options);
  std::vector<float> scratch(kVocab);
  for (auto _ : state) {
    std::copy(logits.begin(), logits.end(), scratch.begin());  // about 10 us of the result
    benchmark::DoNotOptimize(sampler.sample(scratch).token);
  }
}

SamplingOptions only_temperature() {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.top_k = 0;
  options.top_p = 1.0f;
  return options;
}

void greedy(benchmark::State& state) {
  run(state, {.temperature = 0.0f});
}
void defaults(benchmark::State& state) {
  run(state, {});
}
void temperature_alone(benchmark::State& state) {
  run(state, only_temperature());
}
void top_p_alone(benchmark::State& state) {
  SamplingOptions options = only_temperature();
  options.top_p = 0.95f;
  run(state, options);
}
/// As trained models are: few tokens have nearly all of the probability.
void top_p_sure(benchmark::State& state) {
  SamplingOptions options = only_temperature();
  options.top_p = 0.95f;
  run(state, options, 1.5f, 24.0f);
}
void min_p_alone(benchmark::State& state) {
  SamplingOptions options = only_temperature();
  options.min_p = 0.05f;
  run(state, options);
}
/// The slowest that there is to choose from: all are equal.
void top_p_of_equals(benchmark::State& state) {
  SamplingOptions options = only_temperature();
  options.top_p = 0.95f;
  run(state, options, 0.0f);
}
void typical_alone(benchmark::State& state) {
  SamplingOptions options = only_temperature();
  options.typical_p = 0.95f;
  run(state, options);
}
void logprobs(benchmark::State& state) {
  run(state, {.top_logprobs = 20});
}

BENCHMARK(greedy);
BENCHMARK(defaults);
BENCHMARK(temperature_alone);
BENCHMARK(top_p_alone);
BENCHMARK(top_p_sure);
BENCHMARK(top_p_of_equals);
BENCHMARK(min_p_alone);
BENCHMARK(typical_alone);
BENCHMARK(logprobs);

}  // namespace
}  // namespace omg
