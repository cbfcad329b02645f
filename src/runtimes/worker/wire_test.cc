// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/wire.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/error.h"

namespace omg {
namespace {

constexpr FrameLimits kBoth{FrameType::kLoad, FrameType::kPong, size_t{1} << 20};

/// Through bytes and back; a second writing must give the same bytes.
template <class T>
T round_trip(const T& content) {
  std::string bytes;
  put_frame(bytes, FrameType::kAnswer, 7, content, kBoth);
  FrameReader reader(kBoth);
  reader.feed(bytes);
  Frame frame;
  EXPECT_TRUE(reader.next(frame));
  EXPECT_EQ(frame.id, 7U);
  T back = take_content<T>(frame);
  std::string again;
  put_frame(again, FrameType::kAnswer, 7, back, kBoth);
  EXPECT_EQ(again, bytes);
  // Nothing shorter is the same type: each cut is an error, and none reads past the end.
  for (size_t size = 0; size < frame.payload.size(); ++size) {
    Frame cut = frame;
    cut.payload = cut.payload.substr(0, size);
    EXPECT_THROW(take_content<T>(cut), Error) << size;
  }
  return back;
}

ChatPrompt make_chat() {
  ChatPrompt chat;
  chat.messages = {json::object{{"role", "user"}, {"content", "\xc3\xa9 \n\0x"}},
                   json::object{{"n", 0.1}, {"deep", json::array{nullptr, true, -5, UINT64_MAX}}}};
  chat.tools = {json::object{{"type", "function"}, {"least", 1e-300}, {"not", NAN}}};
  chat.tool_use = {ToolUse::Choice::kRequired, "look", false};
  chat.thinking = "high";
  chat.template_variables = {{"z", 1}, {"a", json::object{}}};
  chat.parse_output = false;
  return chat;
}

GenerateOptions make_options() {
  GenerateOptions options;
  options.sampling.temperature = 0.1F;
  options.sampling.top_k = 7;
  options.sampling.top_p = 0.3F;
  options.sampling.min_p = std::numeric_limits<float>::infinity();
  options.sampling.typical_p = 0.7F;
  options.sampling.repeat_penalty = 1.1F;
  options.sampling.presence_penalty = -2;
  options.sampling.frequency_penalty = 3;
  options.sampling.repeat_last_n = -1;
  options.sampling.seed = std::numeric_limits<int64_t>::min();
  options.sampling.logit_bias = {{3, -1e9F}, {INT32_MAX, 0.25F}};
  options.sampling.top_logprobs = 20;
  options.stop = {"", "\xff\xfe", std::string("a\0b", 3)};
  options.max_tokens = -1;
  options.format = {AnswerFormat::Kind::kJsonSchema, json::object{{"type", "object"}}, "[a-z]"};
  options.context_length = 4096;
  options.cut_prompt = true;
  options.shift_context = true;
  options.keep_tokens = 9;
  options.return_tokens = true;
  return options;
}

void expect_same(const GenerateOptions& a, const GenerateOptions& b) {
  EXPECT_EQ(a.sampling.temperature, b.sampling.temperature);
  EXPECT_EQ(a.sampling.top_k, b.sampling.top_k);
  EXPECT_EQ(a.sampling.top_p, b.sampling.top_p);
  EXPECT_EQ(a.sampling.min_p, b.sampling.min_p);
  EXPECT_EQ(a.sampling.typical_p, b.sampling.typical_p);
  EXPECT_EQ(a.sampling.repeat_penalty, b.sampling.repeat_penalty);
  EXPECT_EQ(a.sampling.presence_penalty, b.sampling.presence_penalty);
  EXPECT_EQ(a.sampling.frequency_penalty, b.sampling.frequency_penalty);
  EXPECT_EQ(a.sampling.repeat_last_n, b.sampling.repeat_last_n);
  EXPECT_EQ(a.sampling.seed, b.sampling.seed);
  EXPECT_EQ(a.sampling.logit_bias, b.sampling.logit_bias);
  EXPECT_EQ(a.sampling.top_logprobs, b.sampling.top_logprobs);
  EXPECT_EQ(a.stop, b.stop);
  EXPECT_EQ(a.max_tokens, b.max_tokens);
  EXPECT_EQ(a.format.kind, b.format.kind);
  EXPECT_EQ(a.format.schema, b.format.schema);
  EXPECT_EQ(a.format.source, b.format.source);
  EXPECT_EQ(a.context_length, b.context_length);
  EXPECT_EQ(a.cut_prompt, b.cut_prompt);
  EXPECT_EQ(a.shift_context, b.shift_context);
  EXPECT_EQ(a.keep_tokens, b.keep_tokens);
  EXPECT_EQ(a.return_tokens, b.return_tokens);
}

TEST(WireTest, RequestsOfAllKinds) {
  AnswerRequest request;
  request.prompt = make_chat();
  request.context = {1, -2, INT32_MAX};
  request.options = make_options();
  const AnswerRequest back = round_trip(request);
  const auto& chat = std::get<ChatPrompt>(back.prompt);
  EXPECT_EQ(chat.messages, make_chat().messages);
  EXPECT_TRUE(std::isnan(chat.tools[0].at("not").as_double()));
  EXPECT_EQ(chat.tools[0].at("least").as_double(), 1e-300);
  EXPECT_EQ(chat.tool_use.choice, ToolUse::Choice::kRequired);
  EXPECT_EQ(chat.tool_use.name, "look");
  EXPECT_FALSE(chat.tool_use.parallel);
  EXPECT_EQ(chat.thinking, "high");
  EXPECT_EQ(json::serialize(chat.template_variables), R"({"z":1,"a":{}})");  // in order
  EXPECT_FALSE(chat.parse_output);
  EXPECT_EQ(back.context, request.context);
  expect_same(back.options, request.options);

  request.prompt = TextPrompt{"to \xff", "suffix", false};
  const auto text = std::get<TextPrompt>(round_trip(request).prompt);
  EXPECT_EQ(text.text, "to \xff");
  EXPECT_EQ(text.suffix, "suffix");
  EXPECT_FALSE(text.parse_special);
  request.prompt = TextPrompt{"", std::nullopt, true};
  EXPECT_FALSE(std::get<TextPrompt>(round_trip(request).prompt).suffix);
  request.prompt = TokenPrompt{{5, 6, 7}};
  EXPECT_EQ(std::get<TokenPrompt>(round_trip(request).prompt).tokens,
            (std::vector<int32_t>{5, 6, 7}));
}

TEST(WireTest, DoublesOfJsonSurviveToTheBit) {
  // As text they do not all: Boost.JSON 1.81 reads this one back as another.
  uint64_t bits = 0x123456789abcdef;
  for (int i = 0; i < 1000; ++i) {
    bits = bits * 6364136223846793005U + 1442695040888963407U;
    double number = 0;
    std::memcpy(&number, &bits, sizeof number);
    ChatPrompt chat;
    chat.template_variables = {{"n", number}};
    std::string bytes;
    put_frame(bytes, FrameType::kRender, 1, chat, kBoth);
    FrameReader reader(kBoth);
    reader.feed(bytes);
    Frame frame;
    ASSERT_TRUE(reader.next(frame));
    const double back = take_content<ChatPrompt>(frame).template_variables.at("n").as_double();
    ASSERT_EQ(std::memcmp(&back, &number, sizeof back), 0);
  }
}

TEST(WireTest, PiecesAndEnds) {
  AnswerPiece piece;
  piece.text = "h\xc3\xa9";
  piece.token_count = 3;
  piece.tokens = {{5, "\xc3", -0.25F, {{5, "\xc3", -0.25F}, {6, "", -2}}}, {6, "\xa9", -1, {}}};
  piece.events = {{OutputEvent::Kind::kCallBegin, "t", "name", "id", 2},
                  {OutputEvent::Kind::kCallAbandoned, "", "", "", 0}};
  const AnswerPiece back = round_trip(piece);
  EXPECT_EQ(back.text, piece.text);
  EXPECT_EQ(back.token_count, 3U);
  ASSERT_EQ(back.tokens.size(), 2U);
  EXPECT_EQ(back.tokens[0].bytes, "\xc3");
  EXPECT_EQ(back.tokens[0].logprob, -0.25F);
  ASSERT_EQ(back.tokens[0].top.size(), 2U);
  EXPECT_EQ(back.tokens[0].top[1].token, 6);
  EXPECT_EQ(back.tokens[0].top[1].logprob, -2);
  ASSERT_EQ(back.events.size(), 2U);
  EXPECT_EQ(back.events[0].kind, OutputEvent::Kind::kCallBegin);
  EXPECT_EQ(back.events[0].text, "t");
  EXPECT_EQ(back.events[0].name, "name");
  EXPECT_EQ(back.events[0].id, "id");
  EXPECT_EQ(back.events[0].call, 2U);
  EXPECT_EQ(back.events[1].kind, OutputEvent::Kind::kCallAbandoned);

  AnswerEnd end;
  AnswerResult& result = end.result;
  result.finish_reason = FinishReason::kLength;
  result.stop_sequence = "\n\n";
  result.seed = UINT64_MAX;
  result.prompt_tokens = 1;
  result.cached_tokens = 2;
  result.generated_tokens = 3;
  result.cut_messages = 4;
  result.cut_tokens = 5;
  result.context_shifts = 6;
  result.load_duration = std::chrono::nanoseconds(7);
  result.queue_duration = std::chrono::nanoseconds(8);
  result.prompt_duration = std::chrono::nanoseconds(9);
  result.generation_duration = std::chrono::nanoseconds(10);
  result.total_duration = std::chrono::nanoseconds(INT64_MAX);
  result.warnings = {"one", "\xff two"};
  result.tokens = {8, 9};
  const AnswerEnd ended = round_trip(end);
  EXPECT_FALSE(ended.error);
  EXPECT_EQ(ended.result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(ended.result.stop_sequence, "\n\n");
  EXPECT_EQ(ended.result.seed, UINT64_MAX);
  EXPECT_EQ(ended.result.prompt_tokens, 1U);
  EXPECT_EQ(ended.result.cached_tokens, 2U);
  EXPECT_EQ(ended.result.generated_tokens, 3U);
  EXPECT_EQ(ended.result.cut_messages, 4U);
  EXPECT_EQ(ended.result.cut_tokens, 5U);
  EXPECT_EQ(ended.result.context_shifts, 6U);
  EXPECT_EQ(ended.result.load_duration.count(), 7);
  EXPECT_EQ(ended.result.queue_duration.count(), 8);
  EXPECT_EQ(ended.result.prompt_duration.count(), 9);
  EXPECT_EQ(ended.result.generation_duration.count(), 10);
  EXPECT_EQ(ended.result.total_duration.count(), INT64_MAX);
  EXPECT_EQ(ended.result.warnings, result.warnings);
  EXPECT_EQ(ended.result.tokens, result.tokens);
  end.error = Failure{ErrorCode::kContextLengthExceeded, "5 of 4"};
  const AnswerEnd failed = round_trip(end);
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->code, ErrorCode::kContextLengthExceeded);
  EXPECT_EQ(failed.error->message, "5 of 4");
}

TEST(WireTest, LoadsFactsAndCalls) {
  LoadCall load;
  load.version = "1";
  load.sandbox = false;
  load.options = {"/m.gguf", "{{ x }}", 1, 2, 3, 4, 5, "q8_0", {"/p.kv", 8, 9, "w", {}}};
  const LoadCall loaded = round_trip(load);
  EXPECT_EQ(loaded.version, "1");
  EXPECT_FALSE(loaded.sandbox);
  EXPECT_EQ(loaded.options.path, "/m.gguf");
  EXPECT_EQ(loaded.options.chat_template, "{{ x }}");
  EXPECT_EQ(loaded.options.context_length, 1U);
  EXPECT_EQ(loaded.options.kv_capacity_tokens, 2U);
  EXPECT_EQ(loaded.options.max_sequences, 3U);
  EXPECT_EQ(loaded.options.max_waiting, 4U);
  EXPECT_EQ(loaded.options.threads, 5U);
  EXPECT_EQ(loaded.options.kv_type, "q8_0");
  EXPECT_EQ(loaded.options.prefix_storage.path, "/p.kv");
  EXPECT_EQ(loaded.options.prefix_storage.max_bytes, 8U);
  EXPECT_EQ(loaded.options.prefix_storage.most_bytes, 9U);
  EXPECT_EQ(loaded.options.prefix_storage.weights, "w");

  WorkerReady ready;
  ready.facts = {"llama", "\xff", 1, 2, true, false, true, true, 3, 4, 5, 6, "CPU", "room", {}};
  ready.facts.load_duration = std::chrono::nanoseconds(7);
  ready.sandbox = "seccomp";
  const WorkerReady told = round_trip(ready);
  EXPECT_EQ(told.facts.family, "llama");
  EXPECT_EQ(told.facts.name, "\xff");
  EXPECT_EQ(told.facts.context_length, 1U);
  EXPECT_EQ(told.facts.vocab_size, 2U);
  EXPECT_TRUE(told.facts.has_template);
  EXPECT_FALSE(told.facts.can_use_tools);
  EXPECT_TRUE(told.facts.can_think);
  EXPECT_TRUE(told.facts.can_fill_in);
  EXPECT_EQ(told.facts.weights_bytes, 3U);
  EXPECT_EQ(told.facts.kv_bytes, 4U);
  EXPECT_EQ(told.facts.scratch_bytes, 5U);
  EXPECT_EQ(told.facts.kv_capacity_tokens, 6U);
  EXPECT_EQ(told.facts.device, "CPU");
  EXPECT_EQ(told.facts.prefix_storage, "room");
  EXPECT_EQ(told.facts.load_duration.count(), 7);
  EXPECT_EQ(told.sandbox, "seccomp");

  const ModelActivity activity = round_trip(ModelActivity{1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(activity.running, 1U);
  EXPECT_EQ(activity.waiting, 2U);
  EXPECT_EQ(activity.steps, 3U);
  EXPECT_EQ(activity.prompt_tokens, 4U);
  EXPECT_EQ(activity.cached_tokens, 5U);
  EXPECT_EQ(activity.restored_tokens, 6U);
  EXPECT_EQ(activity.generated_tokens, 7U);
  EXPECT_EQ(activity.preemptions, 8U);
  EXPECT_EQ(activity.kv_free_tokens, 9U);

  const TokenizeCall call = round_trip(TokenizeCall{"x", {false, false}});
  EXPECT_FALSE(call.options.add_special || call.options.parse_special);
  EXPECT_EQ(round_trip(RenderedChat{"p", {"w"}}).warnings, std::vector<std::string>{"w"});
  EXPECT_EQ(round_trip(std::vector<int32_t>{1, 2}), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(round_trip(std::string("b\0", 2)), std::string("b\0", 2));
  EXPECT_EQ(round_trip(0.5F), 0.5F);
  EXPECT_EQ(round_trip(Failure{ErrorCode::kIo, "m"}).code, ErrorCode::kIo);
}

TEST(WireTest, FramesComeInAnyCuts) {
  std::string bytes;
  put_frame(bytes, FrameType::kBytes, 1, std::string("abc"), kBoth);
  put_frame(bytes, FrameType::kPong, 2);
  put_frame(bytes, FrameType::kBytes, 3, std::string(5000, 'x'), kBoth);
  for (const size_t step : {size_t{1}, size_t{7}, size_t{24}, size_t{1000}, bytes.size()}) {
    FrameReader reader(kBoth);
    std::vector<uint64_t> ids;
    for (size_t at = 0; at < bytes.size(); at += step) {
      reader.feed(std::string_view(bytes).substr(at, step));
      for (Frame frame; reader.next(frame);) {
        ids.push_back(frame.id);
        if (frame.id == 2) {
          EXPECT_NO_THROW(take_nothing(frame));
        } else if (frame.id == 3) {
          EXPECT_EQ(take_content<std::string>(frame), std::string(5000, 'x'));
        }
      }
    }
    EXPECT_EQ(ids, (std::vector<uint64_t>{1, 2, 3}));
  }
}

std::string pong_with(size_t place, char byte) {
  std::string bytes;
  put_frame(bytes, FrameType::kPong, 2);
  bytes[place] = byte;
  return bytes;
}

TEST(WireTest, WhatIsNoFrameIsRefusedByItsHeader) {
  const auto refuses = [](const std::string& bytes, const FrameLimits& limits) {
    FrameReader reader(limits);
    reader.feed(bytes);
    Frame frame;
    try {
      reader.next(frame);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kCorrupt;
    }
    return false;
  };
  EXPECT_FALSE(refuses(pong_with(8, 9), kLimitsFromWorker));  // only another number
  EXPECT_TRUE(refuses(pong_with(0, 'x'), kLimitsFromWorker));
  EXPECT_TRUE(refuses(pong_with(6, 1), kLimitsFromWorker));
  EXPECT_TRUE(refuses(pong_with(4, 0), kLimitsFromWorker));
  EXPECT_TRUE(refuses(pong_with(4, 127), kLimitsFromWorker));
  EXPECT_TRUE(refuses(pong_with(4, 1), kLimitsFromWorker));   // the other direction's
  EXPECT_TRUE(refuses(pong_with(19, 5), kLimitsFromWorker));  // 80 MiB, before any of it came
  EXPECT_TRUE(refuses(pong_with(23, 127), kLimitsFromWorker));
  EXPECT_TRUE(refuses(pong_with(4, 72), kLimitsToWorker));
}

TEST(WireTest, ContentThatIsNoneIsRefused) {
  const auto refuses = []<class T>(const std::string& payload, const T&) {
    try {
      take_content<T>(Frame{FrameType::kPiece, 1, payload});
    } catch (const Error& error) {
      return error.code() == ErrorCode::kCorrupt;
    }
    return false;
  };
  using namespace std::string_literals;
  EXPECT_TRUE(refuses("\xff\xff\xff\xff"s, std::string()));  // longer than it is
  EXPECT_TRUE(refuses("\x02\0\0\0abc"s, std::string()));     // bytes behind
  EXPECT_TRUE(
      refuses("\xff\xff\xff\x7f"
              "abcd"s,
              std::vector<int32_t>()));
  EXPECT_TRUE(refuses("\x63\0\0\0\0"s, Failure()));  // no such code
  EXPECT_TRUE(refuses("\x02"s, AnswerEnd()));        // neither true nor false
  EXPECT_TRUE(refuses("\x03"s, AnswerRequest()));    // a fourth kind of prompt
  EXPECT_TRUE(refuses("\x01\0\0\0\xff\x01\0\0\0\0\0\0\0\0\0\0\0"s, AnswerPiece()));  // not UTF-8
  EXPECT_FALSE(refuses("\x01\0\0\0y\x01\0\0\0\0\0\0\0\0\0\0\0"s, AnswerPiece()));
  EXPECT_THROW(take_nothing(Frame{FrameType::kPong, 1, "x"}), Error);
  // JSON that nests 100,000 deep.
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "\x01\0\0\0\x06"s;
  EXPECT_TRUE(refuses(deep, ChatPrompt()));
}

TEST(WireTest, WhatIsTooLongIsNotSent) {
  std::string bytes = "before";
  EXPECT_THROW(put_frame(bytes, FrameType::kBytes, 1, std::string(2 << 20, 'x'), kBoth), Error);
  EXPECT_EQ(bytes, "before");
}

}  // namespace
}  // namespace omg
