// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of every weight type and instruction set: against a product in double of the
// weights as dequantised from the file's bytes, at odd sizes; and the promise that a result does
// not depend on the batch or the split.
#include "engine/kernels/matmul.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <tuple>
#include <vector>

#include "base/float16.h"
#include "formats/quant/dequantize.h"

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

bool is_scale_at(WeightType type, size_t offset, size_t& next) {
  // Byte offsets of the binary16 fields of each type's block.
  switch (type) {
    case WeightType::kQ2_K:
      next = 2;
      return offset == 80 || offset == 82;
    case WeightType::kQ3_K:
      next = 2;
      return offset == 108;
    case WeightType::kQ6_K:
      next = 2;
      return offset == 208;
    case WeightType::kQ4_1:
    case WeightType::kQ5_1:
    case WeightType::kQ4_K:
    case WeightType::kQ5_K:
      next = 2;
      return offset == 0 || offset == 2;
    case WeightType::kMXFP4:
      next = 1;
      return offset == 0;
    default:
      next = 2;
      return offset == 0;
  }
}

/// Random valid bytes of `rows` rows: any codes, scales of a sane size.
std::vector<std::byte> random_weights(WeightType type, size_t rows, size_t columns,
                                      std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<std::byte> bytes(rows * *row_bytes(type, columns));
  if (type == WeightType::kF32) {
    for (size_t i = 0; i < rows * columns; ++i) {
      const float value = normal(random);
      std::memcpy(&bytes[4 * i], &value, 4);
    }
    return bytes;
  }
  const bool is_half = type == WeightType::kF16 || type == WeightType::kBF16;
  const size_t block = info(type).block_bytes;
  for (size_t i = 0; i < bytes.size();) {
    size_t field = 1;
    if (is_half || is_scale_at(type, i % block, field)) {
      if (is_half) field = 2;
      const float value = is_half ? normal(random) : 0.01f * (1.5f + normal(random));
      const uint16_t half = type == WeightType::kBF16 ? f32_to_bf16(value) : f32_to_f16(value);
      if (field == 1) {
        bytes[i] = static_cast<std::byte>(118 + random() % 6);  // an exponent
      } else {
        std::memcpy(&bytes[i], &half, 2);
      }
      i += field;
    } else {
      bytes[i++] = static_cast<std::byte>(random() & 255);
    }
  }
  return bytes;
}

Activations random_activations(size_t tokens, size_t columns, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Activations x(tokens, columns);
  x.reshape(tokens, columns);
  for (size_t t = 0; t < tokens; ++t) {
    std::fill(x.row(t), x.row(t) + x.stride, std::nanf(""));  // padding must not be read
    for (size_t c = 0; c < columns; ++c)
      x.row(t)[c] = normal(random) * (1 + static_cast<float>(c % 5));
  }
  return x;
}

std::vector<std::tuple<Isa, WeightType>> cases() {
  std::vector<std::tuple<Isa, WeightType>> result;
  for (const auto& isa : isa_table()) {
    if (!isa_is_supported(isa.isa)) continue;
    for (const auto& type : weight_types()) result.emplace_back(isa.isa, type.type);
  }
  return result;
}

class MatmulTest : public testing::TestWithParam<std::tuple<Isa, WeightType>> {
 protected:
  const MatmulKernels& kernels_ = matmul_kernels(std::get<0>(GetParam()));
  const WeightType type_ = std::get<1>(GetParam());
  std::mt19937 random_{static_cast<uint32_t>(type_) + 1};
  Serial serial_;
  Arena arena_;

  /// Columns that end in all kinds of places in blocks, super-blocks and registers.
  std::vector<size_t> column_counts() const {
    const size_t block = info(type_).block_elements;
    if (block == 1) return {1, 2, 7, 31, 64, 75};
    if (block == 32) return {32, 64, 288};
    return {256, 768};
  }
};

void multiply(const MatmulKernels& kernels, const PackedMatrix& matrix, const Activations& x,
              ActivationForm form, std::vector<float>& out) {
  kernels.quantize_activations(x, 0, x.tokens);
  out.assign(x.tokens * (matrix.rows + 3), -1234.0f);
  kernels.matmul(matrix, x, form, out.data(), matrix.rows + 3, 0, matrix.panels());
}

TEST_P(MatmulTest, FollowsTheDefinition) {
  for (const size_t columns : column_counts()) {
    for (const size_t rows : {1, 5, 16, 17, 40}) {
      const auto bytes = random_weights(type_, rows, columns, random_);
      std::vector<float> weights(rows * columns);
      dequantize(type_, bytes, weights);
      const auto matrix = pack_matrix(type_, bytes, rows, columns, arena_, serial_);
      for (const size_t tokens : {1, 2, 3, 5, 13, 29}) {
        const auto x = random_activations(tokens, columns, random_);
        for (const auto form : {ActivationForm::kFloat, preferred_form(type_)}) {
          std::vector<float> out;
          multiply(kernels_, matrix, x, form, out);
          double worst = 0;
          for (size_t t = 0; t < tokens; ++t) {
            for (size_t r = 0; r < rows; ++r) {
              double sum = 0;
              double magnitude = 0;
              for (size_t c = 0; c < columns; ++c) {
                const double product = double{weights[r * columns + c]} * x.row(t)[c];
                sum += product;
                magnitude += product * product;
              }
              const double error = std::abs(out[t * (rows + 3) + r] - sum);
              worst = std::max(worst, error / (std::sqrt(magnitude) + 1e-30));
            }
            for (size_t r = rows; r < rows + 3; ++r) ASSERT_EQ(out[t * (rows + 3) + r], -1234.0f);
          }
          // Rounding to 1/254 of a block's largest value: errors of 0.3 % to 1 % of a term, which
          // add up as the terms do. Floats lose only their own rounding.
          EXPECT_LT(worst, form == ActivationForm::kFloat ? 1e-5 : 0.06)
              << rows << " x " << columns << ", " << tokens << " tokens";
        }
      }
    }
  }
}

TEST_P(MatmulTest, AgreesWithTheScalarReferenceOnTheSameInt8Activations) {
  if (preferred_form(type_) != ActivationForm::kInt8) GTEST_SKIP() << "no int8 form";
  const size_t columns = 512;
  const size_t rows = 48;
  const auto bytes = random_weights(type_, rows, columns, random_);
  const auto matrix = pack_matrix(type_, bytes, rows, columns, arena_, serial_);
  const auto x = random_activations(19, columns, random_);
  std::vector<float> out;
  std::vector<float> expected;
  multiply(kernels_, matrix, x, ActivationForm::kInt8, out);
  multiply(matmul_kernels(Isa::kScalar), matrix, x, ActivationForm::kInt8, expected);
  double scale = 0;
  for (const float value : expected) scale = std::max(scale, std::abs(double{value}));
  for (size_t i = 0; i < out.size(); ++i) {
    if (expected[i] == -1234.0f) continue;
    ASSERT_NEAR(out[i], expected[i], 2e-6 * scale) << i;
  }
}

TEST_P(MatmulTest, AResultDoesNotDependOnBatchOrSplit) {
  const size_t columns = 512;
  const size_t rows = 70;
  const auto bytes = random_weights(type_, rows, columns, random_);
  const auto matrix = pack_matrix(type_, bytes, rows, columns, arena_, serial_);
  const auto x = random_activations(31, columns, random_);
  kernels_.quantize_activations(x, 0, x.tokens);
  for (const auto form : {ActivationForm::kFloat, preferred_form(type_)}) {
    std::vector<float> whole(31 * rows);
    kernels_.matmul(matrix, x, form, whole.data(), rows, 0, matrix.panels());
    for (const size_t count : {1, 2, 5, 12, 16}) {
      std::vector<float> pieces(31 * rows, -1.0f);
      for (size_t begin = 0; begin < 31; begin += count) {
        const auto part = x.slice(begin, std::min<size_t>(count, 31 - begin));
        for (size_t panel = 0; panel < matrix.panels(); ++panel) {
          kernels_.matmul(matrix, part, form, pieces.data() + begin * rows, rows, panel, panel + 1);
        }
      }
      ASSERT_EQ(std::memcmp(whole.data(), pieces.data(), whole.size() * sizeof(float)), 0) << count;
    }
  }
}

TEST_P(MatmulTest, ExtremeCodesDoNotOverflow) {
  // All codes at their largest against activations at +-127: the worst case of 16-bit sums.
  if (preferred_form(type_) != ActivationForm::kInt8) GTEST_SKIP() << "no int8 form";
  for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
    auto bytes = random_weights(type_, 16, 256, random_);
    for (size_t i = 0; i < bytes.size();) {
      size_t field = 1;
      if (is_scale_at(type_, i % info(type_).block_bytes, field)) {
        i += field;
      } else {
        bytes[i++] = static_cast<std::byte>(fill);
      }
    }
    std::vector<float> weights(16 * 256);
    dequantize(type_, bytes, weights);
    const auto matrix = pack_matrix(type_, bytes, 16, 256, arena_, serial_);
    Activations x(2, 256);
    x.reshape(2, 256);
    for (size_t c = 0; c < 256; ++c) {
      x.row(0)[c] = 1.0f;
      x.row(1)[c] = c % 2 ? -1.0f : 1.0f;
    }
    std::vector<float> out;
    multiply(kernels_, matrix, x, ActivationForm::kInt8, out);
    for (size_t t = 0; t < 2; ++t) {
      for (size_t r = 0; r < 16; ++r) {
        double sum = 0;
        double magnitude = 0;
        for (size_t c = 0; c < 256; ++c) {
          sum += double{weights[r * 256 + c]} * x.row(t)[c];
          magnitude += std::abs(weights[r * 256 + c]);
        }
        // The zero point's term cancels to rounding: 2^-24 of 128 * 127 * 256 * the largest scale.
        ASSERT_NEAR(out[t * 19 + r], sum, 2e-5 * magnitude + 2e-3) << "fill " << fill;
      }
    }
  }
}

TEST_P(MatmulTest, RowsComeBackAsDequantised) {
  const size_t columns = info(type_).block_elements == 1 ? 75 : 768;
  const auto bytes = random_weights(type_, 21, columns, random_);
  std::vector<float> weights(21 * columns);
  dequantize(type_, bytes, weights);
  const auto matrix = pack_matrix(type_, bytes, 21, columns, arena_, serial_);
  std::vector<float> row(columns);
  for (size_t r = 0; r < 21; ++r) {
    unpack_row(matrix, r, row);
    ASSERT_EQ(std::memcmp(row.data(), &weights[r * columns], columns * sizeof(float)), 0);
  }
}

TEST_P(MatmulTest, QuantisedActivationsAreTheNearest) {
  auto x = random_activations(3, 75, random_);
  std::fill(x.row(1), x.row(1) + 75, 0.0f);
  x.row(2)[3] = INFINITY;
  kernels_.quantize_activations(x, 0, 3);
  for (size_t b = 0; b < x.blocks; ++b) {
    const auto& block = x.quant_row(0)[b];
    int32_t sums[2] = {0, 0};
    for (size_t i = 0; i < 32; ++i) {
      const size_t c = b * 32 + i;
      const float value = c < 75 ? x.row(0)[c] : 0.0f;
      EXPECT_NEAR(block.quants[i] * block.scale, value, block.scale * 0.5001f);
      sums[i / 16] += block.quants[i];
    }
    EXPECT_EQ(block.minus_half_sums[0], -sums[0]);
    EXPECT_EQ(block.minus_half_sums[1], -sums[1]);
    EXPECT_EQ(block.minus_sum, -sums[0] - sums[1]);
    EXPECT_EQ(block.scaled_sum, block.scale * static_cast<float>(sums[0] + sums[1]));
    EXPECT_EQ(x.quant_row(1)[b].scale, 0.0f);
  }
  EXPECT_TRUE(std::isnan(x.quant_row(2)[0].scale));
}

INSTANTIATE_TEST_SUITE_P(PerIsa, MatmulTest, testing::ValuesIn(cases()), [](const auto& param) {
  return std::string(isa_name(std::get<0>(param.param))) + "_" +
         std::string(omg::info(std::get<1>(param.param)).name);
});

}  // namespace
}  // namespace omg
