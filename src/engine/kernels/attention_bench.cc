// SPDX-License-Identifier: Apache-2.0
//
// Speed of attention per instruction set and cache type on one thread: a batch of 512 tokens of a
// prompt at several depths, in floating-point operations per second (four for each pair of a
// visible position and an element of a head), and one token at a depth of 8192, in bytes of the
// cache read per second. The shape is one key-value head of Llama-3.2-1B. What the core can do at
// all is measured beside it.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <random>
#include <string>
#include <vector>

#include "engine/cpu/target.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/vector.h"

#if OMG_HAVE_X86
#include <immintrin.h>
#endif

namespace omg {
namespace {

constexpr uint32_t kHeadLength = 64;
constexpr uint32_t kGroups = 4;
constexpr uint32_t kKvHeads = 8;

std::vector<float> normal_numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (auto& x : numbers) x = normal(random);
  return numbers;
}

/// The cache of one layer, filled with `length` positions: all heads hold the same numbers.
struct FilledCache {
  FilledCache(const VectorKernels& kernels, KvType kv_type, uint32_t length)
      : type(kv_type),
        key_bytes(kv_key_block_bytes(kv_type, kHeadLength)),
        value_bytes(kv_value_block_bytes(kv_type, kHeadLength)),
        keys((length + kKvTile - 1) / kKvTile * kKvHeads * key_bytes),
        values((length + kKvTile - 1) / kKvTile * kKvHeads * value_bytes) {
    const auto numbers = normal_numbers(size_t{kKvTile} * kHeadLength, 1);
    for (uint32_t block = 0; block < (length + kKvTile - 1) / kKvTile; ++block) {
      blocks.push_back(block);
      for (uint32_t head = 0; head < kKvHeads; ++head) {
        const size_t place = size_t{block} * kKvHeads + head;
        kernels.store_keys(numbers.data(), kHeadLength, kKvTile, kHeadLength, 0, type,
                           keys.data() + place * key_bytes);
        kernels.store_values(numbers.data(), kHeadLength, kKvTile, kHeadLength, 0, type,
                             values.data() + place * value_bytes);
      }
    }
  }
  KvType type;
  size_t key_bytes, value_bytes;
  AlignedBytes keys, values;
  std::vector<uint32_t> blocks;
};

void attend(benchmark::State& state, Isa isa, KvType type, uint32_t tokens, uint32_t depth) {
  const auto& kernels = vector_kernels(isa);
  const FilledCache cache(kernels, type, depth + tokens);
  const size_t stride = size_t{kGroups} * kHeadLength;
  const auto queries = normal_numbers(tokens * stride, 2);
  std::vector<float> out(tokens * stride);
  const AlignedBytes scratch(attention_scratch_floats(kHeadLength, kHeadLength) * sizeof(float));
  const uint32_t tile_tokens = attention_tile_rows(kHeadLength, kHeadLength) / kGroups;
  AttentionTile tile;
  tile.query_stride = tile.out_stride = stride;
  tile.groups = kGroups;
  tile.key_length = tile.value_length = kHeadLength;
  tile.scale = 0.125f;
  tile.type = type;
  tile.key_block_stride = kKvHeads * cache.key_bytes;
  tile.value_block_stride = kKvHeads * cache.value_bytes;
  tile.blocks = cache.blocks.data();
  tile.scratch = reinterpret_cast<float*>(scratch.data());
  uint32_t head = 0;
  for (auto _ : state) {
    for (uint32_t token = 0; token < tokens; token += tile_tokens) {
      tile.tokens = std::min(tile_tokens, tokens - token);
      tile.first_position = depth + token;
      tile.queries = queries.data() + token * stride;
      tile.out = out.data() + token * stride;
      tile.keys = cache.keys.data() + head * cache.key_bytes;
      tile.values = cache.values.data() + head * cache.value_bytes;
      kernels.attention(tile);
    }
    head = (head + 1) % kKvHeads;
    benchmark::ClobberMemory();
  }
  const double runs = static_cast<double>(state.iterations());
  const double visible = static_cast<double>(tokens) * depth + tokens * (tokens + 1.0) / 2;
  state.counters["flops"] =
      benchmark::Counter(visible * kGroups * kHeadLength * 4 * runs, benchmark::Counter::kIsRate);
  if (tokens == 1) {
    const auto block_bytes = static_cast<double>(cache.key_bytes + cache.value_bytes);
    const double bytes = block_bytes / kKvTile * (depth + 1);
    state.counters["cache_bytes"] = benchmark::Counter(bytes * runs, benchmark::Counter::kIsRate);
  }
}

#if OMG_HAVE_X86
OMG_TARGET_BEGIN(OMG_TARGET_AVX512);
void fma512_steps(size_t steps, float* out) {
  __m512 sums[12];
  const __m512 factor = _mm512_set1_ps(0.5f);
  OMG_UNROLL
  for (size_t i = 0; i < 12; ++i) sums[i] = _mm512_setzero_ps();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < 12; ++i) {
      __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(sums[i]) : "v"(factor));
    }
  }
  OMG_UNROLL
  for (size_t i = 0; i < 12; ++i) _mm512_storeu_ps(out + 16 * i, sums[i]);
}
OMG_TARGET_END;

OMG_TARGET_BEGIN(OMG_TARGET_AVX2);
void fma256_steps(size_t steps, float* out) {
  __m256 sums[12];
  const __m256 factor = _mm256_set1_ps(0.5f);
  OMG_UNROLL
  for (size_t i = 0; i < 12; ++i) sums[i] = _mm256_setzero_ps();
  for (size_t step = 0; step < steps; ++step) {
    OMG_UNROLL
    for (size_t i = 0; i < 12; ++i) {
      __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(sums[i]) : "x"(factor));
    }
  }
  OMG_UNROLL
  for (size_t i = 0; i < 12; ++i) _mm256_storeu_ps(out + 8 * i, sums[i]);
}
OMG_TARGET_END;

void fma_peak(benchmark::State& state, void (*run)(size_t, float*), double lanes) {
  std::vector<float> out(12 * 16);
  for (auto _ : state) {
    run(10000, out.data());
    benchmark::ClobberMemory();
  }
  state.counters["flops"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * 10000 * 12 * 2 * lanes,
                         benchmark::Counter::kIsRate);
}
#endif

void read_memory(benchmark::State& state) {
  const std::vector<uint64_t> words(size_t{16} << 20, 1);  // 128 MiB: larger than any cache
  for (auto _ : state) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < words.size(); i += 8) {
      for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
    }
    benchmark::DoNotOptimize(sums);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(words.size() * 8));
}

void declare_all() {
  benchmark::RegisterBenchmark("peak/read_memory", read_memory);
#if OMG_HAVE_X86
  if (isa_is_supported(Isa::kAvx512)) {
    benchmark::RegisterBenchmark("peak/fma/avx512", fma_peak, fma512_steps, 16.0);
  }
  if (isa_is_supported(Isa::kAvx2)) {
    benchmark::RegisterBenchmark("peak/fma/avx2", fma_peak, fma256_steps, 8.0);
  }
#endif
  struct Case {
    uint32_t tokens, depth;
  };
  for (const auto& isa : isa_table()) {
    // Sets that add nothing to these kernels share the table of another.
    if (!isa_is_supported(isa.isa) || vector_kernels(isa.isa).isa != isa.isa) continue;
    for (const auto& type : kKvTypes) {
      for (const Case& one : {Case{48, 2048}, {512, 0}, {512, 4096}, {512, 16384}, {1, 8192}}) {
        const std::string name = "attention/" + std::string(isa.name) + "/" +
                                 std::string(type.name) + "/" + std::to_string(one.tokens) + "@" +
                                 std::to_string(one.depth);
        benchmark::RegisterBenchmark(name.c_str(), attend, isa.isa, type.type, one.tokens,
                                     one.depth)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

const bool kDeclared = (declare_all(), true);

}  // namespace
}  // namespace omg
