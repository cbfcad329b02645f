// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/completions as the client sent it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "daemon/openai/request_fields.h"

namespace omg::openai {

struct CompletionRequest {
  CommonFields common;
  /// Each is answered `common.n` times, its choices one after the other.
  std::vector<std::variant<TextPrompt, TokenPrompt>> prompts;
  bool echo = false;
};

/// FieldError.
CompletionRequest read_completion_request(const json::object& body);

}  // namespace omg::openai
