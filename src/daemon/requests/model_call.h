// SPDX-License-Identifier: Apache-2.0
//
// The one internal type that every dialect's requests become. Nothing else reaches a model: what a
// dialect cannot say here it must refuse.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtimes/answer.h"
#include "runtimes/parameters.h"

namespace omg {

/// How long a run stays loaded after its last answer; negative: for ever, 0: not at all.
using KeepAlive = std::chrono::milliseconds;

struct ModelCall {
  std::string model;  // as the client named it
  std::variant<ChatPrompt, TextPrompt, TokenPrompt> prompt;
  /// Of a chat: instead of the system message that the model's settings bring. Either comes first,
  /// unless the messages begin with one of their own.
  std::optional<std::string> system;
  std::vector<int32_t> context;  // AnswerRequest::context
  /// What the client has set. The model's settings stand in for the rest, then the defaults.
  Parameters parameters;
  std::vector<std::pair<int32_t, float>> logit_bias;
  int32_t top_logprobs = -1;  // SamplingOptions::top_logprobs
  AnswerFormat format;
  bool cut_prompt = false;
  bool shift_context = false;
  bool return_tokens = false;
  std::optional<KeepAlive> keep_alive;  // nothing: as the run has it, or as configured
};

}  // namespace omg
