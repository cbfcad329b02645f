// SPDX-License-Identifier: Apache-2.0
//
// JSON written straight into text: a stream has one small object for each token, and everybody's
// tokens wait for it to be made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtimes/answer.h"

namespace omg::openai {

/// Appends `text` (UTF-8) as a JSON string with its quotes. No line breaks come out.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

/// JSON has no infinities: OpenAI's stand-in for tokens without any probability is -9999.
void append_logprob(std::string& out, float logprob);

/// A token as text: UTF-8 as it is, else "bytes:" and each byte as \xhh.
std::string token_text(std::string_view bytes);

/// {"token", "logprob", "bytes", "top_logprobs"} of each, with commas between and before, if `out`
/// does not end empty.
void append_chat_logprobs(std::string& out, std::span<const AnswerToken> tokens);

/// ["…", "…"].
std::string json_strings(std::span<const std::string> texts);

}  // namespace omg::openai
