// SPDX-License-Identifier: Apache-2.0
//
// Speed of quantisation in bytes of floats read, one thread.
#include <benchmark/benchmark.h>
#include <string>

#include "formats/quant/quantize.h"
#include "formats/quant/testing.h"

namespace omg {
namespace {

void quantize_gaussian(benchmark::State& state, WeightType type) {
  const auto weights = quant_testing::random_weights(quant_testing::Distribution::kGaussian, 16384);
  std::vector<std::byte> blocks(*row_bytes(type, weights.size()));
  for (auto unused : state) {
    quantize(type, weights, blocks);
    benchmark::DoNotOptimize(blocks.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(weights.size() * sizeof(float)));
}

const bool kRegistered = [] {
  for (const auto& entry : weight_types()) {
    benchmark::RegisterBenchmark(("quantize/" + std::string(entry.name)).c_str(), quantize_gaussian,
                                 entry.type);
  }
  return true;
}();

}  // namespace
}  // namespace omg
