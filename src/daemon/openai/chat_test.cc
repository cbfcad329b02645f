// SPDX-License-Identifier: Apache-2.0
//
// Chats: what reaches the model, and what the client reads, to the byte.
#include <limits>
#include <thread>

#include "daemon/openai/test_support.h"

namespace omg {
namespace {

using testing::Asked;
using testing::call_piece;
using testing::content_piece;
using testing::events_of;
using testing::object_of;
using testing::reasoning_piece;
using testing::ScriptedAnswer;
using testing::some_result;
using testing::text_of;

using OpenAiChat = testing::OpenAiRoutes<testing::FakeModelService>;
using OpenAiOpenChat = testing::OpenAiRoutes<testing::OpenModelService>;

const std::string kHead = std::string(R"({"id":"chatcmpl-000000001000000020000000","object":)") +
                          R"("chat.completion","created":1755770400,"model":"m",)" +
                          R"("system_fingerprint":"fp_ohmygpu_)" + OMG_VERSION + "\"";
const std::string kChunk = std::string(R"({"id":"chatcmpl-000000001000000020000000","object":)") +
                           R"("chat.completion.chunk","created":1755770400,"model":"m",)" +
                           R"("system_fingerprint":"fp_ohmygpu_)" + OMG_VERSION + "\"";

/// The whole chunk of one choice.
std::string chunk(const std::string& delta, const std::string& finish = "null", int index = 0) {
  return kChunk + ",\"choices\":[{\"index\":" + std::to_string(index) + ",\"delta\":" + delta +
         ",\"logprobs\":null,\"finish_reason\":" + finish + "}]}";
}
const std::string kFirstDelta = R"({"role":"assistant","content":"","refusal":null})";

ScriptedAnswer answer_of(std::vector<AnswerPiece> pieces) {
  ScriptedAnswer answer;
  answer.pieces = std::move(pieces);
  answer.result = some_result();
  return answer;
}

AnswerPiece event_piece(OutputEvents events) {
  AnswerPiece piece;
  piece.token_count = 1;
  piece.events = std::move(events);
  return piece;
}

TEST_F(OpenAiChat, AnswersWhole) {
  const Asked asked = chat();
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.header("Content-Type"), "application/json");
  EXPECT_EQ(asked.body,
            kHead + R"(,"choices":[{"index":0,"message":{"role":"assistant","content":"Hi there",)"
                    R"("refusal":null},"logprobs":null,"finish_reason":"stop"}],)"
                    R"("usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9,)"
                    R"("prompt_tokens_details":{"cached_tokens":0},)"
                    R"("completion_tokens_details":{"reasoning_tokens":0}}})");
}

TEST_F(OpenAiChat, Streams) {
  const Asked asked = chat(R"("stream":true)");
  EXPECT_EQ(asked.status, 200);
  EXPECT_TRUE(asked.whole);
  EXPECT_EQ(asked.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(events_of(asked.body),
            (std::vector<std::string>{chunk(kFirstDelta), chunk(R"({"content":"Hi"})"),
                                      chunk(R"({"content":" there"})"), chunk("{}", "\"stop\""),
                                      "[DONE]"}));
}

TEST_F(OpenAiChat, StreamsUsageWhenAsked) {
  const Asked asked =
      chat(R"("stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false})");
  const std::vector<std::string> events = events_of(asked.body);
  ASSERT_EQ(events.size(), 6u);
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(events[i].ends_with("],\"usage\":null}")) << events[i];
  EXPECT_EQ(events[4], kChunk + R"(,"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4,)"
                                R"("total_tokens":9,"prompt_tokens_details":{"cached_tokens":0},)"
                                R"("completion_tokens_details":{"reasoning_tokens":0}}})");
  EXPECT_EQ(events[5], "[DONE]");
}

TEST_F(OpenAiChat, EscapesText) {
  models.script = [](const ModelCall&) {
    return answer_of({content_piece("a\"\\\n\r\t\x01\x7f é€😀 </script>")});
  };
  for (const char* fields : {"", R"("stream":true)"}) {
    const Asked asked = chat(fields);
    EXPECT_NE(asked.body.find(R"("a\"\\\n\r\t\u0001)"
                              "\x7f é€😀 </script>\""),
              std::string::npos)
        << asked.body;
  }
}

TEST_F(OpenAiChat, HandsEverythingOn) {
  const Asked asked = chat(
      R"("max_completion_tokens":7,"temperature":0.5,"top_p":0.25,"presence_penalty":1,)"
      R"("frequency_penalty":-1.5,"seed":11,"stop":["a","b"],"logit_bias":{"5":-100,"6":2.5},)"
      R"("logprobs":true,"top_logprobs":3,"top_k":9,"min_p":0.125,"typical_p":0.75,)"
      R"("repetition_penalty":1.25,"repeat_last_n":-1,"keep_alive":"2m",)"
      R"("chat_template_kwargs":{"enable_thinking":false},"reasoning_effort":"high",)"
      R"("user":"u","metadata":{"k":"v"},"store":false,"service_tier":"auto","prediction":null,)"
      R"("verbosity":"medium","modalities":["text"],"prompt_cache_key":"k","audio":null,)"
      R"("safety_identifier":"s","prompt_cache_retention":"in_memory","n":1,"functions":null)");
  ASSERT_EQ(asked.status, 200) << asked.body;
  ASSERT_EQ(models.calls.size(), 1u);
  const ModelCall& call = models.calls[0];
  EXPECT_EQ(call.model, "m");
  EXPECT_EQ(json::serialize(parameters_to_json(call.parameters)),
            R"({"max_tokens":7,"temperature":5E-1,"top_k":9,"top_p":2.5E-1,"min_p":1.25E-1,)"
            R"("typical_p":7.5E-1,"repeat_penalty":1.25E0,"presence_penalty":1E0,)"
            R"("frequency_penalty":-1.5E0,"repeat_last_n":-1,"seed":11,"stop":["a","b"]})");
  EXPECT_EQ(call.logit_bias, (std::vector<std::pair<int32_t, float>>{{5, -100.0f}, {6, 2.5f}}));
  EXPECT_EQ(call.top_logprobs, 3);
  EXPECT_EQ(call.keep_alive, std::chrono::minutes(2));
  EXPECT_FALSE(call.cut_prompt);
  EXPECT_FALSE(call.shift_context);
  const ChatPrompt& prompt = std::get<ChatPrompt>(call.prompt);
  EXPECT_EQ(json::serialize(prompt.messages), R"([{"role":"user","content":"Hello"}])");
  EXPECT_EQ(prompt.thinking, "high");
  EXPECT_EQ(json::serialize(prompt.template_variables), R"({"enable_thinking":false})");
  EXPECT_TRUE(prompt.parse_output);
}

TEST_F(OpenAiChat, LeavesTheRestToTheModelsSettings) {
  ASSERT_EQ(chat().status, 200);
  const ModelCall& call = models.calls[0];
  EXPECT_TRUE(parameters_to_json(call.parameters).empty());
  EXPECT_EQ(call.top_logprobs, -1);
  EXPECT_EQ(call.format.kind, AnswerFormat::Kind::kFree);
  EXPECT_FALSE(call.keep_alive);
  EXPECT_EQ(std::get<ChatPrompt>(call.prompt).thinking, "");
}

TEST_F(OpenAiChat, TakesAllRoles) {
  const Asked asked = post(
      "/v1/chat/completions",
      R"({"model":"m","messages":[{"role":"system","content":"S"},)"
      R"({"role":"developer","content":[{"type":"text","text":"D","cache_control":{}}]},)"
      R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],)"
      R"("name":"Ann"},)"
      R"({"role":"assistant","content":null,"refusal":null,"annotations":[],"audio":null,)"
      R"("function_call":null,"reasoning":"why","tool_calls":[{"id":"c1","type":"function",)"
      R"("index":0,"function":{"name":"f","arguments":"{\"x\":1}","parsed_arguments":{"x":1}}}],)"
      R"("parsed":null},)"
      R"({"role":"tool","tool_call_id":"c1","content":"42"},)"
      R"({"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},)"
      R"({"role":"assistant","refusal":"never"}]})");
  ASSERT_EQ(asked.status, 200) << asked.body;
  EXPECT_EQ(json::serialize(std::get<ChatPrompt>(models.calls[0].prompt).messages),
            R"([{"role":"system","content":"S"},)"
            R"({"role":"developer","content":[{"type":"text","text":"D"}]},)"
            R"({"role":"user","name":"Ann","content":[{"type":"text","text":"a"},)"
            R"({"type":"text","text":"b"}]},)"
            R"({"role":"assistant","content":null,"reasoning_content":"why","tool_calls":)"
            R"([{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},)"
            R"({"role":"tool","content":"42","tool_call_id":"c1"},)"
            R"({"role":"assistant","content":[{"type":"text","text":"no"}]},)"
            R"({"role":"assistant","content":"never"}])");
}

TEST_F(OpenAiChat, ReadsFormats) {
  struct Row {
    const char* fields;
    AnswerFormat::Kind kind;
    const char* source;  // or schema
  };
  using Kind = AnswerFormat::Kind;
  for (const Row& row : std::initializer_list<Row>{
           {R"("response_format":{"type":"text"})", Kind::kFree, ""},
           {R"("response_format":{"type":"json_object"})", Kind::kJsonObject, ""},
           {R"("response_format":{"type":"json_object","schema":{"type":"string"}})",
            Kind::kJsonSchema, R"({"type":"string"})"},
           {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,)"
            R"("schema":{"type":"object","properties":{"b":{},"a":{}}}}})",
            Kind::kJsonSchema, R"({"type":"object","properties":{"b":{},"a":{}}})"},
           {R"("grammar":"root ::= \"a\"")", Kind::kGbnf, "root ::= \"a\""},
           {R"("regex":"[0-9]+")", Kind::kRegex, "[0-9]+"},
           {R"("guided_regex":"[0-9]+","response_format":{"type":"text"})", Kind::kRegex,
            "[0-9]+"}}) {
    models.calls.clear();
    ASSERT_EQ(chat(row.fields).status, 200) << row.fields;
    const AnswerFormat& format = models.calls[0].format;
    EXPECT_EQ(format.kind, row.kind) << row.fields;
    EXPECT_EQ(format.kind == Kind::kJsonSchema ? json::serialize(format.schema) : format.source,
              row.source);
  }
}

TEST_F(OpenAiChat, ReadsEfforts) {
  models.model.loaded_facts.can_think = true;
  for (const auto& [effort, thinking] : std::map<std::string, std::string>{{"none", "false"},
                                                                           {"minimal", "low"},
                                                                           {"low", "low"},
                                                                           {"medium", "medium"},
                                                                           {"high", "high"},
                                                                           {"max", "max"}}) {
    for (const std::string& fields : {"\"reasoning_effort\":\"" + effort + "\"",
                                      "\"reasoning\":{\"effort\":\"" + effort + "\"}"}) {
      models.calls.clear();
      ASSERT_EQ(chat(fields).status, 200);
      EXPECT_EQ(std::get<ChatPrompt>(models.calls[0].prompt).thinking, thinking);
    }
  }
}

TEST_F(OpenAiChat, ModelsThatDoNotReasonMayBeToldNotTo) {
  for (const char* effort : {"none", "low"}) {
    models.calls.clear();
    ASSERT_EQ(chat("\"n\":2,\"reasoning_effort\":\"" + std::string(effort) + "\"").status, 200);
    ASSERT_EQ(models.calls.size(), 2u);
    const std::string thinking = std::get<ChatPrompt>(models.calls[1].prompt).thinking;
    EXPECT_EQ(thinking, effort == std::string("none") ? "" : "low");  // the runtime refuses it
  }
}

TEST_F(OpenAiChat, ShowsReasoningApart) {
  models.script = [](const ModelCall&) {
    AnswerPiece marker;  // "<think>": nothing to see yet
    marker.token_count = 2;
    ScriptedAnswer answer = answer_of({marker, reasoning_piece("Let me"),
                                       reasoning_piece(" think."), marker, content_piece("42")});
    answer.result.generated_tokens = 7;
    return answer;
  };
  const json::object body = object_of(chat().body);
  const json::value& message = body.at("choices").at(0).at("message");
  EXPECT_EQ(json::serialize(message),
            R"({"role":"assistant","content":"42","refusal":null,)"
            R"("reasoning_content":"Let me think.","reasoning":"Let me think."})");
  EXPECT_EQ(json::serialize(body.at("usage").at("completion_tokens_details")),
            R"({"reasoning_tokens":4})");

  const Asked streamed = chat(R"("stream":true)");
  const std::vector<std::string> events = events_of(streamed.body);
  ASSERT_EQ(events.size(), 6u);
  const std::string first = R"({"reasoning_content":"Let me","reasoning":"Let me"})";
  EXPECT_NE(events[1].find(first), std::string::npos) << events[1];
}

TEST_F(OpenAiChat, JoinsNeighboursInAPiece) {
  using Kind = OutputEvent::Kind;
  models.script = [](const ModelCall&) {
    return answer_of({event_piece({{Kind::kReasoning, "a"},
                                   {Kind::kReasoning, "b"},
                                   {Kind::kContent, "c"},
                                   {Kind::kContent, "d"}})});
  };
  const std::vector<std::string> events = events_of(chat(R"("stream":true)").body);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_NE(events[1].find(R"("reasoning":"ab")"), std::string::npos);
  EXPECT_NE(events[2].find(R"("content":"cd")"), std::string::npos);
}

const char* const kTools =
    R"("tools":[{"type":"function","function":{"name":"f","description":"Does f",)"
    R"("parameters":{"type":"object","properties":{"x":{"type":"integer"}}}}},)"
    R"({"type":"function","function":{"name":"g"}}])";

TEST_F(OpenAiChat, HandsToolsOn) {
  struct Row {
    const char* fields;
    ToolUse::Choice choice;
    const char* name;
    bool parallel;
  };
  using Choice = ToolUse::Choice;
  for (const Row& row : std::initializer_list<Row>{
           {"\"user\":\"\"", Choice::kAuto, "", true},
           {R"("tool_choice":"auto","parallel_tool_calls":false)", Choice::kAuto, "", false},
           {R"("tool_choice":"none")", Choice::kNone, "", true},
           {R"("tool_choice":"required")", Choice::kRequired, "", true},
           {R"("tool_choice":{"type":"function","function":{"name":"g"}})", Choice::kRequired, "g",
            true}}) {
    models.calls.clear();
    ASSERT_EQ(chat(std::string(kTools) + "," + row.fields).status, 200);
    const ChatPrompt& prompt = std::get<ChatPrompt>(models.calls[0].prompt);
    EXPECT_EQ(json::serialize(prompt.tools),
              R"([{"type":"function","function":{"name":"f","description":"Does f",)"
              R"("parameters":{"type":"object","properties":{"x":{"type":"integer"}}}}},)"
              R"({"type":"function","function":{"name":"g","parameters":{"type":"object",)"
              R"("properties":{}}}}])");
    EXPECT_EQ(prompt.tool_use.choice, row.choice);
    EXPECT_EQ(prompt.tool_use.name, row.name);
    EXPECT_EQ(prompt.tool_use.parallel, row.parallel);
  }
}

TEST_F(OpenAiChat, ShowsCallsWhole) {
  models.script = [](const ModelCall&) {
    return answer_of({content_piece("Look"), call_piece(0, "f", "{\"x\":1}"),
                      call_piece(1, "g", "{}", "own-id")});
  };
  const json::object body = object_of(chat(kTools).body);
  EXPECT_EQ(json::serialize(body.at("choices").at(0).at("message")),
            R"({"role":"assistant","content":"Look","refusal":null,"tool_calls":[)"
            R"({"id":"call_300000004000000050000000","type":"function",)"
            R"("function":{"name":"f","arguments":"{\"x\":1}"}},)"
            R"({"id":"own-id","type":"function","function":{"name":"g","arguments":"{}"}}]})");
  EXPECT_EQ(text_of(body.at("choices").at(0).at("finish_reason")), "tool_calls");
  models.script = [](const ModelCall&) { return answer_of({call_piece(0, "f", "{}")}); };
  const json::object alone = object_of(chat(kTools).body);
  EXPECT_TRUE(alone.at("choices").at(0).at("message").at("content").is_null());
}

TEST_F(OpenAiChat, StreamsCallsOnceTheyAreCertain) {
  using Kind = OutputEvent::Kind;
  models.script = [](const ModelCall&) {
    return answer_of({event_piece({{Kind::kCallBegin, "", "f", "", 0}}),
                      event_piece({{Kind::kCallArguments, "{\"x\"", "", "", 0}}),
                      event_piece({{Kind::kCallArguments, ":1}", "", "", 0}}),
                      event_piece({{Kind::kCallEnd, "", "", "late", 0},
                                   {Kind::kCallBegin, "", "g", "", 1},
                                   {Kind::kCallArguments, "{", "", "", 1}}),
                      event_piece({{Kind::kCallAbandoned, "", "", "", 1},
                                   {Kind::kContent, "[g {oops", "", "", 0}}),
                      call_piece(2, "g", "{}", "id-2")});
  };
  const std::vector<std::string> events =
      events_of(chat(std::string(kTools) + R"(,"stream":true)").body);
  EXPECT_EQ(events,
            (std::vector<std::string>{
                chunk(kFirstDelta),
                chunk(R"({"tool_calls":[{"index":0,"id":"late","type":"function",)"
                      R"("function":{"name":"f","arguments":""}}]})"),
                chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]})"),
                chunk(R"({"content":"[g {oops"})"),
                chunk(R"({"tool_calls":[{"index":1,"id":"id-2","type":"function",)"
                      R"("function":{"name":"g","arguments":""}}]})"),
                chunk(R"({"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]})"),
                chunk("{}", "\"tool_calls\""), "[DONE]"}));
  const json::object body = object_of(chat(kTools).body);
  const json::value& message = body.at("choices").at(0).at("message");
  EXPECT_EQ(text_of(message.at("content")), "[g {oops");
  EXPECT_EQ(message.at("tool_calls").as_array().size(), 2u);
}

TEST_F(OpenAiChat, SaysWhatIsNotEnforced) {
  const std::string strict =
      R"("tools":[{"type":"function","function":{"name":"f","strict":true}}])";
  const json::object body = object_of(chat(strict).body);
  EXPECT_NE(text_of(body.at("warnings").at(0)).find("'strict' is not enforced"), std::string::npos);
  EXPECT_FALSE(object_of(chat(strict + R"(,"tool_choice":"required")").body).contains("warnings"));
}

TEST_F(OpenAiChat, PassesWarningsOn) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer = answer_of({content_piece("x")});
    answer.result.warnings = {"the system message was moved"};
    return answer;
  };
  const json::object body = object_of(chat(R"("n":2)").body);
  EXPECT_EQ(json::serialize(body.at("warnings")), R"(["the system message was moved"])");
  const std::vector<std::string> events = events_of(chat(R"("stream":true)").body);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_NE(events[2].find(R"(}],"warnings":["the system message was moved"]})"), std::string::npos)
      << events[2];
}

TEST_F(OpenAiChat, TellsWhenCutShort) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer = answer_of({call_piece(0, "f", "{}")});
    answer.result.finish_reason = FinishReason::kLength;
    return answer;
  };
  const json::object body = object_of(chat().body);
  EXPECT_EQ(text_of(body.at("choices").at(0).at("finish_reason")), "length");
}

AnswerPiece token_piece(const std::string& text, std::vector<AnswerToken> tokens) {
  AnswerPiece piece = content_piece(text);
  piece.tokens = std::move(tokens);
  if (text.empty()) piece.events.clear();
  return piece;
}

TEST_F(OpenAiChat, TellsLogprobs) {
  models.script = [](const ModelCall&) {
    const float none = -std::numeric_limits<float>::infinity();
    return answer_of(
        {token_piece("", {{1, "\xe2\x82", -0.5f, {{1, "\xe2\x82", -0.5f}, {2, "b", none}}}}),
         token_piece("€", {{3, "\xac", -0.25f, {}}})});
  };
  const std::string content =
      R"([{"token":"bytes:\\xe2\\x82","logprob":-0.5,"bytes":[226,130],"top_logprobs":)"
      R"([{"token":"bytes:\\xe2\\x82","logprob":-0.5,"bytes":[226,130]},)"
      R"({"token":"b","logprob":-9999,"bytes":[98]}]},)"
      R"({"token":"bytes:\\xac","logprob":-0.25,"bytes":[172],"top_logprobs":[]}])";
  const Asked asked = chat(R"("logprobs":true,"top_logprobs":2)");
  EXPECT_NE(asked.body.find(R"("logprobs":{"content":)" + content + R"(,"refusal":null})"),
            std::string::npos)
      << asked.body;
  EXPECT_EQ(models.calls[0].top_logprobs, 2);
  object_of(asked.body);
  // The first token waits for the chunk that shows what it began.
  const std::vector<std::string> events = events_of(chat(R"("logprobs":true,"stream":true)").body);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(models.calls[1].top_logprobs, 0);
  EXPECT_NE(events[1].find(R"({"content":"€"},"logprobs":{"content":)" + content),
            std::string::npos)
      << events[1];
  EXPECT_NE(events[2].find(R"("delta":{},"logprobs":null)"), std::string::npos);
}

TEST_F(OpenAiChat, ChoicesHaveSeedsOfTheirOwn) {
  models.script = [this](const ModelCall&) {
    ScriptedAnswer answer = answer_of({content_piece(std::to_string(models.calls.size()))});
    answer.result.cached_tokens = 4 - static_cast<uint32_t>(models.calls.size());
    return answer;
  };
  const json::object body = object_of(chat(R"("n":3,"seed":9007199254740990)").body);
  const json::array& choices = body.at("choices").as_array();
  ASSERT_EQ(choices.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(choices[i].at("index"), i);
    EXPECT_EQ(text_of(choices[i].at("message").at("content")), std::to_string(i));
  }
  EXPECT_EQ(models.calls[0].parameters.seed, 9007199254740990);
  EXPECT_EQ(models.calls[1].parameters.seed, 9007199254740991);
  EXPECT_EQ(models.calls[2].parameters.seed, 0);
  // The prompt counts once, and as it was before this request.
  EXPECT_EQ(json::serialize(body.at("usage")),
            R"({"prompt_tokens":5,"completion_tokens":12,"total_tokens":17,)"
            R"("prompt_tokens_details":{"cached_tokens":2},)"
            R"("completion_tokens_details":{"reasoning_tokens":0}})");
  models.calls.clear();
  ASSERT_EQ(chat(R"("n":2)").status, 200);
  EXPECT_EQ(models.calls[0].parameters.seed, std::nullopt);
  EXPECT_EQ(models.calls[1].parameters.seed, -1);
}

TEST_F(OpenAiOpenChat, ChoicesStreamSideBySide) {
  const auto request =
      begin("/v1/chat/completions",
            chat_body(R"("n":2,"stream":true,"stream_options":{"include_usage":true})"));
  ASSERT_EQ(models.open.size(), 2u);
  models.open[1]->sink.on_piece(content_piece("B"));
  models.open[0]->sink.on_piece(content_piece("A"));
  models.open[1]->sink.on_piece(content_piece("b"));
  models.open[1]->sink.on_end(nullptr, some_result());
  models.open[0]->sink.on_end(nullptr, some_result());
  const std::vector<std::string> events = events_of(request->wait().body);
  std::vector<std::string> told;
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const json::object object = object_of(event);
    const json::array& choices = object.at("choices").as_array();
    if (choices.empty()) {
      told.push_back("usage " + json::serialize(object.at("usage").at("completion_tokens")));
      continue;
    }
    told.push_back(json::serialize(choices[0].at("index")) +
                   json::serialize(choices[0].at("delta")));
  }
  EXPECT_EQ(told, (std::vector<std::string>{"1" + kFirstDelta, R"(1{"content":"B"})",
                                            "0" + kFirstDelta, R"(0{"content":"A"})",
                                            R"(1{"content":"b"})", "1{}", "0{}", "usage 8"}));
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_FALSE(models.open[0]->cancelled);
}

TEST_F(OpenAiOpenChat, ChoicesMayComeFromManyThreads) {
  constexpr int kChoices = 8;
  const auto request = begin("/v1/chat/completions", chat_body(R"("n":8,"stream":true)"));
  ASSERT_EQ(models.open.size(), static_cast<size_t>(kChoices));
  std::vector<std::thread> threads;
  for (int i = 0; i < kChoices; ++i) {
    threads.emplace_back([&, i] {
      const AnswerSink& sink = models.open[static_cast<size_t>(i)]->sink;
      for (int piece = 0; piece < 50; ++piece) sink.on_piece(content_piece("x"));
      sink.on_end(nullptr, some_result());
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> events = events_of(request->wait().body);
  EXPECT_EQ(events.size(), static_cast<size_t>(kChoices * 52 + 1));
  EXPECT_EQ(events.back(), "[DONE]");
}

TEST_F(OpenAiChat, ErrorsBeforeTheFirstTokenHaveTheirStatus) {
  struct Row {
    ErrorCode code;
    int status;
    const char* type;
    const char* own_code;
    const char* param;
  };
  for (const Row& row : std::initializer_list<Row>{
           {ErrorCode::kContextLengthExceeded, 400, "invalid_request_error",
            "context_length_exceeded", "\"messages\""},
           {ErrorCode::kNotFound, 404, "not_found_error", "model_not_found", "\"model\""},
           {ErrorCode::kUnsupported, 400, "invalid_request_error", "unsupported", "null"},
           {ErrorCode::kInvalidArgument, 400, "invalid_request_error", "invalid_argument", "null"},
           {ErrorCode::kUnavailable, 503, "server_error", "unavailable", "null"},
           {ErrorCode::kOutOfMemory, 507, "server_error", "out_of_memory", "null"},
           {ErrorCode::kInternal, 500, "server_error", "internal", "null"}}) {
    models.script = [&](const ModelCall&) {
      ScriptedAnswer answer;
      answer.error = Error(row.code, "5000 tokens do not fit 4096");
      return answer;
    };
    for (const char* fields : {"", R"("stream":true)", R"("n":3)"}) {
      models.calls.clear();
      const Asked asked = chat(fields);
      EXPECT_EQ(asked.status, row.status);
      EXPECT_EQ(asked.body, std::string(R"({"error":{"message":"5000 tokens do not fit 4096",)") +
                                "\"type\":\"" + row.type + "\",\"param\":" + row.param +
                                ",\"code\":\"" + row.own_code + "\"}}");
      EXPECT_EQ(asked.header("Retry-After"), row.status == 503 ? "1" : "");
      EXPECT_EQ(models.calls.size(), 1u);  // the others are not even asked
    }
  }
}

TEST_F(OpenAiChat, ErrorsInAStreamEndItWithoutDone) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer = answer_of({content_piece("x")});
    answer.error = Error(ErrorCode::kUnavailable, "the worker was lost");
    return answer;
  };
  const Asked asked = chat(R"("stream":true)");
  EXPECT_EQ(asked.status, 200);
  const std::vector<std::string> events = events_of(asked.body);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[2], R"({"error":{"message":"the worker was lost","type":"server_error",)"
                       R"("param":null,"code":"unavailable"}})");
  EXPECT_EQ(chat().status, 503);  // without a stream nothing was sent before
}

TEST_F(OpenAiOpenChat, OneErrorEndsAllChoices) {
  const auto request = begin("/v1/chat/completions", chat_body(R"("n":2,"stream":true)"));
  models.open[0]->sink.on_piece(content_piece("x"));
  const Error error(ErrorCode::kInternal, "a bug");
  models.open[1]->sink.on_end(&error, {});
  EXPECT_TRUE(models.open[0]->cancelled);
  models.open[0]->sink.on_piece(content_piece("late"));
  models.end_all(some_result());
  const std::vector<std::string> events = events_of(request->wait().body);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_TRUE(events[2].starts_with("{\"error\":"));
}

TEST_F(OpenAiOpenChat, CancelledByTheServerIsAnError) {
  AnswerResult cancelled;
  cancelled.finish_reason = FinishReason::kCancelled;
  auto request = begin("/v1/chat/completions", chat_body());
  models.open[0]->sink.on_end(nullptr, cancelled);
  EXPECT_EQ(request->wait().status, 503);
  request = begin("/v1/chat/completions", chat_body(R"("stream":true)"));
  models.open[1]->sink.on_piece(content_piece("x"));
  models.open[1]->sink.on_end(nullptr, cancelled);
  EXPECT_TRUE(events_of(request->wait().body).back().starts_with("{\"error\":"));
}

TEST_F(OpenAiOpenChat, ClientsThatLeaveCancel) {
  for (const char* fields : {R"("n":2)", R"("n":2,"stream":true)"}) {
    models.open.clear();
    const auto request = begin("/v1/chat/completions", chat_body(fields));
    ASSERT_EQ(models.open.size(), 2u);
    models.open[0]->sink.on_piece(content_piece("x"));
    request->leave();
    EXPECT_TRUE(models.open[0]->cancelled);
    EXPECT_TRUE(models.open[1]->cancelled);
    models.open[0]->sink.on_piece(content_piece("late"));
    AnswerResult cancelled;
    cancelled.finish_reason = FinishReason::kCancelled;
    models.end_all(cancelled);
  }
}

}  // namespace
}  // namespace omg
