// SPDX-License-Identifier: Apache-2.0
//
// Errors in OpenAI's shape: {"error": {message, type, param, code}}.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/server/responder.h"

namespace omg::openai {

struct ApiError {
  int status = 500;
  std::string message;
  std::string type;                  // "invalid_request_error", "server_error", …
  std::optional<std::string> param;  // path of the field
  std::optional<std::string> code;   // "context_length_exceeded", …
};

/// `prompt_field`: what a prompt that is too long came in: "messages", "prompt".
ApiError api_error(const Error& error, std::string_view prompt_field = "messages");
std::string_view type_of_status(int status);

/// The JSON object, on one line.
std::string error_body(const ApiError& error);
/// With Retry-After where another try may help, and x-should-retry: false (which OpenAI's own
/// clients heed) where none will.
HttpAnswer error_answer(const ApiError& error);

}  // namespace omg::openai
