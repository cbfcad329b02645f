// SPDX-License-Identifier: Apache-2.0
//
// The engine on the reference models: logits against those of the reference implementation, and the
// promise that a sequence's logits do not depend on batch, chunking or threads, to the bit.
#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "formats/open_model_file.h"

namespace omg {
namespace {

const std::filesystem::path kReference = reference_dir();

std::vector<Isa> supported() {
  std::vector<Isa> result;
  for (const auto& row : isa_table()) {
    if (isa_is_supported(row.isa)) result.push_back(row.isa);
  }
  return result;
}

EngineOptions exact_options(Isa isa) {
  EngineOptions options;
  options.isa = isa;
  options.threads = 2;
  options.kv_type = KvType::kF32;
  options.activations = ActivationType::kF32;
  return options;
}

std::vector<int32_t> tokens_of(const json::value& value) {
  std::vector<int32_t> tokens;
  for (const auto& token : value.as_array()) tokens.push_back(token.to_number<int32_t>());
  return tokens;
}

/// Logits of the last `count` tokens, prefilled in chunks of `chunk`.
std::vector<float> run(Engine& engine, std::span<const int32_t> tokens, size_t chunk,
                       size_t count) {
  const SequenceId sequence = engine.create_sequence();
  std::vector<float> result;
  for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
    const size_t end = std::min(begin + chunk, tokens.size());
    const size_t first_wanted = tokens.size() - count;
    const auto wanted =
        static_cast<uint32_t>(end > first_wanted ? end - std::max(begin, first_wanted) : 0);
    const SequenceChunk part{sequence, tokens.subspan(begin, end - begin), wanted};
    const auto logits = engine.step({&part, 1});
    result.insert(result.end(), logits.begin(), logits.end());
  }
  engine.free_sequence(sequence);
  return result;
}

// Embeddings that are the head too are read for both. The built-in model's are.
TEST(EngineLoadTest, ProgressEndsAtTheWholeWithTiedEmbeddings) {
  const auto file = open_model_file("/proc/self/exe/guide.gguf");
  ASSERT_EQ(file.find_tensor("output.weight"), nullptr);
  std::vector<float> shares;
  EngineOptions options;
  options.threads = 1;
  options.on_progress = [&](float share) { shares.push_back(share); };
  Engine::load(file, options);
  ASSERT_FALSE(shares.empty());
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_GT(shares.front(), 0);
  EXPECT_GT(shares.back(), 0.95F);
  EXPECT_LE(shares.back(), 1);
}

class EngineReferenceTest : public testing::TestWithParam<Isa> {};

TEST_P(EngineReferenceTest, LogitsOfEveryFamilyAgree) {
  const auto folder = kReference / "architectures";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  size_t compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const std::string name = entry.path().stem();
    const auto expected = parse_json_file(folder / (name + ".json"));
    const auto file = open_model_file(entry.path());
    const auto engine = Engine::load(file, exact_options(GetParam()));
    const auto tokens = tokens_of(expected.at("tokens"));
    const auto& rows = expected.at("logits").as_array();
    const auto logits = run(*engine, tokens, 512, rows.size());
    double error = 0;
    double norm = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      for (size_t i = 0; i < rows[r].as_array().size(); ++i) {
        const double reference = rows[r].at(i).to_number<double>();
        error += std::pow(logits[r * engine->vocab_size() + i] - reference, 2);
        norm += reference * reference;
      }
    }
    // The reference rounds GELU through binary16 tables.
    const bool has_gelu = name == "gemma2" || name == "gemma3" || name == "phi2";
    EXPECT_LE(error / norm, has_gelu ? 1e-6 : 1e-8) << name;
    ++compared;
  }
  EXPECT_GE(compared, 14u);
}

TEST_P(EngineReferenceTest, StoriesContinueAsTheReferenceDoes) {
  const auto path = kReference / "models" / "stories260K.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto file = open_model_file(path);
  for (const auto activations : {ActivationType::kF32, ActivationType::kInt8}) {
    auto options = exact_options(GetParam());
    options.activations = activations;
    const auto engine = Engine::load(file, options);
    const auto cases = parse_json_file(kReference / "models" / "stories260K.greedy.json");
    for (const auto& value : cases.as_array()) {
      auto next = tokens_of(value.at("prompt_ids"));
      const auto expected = tokens_of(value.at("ids"));
      const SequenceId sequence = engine->create_sequence();
      for (const int32_t id : expected) {
        const SequenceChunk chunk{sequence, next, 1};
        const auto logits = engine->step({&chunk, 1});
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        ASSERT_EQ(best, id);
        next = {id};
      }
      engine->free_sequence(sequence);
    }
  }
}

TEST_P(EngineReferenceTest, StoriesLogitsAreClose) {
  const auto path = kReference / "models" / "stories260K.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto file = open_model_file(path);
  const auto engine = Engine::load(file, exact_options(GetParam()));
  const auto expected = parse_json_file(kReference / "models" / "stories260K.logits.json");
  const auto& rows = expected.at("logits").as_array();
  const auto logits = run(*engine, tokens_of(expected.at("tokens")), 512, rows.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < rows[r].as_array().size(); ++i) {
      ASSERT_NEAR(logits[r * engine->vocab_size() + i], rows[r].at(i).to_number<double>(), 1e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(PerIsa, EngineReferenceTest, testing::ValuesIn(supported()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace omg
