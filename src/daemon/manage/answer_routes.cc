// SPDX-License-Identifier: Apache-2.0
//
// Answers in the management API's own plain shape: /v1/generate whole, /v1/generate_stream as
// server-sent events, /v1/generate_batch for several prompts at once.
#include <atomic>
#include <mutex>

#include "base/utf8.h"
#include "daemon/manage/replies.h"
#include "daemon/requests/outgoing_stream.h"

namespace omg::manage {
namespace {

constexpr size_t kMaxBatch = 64;
constexpr size_t kMaxMessages = 100'000;
constexpr size_t kMaxTools = 1000;

AnswerFormat read_format(JsonFields& fields) {
  AnswerFormat format;
  const json::value* value = fields.value("format");
  const auto regex = fields.string("regex");
  const auto grammar = fields.string("grammar");
  if ((value != nullptr) + regex.has_value() + grammar.has_value() > 1) {
    throw FieldError(FieldError::Kind::kWrongValue, "format",
                     "an answer has one form: give one of format, regex and grammar");
  }
  if (regex) {
    format.kind = AnswerFormat::Kind::kRegex;
    format.source = *regex;
  } else if (grammar) {
    format.kind = AnswerFormat::Kind::kGbnf;
    format.source = *grammar;
  } else if (value != nullptr && value->is_object()) {
    format.kind = AnswerFormat::Kind::kJsonSchema;
    format.schema = *value;
  } else if (value != nullptr && value->is_string() && value->get_string() == "json") {
    format.kind = AnswerFormat::Kind::kJsonObject;
  } else if (value != nullptr) {
    fields.fail(FieldError::Kind::kWrongType, "format", "must be \"json\" or a JSON Schema");
  }
  return format;
}

/// An array of objects that the runtime looks into.
json::array read_objects(JsonFields& fields, std::string_view name, size_t most) {
  const json::array* array = fields.array(name);
  if (array == nullptr) return {};
  if (array->size() > most) {
    fields.fail(FieldError::Kind::kWrongValue, name,
                "must have at most " + std::to_string(most) + " elements");
  }
  for (const json::value& value : *array) {
    if (!value.is_object()) {
      fields.fail(FieldError::Kind::kWrongType, name, "must be an array of objects");
    }
  }
  return *array;
}

ChatPrompt read_chat(JsonFields& fields) {
  ChatPrompt chat;
  chat.messages = read_objects(fields, "messages", kMaxMessages);
  if (chat.messages.empty()) {
    fields.fail(FieldError::Kind::kWrongValue, "messages", "must have at least one message");
  }
  for (size_t i = 0; i < chat.messages.size(); ++i) {
    JsonFields message(chat.messages[i].get_object(), "messages[" + std::to_string(i) + "]");
    message.required_string("role");  // the rest is the template's business
  }
  chat.tools = read_objects(fields, "tools", kMaxTools);
  chat.thinking = fields.string("thinking").value_or("");
  return chat;
}

TextPrompt read_text(JsonFields& fields, std::string prompt) {
  TextPrompt text;
  text.text = std::move(prompt);
  text.suffix = fields.string("suffix");
  return text;
}

/// All that a call has but its prompt.
ModelCall read_call(JsonFields& fields) {
  ModelCall call;
  call.model = read_model(fields);
  if (const json::object* parameters = fields.object("parameters")) {
    call.parameters = parameters_from_json(*parameters);
  }
  call.format = read_format(fields);
  call.cut_prompt = fields.boolean("truncate").value_or(false);
  call.shift_context = fields.boolean("shift").value_or(false);
  call.return_tokens = fields.boolean("return_tokens").value_or(false);
  call.keep_alive = read_keep_alive(fields);
  return call;
}

ModelCall read_one(JsonFields& fields) {
  ModelCall call = read_call(fields);
  if (fields.has("prompt") == fields.has("messages")) {
    throw FieldError(FieldError::Kind::kMissing, "prompt",
                     "give either prompt, a text to go on with, or messages, a conversation");
  }
  if (fields.has("messages")) {
    call.prompt = read_chat(fields);
    call.system = fields.string("system");
  } else {
    call.prompt = read_text(fields, fields.required_string("prompt"));
  }
  fields.finish();
  return call;
}

json::object call_to_json(const ParsedCall& call) {
  json::object object = {{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}};
  if (call.id.empty()) object["id"] = nullptr;
  return object;
}

/// An answer as it grows, of one call; its sink calls one at a time.
struct Collected {
  bool is_chat = false;
  bool is_sent = false;  // what was said is with the client already
  std::string text;      // of a text prompt
  ParsedOutput output;

  void take(const AnswerPiece& piece) {
    if (is_chat) {
      for (const OutputEvent& event : piece.events) output.add(event);
    } else {
      text += piece.text;
    }
  }
  json::object to_json(const std::string& model, const AnswerResult& result,
                       bool with_tokens) const {
    json::object object = {{"model", model}};
    if (!is_sent) object["text"] = is_chat ? output.content : text;
    if (!output.reasoning.empty()) object["reasoning"] = output.reasoning;
    if (!output.calls.empty()) {
      json::array calls;
      for (const ParsedCall& call : output.calls) calls.push_back(call_to_json(call));
      object["tool_calls"] = std::move(calls);
    }
    for (auto& [key, value] : result_to_json(result)) object[key] = std::move(value);
    if (with_tokens) {
      json::array tokens;
      for (const int32_t token : result.tokens) tokens.push_back(token);
      object["tokens"] = std::move(tokens);
    }
    return object;
  }
};

void generate(ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = parse_body(request.body);
  JsonFields fields(body);
  ModelCall call = read_one(fields);
  const auto stream = OutgoingStream::create(std::move(responder));
  const auto collected = std::make_shared<Collected>();
  collected->is_chat = std::holds_alternative<ChatPrompt>(call.prompt);
  AnswerSink sink;
  sink.on_piece = [collected](AnswerPiece&& piece) { collected->take(piece); };
  sink.on_end = [stream, collected, model = call.model, with_tokens = call.return_tokens](
                    const Error* error, const AnswerResult& result) {
    stream->send(error != nullptr ? error_answer(*error)
                                  : json_answer(collected->to_json(model, result, with_tokens)));
  };
  stream->on_gone(models.answer(std::move(call), std::move(sink)));
}

/// The pieces of a streamed answer. Calls of tools come whole: half of one helps nobody here.
struct Streamed {
  std::shared_ptr<OutgoingStream> stream;
  Collected collected;  // of a text prompt nothing is kept
  size_t calls_sent = 0;

  void begin() {
    if (!stream->has_begun()) stream->begin(sse_answer(), sse_options());
  }
  void push(const json::object& object, std::string_view event = "") {
    stream->push(sse_event(json::serialize(object), event));
  }
  void take(const AnswerPiece& piece) {
    begin();
    if (!collected.is_chat) {
      if (!piece.text.empty()) push({{"text", piece.text}});
      return;
    }
    for (const OutputEvent& event : piece.events) take(event);
  }
  void take(const OutputEvent& event) {
    if (event.kind == OutputEvent::Kind::kContent) {
      push({{"text", event.text}});
    } else if (event.kind == OutputEvent::Kind::kReasoning) {
      push({{"reasoning", event.text}});
    } else {
      collected.output.add(event);
      if (event.kind == OutputEvent::Kind::kCallEnd && !collected.output.calls.empty()) {
        push({{"tool_call", call_to_json(collected.output.calls.back())}});
      }
    }
  }
  void end(const Error* error, const AnswerResult& result, const std::string& model,
           bool with_tokens) {
    if (error != nullptr && !stream->has_begun()) return stream->send(error_answer(*error));
    begin();
    if (error != nullptr) {
      push({{"error", error_to_json(*error)}}, "error");
    } else {
      Collected nothing;
      nothing.is_sent = true;
      json::object last = nothing.to_json(model, result, with_tokens);
      last["done"] = true;
      push(last, "done");
    }
    stream->finish();
  }
};

void generate_stream(ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = parse_body(request.body);
  JsonFields fields(body);
  ModelCall call = read_one(fields);
  const auto streamed = std::make_shared<Streamed>();
  streamed->stream = OutgoingStream::create(std::move(responder));
  streamed->collected.is_chat = std::holds_alternative<ChatPrompt>(call.prompt);
  AnswerSink sink;
  sink.on_piece = [streamed](AnswerPiece&& piece) { streamed->take(piece); };
  sink.on_end = [streamed, model = call.model, with_tokens = call.return_tokens](
                    const Error* error, const AnswerResult& result) {
    streamed->end(error, result, model, with_tokens);
  };
  streamed->stream->on_gone(models.answer(std::move(call), std::move(sink)));
}

/// Answers to several prompts, which come when they come; the last one sends all.
struct Batch {
  std::shared_ptr<OutgoingStream> stream;
  std::vector<Collected> collected;
  std::vector<json::value> answers;  // each written by its own sink
  std::atomic<size_t> left = 0;

  void end_one() {
    if (left.fetch_sub(1) != 1) return;
    json::array all;
    for (json::value& answer : answers) all.push_back(std::move(answer));
    stream->send(json_answer(json::object{{"responses", std::move(all)}}));
  }
};

std::vector<std::string> read_prompts(JsonFields& fields) {
  std::vector<std::string> prompts = fields.strings("prompts", kMaxBatch);
  if (prompts.empty()) {
    fields.fail(FieldError::Kind::kMissing, "prompts", "must be an array of 1 to 64 texts");
  }
  return prompts;
}

void generate_batch(ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = parse_body(request.body);
  JsonFields fields(body);
  const ModelCall common = read_call(fields);
  const std::vector<std::string> prompts = read_prompts(fields);
  fields.finish();
  const auto batch = std::make_shared<Batch>();
  batch->stream = OutgoingStream::create(std::move(responder));
  batch->collected.resize(prompts.size());
  batch->answers.resize(prompts.size());
  batch->left = prompts.size();
  std::vector<Canceller> cancellers;
  for (size_t i = 0; i < prompts.size(); ++i) {
    ModelCall call = common;
    call.prompt = TextPrompt{prompts[i], std::nullopt, true};
    AnswerSink sink;
    sink.on_piece = [batch, i](AnswerPiece&& piece) { batch->collected[i].take(piece); };
    sink.on_end = [batch, i, model = call.model, with_tokens = call.return_tokens](
                      const Error* error, const AnswerResult& result) {
      batch->answers[i] = error != nullptr
                              ? json::object{{"error", error_to_json(*error)}}
                              : batch->collected[i].to_json(model, result, with_tokens);
      batch->end_one();
    };
    cancellers.push_back(models.answer(std::move(call), std::move(sink)));
  }
  batch->stream->on_gone([cancellers = std::move(cancellers)] {
    for (const Canceller& cancel : cancellers) cancel();
  });
}

}  // namespace

void add_answer_routes(HttpRouter& router, const ManageParts& parts) {
  ModelService& models = parts.models;
  const auto add = [&](const char* path, auto handle) {
    router.add("POST", path,
               [&models, handle](HttpServerRequest& request, HttpResponder& responder) {
                 handle(models, request, responder);
               });
  };
  add("/v1/generate", generate);
  add("/v1/generate_stream", generate_stream);
  add("/v1/generate_batch", generate_batch);
}

}  // namespace omg::manage
