// SPDX-License-Identifier: Apache-2.0
#include "formats/convert/quantize_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/error.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/reader.h"
#include "formats/gguf/testing.h"
#include "formats/gguf/writer.h"
#include "formats/quant/dequantize.h"
#include "formats/quant/quantize.h"
#include "formats/quant/testing.h"
#include "formats/weight_mixture.h"

namespace omg {
namespace {

using gguf::testing::TemporaryFolder;
using quant_testing::Distribution;
using quant_testing::random_weights;

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

QuantizeFileOptions to(std::string_view type, size_t threads = 2) {
  QuantizeFileOptions options;
  options.type = type;
  options.threads = threads;
  return options;
}

/// Eight layers with just the tensors that the rules tell apart; `type` for the matrices. The rows
/// of attn_output fit no super-block, those of ffn_up no block at all; ffn_gate takes two pieces.
std::string make_model(const TemporaryFolder& folder, WeightType type = WeightType::kF32) {
  std::vector<gguf::TensorDeclaration> tensors;
  const auto add = [&](const std::string& name, std::vector<uint64_t> shape) {
    gguf::TensorDeclaration tensor = {
        name, WeightType::kF32, static_cast<uint32_t>(shape.size()), {1, 1, 1, 1}};
    std::copy(shape.begin(), shape.end(), tensor.shape.begin());
    const bool fits = shape[0] % info(type).block_elements == 0;
    if (shape.size() > 1 && fits) tensor.type = type;
    tensors.push_back(tensor);
  };
  add("token_embd.weight", {256, 40});
  for (int layer = 0; layer < 8; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    add(prefix + "attn_norm.weight", {256});
    add(prefix + "attn_q.weight", {256, 3});
    add(prefix + "attn_v.weight", {256, 2});
    add(prefix + "attn_output.weight", {96, 5});
    add(prefix + "ffn_down.weight", {512, 2});
    add(prefix + "ffn_up.weight", {33, 2});
  }
  add("blk.7.ffn_gate.weight", {1024, 300});
  add("output_norm.weight", {256});
  Metadata metadata;
  metadata.set_string("general.architecture", "llama");
  metadata.set_u32("general.alignment", 64);
  metadata.set_u32("general.file_type", 0);
  metadata.set_u32("llama.block_count", 8);
  metadata.set_string("tokenizer.ggml.model", "llama");
  const std::string path = folder.file("model.gguf");
  gguf::Writer writer(path, metadata, tensors);
  for (const auto& tensor : tensors) {
    const uint64_t count = tensor.shape[0] * tensor.shape[1];
    std::vector<std::byte> bytes(*row_bytes(tensor.type, count));
    quantize(tensor.type, random_weights(Distribution::kGaussian, count), bytes);
    writer.write(bytes);
  }
  writer.finish();
  return path;
}

/// Every tensor of `out` is what quantize() makes of the one in `in`, row by row.
void expect_rows_quantized(const ModelFile& in, const ModelFile& out) {
  ASSERT_EQ(in.tensors().size(), out.tensors().size());
  for (size_t i = 0; i < in.tensors().size(); ++i) {
    const TensorView& source = in.tensors()[i];
    const TensorView& made = out.tensors()[i];
    ASSERT_EQ(source.name, made.name);
    ASSERT_EQ(source.shape, made.shape);
    const size_t from_row = *row_bytes(source.type, source.shape[0]);
    const size_t to_row = *row_bytes(made.type, made.shape[0]);
    for (size_t row = 0; row < source.rows(); ++row) {
      std::vector<float> floats(source.shape[0]);
      dequantize(source.type, source.bytes.subspan(row * from_row, from_row), floats);
      std::vector<std::byte> expected(to_row);
      quantize(made.type, floats, expected);
      const auto actual = made.bytes.subspan(row * to_row, to_row);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), actual.begin(), actual.end()))
          << made.name << " row " << row << " as " << info(made.type).name;
    }
  }
}

TEST(QuantizeFile, EveryTypeEqualsItsRowsQuantized) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder);
  const ModelFile model = gguf::open(in);
  for (const auto name : WeightMixture::names()) {
    const std::string out = folder.file("out.gguf");
    const auto result = quantize_file(in, out, to(name));
    const ModelFile made = gguf::open(out);
    expect_rows_quantized(model, made);
    EXPECT_EQ(made.total_bytes(), result.bytes_out) << name;
    EXPECT_EQ(result.requantized, 0u);
    EXPECT_EQ(made.metadata().get_u32("general.file_type"),
              WeightMixture::from_name(name)->file_type());
  }
  EXPECT_EQ(folder.count(), 2u);  // nothing partial is left
}

TEST(QuantizeFile, MixtureFollowsTheRules) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder);
  quantize_file(in, folder.file("out.gguf"), to("Q4_K_M"));
  const ModelFile made = gguf::open(folder.file("out.gguf"));
  const auto type = [&](const std::string& name) { return made.tensor(name).type; };
  EXPECT_EQ(type("token_embd.weight"), WeightType::kQ6_K);  // tied: it is the output too
  EXPECT_EQ(type("output_norm.weight"), WeightType::kF32);
  for (int layer = 0; layer < 8; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const bool is_sensitive = layer == 0 || layer == 3 || layer == 6 || layer == 7;
    const WeightType expected = is_sensitive ? WeightType::kQ6_K : WeightType::kQ4_K;
    EXPECT_EQ(type(prefix + "attn_v.weight"), expected) << layer;
    EXPECT_EQ(type(prefix + "ffn_down.weight"), expected) << layer;
    EXPECT_EQ(type(prefix + "attn_q.weight"), WeightType::kQ4_K);
    EXPECT_EQ(type(prefix + "attn_norm.weight"), WeightType::kF32);
  }
}

TEST(QuantizeFile, RowsThatDoNotFitFallBackAndAreReported) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder);
  const auto result = quantize_file(in, folder.file("out.gguf"), to("Q4_K_S"));
  size_t reported = 0;
  for (const auto& tensor : result.tensors) {
    if (!tensor.wanted) continue;
    ++reported;
    EXPECT_EQ(tensor.wanted, WeightType::kQ4_K);
    const bool is_output = tensor.name.find("attn_output") != std::string::npos;
    EXPECT_EQ(tensor.to, is_output ? WeightType::kQ5_0 : WeightType::kF16) << tensor.name;
  }
  EXPECT_EQ(reported, 16u);  // attn_output and ffn_up of eight layers
}

TEST(QuantizeFile, MetadataAndAlignmentAreKept) {
  const TemporaryFolder folder;
  quantize_file(make_model(folder), folder.file("out.gguf"), to("Q8_0"));
  const ModelFile made = gguf::open(folder.file("out.gguf"));
  const Metadata& metadata = made.metadata();
  EXPECT_EQ(metadata.entries().size(), 6u);
  EXPECT_EQ(metadata.get_u32("general.alignment"), 64u);
  EXPECT_EQ(metadata.get_u32("general.quantization_version"), 2u);
  EXPECT_EQ(metadata.get_u32("general.file_type"), 7u);
  EXPECT_EQ(metadata.get_string("tokenizer.ggml.model"), "llama");
  const std::byte* start = made.files()[0].bytes().data();
  for (const auto& tensor : made.tensors()) EXPECT_EQ((tensor.bytes.data() - start) % 64, 0);
}

TEST(QuantizeFile, ThreadsDoNotChangeTheBytes) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder);
  quantize_file(in, folder.file("one.gguf"), to("Q5_K_M", 1));
  quantize_file(in, folder.file("five.gguf"), to("Q5_K_M", 5));
  quantize_file(in, folder.file("all.gguf"), to("Q5_K_M", 0));
  EXPECT_EQ(contents(folder.file("one.gguf")), contents(folder.file("five.gguf")));
  EXPECT_EQ(contents(folder.file("one.gguf")), contents(folder.file("all.gguf")));
}

TEST(QuantizeFile, QuantisedSourcesAreConvertedAndCounted) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder, WeightType::kQ8_0);
  const auto result = quantize_file(in, folder.file("out.gguf"), to("Q4_0"));
  // Of 42 matrices all but the eight ffn_up, whose rows no block fits: they are F32 in the source.
  EXPECT_EQ(result.requantized, 34u);
  expect_rows_quantized(gguf::open(in), gguf::open(folder.file("out.gguf")));
  const auto same = quantize_file(in, folder.file("same.gguf"), to("Q8_0"));
  EXPECT_EQ(same.requantized, 0u);
  EXPECT_EQ(quantize_file(in, folder.file("floats.gguf"), to("F32")).requantized, 0u);
  EXPECT_EQ(quantize_file(in, folder.file("halves.gguf"), to("F16")).requantized, 34u);
  const ModelFile before = gguf::open(in);
  const ModelFile after = gguf::open(folder.file("same.gguf"));
  for (const auto& tensor : before.tensors()) {
    if (tensor.type != WeightType::kQ8_0) continue;
    const auto copy = after.tensor(tensor.name).bytes;
    EXPECT_TRUE(std::equal(tensor.bytes.begin(), tensor.bytes.end(), copy.begin(), copy.end()));
  }
}

TEST(QuantizeFile, ReferenceModelIsConverted) {
  const std::string in = reference_dir().string() + "/models/stories260K.gguf";
  if (!std::filesystem::exists(in)) GTEST_SKIP() << in << " is absent";
  const TemporaryFolder folder;
  for (const auto name : {"Q4_K_M", "Q8_0", "Q4_0", "BF16", "F32"}) {
    quantize_file(in, folder.file("out.gguf"), to(name));
    expect_rows_quantized(gguf::open(in), gguf::open(folder.file("out.gguf")));
  }
}

TEST(QuantizeFile, ProgressNamesEachTensorOnce) {
  const TemporaryFolder folder;
  auto options = to("Q4_K_M");
  std::vector<std::string> names;
  uint64_t read = 0;
  options.on_progress = [&](const QuantizeProgress& progress) {
    names.push_back(progress.tensor->name);
    EXPECT_EQ(progress.tensors_done, names.size());
    EXPECT_GT(progress.bytes_read, read);
    read = progress.bytes_read;
    EXPECT_LE(read, progress.bytes);
  };
  const auto result = quantize_file(make_model(folder), folder.file("out.gguf"), options);
  ASSERT_EQ(names.size(), result.tensors.size());
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], result.tensors[i].name);
  EXPECT_EQ(read, result.bytes_in);
}

TEST(QuantizeFile, RefusesItsInputAsOutputUnderAnyName) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder);
  const std::string before = contents(in);
  std::filesystem::create_symlink(in, folder.file("link.gguf"));
  std::filesystem::create_hard_link(in, folder.file("hard.gguf"));
  for (const std::string& out :
       {in, folder.file("./model.gguf"), folder.file("link.gguf"), folder.file("hard.gguf")}) {
    EXPECT_EQ(code_of([&] { quantize_file(in, out, to("Q8_0")); }), ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(contents(in), before);
}

TEST(QuantizeFile, UnknownTypesAreNamedBeforeAnyFileIsTouched) {
  try {
    quantize_file("/nowhere/in.gguf", "/nowhere/out.gguf", to("Q4_K_XXL"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("'Q4_K_XXL'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("Q4_K_M"), std::string::npos);
  }
  EXPECT_EQ(code_of([] { quantize_file("/nowhere/in.gguf", "/nowhere/out.gguf", to("Q8_0")); }),
            ErrorCode::kNotFound);
}

TEST(QuantizeFile, CancellingLeavesNothingBehind) {
  const TemporaryFolder folder;
  const std::string in = make_model(folder);
  auto options = to("Q4_K_M");
  options.on_progress = [&](const QuantizeProgress& progress) {
    if (progress.tensors_done == 3) options.cancellation.cancel();
  };
  EXPECT_EQ(code_of([&] { quantize_file(in, folder.file("out.gguf"), options); }),
            ErrorCode::kCancelled);
  EXPECT_EQ(folder.count(), 1u);
}

}  // namespace
}  // namespace omg
