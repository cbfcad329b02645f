// SPDX-License-Identifier: Apache-2.0
//
// Norms, activations and sums of every instruction set that this machine has, at all lengths up to
// a few registers and at unaligned addresses, against their definitions written out in double.
#include "engine/kernels/vector.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <vector>

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

INSTANTIATE_TEST_SUITE_P(PerIsa, VectorTest, testing::ValuesIn(supported()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace omg
