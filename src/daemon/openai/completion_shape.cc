// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/completion_shape.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/utf8.h"
#include "daemon/openai/json_text.h"

namespace omg::openai {
namespace {

/// Characters that begin in `bytes`.
uint64_t count_characters(std::string_view bytes) {
  return static_cast<uint64_t>(std::count_if(bytes.begin(), bytes.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }));
}

}  // namespace

CompletionShape::CompletionShape(AnswerHead head, const CompletionShapeOptions& options)
    : head_(std::move(head)),
      options_(options),
      prefix_("data: " + head_json(head_, "text_completion") + ",\"choices\":["),
      choices_(options.prompts * options.choices_per_prompt) {
  for (size_t i = 0; i < choices_.size(); ++i) choices_[i].index = i;
}

void CompletionShape::echo(size_t prompt, std::string_view text) {
  for (size_t i = 0; i < options_.choices_per_prompt; ++i) {
    Choice& choice = choices_[prompt * options_.choices_per_prompt + i];
    choice.text = replace_invalid_utf8(text);
    choice.offset = count_characters(choice.text);
  }
}

void CompletionShape::add_logprobs(Choice& choice, const std::vector<AnswerToken>& tokens) const {
  Logprobs& lists = choice.logprobs;
  for (const AnswerToken& token : tokens) {
    const char* comma = lists.tokens.empty() ? "" : ",";
    lists.tokens += comma + json_string(token_text(token.bytes));
    lists.token_logprobs += comma;
    append_logprob(lists.token_logprobs, token.logprob);
    lists.text_offset += fmt::format("{}{}", comma, choice.offset);
    choice.offset += count_characters(token.bytes);
    std::string top;
    for (const AnswerToken::Alternative& other : token.top) {
      if (!top.empty()) top += ',';
      append_json_string(top, token_text(other.bytes));
      top += ':';
      append_logprob(top, other.logprob);
    }
    lists.top_logprobs += fmt::format("{}{{{}}}", comma, top);
  }
}

std::string CompletionShape::take_choice(Choice& choice) const {
  std::string out =
      fmt::format(R"({{"text":{},"index":{},"logprobs":)",
                  json_string(std::exchange(choice.text, std::string())), choice.index);
  if (options_.top_logprobs < 0) {
    out += "null";
  } else {
    const Logprobs lists = std::exchange(choice.logprobs, Logprobs());
    const std::string top =
        options_.top_logprobs == 0 ? "null" : fmt::format("[{}]", lists.top_logprobs);
    out += fmt::format(
        R"({{"tokens":[{}],"token_logprobs":[{}],"top_logprobs":{},"text_offset":[{}]}})",
        lists.tokens, lists.token_logprobs, top, lists.text_offset);
  }
  out += ",\"finish_reason\":";
  out += choice.finish_reason.empty() ? "null" : json_string(choice.finish_reason);
  return out += '}';
}

void CompletionShape::add_chunk(Choice& choice, std::string& out, std::string_view more) {
  out += prefix_;
  out += take_choice(choice);
  out += ']';
  if (head_.include_usage) out += ",\"usage\":null";
  out += more;
  out += "}\n\n";
}

std::string CompletionShape::take(size_t index, AnswerPiece&& piece) {
  Choice& choice = choices_[index];
  choice.text += piece.text;
  if (options_.top_logprobs >= 0) add_logprobs(choice, piece.tokens);
  std::string out;
  if (head_.stream && !(choice.text.empty() && piece.tokens.empty())) add_chunk(choice, out);
  return out;
}

std::string CompletionShape::end(size_t index, const AnswerResult& result) {
  Choice& choice = choices_[index];
  choice.usage.prompt_tokens = result.prompt_tokens;
  choice.usage.cached_tokens = result.cached_tokens;
  choice.usage.completion_tokens = result.generated_tokens;
  choice.finish_reason = finish_reason_name(result.finish_reason);
  add_warnings(head_.warnings, result.warnings);
  std::string out;
  if (!head_.stream) return out;
  add_chunk(choice, out,
            head_.warnings.empty() ? "" : ",\"warnings\":" + json_strings(head_.warnings));
  return out;
}

std::string CompletionShape::finish() {
  std::vector<Usage> usages;
  for (const Choice& choice : choices_) usages.push_back(choice.usage);
  const std::string usage = usage_json(total_usage(usages, options_.choices_per_prompt));
  if (head_.stream) {
    std::string out;
    if (head_.include_usage) out = prefix_ + "],\"usage\":" + usage + "}\n\n";
    return out += "data: [DONE]\n\n";
  }
  std::string body = head_json(head_, "text_completion") + ",\"choices\":[";
  for (Choice& choice : choices_) {
    if (choice.index > 0) body += ',';
    body += take_choice(choice);
  }
  body += "],\"usage\":" + usage;
  if (!head_.warnings.empty()) body += ",\"warnings\":" + json_strings(head_.warnings);
  return body += '}';
}

}  // namespace omg::openai
