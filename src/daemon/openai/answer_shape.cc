// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/answer_shape.h"

#include <algorithm>
#include <fmt/format.h>

#include "daemon/openai/json_text.h"

namespace omg::openai {

Usage total_usage(const std::vector<Usage>& choices, size_t group) {
  Usage total;
  for (size_t first = 0; first < choices.size(); first += group) {
    const size_t end = std::min(first + group, choices.size());
    uint64_t cached = choices[first].cached_tokens;
    for (size_t i = first; i < end; ++i) {
      cached = std::min(cached, choices[i].cached_tokens);
      total.completion_tokens += choices[i].completion_tokens;
      total.reasoning_tokens += choices[i].reasoning_tokens;
    }
    total.prompt_tokens += choices[first].prompt_tokens;
    total.cached_tokens += cached;
  }
  return total;
}

std::string usage_json(const Usage& usage) {
  return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
                     R"("prompt_tokens_details":{{"cached_tokens":{}}},)"
                     R"("completion_tokens_details":{{"reasoning_tokens":{}}}}})",
                     usage.prompt_tokens, usage.completion_tokens,
                     usage.prompt_tokens + usage.completion_tokens, usage.cached_tokens,
                     usage.reasoning_tokens);
}

std::string head_json(const AnswerHead& head, std::string_view object) {
  return fmt::format(
      R"({{"id":"{}","object":"{}","created":{},"model":{},"system_fingerprint":"fp_ohmygpu_{}")",
      head.id, object, head.created, json_string(head.model), OMG_VERSION);
}

void add_warnings(std::vector<std::string>& warnings, const std::vector<std::string>& more) {
  for (const std::string& warning : more) {
    if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) {
      warnings.push_back(warning);
    }
  }
}

}  // namespace omg::openai
