// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/wire.h"

#include "base/utf8.h"
#include "runtimes/worker/wire_codec.h"

namespace omg {

// The members of each type, once for both directions, in namespace omg where the codec finds them.

template <class A>
void fields(A& a, AnswerFormat& it) {
  a(it.kind, it.schema, it.source);
}
template <class A>
void fields(A& a, ToolUse& it) {
  a(it.choice, it.name, it.parallel);
}
template <class A>
void fields(A& a, SamplingOptions& it) {
  a(it.temperature, it.top_k, it.top_p, it.min_p, it.typical_p, it.repeat_penalty,
    it.presence_penalty, it.frequency_penalty, it.repeat_last_n, it.seed, it.logit_bias,
    it.top_logprobs);
}
template <class A>
void fields(A& a, GenerateOptions& it) {  // but for the cancellation
  a(it.sampling, it.stop, it.max_tokens, it.format, it.context_length, it.cut_prompt,
    it.shift_context, it.keep_tokens, it.return_tokens);
}
template <class A>
void fields(A& a, ChatPrompt& it) {
  a(it.messages, it.tools, it.tool_use, it.thinking, it.template_variables, it.parse_output);
}
template <class A>
void fields(A& a, TextPrompt& it) {
  a(it.text, it.suffix, it.parse_special);
}
template <class A>
void fields(A& a, TokenPrompt& it) {
  a(it.tokens);
}
template <class A>
void fields(A& a, AnswerRequest& it) {
  a(it.prompt, it.context, it.options);
}
template <class A>
void fields(A& a, AnswerToken::Alternative& it) {
  a(it.token, it.bytes, it.logprob);
}
template <class A>
void fields(A& a, AnswerToken& it) {
  a(it.token, it.bytes, it.logprob, it.top);
}
template <class A>
void fields(A& a, OutputEvent& it) {
  a(it.kind, it.text, it.name, it.id, it.call);
}
template <class A>
void fields(A& a, AnswerPiece& it) {
  a(it.text, it.token_count, it.tokens, it.events);
}
template <class A>
void fields(A& a, AnswerResult& it) {
  a(it.finish_reason, it.stop_sequence, it.seed, it.prompt_tokens, it.cached_tokens,
    it.generated_tokens, it.cut_messages, it.cut_tokens, it.context_shifts, it.load_duration,
    it.queue_duration, it.prompt_duration, it.generation_duration, it.total_duration, it.warnings,
    it.tokens);
}
template <class A>
void fields(A& a, RenderedChat& it) {
  a(it.prompt, it.warnings);
}
template <class A>
void fields(A& a, PrefixStorage& it) {  // but for the file
  a(it.path, it.max_bytes, it.most_bytes, it.weights);
}
template <class A>
void fields(A& a, ModelLoadOptions& it) {
  a(it.path, it.chat_template, it.context_length, it.kv_capacity_tokens, it.max_sequences,
    it.max_waiting, it.threads, it.kv_type, it.prefix_storage);
}
template <class A>
void fields(A& a, ModelFacts& it) {
  a(it.family, it.name, it.context_length, it.vocab_size, it.has_template, it.can_use_tools,
    it.can_think, it.can_fill_in, it.weights_bytes, it.kv_bytes, it.scratch_bytes,
    it.kv_capacity_tokens, it.device, it.prefix_storage, it.load_duration);
}
template <class A>
void fields(A& a, ModelActivity& it) {
  a(it.running, it.waiting, it.steps, it.prompt_tokens, it.cached_tokens, it.restored_tokens,
    it.generated_tokens, it.preemptions, it.kv_free_tokens);
}
template <class A>
void fields(A& a, TokenizeOptions& it) {
  a(it.add_special, it.parse_special);
}
template <class A>
void fields(A& a, LoadCall& it) {
  a(it.version, it.sandbox, it.options);
}
template <class A>
void fields(A& a, WorkerReady& it) {
  a(it.facts, it.sandbox);
}
template <class A>
void fields(A& a, TokenizeCall& it) {
  a(it.text, it.options);
}
template <class A>
void fields(A& a, Failure& it) {
  a(it.code, it.message);
}
template <class A>
void fields(A& a, AnswerEnd& it) {
  a(it.error, it.result);
}

namespace wire {

template <>
inline constexpr auto kLast<AnswerFormat::Kind> = AnswerFormat::Kind::kGbnf;
template <>
inline constexpr auto kLast<ToolUse::Choice> = ToolUse::Choice::kRequired;
template <>
inline constexpr auto kLast<OutputEvent::Kind> = OutputEvent::Kind::kCallAbandoned;
template <>
inline constexpr auto kLast<FinishReason> = FinishReason::kCancelled;
template <>
inline constexpr auto kLast<ErrorCode> = ErrorCode::kInternal;

namespace {

enum class JsonKind : uint8_t { kNull, kBool, kInt64, kUint64, kDouble, kString, kArray, kObject };

}  // namespace

template <>
inline constexpr auto kLast<JsonKind> = JsonKind::kObject;

void Writer::put(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return put(JsonKind::kNull);
    case json::kind::bool_:
      return (*this)(JsonKind::kBool, value.get_bool());
    case json::kind::int64:
      return (*this)(JsonKind::kInt64, value.get_int64());
    case json::kind::uint64:
      return (*this)(JsonKind::kUint64, value.get_uint64());
    case json::kind::double_:
      return (*this)(JsonKind::kDouble, value.get_double());
    case json::kind::string:
      put(JsonKind::kString);
      return text({value.get_string().data(), value.get_string().size()});
    case json::kind::array:
      return (*this)(JsonKind::kArray, value.get_array());
    case json::kind::object:
      return (*this)(JsonKind::kObject, value.get_object());
  }
}

void Reader::take(json::value& value) {
  JsonKind kind{};
  take(kind);
  switch (kind) {
    case JsonKind::kNull:
      value.emplace_null();
      return;
    case JsonKind::kBool:
      return take(value.emplace_bool());
    case JsonKind::kInt64:
      return take(value.emplace_int64());
    case JsonKind::kUint64:
      return take(value.emplace_uint64());
    case JsonKind::kDouble:
      return take(value.emplace_double());
    case JsonKind::kString: {
      const std::string_view string = text();
      value.emplace_string().assign(string.data(), string.size());
      return;
    }
    case JsonKind::kArray:
      return take(value.emplace_array());
    case JsonKind::kObject:
      return take(value.emplace_object());
  }
}

void Reader::take(json::array& values) {
  if (++depth_ > kMaxDepth) fail("has JSON that is nested too deep");
  for (size_t left = count(1); left > 0; --left) take(values.emplace_back(nullptr));
  --depth_;
}

void Reader::take(json::object& members) {
  if (++depth_ > kMaxDepth) fail("has JSON that is nested too deep");
  for (size_t left = count(5); left > 0; --left) {
    const std::string_view key = text();
    take(members[json::string_view(key.data(), key.size())]);
  }
  --depth_;
}

}  // namespace wire

namespace {

/// What must hold of a type beyond its form.
template <class T>
void check(const T&) {}

void check(const AnswerPiece& piece) {
  if (!is_valid_utf8(piece.text)) wire::Reader::fail("has text that is not UTF-8");
}

}  // namespace

template <class T>
void put_frame(std::string& out, FrameType type, uint64_t id, const T& content,
               const FrameLimits& limits) {
  const size_t place = begin_frame(out, type, id);
  try {
    wire::Writer writer(out);
    writer(content);
  } catch (...) {
    out.resize(place);
    throw;
  }
  end_frame(out, place, limits);
}

void put_frame(std::string& out, FrameType type, uint64_t id) {
  begin_frame(out, type, id);
}

template <class T>
T take_content(const Frame& frame) {
  T content{};
  wire::Reader reader(frame.payload);
  reader(content);
  reader.finish();
  check(content);
  return content;
}

void take_nothing(const Frame& frame) {
  if (!frame.payload.empty()) wire::Reader::fail("that should be empty is not");
}

#define OMG_CONTENT(TYPE)                                                                      \
  template void put_frame(std::string&, FrameType, uint64_t, const TYPE&, const FrameLimits&); \
  template TYPE take_content<TYPE>(const Frame&);
OMG_CONTENT(LoadCall)
OMG_CONTENT(AnswerRequest)
OMG_CONTENT(TokenizeCall)
OMG_CONTENT(std::vector<int32_t>)
OMG_CONTENT(ChatPrompt)
OMG_CONTENT(float)
OMG_CONTENT(WorkerReady)
OMG_CONTENT(AnswerPiece)
OMG_CONTENT(AnswerEnd)
OMG_CONTENT(std::string)
OMG_CONTENT(RenderedChat)
OMG_CONTENT(ModelActivity)
OMG_CONTENT(Failure)
#undef OMG_CONTENT

}  // namespace omg
