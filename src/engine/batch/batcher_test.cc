// SPDX-License-Identifier: Apache-2.0
//
// Many users of one engine that follows a rule: the next token is a function of all tokens before
// it, which the engine reads back from cache blocks as a model does. So whatever the batcher does
// to a sequence (waits, chunks, shared beginnings, preemption), its answer must be the one it has
// alone.
#include "engine/batch/batcher.h"

#include <array>
#include <atomic>
#include <barrier>
#include <future>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "base/cancellation.h"
#include "base/error.h"
#include "engine/kv/block_pool.h"

namespace omg {
namespace {

constexpr uint32_t kVocab = 50;

int32_t next_of(std::span<const int32_t> history) {
  uint32_t value = 17;
  for (const int32_t token : history) value = value * 31 + static_cast<uint32_t>(token) + 1;
  return static_cast<int32_t>(value >> 8) % static_cast<int32_t>(kVocab);
}

struct RuleEngineOptions {
  uint32_t blocks = 40;
  uint32_t sequences = 6;
  uint32_t context = 600;
  uint32_t batch = 64;
};

class RuleEngine final : public Engine {
 public:
  explicit RuleEngine(const RuleEngineOptions& options)
      : options_(options), pool_(options.blocks, options.sequences), memory_(options.blocks) {}

  std::function<void()> on_step;  // may throw
  std::atomic<size_t> most_sequences{0};

  const ModelDescription& description() const override { return description_; }
  uint32_t context_length() const override { return options_.context; }
  uint32_t vocab_size() const override { return kVocab; }
  uint32_t max_batch_tokens() const override { return options_.batch; }
  uint32_t threads() const override { return 1; }
  Isa isa() const override { return Isa{}; }
  const Profile* profile() const override { return nullptr; }
  double measure_read_bandwidth() override { return 0; }
  double generation_step_bytes(uint32_t, uint32_t) const override { return 0; }
  MemoryUse memory_use() const override { return {}; }
  SequenceId create_sequence() override { return pool_.create_sequence(); }
  void free_sequence(SequenceId sequence) override { pool_.free_sequence(sequence); }
  uint32_t sequence_length(SequenceId sequence) const override { return pool_.length(sequence); }
  uint32_t attach_prefix(SequenceId sequence, std::span<const int32_t> tokens) override {
    return pool_.attach_prefix(sequence, tokens);
  }
  SequenceBlocks sequence_blocks(SequenceId sequence) const override {
    return {pool_.only_its_own(sequence), pool_.copies_block(sequence)};
  }
  uint32_t free_kv_blocks() const override { return pool_.free_blocks(); }
  uint32_t max_sequences() const override { return options_.sequences; }
  void truncate_sequence(SequenceId sequence, uint32_t length) override {
    pool_.truncate(sequence, length);
  }

  std::span<float> step(std::span<const SequenceChunk> chunks) override {
    if (on_step) on_step();
    most_sequences = std::max(most_sequences.load(), chunks.size());
    std::vector<KvBlockCopy> copies;
    size_t total = 0;
    for (const SequenceChunk& chunk : chunks) {
      total += chunk.tokens.size();
      pool_.reserve(chunk.sequence, static_cast<uint32_t>(chunk.tokens.size()), copies);
    }
    EXPECT_LE(total, options_.batch);
    for (const KvBlockCopy& copy : copies) memory_[copy.to] = memory_[copy.from];
    logits_.clear();
    for (const SequenceChunk& chunk : chunks) {
      const auto blocks = pool_.blocks(chunk.sequence);
      uint32_t at = pool_.length(chunk.sequence);
      for (const int32_t token : chunk.tokens) {
        memory_[blocks[at / kKvBlockTokens]][at % kKvBlockTokens] = token;
        ++at;
      }
      if (chunk.logits_count == 0) continue;
      std::vector<int32_t> history;
      for (uint32_t i = 0; i < at; ++i) {
        history.push_back(memory_[blocks[i / kKvBlockTokens]][i % kKvBlockTokens]);
      }
      logits_.resize(logits_.size() + kVocab);
      logits_[logits_.size() - kVocab + static_cast<size_t>(next_of(history))] = 1;
    }
    for (const SequenceChunk& chunk : chunks) pool_.commit(chunk.sequence, chunk.tokens);
    return logits_;
  }

  void run_beside(size_t count, const std::function<void(size_t)>& body) override {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads) thread.join();
  }

 private:
  const RuleEngineOptions options_;
  ModelDescription description_;
  KvBlockPool pool_;
  std::vector<PrefixTree::Tokens> memory_;
  std::vector<float> logits_;
};

/// One user: takes `wanted` tokens, greedily.
class User {
 public:
  User(std::vector<int32_t> prompt, size_t wanted) : prompt_(std::move(prompt)), wanted_(wanted) {}

  BatchRequest request() {
    BatchRequest request;
    request.prompt = prompt_;
    request.is_cancelled = [this] { return cancellation.is_cancelled(); };
    request.choose = [this](std::span<float> logits) -> std::optional<int32_t> {
      if (on_choose) on_choose();
      if (answer.size() == wanted_) return std::nullopt;
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      answer.push_back(static_cast<int32_t>(best));
      return answer.back();
    };
    request.on_end = [this](const BatchEnd& end) { end_.set_value(end); };
    return request;
  }
  BatchEnd wait() { return ended_.get(); }

  /// The answer that it must have, if nothing ends it early.
  std::vector<int32_t> alone(size_t context) const {
    std::vector<int32_t> history = prompt_;
    std::vector<int32_t> expected;
    while (expected.size() < wanted_ && history.size() <= context) {
      expected.push_back(next_of(history));
      history.push_back(expected.back());
    }
    return expected;
  }

  std::vector<int32_t> answer;
  CancellationToken cancellation;
  std::function<void()> on_choose;

 private:
  std::vector<int32_t> prompt_;
  size_t wanted_;
  std::promise<BatchEnd> end_;
  std::future<BatchEnd> ended_ = end_.get_future();
};

std::vector<int32_t> text(uint32_t length, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(length);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocab);
  return tokens;
}

TEST(Batcher, AnswersOneUser) {
  RuleEngine engine({});
  Batcher batcher(engine, {});
  User user(text(100), 50);
  batcher.submit(user.request());
  const BatchEnd end = user.wait();
  EXPECT_EQ(end.reason, BatchEndReason::kChosen);
  EXPECT_EQ(end.cached_tokens, 0u);
  EXPECT_EQ(user.answer, user.alone(600));
}

TEST(Batcher, FindsWhatAnotherUserLeft) {
  RuleEngine engine({});
  Batcher batcher(engine, {});
  User first(text(100), 10);
  batcher.submit(first.request());
  first.wait();
  User second(text(100), 10);
  batcher.submit(second.request());
  EXPECT_EQ(second.wait().cached_tokens, 96u);
  EXPECT_EQ(second.answer, first.answer);
  EXPECT_EQ(batcher.stats().cached_tokens, 96u);
}

TEST(Batcher, SamplesOfOneStepAreTakenAtTheSameTime) {
  RuleEngine engine({});
  Batcher batcher(engine, {});
  // One that is cancelled as soon as it is looked at, and looked at until both others are there:
  // they begin in one step, whichever thread is the quicker.
  std::promise<void> is_looked_at;
  std::promise<void> both_are_there;
  User gate(text(4), 1);
  BatchRequest gate_request = gate.request();
  gate_request.is_cancelled = [&] {
    is_looked_at.set_value();
    both_are_there.get_future().wait();
    return true;
  };
  batcher.submit(std::move(gate_request));
  is_looked_at.get_future().wait();
  // Each waits for the other: one after another they would wait for ever.
  std::barrier meeting(2);
  std::vector<std::unique_ptr<User>> users;
  std::array<size_t, 2> sampled = {};
  for (size_t i = 0; i < 2; ++i) {
    users.push_back(std::make_unique<User>(text(40, static_cast<uint32_t>(i)), 20));
    BatchRequest request = users.back()->request();
    request.sample = [&meeting, &sampled, i](std::span<float> logits) {
      EXPECT_EQ(logits.size(), size_t{kVocab});
      ++sampled[i];
      meeting.arrive_and_wait();
    };
    batcher.submit(std::move(request));
  }
  both_are_there.set_value();
  EXPECT_EQ(gate.wait().reason, BatchEndReason::kCancelled);
  for (const auto& user : users) {
    EXPECT_EQ(user->wait().reason, BatchEndReason::kChosen);
    EXPECT_EQ(user->answer, user->alone(600));
  }
  EXPECT_EQ(sampled[0], 21u);  // the last says that it is the end
  EXPECT_EQ(sampled[1], 21u);
}

TEST(Batcher, WhatSamplingThrowsEndsItsSequenceAlone) {
  RuleEngine engine({});
  Batcher batcher(engine, {});
  User well(text(40), 30);
  User ill(text(40, 2), 30);
  BatchRequest request = ill.request();
  request.sample = [](std::span<float>) { throw Error(ErrorCode::kCorrupt, "no numbers"); };
  batcher.submit(std::move(request));
  batcher.submit(well.request());
  const BatchEnd end = ill.wait();
  EXPECT_EQ(end.reason, BatchEndReason::kFailed);
  EXPECT_THROW(std::rethrow_exception(end.error), Error);
  EXPECT_TRUE(ill.answer.empty());
  EXPECT_EQ(well.wait().reason, BatchEndReason::kChosen);
  EXPECT_EQ(well.answer, well.alone(600));
}

TEST(Batcher, ManyUsersGetTheAnswersTheyHaveAlone) {
  RuleEngine engine({});
  BatcherOptions options;
  options.max_prompt_tokens_beside = 32;
  std::mt19937 random(3);
  std::vector<std::unique_ptr<User>> users;
  uint64_t preemptions = 0;
  {
    Batcher batcher(engine, options);
    for (int i = 0; i < 120; ++i) {
      // Few different beginnings, as conversations have; 40 blocks hold 1280 tokens, six users want
      // up to 2400.
      auto prompt = text(32 * (1 + random() % 6), random() % 4);
      prompt.push_back(static_cast<int32_t>(random() % kVocab));
      users.push_back(std::make_unique<User>(std::move(prompt), 1 + random() % 200));
      batcher.submit(users.back()->request());
    }
    for (size_t i = 0; i < users.size(); ++i) {
      ASSERT_EQ(users[i]->wait().reason, BatchEndReason::kChosen);
      ASSERT_EQ(users[i]->answer, users[i]->alone(600)) << i;
    }
    preemptions = batcher.stats().preemptions;
  }
  EXPECT_EQ(engine.most_sequences, 6u);
  EXPECT_GT(preemptions, 0u);
  EXPECT_EQ(engine.free_kv_blocks(), 40u);
}

TEST(Batcher, EndsWhereTheContextEnds) {
  RuleEngine engine({.context = 64});
  Batcher batcher(engine, {});
  User user(text(60), 100);
  batcher.submit(user.request());
  EXPECT_EQ(user.wait().reason, BatchEndReason::kContextFull);
  EXPECT_EQ(user.answer, user.alone(64));
  User exact(text(63), 100);
  batcher.submit(exact.request());
  EXPECT_EQ(exact.wait().reason, BatchEndReason::kContextFull);
  EXPECT_EQ(exact.answer.size(), 2u);
  try {
    batcher.submit(User(text(65), 1).request());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kContextLengthExceeded);
    EXPECT_NE(std::string(error.what()).find("65 tokens"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("room for 64"), std::string::npos);
  }
  EXPECT_THROW(batcher.submit(User({}, 1).request()), Error);
}

TEST(Batcher, EndsWhereTheRequestsOwnContextEnds) {
  RuleEngine engine({});
  Batcher batcher(engine, {});
  User user(text(60), 100);
  BatchRequest request = user.request();
  request.context_length = 64;
  batcher.submit(std::move(request));
  EXPECT_EQ(user.wait().reason, BatchEndReason::kContextFull);
  EXPECT_EQ(user.answer, user.alone(64));
  User full(text(64), 100);  // one more follows what fills it
  BatchRequest full_request = full.request();
  full_request.context_length = 64;
  batcher.submit(std::move(full_request));
  EXPECT_EQ(full.wait().reason, BatchEndReason::kContextFull);
  EXPECT_EQ(full.answer.size(), 1u);
  BatchRequest long_request = User(text(65), 1).request();
  long_request.context_length = 64;
  EXPECT_THROW(batcher.submit(std::move(long_request)), Error);
}

/// Beside others, who must not notice, and with so few blocks that some are preempted.
TEST(Batcher, GoesOnInAFullContextWithWhatItIsGiven) {
  RuleEngine engine({.blocks = 12, .context = 200});
  Batcher batcher(engine, {});
  static constexpr size_t kContext = 80;
  const auto newer_half = [](std::span<const int32_t> tokens) {
    EXPECT_EQ(tokens.size(), kContext);
    std::vector<int32_t> kept(tokens.begin(), tokens.begin() + 40);
    kept.insert(kept.end(), tokens.end() - 20, tokens.end());
    return kept;
  };
  std::vector<std::unique_ptr<User>> users;
  for (uint32_t i = 0; i < 6; ++i) {
    users.push_back(std::make_unique<User>(text(30, i % 3), 150));
    BatchRequest request = users.back()->request();
    request.context_length = kContext;
    request.make_room = newer_half;
    batcher.submit(std::move(request));
  }
  for (uint32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(users[i]->wait().reason, BatchEndReason::kChosen);
    std::vector<int32_t> history = text(30, i % 3);
    std::vector<int32_t> expected;
    while (expected.size() < 150) {
      const int32_t next = next_of(history);
      if (history.size() == kContext) history = newer_half(history);
      history.push_back(next);
      expected.push_back(next);
    }
    EXPECT_EQ(users[i]->answer, expected);
  }
}

TEST(Batcher, ACancelledPromptStopsWithinAStep) {
  RuleEngine engine({.batch = 8});
  User user(text(500), 10);
  int steps = 0;
  engine.on_step = [&] {
    if (++steps == 3) user.cancellation.cancel();
  };
  Batcher batcher(engine, {});
  batcher.submit(user.request());
  EXPECT_EQ(user.wait().reason, BatchEndReason::kCancelled);
  EXPECT_EQ(steps, 3);
}

TEST(Batcher, WhatOneThrowsEndsItAlone) {
  RuleEngine engine({});
  Batcher batcher(engine, {});
  User good(text(40, 1), 60);
  User bad(text(40, 2), 60);
  int left = 5;
  bad.on_choose = [&] {
    if (--left == 0) throw Error(ErrorCode::kLimitExceeded, "too ambiguous");
  };
  batcher.submit(bad.request());
  batcher.submit(good.request());
  const BatchEnd end = bad.wait();
  EXPECT_EQ(end.reason, BatchEndReason::kFailed);
  EXPECT_THROW(std::rethrow_exception(end.error), Error);
  EXPECT_EQ(good.wait().reason, BatchEndReason::kChosen);
  EXPECT_EQ(good.answer, good.alone(600));
}

TEST(Batcher, AStepThatFailsEndsItsSequencesAndNoOthers) {
  RuleEngine engine({});
  std::atomic<bool> fails{true};
  engine.on_step = [&] {
    if (fails.exchange(false)) throw Error(ErrorCode::kInternal, "broken");
  };
  Batcher batcher(engine, {});
  User first(text(10), 5);
  batcher.submit(first.request());
  EXPECT_EQ(first.wait().reason, BatchEndReason::kFailed);
  User second(text(10), 5);
  batcher.submit(second.request());
  EXPECT_EQ(second.wait().reason, BatchEndReason::kChosen);
  EXPECT_EQ(second.answer, second.alone(600));
}

TEST(Batcher, RefusesWhenTooManyWaitAndEndsAllWhenItGoes) {
  RuleEngine engine({.sequences = 1});
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  engine.on_step = [opened] { opened.wait(); };
  std::vector<std::unique_ptr<User>> users;
  {
    BatcherOptions options;
    options.max_waiting = 3;
    Batcher batcher(engine, options);
    bool refused = false;
    for (int i = 0; i < 10 && !refused; ++i) {
      users.push_back(std::make_unique<User>(text(10, static_cast<uint32_t>(i)), 100000));
      try {
        batcher.submit(users.back()->request());
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
        users.pop_back();
        refused = true;
      }
    }
    EXPECT_TRUE(refused);
    gate.set_value();
  }
  size_t cancelled = 0;
  for (const auto& user : users) {
    const BatchEndReason reason = user->wait().reason;
    EXPECT_TRUE(reason == BatchEndReason::kCancelled || reason == BatchEndReason::kContextFull);
    cancelled += reason == BatchEndReason::kCancelled ? 1 : 0;
  }
  EXPECT_GT(cancelled, 0u);
  EXPECT_EQ(engine.free_kv_blocks(), 40u);
}

TEST(Batcher, SaysWhenTheCacheIsTooSmall) {
  RuleEngine engine({.blocks = 2, .context = 600});
  Batcher batcher(engine, {});
  User user(text(200), 5);
  batcher.submit(user.request());
  const BatchEnd end = user.wait();
  EXPECT_EQ(end.reason, BatchEndReason::kFailed);
  User small(text(20), 5);
  batcher.submit(small.request());
  EXPECT_EQ(small.wait().reason, BatchEndReason::kChosen);
}

}  // namespace
}  // namespace omg
