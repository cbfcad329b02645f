// SPDX-License-Identifier: Apache-2.0
//
// A sequence's logits are the same to the bit alone, in a batch of sixteen others, with one or two
// threads, and however its prompt is cut into chunks: on quantised models of every family, and on
// every instruction set; also where a part of it was computed for another sequence. Also that
// engines share nothing, and that a step that fails changes nothing.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <unistd.h>

#include "base/error.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

/// A small model of random weights in a temporary file, removed at the end.
class MadeModel {
 public:
  MadeModel(std::string_view preset, const std::string& type) {
    path_ = std::filesystem::temp_directory_path() / ("omg_batch_" + std::to_string(::getpid()) +
                                                      "_" + std::string(preset) + type + ".gguf");
    auto options = model_maker::preset(preset);
    options.type = type;
    model_maker::make_model(options, path_);
  }
  ~MadeModel() { std::filesystem::remove(path_); }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::vector<int32_t> random_tokens(size_t count, uint32_t vocab_size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(count);
  for (auto& token : tokens) token = static_cast<int32_t>(random() % vocab_size);
  return tokens;
}

EngineOptions options_for(Isa isa, uint32_t threads) {
  EngineOptions options;
  options.isa = isa;
  options.threads = threads;
  options.context_length = 256;
  options.max_sequences = 17;
  options.max_batch_tokens = 512;
  return options;
}

/// Logits of the last two tokens of a prompt that goes in alone, `chunk` tokens at a time.
std::vector<float> alone(Engine& engine, std::span<const int32_t> tokens, size_t chunk) {
  const SequenceId sequence = engine.create_sequence();
  std::vector<float> result;
  for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
    const auto part = tokens.subspan(begin, std::min(chunk, tokens.size() - begin));
    const size_t wanted_from = tokens.size() - 2;
    const size_t end = begin + part.size();
    const size_t wanted = end > wanted_from ? end - std::max(begin, wanted_from) : 0;
    const SequenceChunk one{sequence, part, static_cast<uint32_t>(wanted)};
    const auto logits = engine.step({&one, 1});
    result.insert(result.end(), logits.begin(), logits.end());
  }
  engine.free_sequence(sequence);
  return result;
}

/// The same, with sixteen other sequences of other lengths in every step.
std::vector<float> in_a_crowd(Engine& engine, std::span<const int32_t> tokens) {
  const uint32_t vocab_size = engine.vocab_size();
  std::vector<std::vector<int32_t>> prompts;
  std::vector<SequenceId> sequences;
  for (uint32_t i = 0; i < 17; ++i) {
    sequences.push_back(engine.create_sequence());
    prompts.push_back(random_tokens(5 + 3 * i, vocab_size, 100 + i));
  }
  constexpr size_t kPlace = 7;  // of the sequence that is looked at
  prompts[kPlace].assign(tokens.begin(), tokens.end() - 1);
  std::vector<float> result;
  std::vector<size_t> done(17);
  const auto step = [&](size_t most) {
    std::vector<SequenceChunk> chunks;
    for (size_t i = 0; i < 17; ++i) {
      const size_t count = std::min(most + i % 3, prompts[i].size() - done[i]);
      if (count == 0) continue;
      const std::span<const int32_t> part(prompts[i].data() + done[i], count);
      done[i] += count;
      chunks.push_back({sequences[i], part, done[i] == prompts[i].size() ? 1u : 0u});
    }
    const auto logits = engine.step(chunks);
    size_t row = 0;
    for (const auto& chunk : chunks) {
      if (chunk.sequence == sequences[kPlace] && chunk.logits_count > 0) {
        const auto first = logits.begin() + static_cast<ptrdiff_t>(row * vocab_size);
        result.insert(result.end(), first, first + vocab_size);
      }
      row += chunk.logits_count;
    }
  };
  for (int i = 0; i < 12; ++i) step(8);
  for (size_t i = 0; i < 17; ++i) {  // and a step of single tokens, as in generation
    prompts[i].push_back(i == kPlace ? tokens.back() : static_cast<int32_t>(i));
  }
  step(8);
  for (const auto sequence : sequences) engine.free_sequence(sequence);
  return result;
}

/// Logits of the last two tokens, where the cache has the beginning from a sequence that is gone.
std::vector<float> with_cached_prefix(Engine& engine, std::span<const int32_t> tokens) {
  const SequenceId sequence = engine.create_sequence();
  const uint32_t there = engine.attach_prefix(sequence, tokens.first(tokens.size() - 2));
  EXPECT_EQ(there, (tokens.size() - 2) / 32 * 32);
  const SequenceChunk rest{sequence, tokens.subspan(there), 2};
  const auto logits = engine.step({&rest, 1});
  std::vector<float> result(logits.begin(), logits.end());
  engine.free_sequence(sequence);
  return result;
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << what;
}

class BatchInvarianceTest : public testing::TestWithParam<const char*> {};

TEST_P(BatchInvarianceTest, LogitsAreTheSameToTheBit) {
  for (const char* type : {"Q4_K_M", "Q8_0", "F16"}) {
    const MadeModel model(GetParam(), type);
    const auto file = open_model_file(model.path());
    for (const auto& isa : isa_table()) {
      // The reference kernels take one token at a time: nothing to vary, and much time.
      if (!isa_is_supported(isa.isa) || isa.isa == Isa::kScalar) continue;
      const auto one = Engine::load(file, options_for(isa.isa, 1));
      const auto two = Engine::load(file, options_for(isa.isa, 2));
      const auto tokens = random_tokens(45, one->vocab_size(), 3);
      const auto expected = alone(*one, tokens, 512);
      for (const float logit : expected) ASSERT_TRUE(std::isfinite(logit));
      expect_same_bits(with_cached_prefix(*one, tokens), expected, "what another left");
      expect_same_bits(alone(*one, tokens, 1), expected, "chunks of 1");
      expect_same_bits(alone(*one, tokens, 7), expected, "chunks of 7");
      expect_same_bits(alone(*two, tokens, 512), expected, "two threads");
      expect_same_bits(alone(*two, tokens, 7), expected, "two threads, chunks of 7");
      expect_same_bits(in_a_crowd(*one, tokens), expected, "in a batch of seventeen");
      expect_same_bits(in_a_crowd(*two, tokens), expected, "in a batch, two threads");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, BatchInvarianceTest,
                         testing::Values("tiny-llama", "tiny-mixtral", "tiny-qwen2", "tiny-qwen3",
                                         "tiny-qwen3moe", "tiny-gemma2", "tiny-gemma3", "tiny-phi2",
                                         "tiny-phi3"),
                         [](const auto& param) { return std::string(param.param).substr(5); });

/// Two sequences share a beginning, and one of them changes its mind within a block they share.
TEST(Engine, SequencesThatPartDoNotTouchEachOther) {
  const MadeModel model("tiny-gemma2", "Q4_K_M");
  const auto file = open_model_file(model.path());
  for (const KvType type : {KvType::kF16, KvType::kQ8_0, KvType::kQ4_0, KvType::kF32}) {
    auto options = options_for(choose_isa(), 2);
    options.kv_type = type;
    const auto engine = Engine::load(file, options);
    const auto first = random_tokens(90, engine->vocab_size(), 4);
    auto second = random_tokens(90, engine->vocab_size(), 5);
    std::copy_n(first.begin(), 50, second.begin());  // parts in the middle of the second block
    const auto fresh = Engine::load(file, options);
    const auto first_expected = alone(*fresh, first, 512);
    const auto second_expected = alone(*fresh, second, 512);

    const auto a = engine->create_sequence();
    const std::span<const int32_t> all(first);
    engine->step(std::vector<SequenceChunk>{{a, all.first(80), 0}});
    const auto b = engine->create_sequence();
    EXPECT_EQ(engine->attach_prefix(b, first), 64u);
    engine->truncate_sequence(b, 50);
    const std::vector<SequenceChunk> both = {{a, all.subspan(80), 2},
                                             {b, std::span(second).subspan(50), 2}};
    const auto logits = engine->step(both);
    const size_t half = logits.size() / 2;
    expect_same_bits({logits.begin(), logits.begin() + static_cast<ptrdiff_t>(half)},
                     first_expected, "the one that stayed");
    expect_same_bits({logits.begin() + static_cast<ptrdiff_t>(half), logits.end()}, second_expected,
                     "the one that parted");
  }
}

TEST(Engine, TwoModelsRunAtOnce) {
  const MadeModel llama("tiny-llama", "Q4_K_M");
  const MadeModel gemma("tiny-gemma2", "Q8_0");
  const auto llama_file = open_model_file(llama.path());
  const auto gemma_file = open_model_file(gemma.path());
  const auto a = Engine::load(llama_file, options_for(choose_isa(), 2));
  const auto b = Engine::load(gemma_file, options_for(choose_isa(), 2));
  const auto a_tokens = random_tokens(40, a->vocab_size(), 1);
  const auto b_tokens = random_tokens(40, b->vocab_size(), 2);
  const auto a_expected = alone(*a, a_tokens, 16);
  const auto b_expected = alone(*b, b_tokens, 16);
  std::thread other([&] {
    for (int i = 0; i < 5; ++i) expect_same_bits(alone(*b, b_tokens, 16), b_expected, "second");
  });
  for (int i = 0; i < 5; ++i) expect_same_bits(alone(*a, a_tokens, 16), a_expected, "first");
  other.join();
}

ErrorCode code_of(Engine& engine, std::vector<SequenceChunk> chunks) {
  try {
    engine.step(chunks);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(Engine, AStepThatFailsChangesNothing) {
  const MadeModel model("tiny-llama", "Q8_0");
  const auto file = open_model_file(model.path());
  EngineOptions options;
  options.context_length = 64;
  options.max_sequences = 2;
  options.kv_capacity_tokens = 128;
  options.max_batch_tokens = 80;
  const auto engine = Engine::load(file, options);
  const auto first = engine->create_sequence();
  const auto second = engine->create_sequence();
  EXPECT_THROW(engine->create_sequence(), Error);
  const auto tokens = random_tokens(70, engine->vocab_size(), 9);
  const std::span<const int32_t> all(tokens);
  const std::vector<int32_t> bad = {1, static_cast<int32_t>(engine->vocab_size())};

  EXPECT_EQ(code_of(*engine, {{first, all, 1}}), ErrorCode::kContextLengthExceeded);
  EXPECT_EQ(code_of(*engine, {{first, bad, 1}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(*engine, {{first, {}, 0}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(*engine, {{first, all.first(3), 4}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(*engine, {{9, all.first(3), 1}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(*engine, {{first, all.first(2), 1}, {first, all.first(2), 1}}),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(*engine, {{first, all.first(50), 1}, {second, all.first(50), 1}}),
            ErrorCode::kInvalidArgument);  // more than max_batch_tokens
  EXPECT_EQ(engine->sequence_length(first), 0u);

  const SequenceChunk fill{first, all.first(64), 1};
  const auto logits = engine->step({&fill, 1});
  const std::vector<float> expected(logits.begin(), logits.end());
  EXPECT_EQ(code_of(*engine, {{second, all.first(64), 1}, {first, all.first(1), 1}}),
            ErrorCode::kContextLengthExceeded);
  const SequenceChunk half{second, all.first(60), 1};
  engine->step({&half, 1});
  EXPECT_EQ(engine->sequence_length(second), 60u);

  engine->truncate_sequence(first, 10);
  const SequenceChunk rest{first, all.subspan(10, 54), 1};
  const auto again = engine->step({&rest, 1});
  EXPECT_EQ(std::memcmp(again.data(), expected.data(), expected.size() * sizeof(float)), 0);
}

TEST(Engine, KvCacheThatIsFullIsAnError) {
  const MadeModel model("tiny-llama", "Q8_0");
  const auto file = open_model_file(model.path());
  EngineOptions options;
  options.context_length = 256;
  options.max_sequences = 2;
  options.kv_capacity_tokens = 100;  // four blocks of 32
  const auto engine = Engine::load(file, options);
  const auto tokens = random_tokens(100, engine->vocab_size(), 9);
  const auto first = engine->create_sequence();
  const auto second = engine->create_sequence();
  EXPECT_EQ(code_of(*engine, {{first, std::span(tokens).first(96), 1},
                              {second, std::span(tokens).first(64), 1}}),
            ErrorCode::kOutOfMemory);
  EXPECT_EQ(engine->sequence_length(first), 0u);
  const SequenceChunk fits{first, std::span(tokens).first(96), 1};
  EXPECT_EQ(engine->step({&fits, 1}).size(), engine->vocab_size());
}

}  // namespace
}  // namespace omg
