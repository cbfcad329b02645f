// SPDX-License-Identifier: Apache-2.0
//
// Every vector kernel of every instruction set that this machine has, at all lengths up to a few
// registers and at unaligned addresses, against its definition written out in double.
#include "engine/kernels/vector.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "base/float16.h"

namespace omg {
namespace {

std::vector<Isa> supported() {
  std::vector<Isa> result;
  for (const auto& row : isa_table()) {
    if (isa_is_supported(row.isa)) result.push_back(row.isa);
  }
  return result;
}

class VectorTest : public testing::TestWithParam<Isa> {
 protected:
  const VectorKernels& kernels_ = vector_kernels(GetParam());
  std::mt19937 random_{42};

  /// `n` normal numbers behind `misalignment` floats.
  std::vector<float> numbers(size_t n, float deviation = 1.0f) {
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> result(n);
    for (auto& x : result) x = normal(random_);
    return result;
  }

  /// Runs `check(n, x, y, out)` with all lengths 1 to 70 at several misalignments; what lies behind
  /// out[n - 1] must stay as it is.
  void sweep(const std::function<void(size_t, const float*, const float*, float*)>& check) {
    for (size_t n = 1; n <= 70; ++n) {
      for (const size_t shift : {0, 1, 3}) {
        const auto x = numbers(n + shift, 3.0f);
        const auto y = numbers(n + shift);
        std::vector<float> out(n + shift + 4, 99.0f);
        check(n, x.data() + shift, y.data() + shift, out.data() + shift);
        for (size_t i = n + shift; i < out.size(); ++i) ASSERT_EQ(out[i], 99.0f) << "n = " << n;
      }
    }
  }
};

void expect_close(double value, double expected, double tolerance = 2e-6) {
  EXPECT_NEAR(value, expected, tolerance * std::max(1.0, std::abs(expected)));
}

TEST_P(VectorTest, TableSaysWhatItIs) {
  Isa base = GetParam();  // larger sets add nothing to these kernels and share a table
  if (base == Isa::kAvx512Bf16) base = Isa::kAvx512;
  if (base == Isa::kNeonI8mm || base == Isa::kNeonDotprod) base = Isa::kNeon;
  EXPECT_EQ(kernels_.isa, base);
}

TEST_P(VectorTest, RmsNorm) {
  sweep([&](size_t n, const float* x, const float* weight, float* out) {
    kernels_.rms_norm(x, weight, 1e-5f, n, out);
    double squares = 0;
    for (size_t i = 0; i < n; ++i) squares += double{x[i]} * x[i];
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    for (size_t i = 0; i < n; ++i) expect_close(out[i], x[i] * factor * weight[i]);
    kernels_.rms_norm(x, nullptr, 1e-5f, n, out);
    for (size_t i = 0; i < n; ++i) expect_close(out[i], x[i] * factor);
  });
}

TEST_P(VectorTest, LayerNorm) {
  sweep([&](size_t n, const float* x, const float* weight, float* out) {
    const auto bias = numbers(n);
    kernels_.layer_norm(x, weight, bias.data(), 1e-5f, n, out);
    double mean = 0;
    for (size_t i = 0; i < n; ++i) mean += x[i];
    mean /= static_cast<double>(n);
    double variance = 0;
    for (size_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
    const double factor = 1 / std::sqrt(variance / static_cast<double>(n) + 1e-5);
    if (n == 1) return;  // (x - mean) is all rounding
    for (size_t i = 0; i < n; ++i) {
      expect_close(out[i], (x[i] - mean) * factor * weight[i] + bias[i], 1e-5);
    }
  });
}

TEST_P(VectorTest, GatesAndActivations) {
  const auto gelu = [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  };
  sweep([&](size_t n, const float* gate, const float* up, float* out) {
    kernels_.silu_gate(gate, up, n, out);
    for (size_t i = 0; i < n; ++i) {
      expect_close(out[i], gate[i] / (1 + std::exp(-double{gate[i]})) * up[i]);
    }
    kernels_.gelu_gate(gate, up, n, out);
    for (size_t i = 0; i < n; ++i) expect_close(out[i], gelu(gate[i]) * up[i]);
    kernels_.gelu_gate(gate, nullptr, n, out);
    for (size_t i = 0; i < n; ++i) expect_close(out[i], gelu(gate[i]));
    std::memcpy(out, gate, n * sizeof(float));
    kernels_.softcap(5.0f, n, out);
    for (size_t i = 0; i < n; ++i) expect_close(out[i], 5 * std::tanh(gate[i] / 5.0));
  });
}

TEST_P(VectorTest, ActivationsAtTheEndsOfTheRange) {
  for (const float x : {-1e30f, -500.0f, -88.0f, -20.0f, 0.0f, 20.0f, 88.0f, 500.0f, 1e30f}) {
    float out = 0;
    kernels_.silu_gate(&x, nullptr, 1, &out);
    expect_close(out, x > 0 ? x / (1 + std::exp(-double{x})) : 0, 1e-5);
    EXPECT_TRUE(std::isfinite(out)) << x;
  }
}

TEST_P(VectorTest, AddAndScale) {
  sweep([&](size_t n, const float* x, const float* y, float* out) {
    std::memcpy(out, y, n * sizeof(float));
    kernels_.add(x, n, out);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(out[i], x[i] + y[i]);
    kernels_.scale(0.5f, n, out);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(out[i], (x[i] + y[i]) * 0.5f);
    std::memcpy(out, y, n * sizeof(float));
    kernels_.add_scaled(0.25f, x, n, out);
    for (size_t i = 0; i < n; ++i) expect_close(out[i], y[i] + 0.25 * x[i]);
  });
}

/// A sequence of `length` positions in scattered blocks of a paged cache, with its floats kept.
struct Cache {
  Cache(const VectorKernels& kernels, KvType kv_type, uint32_t positions, uint32_t key_size,
        uint32_t value_size, std::mt19937& random)
      : type(kv_type), key_length(key_size), value_length(value_size), length(positions) {
    std::normal_distribution<float> normal;
    keys.resize(size_t{length} * key_length);
    values.resize(size_t{length} * value_length);
    for (auto& x : keys) x = normal(random);
    for (auto& x : values) x = normal(random);
    const uint32_t count = (length + 31) / 32;
    key_bytes = key_length * 32 * kv_bytes(type);
    value_bytes = value_length * 32 * kv_bytes(type);
    // 0xff: what was never written reads as NaN, and must not reach any result.
    key_store.assign(key_bytes * (count + 3), std::byte{0xff});
    value_store.assign(value_bytes * (count + 3), std::byte{0xff});
    for (uint32_t i = 0; i < count; ++i) blocks.push_back((i * 7 + 3) % (count + 3));
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    for (uint32_t next = 0; blocks.size() < count; ++next) {
      if (std::find(blocks.begin(), blocks.end(), next) == blocks.end()) blocks.push_back(next);
    }
    std::shuffle(blocks.begin(), blocks.end(), random);
    for (uint32_t start = 0; start < length;) {  // in uneven pieces, as chunks come
      const uint32_t piece = std::min({1 + start % 9, length - start, 32 - start % 32});
      const uint32_t block = blocks[start / 32];
      kernels.store_keys(&keys[size_t{start} * key_length], key_length, piece, key_length,
                         start % 32, type, &key_store[block * key_bytes]);
      kernels.store_values(&values[size_t{start} * value_length], value_length, piece, value_length,
                           start % 32, type, &value_store[block * value_bytes]);
      start += piece;
    }
    if (type == KvType::kF16) {
      for (auto& x : keys) x = f16_to_f32(f32_to_f16(x));
      for (auto& x : values) x = f16_to_f32(f32_to_f16(x));
    }
  }

  KvType type;
  uint32_t key_length, value_length, length;
  std::vector<float> keys, values;
  size_t key_bytes, value_bytes;
  std::vector<std::byte> key_store, value_store;
  std::vector<uint32_t> blocks;
};

struct Shape {
  uint32_t tokens, groups, first, key_length, value_length, window;
  float softcap;
};

std::vector<float> run(const VectorKernels& kernels, const Cache& cache, const Shape& shape,
                       const std::vector<float>& queries) {
  std::vector<float> scratch(attention_scratch_floats(shape.key_length, shape.value_length) + 16);
  std::vector<float> out(size_t{shape.tokens} * shape.groups * shape.value_length);
  AttentionTile tile;
  tile.queries = queries.data();
  tile.query_stride = size_t{shape.groups} * shape.key_length;
  tile.out = out.data();
  tile.out_stride = size_t{shape.groups} * shape.value_length;
  tile.tokens = shape.tokens;
  tile.groups = shape.groups;
  tile.first_position = shape.first;
  tile.key_length = shape.key_length;
  tile.value_length = shape.value_length;
  tile.scale = 0.3f;
  tile.softcap = shape.softcap;
  tile.window = shape.window;
  tile.type = cache.type;
  tile.keys = cache.key_store.data();
  tile.values = cache.value_store.data();
  tile.key_block_stride = cache.key_bytes;
  tile.value_block_stride = cache.value_bytes;
  tile.blocks = cache.blocks.data();
  const auto address = reinterpret_cast<uintptr_t>(scratch.data());
  tile.scratch = scratch.data() + (64 - address % 64) % 64 / sizeof(float);
  kernels.attention(tile);
  return out;
}

void check_against_definition(const Cache& cache, const Shape& shape,
                              const std::vector<float>& queries, const std::vector<float>& out) {
  for (uint32_t token = 0; token < shape.tokens; ++token) {
    const uint32_t position = shape.first + token;
    const uint32_t oldest =
        shape.window && position >= shape.window ? position - shape.window + 1 : 0;
    for (uint32_t group = 0; group < shape.groups; ++group) {
      const size_t row = size_t{token} * shape.groups + group;
      std::vector<double> weights;
      double total = 0;
      for (uint32_t p = oldest; p <= position; ++p) {
        double score = 0;
        for (uint32_t d = 0; d < shape.key_length; ++d) {
          score += double{queries[row * shape.key_length + d]} * 0.3 *
                   cache.keys[size_t{p} * shape.key_length + d];
        }
        if (shape.softcap > 0) score = shape.softcap * std::tanh(score / shape.softcap);
        weights.push_back(std::exp(score));
        total += weights.back();
      }
      for (uint32_t d = 0; d < shape.value_length; ++d) {
        double expected = 0;
        for (uint32_t p = oldest; p <= position; ++p) {
          expected +=
              weights[p - oldest] / total * cache.values[size_t{p} * shape.value_length + d];
        }
        ASSERT_NEAR(out[row * shape.value_length + d], expected, 2e-5)
            << "token " << token << " group " << group << " d " << d;
      }
    }
  }
}

TEST_P(VectorTest, AttentionFollowsItsDefinition) {
  const Shape shapes[] = {{1, 1, 0, 8, 8, 0, 0},          {1, 4, 31, 64, 64, 0, 0},
                          {7, 3, 30, 16, 16, 0, 0},       {16, 4, 100, 64, 64, 0, 0},
                          {5, 1, 64, 80, 80, 0, 0},       {9, 7, 61, 24, 40, 0, 0},
                          {16, 2, 90, 32, 32, 24, 0},     {3, 2, 200, 32, 32, 33, 0},
                          {8, 2, 20, 128, 128, 0, 50.0f}, {4, 2, 10, 256, 256, 8, 3.0f}};
  for (const auto& shape : shapes) {
    for (const KvType type : {KvType::kF32, KvType::kF16}) {
      const Cache cache(kernels_, type, shape.first + shape.tokens, shape.key_length,
                        shape.value_length, random_);
      const auto queries = numbers(size_t{shape.tokens} * shape.groups * shape.key_length);
      check_against_definition(cache, shape, queries, run(kernels_, cache, shape, queries));
    }
  }
}

TEST_P(VectorTest, AttentionOfATokenDoesNotDependOnItsTile) {
  const Shape whole{16, 4, 83, 64, 64, 40, 0};
  const Cache cache(kernels_, KvType::kF16, whole.first + whole.tokens, 64, 64, random_);
  const auto queries = numbers(size_t{whole.tokens} * whole.groups * 64);
  const auto together = run(kernels_, cache, whole, queries);
  for (uint32_t token = 0; token < whole.tokens; ++token) {
    const Shape one{1, 4, whole.first + token, 64, 64, 40, 0};
    const size_t row = size_t{token} * 4 * 64;
    const std::vector<float> query(queries.begin() + static_cast<ptrdiff_t>(row),
                                   queries.begin() + static_cast<ptrdiff_t>(row + 4 * 64));
    const auto alone = run(kernels_, cache, one, query);
    EXPECT_EQ(std::memcmp(alone.data(), together.data() + row, 4 * 64 * sizeof(float)), 0);
  }
}

TEST_P(VectorTest, CacheSaturatesInsteadOfHoldingInfinity) {
  const float huge[16] = {1e30f, -1e30f, 70000.0f, 1.0f};
  uint16_t block[16 * 32] = {};
  kernels_.store_values(huge, 16, 1, 16, 0, KvType::kF16, reinterpret_cast<std::byte*>(block));
  EXPECT_EQ(block[0], 0x7bff);
  EXPECT_EQ(block[1], 0xfbff);
  EXPECT_EQ(block[2], 0x7bff);
  EXPECT_EQ(block[3], 0x3c00);
  kernels_.store_keys(huge, 16, 1, 16, 0, KvType::kF16, reinterpret_cast<std::byte*>(block));
  EXPECT_EQ(block[0], 0x7bff);
  EXPECT_EQ(block[32], 0xfbff);
}

INSTANTIATE_TEST_SUITE_P(PerIsa, VectorTest, testing::ValuesIn(supported()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace omg
