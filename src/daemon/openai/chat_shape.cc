// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/chat_shape.h"

#include <fmt/format.h>

#include "daemon/openai/json_text.h"

namespace omg::openai {
namespace {

using Kind = OutputEvent::Kind;

std::string call_json(const ParsedCall& call) {
  return fmt::format(R"({{"id":{},"type":"function","function":{{"name":{},"arguments":{}}}}})",
                     json_string(call.id), json_string(call.name), json_string(call.arguments));
}

/// `"reasoning_content":…,"reasoning":…`: clients look for either.
std::string reasoning_fields(std::string_view text) {
  const std::string value = json_string(text);
  return fmt::format(R"("reasoning_content":{},"reasoning":{})", value, value);
}

}  // namespace

ChatShape::ChatShape(AnswerHead head, size_t choices, bool has_logprobs,
                     std::function<std::string()> make_call_id)
    : head_(std::move(head)),
      prefix_("data: " + head_json(head_, "chat.completion.chunk") + ",\"choices\":["),
      has_logprobs_(has_logprobs),
      make_call_id_(std::move(make_call_id)),
      choices_(choices) {
  for (size_t i = 0; i < choices; ++i) choices_[i].index = i;
}

std::string ChatShape::take(size_t index, AnswerPiece&& piece) {
  Choice& choice = choices_[index];
  std::string out;
  if (has_logprobs_) append_chat_logprobs(choice.logprobs, piece.tokens);
  choice.unassigned_tokens += piece.token_count;
  OutputEvent waiting{Kind::kContent};  // neighbours of one kind become one chunk
  for (OutputEvent& event : piece.events) {
    const bool is_text = event.kind == Kind::kContent || event.kind == Kind::kReasoning;
    if (!waiting.text.empty() && (!is_text || event.kind != waiting.kind)) {
      add(choice, std::move(waiting), out);
      waiting = OutputEvent{Kind::kContent};
    }
    if (!is_text) {
      add(choice, std::move(event), out);
      continue;
    }
    waiting.kind = event.kind;
    waiting.text += event.text;
  }
  if (!waiting.text.empty()) add(choice, std::move(waiting), out);
  return out;
}

void ChatShape::add(Choice& choice, OutputEvent&& event, std::string& out) {
  if (event.kind == Kind::kReasoning) choice.usage.reasoning_tokens += choice.unassigned_tokens;
  choice.unassigned_tokens = 0;
  switch (event.kind) {
    case Kind::kContent:
    case Kind::kReasoning:
      if (head_.stream) {
        add_delta(choice, event, out);
      } else {
        choice.output.add(event);
      }
      break;
    case Kind::kCallBegin:
      choice.open_call = ParsedCall{std::move(event.name), "", std::move(event.id)};
      break;
    case Kind::kCallArguments:
      if (choice.open_call) choice.open_call->arguments += event.text;
      break;
    case Kind::kCallEnd:
      if (!choice.open_call) break;
      if (!event.id.empty()) choice.open_call->id = std::move(event.id);
      end_call(choice, out);
      break;
    case Kind::kCallAbandoned:
      choice.open_call.reset();
      break;
  }
}

void ChatShape::end_call(Choice& choice, std::string& out) {
  ParsedCall call = std::move(*choice.open_call);
  choice.open_call.reset();
  if (call.id.empty()) call.id = make_call_id_();
  const size_t number = choice.calls++;
  if (!head_.stream) {
    choice.output.calls.push_back(std::move(call));
    return;
  }
  add_chunk(choice,
            fmt::format(R"({{"tool_calls":[{{"index":{},"id":{},"type":"function",)"
                        R"("function":{{"name":{},"arguments":""}}}}]}})",
                        number, json_string(call.id), json_string(call.name)),
            out);
  add_chunk(choice,
            fmt::format(R"({{"tool_calls":[{{"index":{},"function":{{"arguments":{}}}}}]}})",
                        number, json_string(call.arguments)),
            out);
}

void ChatShape::add_delta(Choice& choice, const OutputEvent& event, std::string& out) {
  std::string delta = "{";
  if (event.kind == Kind::kReasoning) {
    delta += reasoning_fields(event.text);
  } else {
    delta += "\"content\":";
    append_json_string(delta, event.text);
  }
  delta += '}';
  add_chunk(choice, delta, out);
}

std::string ChatShape::take_logprobs(Choice& choice) const {
  if (!has_logprobs_) return "null";
  return fmt::format(R"({{"content":[{}],"refusal":null}})",
                     std::exchange(choice.logprobs, std::string()));
}

void ChatShape::add_chunk(Choice& choice, std::string_view delta, std::string& out,
                          std::string_view more) {
  const char* usage = head_.include_usage ? ",\"usage\":null" : "";
  if (!choice.begun) {
    choice.begun = true;
    out += prefix_;
    out += fmt::format(R"({{"index":{},"delta":{{"role":"assistant","content":"","refusal":null}},)"
                       R"("logprobs":null,"finish_reason":null}}]{}}})",
                       choice.index, usage);
    out += "\n\n";
  }
  const bool tells = has_logprobs_ && !choice.logprobs.empty();
  out += prefix_;
  out += fmt::format(R"({{"index":{},"delta":)", choice.index);
  out += delta;
  out += ",\"logprobs\":";
  out += tells ? take_logprobs(choice) : "null";
  out += ",\"finish_reason\":";
  out += choice.finish_reason.empty() ? "null" : json_string(choice.finish_reason);
  out += "}]";
  out += usage;
  out += more;
  out += "}\n\n";
}

std::string ChatShape::end(size_t index, const AnswerResult& result) {
  Choice& choice = choices_[index];
  choice.open_call.reset();  // cut off before its end
  choice.usage.prompt_tokens = result.prompt_tokens;
  choice.usage.cached_tokens = result.cached_tokens;
  choice.usage.completion_tokens = result.generated_tokens;
  const bool cut = result.finish_reason == FinishReason::kLength;
  choice.finish_reason = cut ? "length" : choice.calls > 0 ? "tool_calls" : "stop";
  add_warnings(head_.warnings, result.warnings);
  std::string out;
  if (!head_.stream) return out;
  const std::string warnings =
      head_.warnings.empty() ? "" : ",\"warnings\":" + json_strings(head_.warnings);
  add_chunk(choice, "{}", out, warnings);
  return out;
}

std::string ChatShape::choice_json(Choice& choice) const {
  const ParsedOutput& output = choice.output;
  std::string message = R"({"role":"assistant","content":)";
  const bool is_null = output.content.empty() && !output.calls.empty();
  message += is_null ? "null" : json_string(output.content);
  message += ",\"refusal\":null";
  if (!output.reasoning.empty()) message += "," + reasoning_fields(output.reasoning);
  for (size_t i = 0; i < output.calls.size(); ++i) {
    message += i == 0 ? ",\"tool_calls\":[" : ",";
    message += call_json(output.calls[i]);
  }
  if (!output.calls.empty()) message += ']';
  return fmt::format(R"({{"index":{},"message":{}}},"logprobs":{},"finish_reason":{}}})",
                     choice.index, message, take_logprobs(choice),
                     json_string(choice.finish_reason));
}

std::string ChatShape::finish() {
  std::vector<Usage> usages;
  for (const Choice& choice : choices_) usages.push_back(choice.usage);
  const std::string usage = usage_json(total_usage(usages, usages.size()));
  if (head_.stream) {
    std::string out;
    if (head_.include_usage) out = prefix_ + "],\"usage\":" + usage + "}\n\n";
    return out += "data: [DONE]\n\n";
  }
  std::string body = head_json(head_, "chat.completion") + ",\"choices\":[";
  for (Choice& choice : choices_) {
    if (choice.index > 0) body += ',';
    body += choice_json(choice);
  }
  body += "],\"usage\":" + usage;
  if (!head_.warnings.empty()) body += ",\"warnings\":" + json_strings(head_.warnings);
  return body += '}';
}

}  // namespace omg::openai
