// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/chat_request.h"

#include <limits>

#include "daemon/openai/messages.h"

namespace omg::openai {
namespace {

using Kind = FieldError::Kind;

void read_max_tokens(JsonFields& fields, Parameters& parameters) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  // -1 is what clients of local servers send for "until the context is full".
  const auto read = [&](const char* name) {
    const std::optional<int64_t> value = fields.integer(name, -1, kMost);
    if (value == 0) fields.fail(Kind::kWrongValue, name, "cannot be 0: an answer has a token");
    return value;
  };
  const std::optional<int64_t> old = read("max_tokens");
  const std::optional<int64_t> current = read("max_completion_tokens");
  if (old && current && *old != *current) {
    fields.fail(Kind::kWrongValue, "max_tokens",
                "means the same as max_completion_tokens, and both are set, to different numbers");
  }
  parameters.max_tokens = current ? current : old;
}

void read_logprobs(JsonFields& fields, CommonFields& common) {
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = fields.integer("top_logprobs", 0, 20);
  if (top && !wanted && *top > 0) {
    fields.fail(Kind::kWrongValue, "top_logprobs", "is only allowed where logprobs is true");
  }
  if (wanted) common.top_logprobs = static_cast<int32_t>(top.value_or(0));
}

/// An effort as ChatPrompt::thinking has it. Few templates know "minimal", so it is "low".
std::string thinking_of(JsonFields& fields) {
  const std::optional<std::string> effort =
      fields.choice(fields.path().empty() ? "reasoning_effort" : "effort",
                    {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
  if (!effort) return "";
  if (*effort == "none") return "false";
  return *effort == "minimal" ? "low" : *effort;
}

void read_reasoning(JsonFields& fields, ChatPrompt& prompt) {
  prompt.thinking = thinking_of(fields);
  std::optional<JsonFields> nested = fields.fields("reasoning");
  if (!nested) return;
  const std::string thinking = thinking_of(*nested);
  nested->finish();
  if (!prompt.thinking.empty() && !thinking.empty() && prompt.thinking != thinking) {
    fields.fail(Kind::kWrongValue, "reasoning",
                "means the same as reasoning_effort, and both are set, to different levels");
  }
  if (prompt.thinking.empty()) prompt.thinking = thinking;
}

void read_template_variables(JsonFields& fields, ChatPrompt& prompt) {
  const json::object* variables = fields.object("chat_template_kwargs");
  if (variables == nullptr) return;
  for (const char* name : {"messages", "tools"}) {
    if (!variables->contains(name)) continue;
    throw FieldError(Kind::kWrongValue, std::string("chat_template_kwargs.") + name,
                     std::string("chat_template_kwargs cannot have '") + name +
                         "': that is a field of the request");
  }
  prompt.template_variables = *variables;
}

}  // namespace

ChatRequest read_chat_request(const json::object& body) {
  JsonFields fields(body);
  ChatRequest request;
  request.common = read_common_fields(fields);
  request.prompt.messages = read_messages(fields);
  read_max_tokens(fields, request.common.parameters);
  read_logprobs(fields, request.common);
  read_format_fields(fields, request.common.format);
  read_tools(fields, request.prompt, request.warnings);
  read_reasoning(fields, request.prompt);
  read_template_variables(fields, request.prompt);
  finish_fields(fields);
  return request;
}

}  // namespace omg::openai
