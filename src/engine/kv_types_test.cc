// SPDX-License-Identifier: Apache-2.0
//
// The types of the KV cache in a whole engine, on every instruction set: what they cost in memory,
// how far their logits are from those of a float cache, and that a sequence's logits are the same
// to the bit in any company, at lengths that are split into segments and shared by threads.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "engine/engine.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

constexpr uint32_t kContext = 1200;

class KvTypesTest : public testing::Test {
 protected:
  static std::filesystem::path make(std::string_view preset, uint32_t kv_heads) {
    const auto path = std::filesystem::temp_directory_path() /
                      ("omg_kv_" + std::to_string(::getpid()) + std::string(preset) + ".gguf");
    auto options = model_maker::preset(preset);
    options.type = "Q8_0";
    options.context = kContext;
    if (kv_heads > 0) options.kv_heads = kv_heads;
    model_maker::make_model(options, path);
    return path;
  }

  static EngineOptions options(KvType type, Isa isa, uint32_t threads) {
    EngineOptions result;
    result.kv_type = type;
    result.isa = isa;
    result.threads = threads;
    result.max_sequences = 3;
    return result;
  }
};

std::vector<int32_t> tokens_for(const Engine& engine, size_t count) {
  std::mt19937 random(11);
  std::vector<int32_t> tokens(count);
  for (auto& token : tokens) token = static_cast<int32_t>(random() % engine.vocab_size());
  return tokens;
}

/// Logits of the last two tokens, the last of which goes in alone, as in generation. `companions`
/// short sequences are in that step too.
std::vector<float> last_logits(Engine& engine, std::span<const int32_t> tokens, size_t chunk,
                               size_t companions) {
  std::vector<SequenceId> sequences;
  for (size_t i = 0; i < 1 + companions; ++i) sequences.push_back(engine.create_sequence());
  std::vector<float> result;
  const size_t most = tokens.size() - 1;
  for (size_t begin = 0; begin < most; begin += chunk) {
    const auto part = tokens.subspan(begin, std::min(chunk, most - begin));
    const SequenceChunk one{sequences[0], part, begin + part.size() == most ? 1u : 0u};
    const auto logits = engine.step({&one, 1});
    result.assign(logits.begin(), logits.end());
  }
  std::vector<SequenceChunk> chunks = {{sequences[0], tokens.last(1), 1}};
  for (size_t i = 1; i <= companions; ++i) chunks.push_back({sequences[i], tokens.first(3 * i), 0});
  const auto logits = engine.step(chunks);
  result.insert(result.end(), logits.begin(), logits.end());
  for (const auto sequence : sequences) engine.free_sequence(sequence);
  return result;
}

double relative_error(const std::vector<float>& a, const std::vector<float>& exact) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - exact[i], 2);
    norm += double{exact[i]} * exact[i];
  }
  return std::sqrt(difference / norm);
}

/// Of a random model's logits, whose int8 activations may fall on other levels too: 2 % of f16's
/// error are theirs.
double largest_error(KvType type) {
  switch (type) {
    case KvType::kF32:
      return 0;
    case KvType::kF16:
    case KvType::kQ8_0:
      return 0.05;
    case KvType::kQ4_0:
      break;
  }
  return 0.3;
}

TEST_F(KvTypesTest, LogitsDependOnNothingButTheSequence) {
  for (const char* preset : {"tiny-llama", "tiny-gemma3"}) {
    // One key-value head: a long sequence's token is one unit of work, unless it is split.
    const auto path = make(preset, 1);
    const auto file = open_model_file(path);
    for (const auto& isa : isa_table()) {
      if (!isa_is_supported(isa.isa) || isa.isa == Isa::kScalar) continue;
      std::vector<float> exact;
      for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0, KvType::kQ4_0}) {
        SCOPED_TRACE(std::string(preset) + " " + std::string(isa.name) + " " +
                     std::string(kv_type_name(type)));
        const auto one = Engine::load(file, options(type, isa.isa, 1));
        const auto three = Engine::load(file, options(type, isa.isa, 3));
        const auto tokens = tokens_for(*one, 1100);
        const auto expected = last_logits(*one, tokens, 512, 0);
        const auto same = [&](Engine& engine, size_t chunk, size_t companions) {
          const auto logits = last_logits(engine, tokens, chunk, companions);
          return logits.size() == expected.size() &&
                 std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)) == 0;
        };
        EXPECT_TRUE(same(*one, 100, 2));
        EXPECT_TRUE(same(*three, 512, 0));
        EXPECT_TRUE(same(*three, 100, 2));
        for (const float logit : expected) ASSERT_TRUE(std::isfinite(logit));
        if (type == KvType::kF32) exact = expected;
        const double error = relative_error(expected, exact);
        RecordProperty(std::string(preset) + std::string(kv_type_name(type)),
                       std::to_string(error));
        EXPECT_LE(error, largest_error(type));
        if (type == KvType::kQ4_0) {
          EXPECT_GT(error, 1e-4);  // it is no other type
        }
      }
    }
    std::filesystem::remove(path);
  }
}

TEST_F(KvTypesTest, MemoryIsWhatTheTypeTakes) {
  const auto path = make("tiny-llama", 0);
  const auto file = open_model_file(path);
  const auto bytes = [&](KvType type) {
    return static_cast<double>(
        Engine::load(file, options(type, choose_isa(), 1))->memory_use().kv_bytes);
  };
  const double f16 = bytes(KvType::kF16);
  EXPECT_EQ(bytes(KvType::kF32), 2 * f16);
  EXPECT_EQ(bytes(KvType::kQ8_0), f16 * 34 / 64);
  EXPECT_EQ(bytes(KvType::kQ4_0), f16 * 18 / 64);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace omg
