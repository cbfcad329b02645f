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

void run(benchmark::State& state, SamplingOptions options) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  std::vector<float> logits(kVocab);
  for (float& logit : logits) logit = normal(random);
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
BENCHMARK(typical_alone);
BENCHMARK(logprobs);

}  // namespace
}  // namespace omg
