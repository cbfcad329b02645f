// SPDX-License-Identifier: Apache-2.0
//
// Answers of plain completions: text_completion, whole and in pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/openai/answer_shape.h"

namespace omg::openai {

struct CompletionShapeOptions {
  size_t prompts = 1;
  size_t choices_per_prompt = 1;
  int32_t top_logprobs = -1;  // -1: no logprobs
};

class CompletionShape final : public AnswerShape {
 public:
  CompletionShape(AnswerHead head, const CompletionShapeOptions& options);

  /// The prompt comes before the answers to it. Before anything else.
  void echo(size_t prompt, std::string_view text);

  std::string take(size_t choice, AnswerPiece&& piece) override;
  std::string end(size_t choice, const AnswerResult& result) override;
  std::string finish() override;

 private:
  /// Lists of the same length, without their brackets.
  struct Logprobs {
    std::string tokens, token_logprobs, top_logprobs, text_offset;
  };
  struct Choice {
    size_t index = 0;
    std::string text;  // a stream: what waits for its first chunk
    Logprobs logprobs;
    uint64_t offset = 0;  // in characters, of the next token
    Usage usage;
    std::string finish_reason;
  };

  void add_logprobs(Choice& choice, const std::vector<AnswerToken>& tokens) const;
  /// One choice as a chunk or the whole has it; empties its text and logprobs.
  std::string take_choice(Choice& choice) const;
  void add_chunk(Choice& choice, std::string& out, std::string_view more = "");

  AnswerHead head_;
  CompletionShapeOptions options_;
  std::string prefix_;
  std::vector<Choice> choices_;
};

}  // namespace omg::openai
