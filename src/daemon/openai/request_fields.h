// SPDX-License-Identifier: Apache-2.0
//
// The fields that chat and plain completions have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/requests/json_fields.h"
#include "daemon/requests/model_call.h"

namespace omg::openai {

struct CommonFields {
  std::string model;
  Parameters parameters;  // with the seed of the first choice
  std::vector<std::pair<int32_t, float>> logit_bias;
  int32_t top_logprobs = -1;
  AnswerFormat format;
  std::optional<KeepAlive> keep_alive;
  uint32_t n = 1;
  bool stream = false;
  bool include_usage = false;
};

/// Reads all but what the two have their own ways with: max_tokens and logprobs.
/// FieldError.
CommonFields read_common_fields(JsonFields& fields);

/// What `response_format`, `grammar` (GBNF), `regex` or `guided_regex` ask for. At most one of them
/// may be set.
void read_format_fields(JsonFields& fields, AnswerFormat& format);

/// A call for choice `i` of `n`; its prompt is to be filled in. Seeds of choices count up; where
/// none was given, all but the first are drawn, whatever the model's settings say.
ModelCall call_of_choice(const CommonFields& common, uint32_t i);

/// Ends the reading: refuses what nobody has read. OpenAI's own fields may be null.
void finish_fields(JsonFields& fields);

}  // namespace omg::openai
