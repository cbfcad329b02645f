// SPDX-License-Identifier: Apache-2.0
//
// What int8 activations cost in each half of each layer. Both runs enter every half with the exact
// residual, so that errors cannot add up or hide each other; what is compared is what attention and
// feed-forward add to it.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "engine/cpu/cpu_backend.h"
#include "engine/cpu/cpu_tensors.h"
#include "engine/graph/arch/family.h"
#include "engine/graph/decoder.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

constexpr uint32_t kTokens = 8;
/// One block's scale is its largest value over 127, which leaves 0.4 to 0.7 % of noise in a block
/// of normal numbers; a feed-forward multiplies and quantises two such: 1.0 to 1.3 % were seen.
constexpr double kMostError = 0.016;

/// Numbers of all rows of a buffer.
std::vector<float> values_of(const Buffer& buffer) {
  const auto& x = cpu(buffer).activations;
  std::vector<float> values;
  for (size_t row = 0; row < x.tokens; ++row) {
    values.insert(values.end(), x.row(row), x.row(row) + buffer.columns);
  }
  return values;
}

/// A backend that writes down what each half layer adds to the residual, and what that becomes; or
/// puts there what another one has written down.
class TappedBackend : public CpuBackend {
 public:
  TappedBackend(const DecoderSpec& spec, const CpuBackendOptions& options,
                const TappedBackend* exact)
      : CpuBackend(spec, options), exact_(exact) {}

  void add(const Buffer& in, Buffer& inout) override {
    added.push_back(values_of(in));
    if (!exact_) {
      CpuBackend::add(in, inout);
      residuals.push_back(values_of(inout));
      return;
    }
    auto& x = cpu(inout).activations;
    const auto& values = exact_->residuals.at(added.size() - 1);
    for (size_t row = 0; row < x.tokens; ++row) {
      std::memcpy(x.row(row), values.data() + row * inout.columns, inout.columns * sizeof(float));
    }
  }

  std::vector<std::vector<float>> added;
  std::vector<std::vector<float>> residuals;

 private:
  const TappedBackend* const exact_;
};

std::unique_ptr<TappedBackend> run(const ModelFile& file, Isa isa, ActivationType activations,
                                   const TappedBackend* exact) {
  const DecoderSpec spec = make_decoder_spec(file, 64);
  CpuBackendOptions options;
  options.isa = isa;
  options.threads = 2;
  options.max_batch_tokens = kTokens;
  options.kv_blocks = 1;
  options.activations = activations;
  auto backend = std::make_unique<TappedBackend>(spec, options, exact);
  Decoder decoder(file, spec, *backend, {});
  Step step;
  std::mt19937 random(1);
  const uint32_t blocks[] = {0};
  step.parts.push_back({0, kTokens, 0, blocks});
  for (uint32_t row = 0; row < kTokens; ++row) {
    step.tokens.push_back(static_cast<int32_t>(random() % spec.vocab_size));
    step.logits_rows.push_back(row);  // else the last layer would compute fewer rows
  }
  decoder.run(step);
  return backend;
}

/// |a - b| / |b|
double relative_error(std::span<const float> a, std::span<const float> b) {
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    size += double{b[i]} * b[i];
  }
  return std::sqrt(difference / size);
}

class LayerError : public testing::TestWithParam<const char*> {};

TEST_P(LayerError, OfInt8ActivationsIsSmall) {
  for (const char* preset : {"tiny-llama", "tiny-gemma2", "tiny-phi3", "tiny-qwen3moe"}) {
    auto options = model_maker::preset(preset);
    options.type = GetParam();
    const auto path =
        std::filesystem::temp_directory_path() /
        ("omg_layer_error_" + std::to_string(::getpid()) + preset + GetParam() + ".gguf");
    model_maker::make_model(options, path);
    const ModelFile file = open_model_file(path.string());
    for (const auto& row : isa_table()) {
      if (!isa_is_supported(row.isa)) continue;
      const auto exact = run(file, row.isa, ActivationType::kF32, nullptr);
      const auto fast = run(file, row.isa, ActivationType::kInt8, exact.get());
      ASSERT_EQ(fast->added.size(), 2 * make_decoder_spec(file, 64).layers);
      for (size_t half = 0; half < fast->added.size(); ++half) {
        const double error = relative_error(fast->added[half], exact->added[half]);
        const auto where = std::string(preset) + ", " + std::string(row.name) + ", layer " +
                           std::to_string(half / 2) + (half % 2 ? " feed-forward" : " attention");
        EXPECT_LT(error, kMostError) << where;
        EXPECT_GT(error, 0) << where;  // nothing was quantised
      }
    }
    std::filesystem::remove(path);
  }
}

INSTANTIATE_TEST_SUITE_P(WeightTypes, LayerError, testing::Values("Q4_K_M", "Q4_0", "Q8_0"));

}  // namespace
}  // namespace omg
