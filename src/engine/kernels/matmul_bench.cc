// SPDX-License-Identifier: Apache-2.0
//
// Speed of matrix products and of packing, per weight type, instruction set and batch, on one
// thread: operations per second (two per weight and token), bytes of weights read per second, and
// what both are of what this core can do at all (measured here, not taken from a data sheet).
#include <algorithm>
#include <benchmark/benchmark.h>
#include <random>
#include <string>
#include <vector>

#include "engine/cpu/target.h"
#include "engine/kernels/matmul.h"
#include "formats/quant/block_codes.h"

#if OMG_HAVE_X86
#include <immintrin.h>
#endif

namespace omg {
namespace {

class Serial : public Parallel {
 public:
  size_t worker_count() const override { return 1; }
  void run(size_t count, size_t grain, const Body& body) override {
    for (size_t begin = 0; begin < count; begin += grain) {
      body(begin, std::min(count, begin + grain), 0);
    }
  }
};

/// Bytes in which every 16-bit field is a small positive binary16 or bfloat16.
std::vector<std::byte> some_weights(WeightType type, size_t rows, size_t columns) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(rows * *row_bytes(type, columns));
  for (auto& byte : bytes) byte = static_cast<std::byte>(0x10 | (random() & 0x0f));
  return bytes;
}

PackedMatrix some_matrix(WeightType type, size_t rows, size_t columns, Arena& arena) {
  Serial serial;
  return pack_matrix(type, some_weights(type, rows, columns), rows, columns, arena, serial);
}

Activations some_activations(size_t tokens, size_t columns) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  Activations x(tokens, columns);
  x.reshape(tokens, columns);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < columns; ++c) x.row(t)[c] = normal(random);
  }
  return x;
}

void count(benchmark::State& state, const PackedMatrix& matrix, size_t tokens) {
  const double runs = static_cast<double>(state.iterations());
  const double products = 2.0 * static_cast<double>(matrix.rows * matrix.columns * tokens);
  state.counters["ops"] = benchmark::Counter(products * runs, benchmark::Counter::kIsRate);
  state.counters["weight_bytes"] = benchmark::Counter(
      static_cast<double>(matrix.data.size()) * runs, benchmark::Counter::kIsRate);
}

void multiply(benchmark::State& state, Isa isa, WeightType type, ActivationForm form, size_t tokens,
              size_t rows, size_t columns) {
  const auto& kernels = matmul_kernels(isa);
  Arena arena;
  const auto matrix = some_matrix(type, rows, columns, arena);
  auto x = some_activations(tokens, columns);
  kernels.quantize_activations(x, 0, tokens);
  std::vector<float> out(tokens * rows);
  for (auto _ : state) {
    kernels.matmul(matrix, x, form, out.data(), rows, 0, matrix.panels());
    benchmark::ClobberMemory();
  }
  count(state, matrix, tokens);
}

void quantize(benchmark::State& state, Isa isa) {
  auto x = some_activations(16, 2048);
  for (auto _ : state) {
    matmul_kernels(isa).quantize_activations(x, 0, 16);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 16 * 2048);
}

void pack(benchmark::State& state, WeightType type) {
  const auto bytes = some_weights(type, 2048, 2048);
  Serial serial;
  for (auto _ : state) {
    Arena arena;
    const auto matrix = pack_matrix(type, bytes, 2048, 2048, arena, serial);
    benchmark::DoNotOptimize(matrix.data.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}

void read_memory(benchmark::State& state) {
  const std::vector<uint64_t> words(size_t{32} << 20, 1);  // 256 MiB: larger than any cache
  for (auto _ : state) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < words.size(); i += 8) {
      for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
    }
    benchmark::DoNotOptimize(sums);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(words.size() * 8));
}

#if OMG_HAVE_X86
OMG_TARGET_BEGIN(OMG_TARGET_AVX512);
/// Twelve independent chains of vpdpbusd, which its latency of 5 and two ports cannot stall.
void dot_product_steps(size_t steps, const int32_t* x, int32_t* out) {
  __m512i sums[12];
  const __m512i codes = _mm512_set1_epi8(3);
  const __m512i four = _mm512_set1_epi32(*x);
  OMG_UNROLL
  for (size_t i = 0; i < 12; ++i) sums[i] = _mm512_setzero_si512();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < 12; ++i) {
      __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(codes), "v"(four));
    }
  }
  OMG_UNROLL
  for (size_t i = 0; i < 12; ++i) _mm512_storeu_si512(out + 16 * i, sums[i]);
}
OMG_TARGET_END;

void int8_peak(benchmark::State& state) {
  const int32_t x = 0x01020304;
  std::vector<int32_t> out(12 * 16);
  for (auto _ : state) {
    dot_product_steps(10000, &x, out.data());
    benchmark::ClobberMemory();
  }
  state.counters["ops"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * 10000 * 12 * 128, benchmark::Counter::kIsRate);
}
#endif

void declare_all() {
  benchmark::RegisterBenchmark("peak/read_memory", read_memory);
#if OMG_HAVE_X86
  if (isa_is_supported(Isa::kAvx512)) benchmark::RegisterBenchmark("peak/int8", int8_peak);
#endif
  for (const auto& type : weight_types()) {
    benchmark::RegisterBenchmark(("pack/" + std::string(type.name)).c_str(), pack, type.type);
  }
  for (const auto& isa : isa_table()) {
    if (!isa_is_supported(isa.isa)) continue;
    const std::string set(isa.name);
    benchmark::RegisterBenchmark(("quantize/" + set).c_str(), quantize, isa.isa);
    for (const auto& type : weight_types()) {
      for (const auto form : {ActivationForm::kInt8, ActivationForm::kFloat}) {
        if (form == ActivationForm::kInt8 && preferred_form(type.type) != form) continue;
        for (const size_t tokens : {1, 2, 4, 8, 16, 512}) {
          const std::string name = "matmul/" + set + "/" + std::string(type.name) +
                                   (form == ActivationForm::kInt8 ? "/int8/" : "/float/") +
                                   std::to_string(tokens);
          benchmark::RegisterBenchmark(name.c_str(), multiply, isa.isa, type.type, form, tokens,
                                       tokens == 1 ? 32768 : 2048, 2048)
              ->Unit(benchmark::kMicrosecond);
        }
      }
    }
  }
  benchmark::RegisterBenchmark("matmul/long_rows/Q4_K/512", multiply, choose_isa(),
                               WeightType::kQ4_K, ActivationForm::kInt8, 512, 1024, 8192)
      ->Unit(benchmark::kMicrosecond);
}

const bool kDeclared = (declare_all(), true);

}  // namespace
}  // namespace omg
