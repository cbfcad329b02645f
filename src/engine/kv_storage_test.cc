// SPDX-License-Identifier: Apache-2.0
//
// What comes from the storage gives the logits that computing gives, to the bit: in another engine
// than the one that wrote it, in every type of cache, and for many users whose cache is too small.
#include "engine/kv_storage.h"

#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "engine/batch/batcher.h"
#include "engine/engine.h"
#include "engine/kv/testing/memory_file.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

using testing::MemoryDisk;
using testing::MemoryFile;

constexpr uint64_t kDiskBytes = 8 << 20;

class KvStorageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ = std::filesystem::temp_directory_path() /
            ("omg_kv_storage_" + std::to_string(::getpid()) + ".gguf");
    auto options = model_maker::preset("tiny-llama");
    options.type = "Q8_0";
    options.context = 600;
    model_maker::make_model(options, path_);
    file_ = new ModelFile(open_model_file(path_));
  }
  static void TearDownTestSuite() {
    delete file_;
    std::filesystem::remove(path_);
  }

  static EngineOptions options(MemoryDisk* disk, uint64_t kv_tokens = 0) {
    EngineOptions options;
    options.threads = 2;
    options.max_sequences = 6;
    options.max_batch_tokens = 64;
    options.kv_capacity_tokens = kv_tokens;
    options.shares_one_context = true;
    if (disk != nullptr) options.kv_storage.file = std::make_shared<MemoryFile>(*disk);
    options.kv_storage.max_bytes = options.kv_storage.most_bytes = kDiskBytes;
    options.kv_storage.weights = "these";
    return options;
  }
  static std::unique_ptr<Engine> load(const EngineOptions& options) {
    return Engine::load(*file_, options);
  }

  static std::filesystem::path path_;
  static ModelFile* file_;
};
std::filesystem::path KvStorageTest::path_;
ModelFile* KvStorageTest::file_ = nullptr;

auto soon() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(60);
}

std::vector<int32_t> tokens_for(const Engine& engine, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(count);
  for (auto& token : tokens) token = static_cast<int32_t>(random() % engine.vocab_size());
  return tokens;
}

/// Brings what is stored; how many tokens the sequence has then.
uint32_t restore(Engine& engine, SequenceId sequence, std::span<const int32_t> tokens) {
  std::promise<void> ready;
  const auto on_ready = [&] { ready.set_value(); };
  if (!engine.begin_restore(sequence, tokens, engine.free_kv_blocks(), on_ready)) {
    return engine.sequence_length(sequence);
  }
  ready.get_future().wait();
  return engine.finish_restore(sequence);
}

struct Outcome {
  std::vector<float> logits;  // of the last token
  uint32_t from_memory = 0;
  uint32_t restored = 0;
};

Outcome run(Engine& engine, std::span<const int32_t> tokens) {
  Outcome outcome;
  const SequenceId sequence = engine.create_sequence();
  const auto most = tokens.first(tokens.size() - 1);
  outcome.from_memory = engine.attach_prefix(sequence, most);
  uint32_t held = restore(engine, sequence, most);
  outcome.restored = held - outcome.from_memory;
  while (held < tokens.size()) {
    const auto part = tokens.subspan(held, std::min<size_t>(50, tokens.size() - held));
    held += static_cast<uint32_t>(part.size());
    const SequenceChunk chunk{sequence, part, held == tokens.size() ? 1u : 0u};
    const auto logits = engine.step({&chunk, 1});
    outcome.logits.assign(logits.begin(), logits.end());
  }
  engine.free_sequence(sequence);
  return outcome;
}

TEST_F(KvStorageTest, AnotherEngineGoesOnFromIt) {
  for (const KvTypeName& type : kKvTypes) {
    MemoryDisk disk;
    auto with = options(&disk);
    with.kv_type = type.type;
    auto without = options(nullptr);
    without.kv_type = type.type;
    const auto plain = load(without);
    EXPECT_EQ(plain->kv_storage_text(), "");
    const auto tokens = tokens_for(*plain, 300, 1);
    const auto expected = run(*plain, tokens).logits;
    {
      const auto first = load(with);
      EXPECT_EQ(run(*first, tokens).logits, expected) << type.name;
      first->store_all(soon());
    }
    const auto second = load(with);
    const Outcome again = run(*second, tokens);
    EXPECT_EQ(again.from_memory, 0u);
    EXPECT_EQ(again.restored, 9 * kKvBlockTokens) << type.name;
    EXPECT_EQ(again.logits, expected) << type.name;
    // Now it is in memory, and a text that parts from it in the middle has what they share.
    EXPECT_EQ(run(*second, tokens).from_memory, 9 * kKvBlockTokens);
    auto other = tokens;
    other[100] = (other[100] + 1) % static_cast<int32_t>(plain->vocab_size());
    const auto third = load(with);
    const Outcome parted = run(*third, other);
    EXPECT_EQ(parted.restored, 3 * kKvBlockTokens);
    EXPECT_EQ(parted.logits, run(*plain, other).logits);
  }
}

TEST_F(KvStorageTest, IsOfTheseWeightsAndTypesAlone) {
  MemoryDisk disk;
  std::vector<int32_t> tokens;
  {
    const auto engine = load(options(&disk));
    tokens = tokens_for(*engine, 100, 2);
    run(*engine, tokens);
    engine->store_all(soon());
  }
  const std::vector<std::byte> bytes = disk.bytes;
  auto other_weights = options(&disk);
  other_weights.kv_storage.weights = "those";
  auto other_type = options(&disk);
  other_type.kv_type = KvType::kQ8_0;
  auto other_activations = options(&disk);
  other_activations.activations = ActivationType::kF32;
  auto other_isa = options(&disk);
  other_isa.isa = Isa::kScalar;
  for (const EngineOptions& other : {other_weights, other_type, other_activations, other_isa}) {
    disk.bytes = bytes;
    const auto engine = load(other);
    if (other.isa && engine->isa() == load(options(nullptr))->isa()) continue;
    EXPECT_EQ(run(*engine, tokens).restored, 0u);
  }
  disk.bytes = bytes;
  EXPECT_EQ(run(*load(options(&disk)), tokens).restored, 3 * kKvBlockTokens);
}

TEST_F(KvStorageTest, DamageCostsTimeAlone) {
  MemoryDisk disk;
  std::vector<int32_t> tokens;
  std::vector<float> expected;
  {
    const auto engine = load(options(&disk));
    tokens = tokens_for(*engine, 200, 3);
    expected = run(*engine, tokens).logits;
    engine->store_all(soon());
  }
  const std::vector<std::byte> bytes = disk.bytes;
  std::mt19937 random(4);
  for (int round = 0; round < 10; ++round) {
    disk.bytes = bytes;
    for (size_t at = random() % 65536; at < disk.bytes.size(); at += random() % 65536) {
      disk.bytes[at] ^= std::byte{4};
    }
    const auto engine = load(options(&disk));
    EXPECT_EQ(run(*engine, tokens).logits, expected);
  }
  disk.bytes.resize(0);
  disk.is_full = true;
  const auto engine = load(options(&disk));
  EXPECT_EQ(engine->kv_storage_text(), "off: the disk is full");
  EXPECT_EQ(run(*engine, tokens).logits, expected);
}

TEST_F(KvStorageTest, WhatLeavesMemoryComesBack) {
  MemoryDisk disk;
  const auto engine = load(options(&disk, 320));  // with one block for each sequence beside
  std::vector<std::vector<int32_t>> texts;
  std::vector<std::vector<float>> expected;
  for (uint32_t i = 0; i < 4; ++i) {
    texts.push_back(tokens_for(*engine, 200, 10 + i));
    const Outcome outcome = run(*engine, texts.back());
    EXPECT_EQ(outcome.restored, 0u);
    expected.push_back(outcome.logits);
  }
  uint32_t restored = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    const Outcome outcome = run(*engine, texts[i]);
    EXPECT_EQ(outcome.logits, expected[i]);
    EXPECT_EQ(outcome.from_memory + outcome.restored, 6 * kKvBlockTokens);
    restored += outcome.restored;
  }
  EXPECT_GE(restored, 3 * 6 * kKvBlockTokens / 2);
}

/// Greedy answers to `prompts`, all at once; whether they were cancelled does not matter to others.
std::vector<std::vector<int32_t>> ask_all(Engine& engine,
                                          const std::vector<std::vector<int32_t>>& prompts,
                                          BatcherStats& stats) {
  std::vector<std::vector<int32_t>> answers(prompts.size());
  std::vector<std::promise<void>> ends(prompts.size());
  std::atomic<bool> leaves{false};
  BatcherOptions options;
  options.pause_before_storing = std::chrono::milliseconds(1);
  Batcher batcher(engine, options);
  for (size_t i = 0; i < prompts.size(); ++i) {
    BatchRequest request;
    request.prompt = prompts[i];
    request.choose = [&answers, i](std::span<float> logits) -> std::optional<int32_t> {
      if (answers[i].size() == 40) return std::nullopt;
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      answers[i].push_back(static_cast<int32_t>(best));
      return answers[i].back();
    };
    request.on_end = [&ends, i](const BatchEnd& end) {
      EXPECT_EQ(end.reason, BatchEndReason::kChosen);
      ends[i].set_value();
    };
    batcher.submit(std::move(request));
    // Beside them some that leave at once, also while they are restored.
    BatchRequest leaver;
    leaver.prompt = prompts[i];
    leaver.choose = [](std::span<float>) { return std::nullopt; };
    leaver.is_cancelled = [asked = 0]() mutable { return ++asked > 1; };
    leaver.on_end = [](const BatchEnd&) {};
    batcher.submit(std::move(leaver));
  }
  for (auto& end : ends) end.get_future().wait();
  stats = batcher.stats();
  return answers;
}

TEST_F(KvStorageTest, ManyUsersOfASmallCacheHaveTheAnswersThatTheyHaveAlone) {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<int32_t>> expected;
  BatcherStats stats;
  {
    const auto plain = load(options(nullptr));
    for (uint32_t i = 0; i < 12; ++i) {
      auto prompt = tokens_for(*plain, 150, 20 + i / 3);  // three begin alike
      const auto rest = tokens_for(*plain, 60 + i, 90 + i);
      prompt.insert(prompt.end(), rest.begin(), rest.end());
      prompts.push_back(prompt);
      expected.push_back(ask_all(*plain, {prompt}, stats)[0]);
    }
  }
  MemoryDisk disk;
  uint64_t restored = 0;
  for (int life = 0; life < 3; ++life) {
    const auto engine = load(options(&disk, 600));
    const uint32_t free = engine->free_kv_blocks();
    EXPECT_EQ(ask_all(*engine, prompts, stats), expected);
    EXPECT_EQ(engine->free_kv_blocks(), free);
    restored += stats.restored_tokens;
    EXPECT_LE(stats.restored_tokens, stats.cached_tokens);
    if (life > 0) {
      EXPECT_GT(stats.restored_tokens, 0u);
    }
  }
  EXPECT_GT(restored, 1000u);
}

}  // namespace
}  // namespace omg
