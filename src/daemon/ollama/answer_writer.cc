// SPDX-License-Identifier: Apache-2.0
#include "daemon/ollama/answer_writer.h"

#include <fmt/format.h>
#include <utility>

#include "base/utf8.h"
#include "daemon/ollama/go_text.h"

namespace omg::ollama {
namespace {

void append_bytes(std::string& out, std::string_view bytes) {
  out += '[';
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(static_cast<unsigned char>(bytes[i]));
  }
  out += ']';
}

/// {"token", "logprob", "bytes"}, without the closing brace. `bytes` need not be whole characters.
void append_token(std::string& out, std::string_view bytes, float logprob) {
  out += "{\"token\":";
  append_go_string(out, bytes);
  out += ",\"logprob\":";
  append_go_number(out, logprob);
  out += ",\"bytes\":";
  append_bytes(out, bytes);
}

void append_logprobs(std::string& out, const std::vector<AnswerToken>& tokens) {
  for (const AnswerToken& token : tokens) {
    if (!out.empty()) out += ',';
    append_token(out, token.bytes, token.logprob);
    if (!token.top.empty()) {
      char before = '[';
      out += ",\"top_logprobs\":";
      for (const AnswerToken::Alternative& other : token.top) {
        out += std::exchange(before, ',');
        append_token(out, other.bytes, other.logprob);
        out += '}';
      }
      out += ']';
    }
    out += '}';
  }
}

/// "call_" and 8 letters or digits.
std::string new_call_id() {
  constexpr std::string_view kCharacters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device source;
  std::uniform_int_distribution<size_t> pick(0, kCharacters.size() - 1);
  std::string id = "call_";
  for (int i = 0; i < 8; ++i) id += kCharacters[pick(source)];
  return id;
}

std::string tokens_json(const std::vector<int32_t>& tokens) {
  if (tokens.empty()) return "";
  std::string list = "[";
  for (const int32_t token : tokens) {
    if (list.size() > 1) list += ',';
    list += std::to_string(token);
  }
  return list + "]";
}

}  // namespace

AnswerWriter::AnswerWriter(std::shared_ptr<OutgoingStream> out, AnswerShape shape)
    : out_(std::move(out)),
      shape_(std::move(shape)),
      before_asking_(std::chrono::steady_clock::now() - shape_.began) {}

AnswerSink AnswerWriter::sink(const std::shared_ptr<AnswerWriter>& writer) {
  return {[writer](AnswerPiece&& piece) { writer->take(std::move(piece)); },
          [writer](const Error* error, const AnswerResult& result) { writer->end(error, result); }};
}

std::string AnswerWriter::write(const Line& line) const {
  GoObject object;
  object.text("model", shape_.model).text("created_at", go_time(shape_.clock()));
  const auto add_metrics = [&] {
    if (line.result == nullptr) return;
    const AnswerResult& result = *line.result;
    object.number_if("total_duration", line.total.count())
        .number_if("load_duration", line.load.count())
        .number_if("prompt_eval_count", result.prompt_tokens)
        .number_if("prompt_eval_duration", result.prompt_duration.count())
        .number_if("eval_count", result.generated_tokens)
        .number_if("eval_duration", result.generation_duration.count());
  };
  const std::string logprobs = line.logprobs.empty() ? "" : "[" + line.logprobs + "]";
  if (shape_.is_chat) {
    const std::string message = GoObject()
                                    .text("role", "assistant")
                                    .text("content", line.content)
                                    .text_if("thinking", line.thinking)
                                    .raw_if("tool_calls", line.tool_calls)
                                    .finish();
    object.raw("message", message)
        .boolean("done", line.done)
        .text_if("done_reason", line.done_reason)
        .raw_if("_debug_info", line.debug)
        .raw_if("logprobs", logprobs);
    add_metrics();
  } else {
    object.text("response", line.content)
        .text_if("thinking", line.thinking)
        .boolean("done", line.done)
        .text_if("done_reason", line.done_reason)
        .raw_if("context", line.context);
    add_metrics();
    object.raw_if("tool_calls", line.tool_calls)
        .raw_if("_debug_info", line.debug)
        .raw_if("logprobs", logprobs);
  }
  if (line.done) object.texts_if("warnings", shape_.warnings);
  return object.finish();
}

void AnswerWriter::take_event(OutputEvent&& event, Line& line) {
  using Kind = OutputEvent::Kind;
  switch (event.kind) {
    case Kind::kContent:
      line.content += event.text;
      return;
    case Kind::kReasoning:
      line.thinking += event.text;
      return;
    case Kind::kCallBegin:
      calls_[event.call] = {std::move(event.id), std::move(event.name), "", false};
      return;
    case Kind::kCallArguments:
      calls_[event.call].arguments += event.text;
      return;
    case Kind::kCallEnd:
      if (!event.id.empty()) calls_[event.call].id = std::move(event.id);
      calls_[event.call].ended = true;
      return;
    case Kind::kCallAbandoned:
      calls_.erase(event.call);
      return;
  }
}

void AnswerWriter::take(AnswerPiece&& piece) {
  if (out_->is_gone()) return;
  Line line;
  if (piece.events.empty() && !shape_.is_parsed) line.content = std::move(piece.text);
  for (OutputEvent& event : piece.events) take_event(std::move(event), line);
  append_logprobs(line.logprobs, piece.tokens);
  if (line.content.empty() && line.thinking.empty() && line.logprobs.empty()) return;
  if (!shape_.streams) {
    collected_.content += line.content;
    collected_.thinking += line.thinking;
    if (!line.logprobs.empty() && !collected_.logprobs.empty()) collected_.logprobs += ',';
    collected_.logprobs += line.logprobs;
    return;
  }
  if (!out_->has_begun()) out_->begin({200, kLinesType, {}, ""});
  out_->push(write(line) + "\n");
}

/// All calls that are whole, as they stand in the last object.
std::string AnswerWriter::calls_json() {
  std::string list;
  int64_t index = 0;
  for (auto& [number, call] : calls_) {
    if (!call.ended) continue;
    json::value arguments;
    try {
      arguments = parse_json(call.arguments.empty() ? "{}" : call.arguments, "the arguments");
    } catch (const Error&) {
      arguments = nullptr;
    }
    if (!arguments.is_object()) {
      shape_.warnings.push_back(
          fmt::format("the arguments of the call of {} are no JSON object: {}",
                      go_quoted(call.name), go_quoted(call.arguments)));
      arguments = json::object();
    }
    if (call.id.empty()) call.id = new_call_id();
    const std::string function = GoObject()
                                     .number("index", index++)
                                     .text("name", call.name)
                                     .value("arguments", arguments)
                                     .finish();
    list += list.empty() ? "[" : ",";
    list += GoObject().text("id", call.id).raw("function", function).finish();
  }
  return list.empty() ? "" : list + "]";
}

void AnswerWriter::add_cut_warnings(const AnswerResult& result) {
  std::vector<std::string>& warnings = shape_.warnings;
  if (result.cut_messages > 0) {
    warnings.push_back(
        fmt::format("the prompt did not fit the context: its {} oldest messages "
                    "were left out (truncate)",
                    result.cut_messages));
  }
  if (result.cut_tokens > 0) {
    warnings.push_back(
        fmt::format("the prompt did not fit the context: {} tokens of it were left "
                    "out (truncate)",
                    result.cut_tokens));
  }
  if (result.context_shifts > 0) {
    warnings.push_back(
        fmt::format("the context was full {} times: the older half was forgotten "
                    "each time (shift)",
                    result.context_shifts));
  }
  warnings.insert(warnings.end(), result.warnings.begin(), result.warnings.end());
}

void AnswerWriter::end(const Error* error, const AnswerResult& result) {
  if (out_->is_gone()) return;
  if (error != nullptr || result.finish_reason == FinishReason::kCancelled) {
    const ErrorReply reply =
        error != nullptr ? reply_of(*error, shape_.model) : ErrorReply{499, "request canceled"};
    return fail(reply.status, reply.text);
  }
  Line last = std::exchange(collected_, {});
  last.done = true;
  last.done_reason = finish_reason_name(result.finish_reason);
  last.tool_calls = calls_json();
  if (shape_.wants_context) last.context = tokens_json(result.tokens);
  last.result = &result;
  last.total = std::chrono::steady_clock::now() - shape_.began;
  last.load = before_asking_ + result.load_duration;
  add_cut_warnings(result);
  if (!shape_.streams) return out_->send(json_answer(write(last)));
  out_->begin({200, kLinesType, {}, ""});
  out_->push(write(last) + "\n");
  out_->finish();
}

void AnswerWriter::end_without_answer(std::string_view done_reason) {
  Line line;
  line.done = true;
  line.done_reason = done_reason;
  out_->send(json_answer(write(line)));
}

void AnswerWriter::end_with_prompt(std::string_view rendered) {
  Line line;
  line.debug = GoObject().text("rendered_template", rendered).number_if("image_count", 0).finish();
  out_->send(json_answer(write(line)));
}

void AnswerWriter::fail(int status, std::string_view text) {
  if (!out_->has_begun()) return out_->send(error_answer(status, text));
  // What came about under way is not what clients take for a reason to come back later.
  if (text.starts_with(kBusy)) text.remove_prefix(kBusy.size());
  out_->push(
      error_object(fmt::format("an error was encountered while running the model: {}", text)) +
      "\n");
  out_->finish();
}

}  // namespace omg::ollama
