// SPDX-License-Identifier: Apache-2.0
#include "tools/make_model/make_model.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <set>

#include "base/error.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/testing.h"
#include "formats/open_model_file.h"
#include "formats/weight_mixture.h"

namespace omg::model_maker {
namespace {

using gguf::testing::TemporaryFolder;

const std::vector<Family> kFamilies = {Family::kLlama,  Family::kMixtral,  Family::kQwen2,
                                       Family::kQwen3,  Family::kQwen3Moe, Family::kGemma2,
                                       Family::kGemma3, Family::kPhi2,     Family::kPhi3};

Options tiny(Family family) {
  return preset("tiny-" + std::string(family_name(family)));
}

/// The tensors of a layer, then those outside, as the family's published conversions have them.
std::pair<std::string, std::string> expected_tensors(Family family) {
  const std::string separate = "attn_q.weight attn_k.weight attn_v.weight attn_output.weight ";
  const std::string gated = "ffn_gate.weight ffn_up.weight ffn_down.weight ";
  const std::string norms = "attn_norm.weight ffn_norm.weight ";
  const std::string head_norms = "attn_q_norm.weight attn_k_norm.weight ";
  const std::string post_norms = "post_attention_norm.weight post_ffw_norm.weight ";
  const std::string experts =
      "ffn_gate_inp.weight ffn_gate_exps.weight ffn_up_exps.weight ffn_down_exps.weight ";
  const std::string tied = "token_embd.weight output_norm.weight ";
  const std::string untied = tied + "output.weight ";
  switch (family) {
    case Family::kLlama:
      return {norms + separate + gated, untied + "rope_freqs.weight "};
    case Family::kMixtral:
      return {norms + separate + experts, untied};
    case Family::kQwen2:
      return {norms + separate + "attn_q.bias attn_k.bias attn_v.bias " + gated, tied};
    case Family::kQwen3:
      return {norms + separate + head_norms + gated, tied};
    case Family::kQwen3Moe:
      return {norms + separate + head_norms + experts, untied};
    case Family::kGemma2:
      return {norms + separate + post_norms + gated, tied};
    case Family::kGemma3:
      return {norms + separate + head_norms + post_norms + gated, tied};
    case Family::kPhi2:
      return {
          "attn_norm.weight attn_norm.bias attn_qkv.weight attn_qkv.bias attn_output.weight "
          "attn_output.bias ffn_up.weight ffn_up.bias ffn_down.weight ffn_down.bias ",
          untied + "output_norm.bias output.bias "};
    case Family::kPhi3:
      return {norms + "attn_qkv.weight attn_output.weight ffn_up.weight ffn_down.weight ",
              untied + "rope_factors_long.weight rope_factors_short.weight "};
  }
  return {};
}

void for_each_word(const std::string& text, const std::function<void(const std::string&)>& use) {
  std::istringstream words(text);
  for (std::string word; words >> word;) use(word);
}

TEST(MakeModel, EveryFamilyInManyTypesHasExactlyItsTensors) {
  const TemporaryFolder folder;
  for (const Family family : kFamilies) {
    for (const char* type : {"F32", "BF16", "Q8_0", "Q4_0", "Q4_K_M", "Q2_K", "IQ4_XS", "MXFP4"}) {
      SCOPED_TRACE(std::string(family_name(family)) + " " + type);
      Options options = tiny(family);
      options.type = type;
      const auto path = folder.file("m.gguf");
      const uint64_t bytes = make_model(options, path);
      const ModelFile model = open_model_file(path);
      EXPECT_EQ(model.total_bytes(), bytes);
      EXPECT_LT(bytes, 16u << 20);
      EXPECT_EQ(model.metadata().get_string("general.architecture"), architecture_name(family));

      std::set<std::string> expected;
      const auto [in_layer, outside] = expected_tensors(family);
      for (uint32_t i = 0; i < options.layers; ++i) {
        const std::string prefix = "blk." + std::to_string(i) + ".";
        for_each_word(in_layer, [&](const auto& word) { expected.insert(prefix + word); });
      }
      for_each_word(outside, [&](const auto& word) { expected.insert(word); });
      std::set<std::string> actual;
      for (const auto& tensor : model.tensors()) actual.insert(std::string(tensor.name));
      EXPECT_EQ(actual, expected);
    }
  }
}

TEST(MakeModel, PureGivesEveryMatrixTheType) {
  const TemporaryFolder folder;
  for (const auto& type : weight_types()) {
    Options options = tiny(Family::kQwen3);
    options.type = type.name;
    options.pure = true;
    make_model(options, folder.file("m.gguf"));
    const ModelFile model = open_model_file(folder.file("m.gguf"));
    for (const auto& tensor : model.tensors()) {
      const auto wanted = tensor.rank == 1 ? WeightType::kF32 : type.type;
      EXPECT_EQ(tensor.type, wanted) << tensor.name;
    }
  }
}

/// Names and shapes must follow from the hyperparameters in the same way as in reference models.
TEST(MakeModel, AgreesWithReferenceModels) {
  const std::filesystem::path folder = reference_dir() / "architectures";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no reference data at " << folder;
  const std::vector<std::pair<Family, const char*>> pairs = {
      {Family::kLlama, "llama3-freqs"}, {Family::kMixtral, "mixtral"},
      {Family::kQwen2, "qwen2"},        {Family::kQwen3, "qwen3"},
      {Family::kQwen3Moe, "qwen3moe"},  {Family::kGemma2, "gemma2"},
      {Family::kGemma3, "gemma3"},      {Family::kPhi2, "phi2"},
      {Family::kPhi3, "phi3-long"}};
  for (const auto& [family, file] : pairs) {
    const ModelFile reference = open_model_file(folder / (std::string(file) + ".gguf"));
    const Metadata& keys = reference.metadata();
    const std::string prefix = std::string(architecture_name(family)) + ".";
    const auto u32 = [&](const char* key) { return keys.find_u32(prefix + key).value_or(0); };
    Options options = tiny(family);
    options.layers = u32("block_count");
    options.embedding = u32("embedding_length");
    options.feed_forward = u32("feed_forward_length");
    options.heads = u32("attention.head_count");
    options.kv_heads = u32("attention.head_count_kv");
    options.head_size = u32("attention.key_length");
    options.rope_dimensions = u32("rope.dimension_count");
    options.vocabulary = 512;  // the reference has 300 tokens, fewer than a usable vocabulary needs
    options.context = u32("context_length");
    options.experts = u32("expert_count");
    options.experts_used = u32("expert_used_count");
    options.expert_feed_forward = u32("expert_feed_forward_length");
    options.sliding_window = u32("attention.sliding_window");
    options.rope_original_context = u32("rope.scaling.original_context_length");
    options.tied_embeddings = !reference.find_tensor("output.weight");
    const Plan plan = plan_model(options);

    std::set<std::string> expected, actual;
    const auto describe = [](std::string name, const std::array<uint64_t, 4>& shape) {
      for (const uint64_t n : shape) name += " " + std::to_string(n == 300 ? 512 : n);
      return name;
    };
    for (const auto& tensor : reference.tensors()) {
      expected.insert(describe(std::string(tensor.name), tensor.shape));
    }
    for (const auto& tensor : plan.tensors) actual.insert(describe(tensor.name, tensor.shape));
    EXPECT_EQ(actual, expected) << file;
    for (const auto& entry : keys.entries()) {
      if (!entry.key.starts_with(prefix)) continue;
      const auto* made = plan.metadata.find(entry.key);
      ASSERT_TRUE(made) << file << ": " << entry.key;
      EXPECT_EQ(made->type, entry.value.type) << file << ": " << entry.key;
    }
  }
}

TEST(MakeModel, SameSeedSameBytes) {
  const auto bytes_of = [](uint64_t seed) {
    const TemporaryFolder folder;
    Options options = tiny(Family::kLlama);
    options.seed = seed;
    make_model(options, folder.file("m.gguf"));
    const ModelFile model = open_model_file(folder.file("m.gguf"));
    const auto bytes = model.files()[0].bytes();
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  const auto first = bytes_of(1);
  EXPECT_TRUE(first == bytes_of(1));
  EXPECT_FALSE(first == bytes_of(2));
}

TEST(MakeModel, PublishedShapesHavePublishedSizes) {
  const auto parameters = [](const char* name) {
    uint64_t count = 0;
    for (const auto& tensor : plan_model(preset(name)).tensors) {
      count += tensor.shape[0] * tensor.shape[1] * tensor.shape[2];
    }
    return count;
  };
  // As the model cards and files say; the 32 and 64 are the rope factors.
  EXPECT_EQ(parameters("llama-3.2-1b"), 1235814400u + 32);
  EXPECT_EQ(parameters("llama-3.1-8b"), 8030261248u + 64);
  EXPECT_EQ(parameters("qwen2.5-0.5b"), 494032768u);
}

/// A published Qwen2.5-0.5B Q4_K_M has 121 tensors of F32, 132 of Q5_0, 13 of Q8_0, 12 of Q4_K and
/// 12 of Q6_K; a Llama-3.2-1B has 34 of F32, 96 of Q4_K and 17 of Q6_K.
TEST(MakeModel, MixturesAsInPublishedFiles) {
  using Counts = std::map<std::string_view, int>;
  const auto types = [](const char* name) {
    Counts counts;
    for (const auto& tensor : plan_model(preset(name)).tensors) ++counts[info(tensor.type).name];
    return counts;
  };
  EXPECT_EQ(types("qwen2.5-0.5b"),
            (Counts{{"F32", 121}, {"Q5_0", 132}, {"Q8_0", 13}, {"Q4_K", 12}, {"Q6_K", 12}}));
  EXPECT_EQ(types("llama-3.2-1b"), (Counts{{"F32", 34}, {"Q4_K", 96}, {"Q6_K", 17}}));
}

TEST(MakeModel, Llama3RopeFactors) {
  const TemporaryFolder folder;
  Options options = preset("llama-3.2-1b");
  options.layers = 1;
  options.vocabulary = 512;
  make_model(options, folder.file("m.gguf"));
  const ModelFile model = open_model_file(folder.file("m.gguf"));
  const auto& tensor = model.tensor("rope_freqs.weight");
  ASSERT_EQ(tensor.shape[0], 32u);
  std::array<float, 32> factors;
  std::memcpy(factors.data(), tensor.bytes.data(), tensor.bytes.size());
  EXPECT_EQ(factors.front(), 1.0f);
  EXPECT_EQ(factors.back(), 32.0f);
  // Dimension 15: a wave of 2 pi 500000^(30/64) = 2949 tokens; smooth = (8192/2949 - 1) / 3 =
  // 0.5927; 1 / ((1 - 0.5927) / 32 + 0.5927) = 1.6517.
  EXPECT_NEAR(factors[15], 1.6517f, 2e-3);
}

TEST(MakeModel, RefusesWhatCannotBe) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::function<void(Options&)>& change, const std::string& part) {
    Options options = tiny(Family::kLlama);
    change(options);
    try {
      make_model(options, folder.file("m.gguf"));
      ADD_FAILURE() << "accepted; expected " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_EQ(folder.count(), 0u);
  };
  refused([](Options& o) { o.layers = 0; }, "layers");
  refused([](Options& o) { o.heads = 0; }, "heads");
  refused([](Options& o) { o.kv_heads = 3; }, "multiple");
  refused([](Options& o) { o.head_size = 63; }, "even");
  refused([](Options& o) { o.rope_dimensions = 128; }, "rope dimensions");
  refused([](Options& o) { o.vocabulary = 300; }, "vocabulary");
  refused([](Options& o) { o.experts = 4; }, "no experts");
  refused([](Options& o) { o.type = "Q9_Z"; }, "Q9_Z");
  refused([](Options& o) { o.rope_base = 0; }, "rope base");
  refused([](Options& o) { o.embedding = 0xffffffff; }, "embedding");
  EXPECT_THROW(preset("llama-9"), Error);
}

}  // namespace
}  // namespace omg::model_maker
