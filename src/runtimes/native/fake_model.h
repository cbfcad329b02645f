// SPDX-License-Identifier: Apache-2.0
//
// A tokenizer of bytes and an engine that follows a rule instead of weights, for the tests of this
// folder: what a model sends to its engine is recorded, checked, and can be made to fail.
#pragma once

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::testing {

constexpr TokenId kBos = 256;
constexpr TokenId kEos = 257;
constexpr TokenId kCat = 258;       // "cat"
constexpr TokenId kStar = 259;      // "st"
constexpr TokenId kThink = 260;     // "<|think|>", a control token as the next one
constexpr TokenId kThinkEnd = 261;  // "<|/think|>"
constexpr size_t kFakeVocab = 262;

/// Each byte is a token. Encoding never uses the tokens of more bytes.
class FakeTokenizer final : public Tokenizer {
 public:
  explicit FakeTokenizer(bool add_bos = true) {
    special_.bos = kBos;
    special_.eos = kEos;
    special_.add_bos = add_bos;
    special_.add_eos = true;
  }

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    std::vector<TokenId> tokens;
    if (options.add_special && special_.add_bos) tokens.push_back(kBos);
    for (size_t i = 0; i < text.size();) {
      const std::string_view rest = text.substr(i);
      const TokenId special = options.parse_special ? special_at(rest) : -1;
      if (special >= 0) {
        tokens.push_back(special);
        i += token_text(special).size();
        continue;
      }
      tokens.push_back(static_cast<unsigned char>(text[i++]));
    }
    if (options.add_special && special_.add_eos) tokens.push_back(kEos);
    return tokens;
  }
  std::string token_bytes(TokenId token, bool show_special) const override {
    if (token < 0 || static_cast<size_t>(token) >= kFakeVocab) {
      throw Error(ErrorCode::kInvalidArgument, "no such token");
    }
    if (token < 256) return std::string(1, static_cast<char>(token));
    if (is_control(token)) return show_special ? std::string(token_text(token)) : "";
    return token == kCat ? "cat" : "st";
  }
  std::string_view token_text(TokenId token) const override {
    return token == kBos        ? "<s>"
           : token == kEos      ? "</s>"
           : token == kThink    ? "<|think|>"
           : token == kThinkEnd ? "<|/think|>"
                                : "";
  }
  std::optional<TokenId> find_token(std::string_view text) const override {
    const TokenId token = special_at(text);
    return token >= 0 && token_text(token) == text ? std::optional(token) : std::nullopt;
  }
  size_t vocab_size() const override { return kFakeVocab; }
  const SpecialTokens& special_tokens() const override { return special_; }
  bool is_end_of_generation(TokenId token) const override { return token == kEos; }
  bool is_control(TokenId token) const override { return !token_text(token).empty(); }
  bool strips_leading_space() const override { return false; }

 private:
  TokenId special_at(std::string_view text) const {
    for (const TokenId token : {kBos, kEos, kThink, kThinkEnd}) {
      if (text.starts_with(token_text(token))) return token;
    }
    return -1;
  }

  SpecialTokens special_;
};

/// What the engine was asked to do for a sequence.
struct FakeStep {
  std::vector<TokenId> tokens;
  uint32_t logits_count;
};

/// Gives the token that `rule` names a logit of 10, all others between 0 and 1.
class FakeEngine final : public Engine {
 public:
  using Rule = std::function<TokenId(const std::vector<TokenId>& history)>;

  explicit FakeEngine(Rule rule, uint32_t context = 1000, uint32_t max_batch = 512)
      : rule_(std::move(rule)), context_(context), max_batch_(max_batch) {}
  ~FakeEngine() override { EXPECT_TRUE(sequences_.empty()) << "a sequence was not freed"; }

  /// To be read between answers.
  std::vector<FakeStep> steps;
  /// Called before each step; may throw or cancel.
  std::function<void()> on_step;
  /// Logits beyond the tokenizer's vocabulary, all of 100.
  size_t padding = 0;

  const ModelDescription& description() const override { return description_; }
  uint32_t context_length() const override { return context_; }
  uint32_t vocab_size() const override { return static_cast<uint32_t>(kFakeVocab + padding); }
  uint32_t max_batch_tokens() const override { return max_batch_; }
  uint32_t threads() const override { return 1; }
  Isa isa() const override { return Isa{}; }
  const Profile* profile() const override { return nullptr; }
  double measure_read_bandwidth() override { return 0; }
  double generation_step_bytes(uint32_t, uint32_t) const override { return 0; }
  MemoryUse memory_use() const override { return {}; }

  SequenceId create_sequence() override {
    EXPECT_LT(sequences_.size(), max_sequences());
    sequences_[++last_id_];
    return last_id_;
  }
  void free_sequence(SequenceId sequence) override { EXPECT_EQ(sequences_.erase(sequence), 1u); }
  uint32_t sequence_length(SequenceId sequence) const override {
    return static_cast<uint32_t>(sequences_.at(sequence).size());
  }
  uint32_t attach_prefix(SequenceId, std::span<const int32_t>) override { return 0; }
  SequenceBlocks sequence_blocks(SequenceId) const override { return {}; }
  uint32_t free_kv_blocks() const override { return UINT32_MAX; }
  uint32_t max_sequences() const override { return 4; }
  void truncate_sequence(SequenceId sequence, uint32_t length) override {
    EXPECT_LE(length, sequences_.at(sequence).size());
    sequences_.at(sequence).resize(length);
  }

  std::span<float> step(std::span<const SequenceChunk> chunks) override {
    if (on_step) on_step();
    logits_.clear();
    for (const SequenceChunk& chunk : chunks) {
      EXPECT_FALSE(chunk.tokens.empty());
      EXPECT_LE(chunk.tokens.size(), max_batch_);
      EXPECT_LE(chunk.logits_count, 1u);
      std::vector<TokenId>& history = sequences_.at(chunk.sequence);
      EXPECT_LE(history.size() + chunk.tokens.size(), context_);
      history.insert(history.end(), chunk.tokens.begin(), chunk.tokens.end());
      steps.push_back({{chunk.tokens.begin(), chunk.tokens.end()}, chunk.logits_count});
      if (chunk.logits_count == 0) continue;
      const size_t begin = logits_.size();
      logits_.resize(begin + vocab_size(), 100.0f);
      for (size_t i = 0; i < kFakeVocab; ++i) logits_[begin + i] = static_cast<float>(i % 10) / 10;
      logits_[begin + static_cast<size_t>(rule_(history))] = 10;
    }
    return logits_;
  }

  /// Tokens of all steps since the last call, in order.
  std::vector<TokenId> take_tokens() {
    std::vector<TokenId> tokens;
    for (const FakeStep& step : steps) {
      tokens.insert(tokens.end(), step.tokens.begin(), step.tokens.end());
    }
    steps.clear();
    return tokens;
  }

 private:
  Rule rule_;
  uint32_t context_;
  uint32_t max_batch_;
  ModelDescription description_;
  std::map<SequenceId, std::vector<TokenId>> sequences_;
  SequenceId last_id_ = 0;
  std::vector<float> logits_;
};

}  // namespace omg::testing
