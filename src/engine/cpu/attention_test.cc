// SPDX-License-Identifier: Apache-2.0
//
// Attention and the cache that it reads, of every instruction set that this machine has and every
// type of cache, against definitions written out in double; and that a token's result is the same
// to the bit in whatever company it is computed.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "base/float16.h"
#include "engine/cpu/attention_scratch.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/vector.h"

namespace omg {
namespace {

std::vector<Isa> supported() {
  std::vector<Isa> result;
  for (const auto& row : isa_table()) {
    if (isa_is_supported(row.isa)) result.push_back(row.isa);
  }
  return result;
}

class AttentionTest : public testing::TestWithParam<Isa> {
 protected:
  const VectorKernels& kernels_ = vector_kernels(GetParam());
  std::mt19937 random_{42};

  std::vector<float> numbers(size_t n, float deviation = 1.0f) {
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> result(n);
    for (auto& x : result) x = normal(random_);
    return result;
  }
};

/// What the cache holds for one number, read by the layout that kernels/kv_type.h describes.
class BlockReader {
 public:
  BlockReader(KvType type, const std::byte* block) : type_(type), block_(block) {}

  double key(uint32_t key_length, uint32_t position, uint32_t d) const {
    const double code = number(size_t{d} * 32 + position, position);
    if (!kv_has_scales(type_)) return code;
    return code * half(key_length * kv_code_bytes(type_, 32), d / 32 * 32 + position);
  }
  double value(uint32_t value_length, uint32_t position, uint32_t d) const {
    const size_t width = kv_value_width(type_, value_length);
    const double code = number(position * width + d, d % 32);
    if (!kv_has_scales(type_)) return code;
    return code * half(32 * kv_code_bytes(type_, width), position * (width / 32) + d / 32);
  }

 private:
  double half(size_t offset, size_t index) const {
    uint16_t bits;
    std::memcpy(&bits, block_ + offset + 2 * index, 2);
    return f16_to_f32(bits);
  }
  double number(size_t index, size_t place_in_run) const {
    float wide;
    switch (type_) {
      case KvType::kF32:
        std::memcpy(&wide, block_ + 4 * index, 4);
        return wide;
      case KvType::kF16:
        return half(0, index);
      case KvType::kQ8_0:
        return static_cast<int8_t>(block_[index]);
      case KvType::kQ4_0:
        break;
    }
    const auto pair = static_cast<unsigned>(block_[index / 32 * 16 + place_in_run % 16]);
    return static_cast<double>(place_in_run < 16 ? pair & 15 : pair >> 4) - 8;
  }

  KvType type_;
  const std::byte* block_;
};

/// A sequence of `length` positions in scattered blocks of a paged cache, with its floats kept,
/// both as they went in and as the cache holds them.
struct Cache {
  Cache(const VectorKernels& kernels, KvType kv_type, uint32_t positions, uint32_t key_size,
        uint32_t value_size, std::mt19937& random)
      : type(kv_type),
        key_length(key_size),
        value_length(value_size),
        length(positions),
        key_bytes(kv_key_block_bytes(kv_type, key_size)),
        value_bytes(kv_value_block_bytes(kv_type, value_size)) {
    std::normal_distribution<float> normal;
    original_keys.resize(size_t{length} * key_length);
    original_values.resize(size_t{length} * value_length);
    for (auto& x : original_keys) x = normal(random);
    for (auto& x : original_values) x = normal(random);
    const uint32_t count = (length + 31) / 32;
    // 0xff: what was never written reads as NaN, and must not reach any result.
    key_store.assign(key_bytes * (count + 3), std::byte{0xff});
    value_store.assign(value_bytes * (count + 3), std::byte{0xff});
    for (uint32_t i = 0; i < count + 3; ++i) blocks.push_back(i);
    std::shuffle(blocks.begin(), blocks.end(), random);
    blocks.resize(count);
    for (uint32_t start = 0; start < length;) {  // in uneven pieces, as chunks come
      const uint32_t piece = std::min({1 + start % 9, length - start, 32 - start % 32});
      const uint32_t block = blocks[start / 32];
      kernels.store_keys(&original_keys[size_t{start} * key_length], key_length, piece, key_length,
                         start % 32, type, &key_store[block * key_bytes]);
      kernels.store_values(&original_values[size_t{start} * value_length], value_length, piece,
                           value_length, start % 32, type, &value_store[block * value_bytes]);
      start += piece;
    }
    for (uint32_t p = 0; p < length; ++p) {
      const BlockReader key_block(type, &key_store[blocks[p / 32] * key_bytes]);
      const BlockReader value_block(type, &value_store[blocks[p / 32] * value_bytes]);
      for (uint32_t d = 0; d < key_length; ++d) {
        keys.push_back(key_block.key(key_length, p % 32, d));
      }
      for (uint32_t d = 0; d < value_length; ++d) {
        values.push_back(value_block.value(value_length, p % 32, d));
      }
    }
  }

  KvType type;
  uint32_t key_length, value_length, length;
  size_t key_bytes, value_bytes;
  std::vector<float> original_keys, original_values;
  std::vector<double> keys, values;
  std::vector<std::byte> key_store, value_store;
  std::vector<uint32_t> blocks;
};

struct Shape {
  uint32_t tokens, groups, first, key_length, value_length, window;
  float softcap;
};

/// `in_parts`: each segment alone, the last first, and then joined.
std::vector<float> run(const VectorKernels& kernels, const Cache& cache, const Shape& shape,
                       const std::vector<float>& queries, bool in_parts = false) {
  const size_t floats = attention_scratch_floats(shape.key_length, shape.value_length);
  const AlignedBytes scratch(floats * sizeof(float));
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
  tile.scratch = reinterpret_cast<float*>(scratch.data());
  if (!in_parts) {
    kernels.attention(tile);
    return out;
  }
  const uint32_t segments = (shape.first + shape.tokens - 1) / kAttentionSegment + 1;
  const size_t stride =
      up_to_16(attention_part_floats(shape.value_length, shape.tokens * shape.groups));
  const AlignedBytes parts(segments * stride * sizeof(float));
  auto* first = reinterpret_cast<float*>(parts.data());
  for (uint32_t i = segments; i-- > 0;) kernels.attention_segment(tile, i, first + i * stride);
  kernels.attention_join(tile, first, stride, segments);
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

TEST_P(AttentionTest, AttentionFollowsItsDefinition) {
  const Shape shapes[] = {
      {1, 1, 0, 8, 8, 0, 0},         {1, 4, 31, 64, 64, 0, 0},   {7, 3, 30, 16, 16, 0, 0},
      {16, 4, 100, 64, 64, 0, 0},    {5, 1, 64, 80, 80, 0, 0},   {9, 7, 61, 24, 40, 0, 0},
      {16, 2, 90, 32, 32, 24, 0},    {3, 2, 200, 32, 32, 33, 0}, {8, 2, 20, 128, 128, 0, 50.0f},
      {4, 2, 10, 256, 256, 8, 3.0f}, {2, 8, 1100, 32, 32, 0, 0}, {70, 1, 1000, 32, 32, 600, 0},
      {6, 1, 40, 20, 20, 0, 0},      {13, 1, 500, 40, 24, 9, 0}};
  for (const auto& shape : shapes) {
    for (const auto& [type, name] : kKvTypes) {
      SCOPED_TRACE(name);
      const Cache cache(kernels_, type, shape.first + shape.tokens, shape.key_length,
                        shape.value_length, random_);
      const auto queries = numbers(size_t{shape.tokens} * shape.groups * shape.key_length);
      check_against_definition(cache, shape, queries, run(kernels_, cache, shape, queries));
    }
  }
}

TEST_P(AttentionTest, AttentionOfATokenDoesNotDependOnItsTile) {
  // Across a step, a segment, and the edge of a window; 47 * 4 rows are nearly a full tile.
  for (const uint32_t window : {0u, 40u, 550u}) {
    const Shape whole{47, 4, 600, 64, 64, window, 0};
    for (const auto& [type, name] : kKvTypes) {
      SCOPED_TRACE(name);
      const Cache cache(kernels_, type, whole.first + whole.tokens, 64, 64, random_);
      const auto queries = numbers(size_t{whole.tokens} * whole.groups * 64);
      const auto together = run(kernels_, cache, whole, queries);
      EXPECT_EQ(run(kernels_, cache, whole, queries, true), together);
      for (const uint32_t count : {1u, 2u, 5u}) {
        for (uint32_t token = 0; token + count <= whole.tokens; token += 11) {
          const Shape few{count, 4, whole.first + token, 64, 64, window, 0};
          const auto begin = queries.begin() + ptrdiff_t{token} * 4 * 64;
          const std::vector<float> query(begin, begin + ptrdiff_t{count} * 4 * 64);
          for (const bool in_parts : {false, true}) {
            const auto alone = run(kernels_, cache, few, query, in_parts);
            const float* expected = together.data() + size_t{token} * 4 * 64;
            ASSERT_EQ(std::memcmp(alone.data(), expected, alone.size() * sizeof(float)), 0)
                << "token " << token << " of tiles of " << count << ", window " << window;
          }
        }
      }
    }
  }
}

TEST_P(AttentionTest, QuantizedCachesStayWithinTheirError) {
  for (const auto& [type, name] : kKvTypes) {
    if (!kv_has_scales(type)) continue;
    SCOPED_TRACE(name);
    // Half a level of the run's extreme, and what binary16 rounds off the scale: 2^-11 of the code.
    const double levels = type == KvType::kQ8_0 ? 127 : 8;
    const Cache cache(kernels_, type, 70, 80, 48, random_);
    const auto check = [&](const std::vector<float>& before, const std::vector<double>& after,
                           uint32_t length) {
      for (size_t start = 0; start < before.size(); start += length) {
        for (uint32_t run = 0; run < length; run += 32) {
          const uint32_t end = std::min(run + 32, length);
          double extreme = 0;
          for (uint32_t d = run; d < end; ++d) {
            extreme = std::max(extreme, std::abs(double{before[start + d]}));
          }
          for (uint32_t d = run; d < end; ++d) {
            const double x = before[start + d];
            // q4_0 has no +8: what is opposite to the extreme may be a whole level away.
            const double step = type == KvType::kQ4_0 ? 1.0 : 0.5;
            ASSERT_NEAR(after[start + d], x, extreme * (step / levels + 0x1p-10)) << d;
          }
        }
      }
    };
    check(cache.original_keys, cache.keys, 80);
    check(cache.original_values, cache.values, 48);
  }
}

TEST_P(AttentionTest, QuantizedCachesTakeExtremesAndZeros) {
  for (const auto& [type, name] : kKvTypes) {
    if (!kv_has_scales(type)) continue;
    SCOPED_TRACE(name);
    float rows[4][32] = {{0}, {1e30f, -1.0f}, {1e-7f, -1e-7f}, {0.001f, -0.0005f, 1e-9f}};
    std::vector<std::byte> block(kv_value_block_bytes(type, 32), std::byte{0xff});
    kernels_.store_values(&rows[0][0], 32, 4, 32, 3, type, block.data());
    const BlockReader reader(type, block.data());
    for (uint32_t d = 0; d < 32; ++d) EXPECT_EQ(reader.value(32, 3, d), 0.0);
    EXPECT_NEAR(reader.value(32, 4, 0), 65504, 65);  // what binary16 holds, as in f16
    EXPECT_NEAR(reader.value(32, 6, 0), 0.001, 0.0001);
    for (uint32_t d = 0; d < 32; ++d) {
      EXPECT_LE(std::abs(reader.value(32, 5, d)), 2e-7) << d;
    }
  }
}

/// How far attention over each type is from that over floats, on numbers as heads have them.
TEST_P(AttentionTest, QuantizedCachesGiveNearlyTheSameAttention) {
  const Shape shape{8, 4, 300, 64, 64, 0, 0};
  const auto queries = numbers(size_t{shape.tokens} * shape.groups * 64, 0.5f);
  const auto with = [&](KvType type) {
    std::mt19937 same(7);
    const Cache cache(kernels_, type, shape.first + shape.tokens, 64, 64, same);
    return run(kernels_, cache, shape, queries);
  };
  const auto exact = with(KvType::kF32);
  const auto error = [&](KvType type) {
    const auto other = with(type);
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      difference += std::pow(double{other[i]} - exact[i], 2);
      norm += double{exact[i]} * exact[i];
    }
    return std::sqrt(difference / norm);
  };
  EXPECT_LT(error(KvType::kF16), 0.0005);
  EXPECT_LT(error(KvType::kQ8_0), 0.01);
  EXPECT_LT(error(KvType::kQ4_0), 0.15);
  EXPECT_GT(error(KvType::kQ4_0), error(KvType::kQ8_0));
}

TEST(KvTypes, SizesAreWhatTheLayoutSays) {
  EXPECT_EQ(kv_key_block_bytes(KvType::kF32, 64), 64u * 32 * 4);
  EXPECT_EQ(kv_key_block_bytes(KvType::kF16, 64), 64u * 32 * 2);
  EXPECT_EQ(kv_key_block_bytes(KvType::kQ8_0, 64), 64u * 34);
  EXPECT_EQ(kv_key_block_bytes(KvType::kQ4_0, 64), 64u * 18);
  EXPECT_EQ(kv_value_block_bytes(KvType::kQ8_0, 80), 96u * 34);  // three runs, the last half empty
  EXPECT_EQ(kv_value_block_bytes(KvType::kF16, 80), 80u * 32 * 2);
  EXPECT_EQ(kv_type_from_name("q4_0"), KvType::kQ4_0);
  EXPECT_EQ(kv_type_from_name("q4"), std::nullopt);
  EXPECT_EQ(kv_type_name(KvType::kQ8_0), "q8_0");
}

TEST_P(AttentionTest, CacheSaturatesInsteadOfHoldingInfinity) {
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

INSTANTIATE_TEST_SUITE_P(PerIsa, AttentionTest, testing::ValuesIn(supported()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace omg
