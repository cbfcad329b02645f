// SPDX-License-Identifier: Apache-2.0
//
// One answer while it is made: what becomes of each token's logits. It chooses (grammar, sampler),
// knows when the answer ends, and makes pieces of it. The batcher drives it.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/batch/batcher.h"
#include "runtimes/answer.h"
#include "runtimes/native/answer_constraint.h"
#include "runtimes/native/answer_stream.h"

namespace omg {

/// How the text of an answer is taken apart.
struct AnswerParsing {
  const ToolFormat* format = nullptr;
  OutputParserOptions options;
  std::span<const TokenId> shown_tokens;  // control tokens that are markers
  bool one_call = false;                  // the answer ends with its first call
};

struct RunningAnswerParts {
  const Tokenizer* tokenizer = nullptr;
  GenerateOptions options;
  std::vector<TokenId> prompt;
  uint32_t context_length = 0;
  std::optional<AnswerParsing> parsing;
  std::unique_ptr<AnswerConstraint> constraint;  // null: the answer is free
  /// Warnings, and what was cut.
  AnswerResult result;
  std::chrono::steady_clock::time_point asked;
  std::shared_ptr<std::atomic<bool>> cancelled;  // by its Canceller
  std::atomic<uint64_t>* generated = nullptr;    // counts the tokens of all answers
};

/// Ends an answer that never ran.
void end_answer(const AnswerSink& sink, const Error* error, AnswerResult result,
                std::chrono::steady_clock::time_point asked);

/// Not thread-safe: the batch has it once it is submitted, and calls one function at a time. What
/// the parts point to must outlive it.
class RunningAnswer {
 public:
  /// Error for sampling options out of their range.
  RunningAnswer(RunningAnswerParts parts, AnswerSink sink);

  /// What the batcher is asked, which then owns the answer.
  static BatchRequest request(std::shared_ptr<RunningAnswer> answer);

 private:
  using Clock = std::chrono::steady_clock;

  void sample(std::span<float> logits);
  SampledToken sample_allowed(std::span<float> logits);
  std::optional<TokenId> choose();
  std::optional<TokenId> finish(FinishReason reason);
  std::vector<TokenId> make_room(std::span<const TokenId> tokens);
  void show(AnswerPiece&& piece);
  void end(const BatchEnd& end);
  void finish_text();
  bool is_cancelled() const;

  RunningAnswerParts parts_;
  AnswerSink sink_;
  Sampler sampler_;
  AnswerStream stream_;
  std::optional<OutputParser> parser_;
  AnswerResult result_;
  uint32_t most_tokens_;
  std::optional<SampledToken> sampled_;  // between sample() and choose()
  bool call_has_ended_ = false;
  std::optional<Clock::time_point> first_logits_;
};

}  // namespace omg
