// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/chat/completions as the client sent it.
#pragma once

#include <string>
#include <vector>

#include "daemon/openai/request_fields.h"

namespace omg::openai {

struct ChatRequest {
  CommonFields common;
  ChatPrompt prompt;
  std::vector<std::string> warnings;  // for the answer
};

/// FieldError.
ChatRequest read_chat_request(const json::object& body);

}  // namespace omg::openai
