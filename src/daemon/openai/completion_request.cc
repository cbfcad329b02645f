// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/completion_request.h"

#include <fmt/format.h>
#include <limits>

#include "daemon/openai/openai.h"

namespace omg::openai {
namespace {

using Kind = FieldError::Kind;
using Prompt = std::variant<TextPrompt, TokenPrompt>;

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

TextPrompt text_prompt(const json::value& value) {
  TextPrompt prompt;
  prompt.text.assign(value.get_string().data(), value.get_string().size());
  return prompt;
}

TokenPrompt token_prompt(const json::array& tokens, const std::string& path) {
  TokenPrompt prompt;
  prompt.tokens.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t* token = tokens[i].if_int64();
    if (token == nullptr || *token < 0 || *token > kInt32Max) {
      const std::string place = fmt::format("{}[{}]", path, i);
      throw FieldError(tokens[i].is_number() ? Kind::kWrongValue : Kind::kWrongType, place,
                       fmt::format("{} must be the id of a token: a whole number from 0 to {}",
                                   place, kInt32Max));
    }
    prompt.tokens.push_back(static_cast<int32_t>(*token));
  }
  return prompt;
}

Prompt read_element(const json::value& value, const std::string& path) {
  if (value.is_string()) return text_prompt(value);
  const json::array* tokens = value.if_array();
  if (tokens == nullptr) {
    throw FieldError(Kind::kWrongType, path,
                     fmt::format("{} must be a string or an array of tokens, not {}", path,
                                 json_kind_name(value)));
  }
  if (tokens->empty()) {
    throw FieldError(Kind::kWrongValue, path, path + " is empty: there must be a token");
  }
  return token_prompt(*tokens, path);
}

std::vector<Prompt> read_prompts(JsonFields& fields) {
  const json::value& value = fields.required("prompt");
  std::vector<Prompt> prompts;
  if (value.is_string()) {
    prompts.emplace_back(text_prompt(value));
    return prompts;
  }
  const json::array* list = value.if_array();
  if (list == nullptr) {
    fields.fail(Kind::kWrongType, "prompt",
                fmt::format("must be a string, an array of strings, an array of tokens or an array "
                            "of those, not {}",
                            json_kind_name(value)));
  }
  if (list->empty()) fields.fail(Kind::kWrongValue, "prompt", "is empty");
  if ((*list)[0].is_number()) {
    prompts.emplace_back(token_prompt(*list, "prompt"));
    return prompts;
  }
  if (list->size() > kMaxOpenAiPromptChoices) {
    fields.fail(Kind::kWrongValue, "prompt",
                fmt::format("has {} entries, and at most {} are answered at once", list->size(),
                            kMaxOpenAiPromptChoices));
  }
  for (size_t i = 0; i < list->size(); ++i) {
    prompts.push_back(read_element((*list)[i], fmt::format("prompt[{}]", i)));
  }
  return prompts;
}

/// Text that the answer is to lead to. None and "" are a plain continuation.
void read_suffix(JsonFields& fields, std::vector<Prompt>& prompts) {
  const std::optional<std::string> suffix = fields.string("suffix");
  if (!suffix || suffix->empty()) return;
  for (Prompt& prompt : prompts) {
    TextPrompt* text = std::get_if<TextPrompt>(&prompt);
    if (text == nullptr) {
      fields.fail(Kind::kWrongValue, "suffix", "needs a prompt of text, not of tokens");
    }
    text->suffix = *suffix;
  }
}

void check_choices(JsonFields& fields, const CompletionRequest& request) {
  const size_t choices = request.prompts.size() * request.common.n;
  if (choices > kMaxOpenAiPromptChoices) {
    fields.fail(
        Kind::kWrongValue, "n",
        fmt::format("asks for {} choices of {} prompts, {} in all: at most {} are answered "
                    "at once",
                    request.common.n, request.prompts.size(), choices, kMaxOpenAiPromptChoices));
  }
  const std::optional<int64_t> best_of = fields.integer("best_of", 1, kMaxOpenAiChoices);
  if (best_of && *best_of != request.common.n) {
    fields.fail(Kind::kUnsupported, "best_of",
                "must be what n is: no more answers are made than are returned");
  }
}

}  // namespace

CompletionRequest read_completion_request(const json::object& body) {
  JsonFields fields(body);
  CompletionRequest request;
  request.common = read_common_fields(fields);
  request.prompts = read_prompts(fields);
  read_suffix(fields, request.prompts);
  check_choices(fields, request);
  request.echo = fields.boolean("echo").value_or(false);
  // OpenAI's default, whatever the model's own settings are.
  request.common.parameters.max_tokens = fields.integer("max_tokens", -1, kInt32Max).value_or(16);
  if (const std::optional<int64_t> logprobs = fields.integer("logprobs", 0, 5)) {
    request.common.top_logprobs = static_cast<int32_t>(*logprobs);
    if (request.echo) {
      fields.fail(Kind::kUnsupported, "logprobs",
                  "cannot be had with echo: those of a prompt are not computed");
    }
  }
  read_format_fields(fields, request.common.format);
  finish_fields(fields);
  return request;
}

}  // namespace omg::openai
