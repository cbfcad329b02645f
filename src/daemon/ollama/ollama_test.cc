// SPDX-License-Identifier: Apache-2.0
//
// The routes against what Ollama sends, byte by byte where its clients could tell.
#include "daemon/ollama/ollama.h"

#include <gtest/gtest.h>

#include "daemon/ollama/testing_daemon.h"

namespace omg {
namespace {

using testing::Asked;
using testing::call_piece;
using testing::content_piece;
using testing::lines_of;
using testing::LocalRequest;
using testing::OllamaDaemon;
using testing::reasoning_piece;
using testing::ScriptedAnswer;
using testing::some_result;
using testing::with_durations;

constexpr const char* kLines = "application/x-ndjson";
constexpr const char* kJson = "application/json; charset=utf-8";

ScriptedAnswer says(std::vector<AnswerPiece> pieces) {
  ScriptedAnswer answer;
  answer.pieces = std::move(pieces);
  answer.result = some_result();
  return answer;
}

/// A piece of plain text, as of a prompt that is no chat.
AnswerPiece text_piece(std::string text) {
  AnswerPiece piece;
  piece.text = std::move(text);
  piece.token_count = 1;
  return piece;
}

json::object object_of(const std::string& text) {
  return parse_json(text, "the answer").as_object();
}

// Generating.

TEST(OllamaGenerate, StreamsLines) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    ScriptedAnswer answer = says({content_piece("Hi"), content_piece(" <b>&\xe2\x80\xa8")});
    answer.result.tokens = {1, 2};
    return answer;
  };
  const Asked asked = daemon.post("/api/generate", R"({"model":"m","prompt":"hello"})");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.header("Content-Type"), kLines);
  EXPECT_TRUE(asked.whole);
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","response":"Hi","done":false})");
  EXPECT_EQ(lines[1], R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z",)"
                      R"("response":" \u003cb\u003e\u0026\u2028","done":false})");
  EXPECT_EQ(
      with_durations(lines[2]),
      R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","response":"","done":true,)"
      R"("done_reason":"stop","context":[1,2],"total_duration":9,"load_duration":3,)"
      R"("prompt_eval_count":5,"prompt_eval_duration":20,"eval_count":4,"eval_duration":30})");
}

TEST(OllamaGenerate, CollapsesWithoutStream) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    return says(
        {reasoning_piece("h"), reasoning_piece("m"), content_piece("Hi"), content_piece(" there")});
  };
  const Asked asked =
      daemon.post("/api/generate", R"({"model":"m","prompt":"hello","stream":false})");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.header("Content-Type"), kJson);
  EXPECT_EQ(with_durations(asked.body),
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","response":"Hi there",)"
            R"("thinking":"hm","done":true,"done_reason":"stop","total_duration":9,)"
            R"("load_duration":3,"prompt_eval_count":5,"prompt_eval_duration":20,"eval_count":4,)"
            R"("eval_duration":30})");
}

TEST(OllamaGenerate, AsksForAChatOfOneTurn) {
  OllamaDaemon daemon;
  daemon.post("/api/generate",
              R"({"model":"m","prompt":"p","system":"s","context":[7,8],"keep_alive":"1h30m"})");
  const ModelCall& call = daemon.call();
  EXPECT_EQ(call.model, "m:latest");
  EXPECT_EQ(json::serialize(daemon.chat().messages), R"([{"role":"user","content":"p"}])");
  EXPECT_EQ(daemon.chat().thinking, "true") << "what can think does, if nothing was said";
  EXPECT_TRUE(daemon.chat().parse_output);
  EXPECT_EQ(call.system, "s");
  EXPECT_EQ(call.context, (std::vector<int32_t>{7, 8}));
  EXPECT_TRUE(call.return_tokens);
  EXPECT_TRUE(call.cut_prompt);
  EXPECT_TRUE(call.shift_context);
  EXPECT_EQ(call.keep_alive, KeepAlive(5'400'000));
  EXPECT_EQ(call.top_logprobs, -1);
}

TEST(OllamaGenerate, SendsRawPromptsAsTheyAre) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) { return says({text_piece("<x>")}); };
  const Asked asked =
      daemon.post("/api/generate",
                  R"({"model":"m","prompt":"[INST]","raw":true,"truncate":false,"shift":false})");
  EXPECT_EQ(std::get<TextPrompt>(daemon.call().prompt).text, "[INST]");
  EXPECT_FALSE(daemon.call().return_tokens);
  EXPECT_FALSE(daemon.call().cut_prompt);
  EXPECT_FALSE(daemon.call().shift_context);
  EXPECT_EQ(asked.body.find("\"context\""), std::string::npos);
  EXPECT_NE(asked.body.find(R"("response":"\u003cx\u003e")"), std::string::npos);
}

TEST(OllamaGenerate, FillsIn) {
  OllamaDaemon daemon;
  daemon.post("/api/generate", R"({"model":"m","prompt":"a","suffix":"b","system":"s"})");
  EXPECT_EQ(std::get<TextPrompt>(daemon.call().prompt).suffix, "b");
}

TEST(OllamaGenerate, ModelsWithoutTemplateGetThePlainText) {
  OllamaDaemon daemon;
  auto& base = daemon.catalog.add("base");
  base.chat_template = "";
  base.capabilities = base.model.capabilities = {"completion"};
  const Asked asked = daemon.post("/api/generate", R"({"model":"base","prompt":"a","system":"s"})");
  EXPECT_EQ(std::get<TextPrompt>(daemon.call().prompt).text, "a");
  EXPECT_NE(asked.body.find(R"("warnings":["system had no effect)"), std::string::npos);
}

TEST(OllamaGenerate, LoadsAndUnloadsByEmptyPrompt) {
  OllamaDaemon daemon;
  Asked asked = daemon.post("/api/generate", R"({"model":"m","keep_alive":-1})");
  EXPECT_EQ(asked.header("Content-Type"), kJson);
  EXPECT_EQ(asked.body,
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","response":"","done":true,)"
            R"("done_reason":"load"})");
  ASSERT_EQ(daemon.service.loads.size(), 1u);
  EXPECT_EQ(daemon.service.loads[0].model, "m:latest");
  EXPECT_EQ(daemon.service.loads[0].keep_alive, KeepAlive(-1));
  asked = daemon.post("/api/generate", R"({"model":"m","prompt":"","keep_alive":0})");
  EXPECT_EQ(asked.body,
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","response":"","done":true,)"
            R"("done_reason":"unload"})");
  EXPECT_EQ(daemon.service.unloads, std::vector<std::string>{"m:latest"});
  EXPECT_TRUE(daemon.service.calls.empty());
}

TEST(OllamaGenerate, SaysWhyALoadFailed) {
  OllamaDaemon daemon;
  daemon.service.load_error = Error(ErrorCode::kOutOfMemory, "it takes 9 GiB and 2 are free");
  const Asked asked = daemon.post("/api/generate", R"({"model":"m"})");
  EXPECT_EQ(asked.status, 500);
  EXPECT_EQ(asked.body, R"({"error":"it takes 9 GiB and 2 are free"})");
}

TEST(OllamaGenerate, ReadsNamesWhateverTheirCase) {
  OllamaDaemon daemon;
  daemon.post(
      "/api/generate",
      R"({"MODEL":"m","Prompt":"p","OPTIONS":{"top_k":3},"unknown":{"a":[1]},"think":null})");
  EXPECT_EQ(daemon.call().parameters.top_k, 3);
}

TEST(OllamaGenerate, RendersOnly) {
  OllamaDaemon daemon;
  Asked asked = daemon.post("/api/generate",
                            R"({"model":"m","prompt":"p","system":"s","_debug_render_only":true})");
  EXPECT_EQ(asked.body,
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","response":"","done":false,)"
            R"("_debug_info":{"rendered_template":"system: s\nuser: p\n"}})");
  asked = daemon.post("/api/generate",
                      R"({"model":"m","prompt":"p","raw":true,"_debug_render_only":true})");
  EXPECT_EQ(object_of(asked.body)["_debug_info"].at("rendered_template"), "p");
  EXPECT_TRUE(daemon.service.calls.empty());
}

// Chatting.

TEST(OllamaChat, StreamsLines) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    return says({reasoning_piece("hm"), content_piece("Hi")});
  };
  const Asked asked =
      daemon.post("/api/chat", R"({"model":"m","messages":[{"role":"USER","content":"hello"}]})");
  EXPECT_EQ(asked.header("Content-Type"), kLines);
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","message":{"role":"assistant",)"
            R"("content":"","thinking":"hm"},"done":false})");
  EXPECT_EQ(lines[1],
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","message":{"role":"assistant",)"
            R"("content":"Hi"},"done":false})");
  EXPECT_EQ(with_durations(lines[2]),
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","message":{"role":"assistant",)"
            R"("content":""},"done":true,"done_reason":"stop","total_duration":9,)"
            R"("load_duration":3,"prompt_eval_count":5,"prompt_eval_duration":20,"eval_count":4,)"
            R"("eval_duration":30})");
  EXPECT_EQ(json::serialize(daemon.chat().messages), R"([{"role":"user","content":"hello"}])");
  EXPECT_FALSE(daemon.call().return_tokens);
}

TEST(OllamaChat, GivesWholeToolCallsAtTheEnd) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    AnswerPiece abandoned = call_piece(1, "none", "{");
    abandoned.events.back().kind = OutputEvent::Kind::kCallAbandoned;
    return says({call_piece(0, "f", R"({"b":2,"a":1.5})", "call_ab12cd34"), std::move(abandoned),
                 content_piece("x"), call_piece(2, "g", "")});
  };
  const Asked asked = daemon.post("/api/chat", R"({"model":"m","messages":[{"role":"user",
    "content":"x"}],"tools":[{"type":"function","function":{"name":"f","description":"d",
    "parameters":{"type":"object","properties":{"b":{"type":["string","null"]}}}}}]})");
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 2u);
  json::object last = object_of(lines[1]);
  EXPECT_EQ(last["done_reason"], "stop");
  json::array& calls = last["message"].at("tool_calls").as_array();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(lines[1].substr(lines[1].find("\"tool_calls\"")).substr(0, 100),
            R"("tool_calls":[{"id":"call_ab12cd34","function":{"index":0,"name":"f",)"
            R"("arguments":{"b":2,"a":1.5}}},{)");
  EXPECT_EQ(json::serialize(calls[1].at("function")), R"({"index":1,"name":"g","arguments":{}})");
  const std::string id(calls[1].at("id").as_string());
  EXPECT_EQ(id.size(), 13u);
  EXPECT_TRUE(id.starts_with("call_"));
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos);
  EXPECT_EQ(json::serialize(daemon.chat().tools),
            R"([{"type":"function","function":{"name":"f","description":"d","parameters":)"
            R"({"type":"object","properties":{"b":{"type":["string","null"]}}}}}])");
}

TEST(OllamaChat, SaysThatArgumentsAreNoObject) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) { return says({call_piece(0, "f", R"({"a":)")}); };
  const Asked asked = daemon.post(
      "/api/chat", R"({"model":"m","stream":false,"messages":[{"role":"user","content":"x"}]})");
  json::object body = object_of(asked.body);
  EXPECT_EQ(body["warnings"].at(0),
            R"(the arguments of the call of "f" are no JSON object: "{\"a\":")");
}

TEST(OllamaChat, TakesHistoryWithToolCalls) {
  OllamaDaemon daemon;
  daemon.post("/api/chat", R"({"model":"m","messages":[
    {"role":"user","content":"x"},
    {"role":"assistant","thinking":"hm","tool_calls":[
       {"function":{"name":"f","arguments":{"a":1}}},
       {"id":"my","function":{"index":1,"name":"g","arguments":{}}}]},
    {"role":"tool","tool_name":"g","content":"2"},
    {"role":"tool","content":"1"},
    {"role":"tool","content":"3"}]})");
  const json::array& messages = daemon.chat().messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(json::serialize(messages[1]),
            R"({"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[)"
            R"({"type":"function","function":{"name":"f","arguments":{"a":1}},"id":"call_0"},)"
            R"({"type":"function","function":{"name":"g","arguments":{}},"id":"my"}]})");
  EXPECT_EQ(json::serialize(messages[2]),
            R"({"role":"tool","content":"2","name":"g","tool_call_id":"my"})");
  EXPECT_EQ(json::serialize(messages[3]),
            R"({"role":"tool","content":"1","tool_call_id":"call_0"})");
  EXPECT_EQ(json::serialize(messages[4]), R"({"role":"tool","content":"3"})");
}

TEST(OllamaChat, LoadsAndUnloadsByEmptyMessages) {
  OllamaDaemon daemon;
  Asked asked = daemon.post("/api/chat", R"({"model":"m","messages":[]})");
  EXPECT_EQ(asked.body,
            R"({"model":"m","created_at":"2026-08-21T10:00:00.1Z","message":{"role":"assistant",)"
            R"("content":""},"done":true,"done_reason":"load"})");
  EXPECT_EQ(daemon.service.loads.at(0).keep_alive, std::nullopt);
  asked = daemon.post("/api/chat", R"({"model":"m","keep_alive":"0s"})");
  EXPECT_EQ(object_of(asked.body)["done_reason"], "unload");
}

TEST(OllamaChat, Thinks) {
  OllamaDaemon daemon;
  const auto thinking = [&](const std::string& think) {
    daemon.post("/api/chat",
                R"({"model":"m","messages":[{"role":"user","content":"x"}])" + think + "}");
    return daemon.chat().thinking;
  };
  EXPECT_EQ(thinking(""), "true");
  EXPECT_EQ(thinking(R"(,"think":true)"), "true");
  EXPECT_EQ(thinking(R"(,"think":false)"), "false");
  EXPECT_EQ(thinking(R"(,"think":"low")"), "low");
  EXPECT_EQ(thinking(R"(,"think":"max")"), "high");
  ModelInspection& model = daemon.catalog.models[0];
  FileReference reference;
  reference.owner = FileOwner::kOllama;
  model.model.artifacts[0].reference = reference;
  EXPECT_EQ(thinking(""), "") << "what Ollama says of its models need not hold here";
  EXPECT_EQ(thinking(R"(,"think":false)"), "false");
  model.model.artifacts[0].reference.reset();
  model.capabilities = model.model.capabilities = {"completion"};
  EXPECT_EQ(thinking(R"(,"think":false)"), "");
  EXPECT_EQ(thinking(""), "");
}

TEST(OllamaChat, ModelsThatAlwaysThinkSayThatTheyDo) {
  OllamaDaemon daemon;
  ModelInspection& model = daemon.catalog.models[0];
  model.capabilities = model.model.capabilities = {"completion"};
  model.chat_template = "{{ content.split('</think>')[-1] }}";
  const auto warnings = [&](const std::string& think) {
    const Asked asked = daemon.post(
        "/api/chat", R"({"model":"m","stream":false,"messages":[{"role":"user","content":"x"}],)"
                     R"("think":)" +
                         think + "}");
    EXPECT_EQ(daemon.chat().thinking, "");
    return object_of(asked.body).contains("warnings");
  };
  EXPECT_FALSE(warnings("true"));
  EXPECT_TRUE(warnings("false"));
  EXPECT_TRUE(warnings("\"low\""));
}

TEST(OllamaChat, KnowsAbilitiesFromTheRunWhereThereIsOne) {
  OllamaDaemon daemon;
  daemon.catalog.models[0].model.capabilities = {"completion"};
  RunInfo run;
  run.model = daemon.catalog.models[0].model;
  run.facts.emplace();
  run.facts->has_template = true;
  daemon.service.run_list = {run};
  const Asked asked = daemon.post(
      "/api/chat", R"({"model":"m","think":true,"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(asked.status, 400);
  EXPECT_EQ(asked.body, R"({"error":"\"m\" does not support thinking"})");
}

TEST(OllamaChat, GivesLogprobs) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    AnswerPiece piece = content_piece("\xc3\xa9");
    piece.tokens = {{5, "\xc3", -0.5f, {{6, "b", -1.25f}}}, {7, "\xa9", -1e-7f, {}}};
    AnswerPiece hidden;
    hidden.tokens = {{8, "<", -2.0f, {}}};
    return says({std::move(piece), std::move(hidden)});
  };
  const std::string request =
      R"({"model":"m","messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":1)";
  const Asked asked = daemon.post("/api/chat", request + "}");
  EXPECT_EQ(daemon.call().top_logprobs, 1);
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 3u);
  const std::string first = R"({"token":"\ufffd","logprob":-0.5,"bytes":[195],"top_logprobs":[)"
                            R"({"token":"b","logprob":-1.25,"bytes":[98]}]},)"
                            R"({"token":"\ufffd","logprob":-1e-7,"bytes":[169]})";
  const std::string second = R"({"token":"\u003c","logprob":-2,"bytes":[60]})";
  EXPECT_EQ(lines[0].substr(lines[0].find("\"done\"")),
            R"("done":false,"logprobs":[)" + first + "]}");
  EXPECT_EQ(lines[1].substr(lines[1].find("\"done\"")),
            R"("done":false,"logprobs":[)" + second + "]}");
  const Asked whole = daemon.post("/api/chat", request + R"(,"stream":false})");
  EXPECT_NE(whole.body.find("\"logprobs\":[" + first + "," + second + "]"), std::string::npos);
}

TEST(OllamaChat, PassesFormatsOn) {
  OllamaDaemon daemon;
  const auto format = [&](const std::string& text) {
    daemon.post(
        "/api/chat",
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"format":)" + text + "}");
    return daemon.call().format;
  };
  EXPECT_EQ(format("null").kind, AnswerFormat::Kind::kFree);
  EXPECT_EQ(format(R"("")").kind, AnswerFormat::Kind::kFree);
  EXPECT_EQ(format(R"("json")").kind, AnswerFormat::Kind::kJsonObject);
  const AnswerFormat schema = format(R"({"type":"object"})");
  EXPECT_EQ(schema.kind, AnswerFormat::Kind::kJsonSchema);
  EXPECT_EQ(json::serialize(schema.schema), R"({"type":"object"})");
}

TEST(OllamaChat, SaysWhatHadNoEffectOrWasCut) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    ScriptedAnswer answer = says({});
    answer.result.cut_messages = 3;
    answer.result.cut_tokens = 20;
    answer.result.context_shifts = 2;
    answer.result.finish_reason = FinishReason::kLength;
    answer.result.warnings = {"the system message went into the first turn"};
    return answer;
  };
  const Asked asked = daemon.post("/api/chat", R"({"model":"m","messages":[{"role":"user",
    "content":"x"}],"options":{"mirostat":1,"num_gpu":3},"top_logprobs":2,
    "num_predict":5,"x":null})");
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 1u);
  json::object last = object_of(lines[0]);
  EXPECT_EQ(last["done_reason"], "length");
  const json::array& warnings = last["warnings"].as_array();
  ASSERT_EQ(warnings.size(), 8u);
  EXPECT_EQ(warnings[0], "top_logprobs had no effect: logprobs was not set");
  EXPECT_EQ(warnings[1], "option \"mirostat\" is not known here and had no effect");
  EXPECT_EQ(warnings[3],
            "\"num_predict\" is not known here and had no effect: it is one of the options");
  EXPECT_EQ(warnings[4],
            "the prompt did not fit the context: its 3 oldest messages were left out (truncate)");
  EXPECT_EQ(warnings[7], "the system message went into the first turn");
}

// What goes wrong on the way.

TEST(OllamaErrors, BeforeTheFirstByteHaveTheirStatus) {
  struct Row {
    ErrorCode code;
    int status;
    const char* text;
  };
  const Row rows[] = {
      {ErrorCode::kInvalidArgument, 400, "why"},
      {ErrorCode::kUnsupported, 400, "why"},
      {ErrorCode::kNotFound, 404, "model 'm' not found: why"},
      {ErrorCode::kContextLengthExceeded, 400, "the prompt is longer than the context length"},
      {ErrorCode::kLimitExceeded, 400, "why"},
      {ErrorCode::kOutOfMemory, 500, "why"},
      {ErrorCode::kCorrupt, 500, "why"},
      {ErrorCode::kIo, 500, "why"},
      {ErrorCode::kUnavailable, 503, "server busy, please try again.  why"},
      {ErrorCode::kCancelled, 499, "request canceled"},
      {ErrorCode::kInternal, 500, "why"},
  };
  for (const Row& row : rows) {
    OllamaDaemon daemon;
    daemon.service.script = [&](const ModelCall&) {
      ScriptedAnswer answer;
      answer.error = Error(row.code, "why");
      return answer;
    };
    for (const char* stream : {"true", "false"}) {
      const Asked asked = daemon.post(
          "/api/generate", R"({"model":"m","prompt":"x","stream":)" + std::string(stream) + "}");
      EXPECT_EQ(asked.status, row.status) << error_name(row.code);
      EXPECT_EQ(asked.header("Content-Type"), kJson);
      const std::string text(object_of(asked.body)["error"].as_string());
      EXPECT_TRUE(text.starts_with(row.text)) << text;
      EXPECT_TRUE(text.find("why") != std::string::npos || row.code == ErrorCode::kCancelled);
    }
  }
}

TEST(OllamaErrors, InTheStreamAreItsLastLine) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    ScriptedAnswer answer = says({content_piece("Hi")});
    answer.error = Error(ErrorCode::kUnavailable, "the worker is gone");
    return answer;
  };
  const Asked asked = daemon.post("/api/generate", R"({"model":"m","prompt":"x"})");
  EXPECT_EQ(asked.status, 200);
  EXPECT_TRUE(asked.whole);
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(
      lines[1].starts_with(R"({"error":"an error was encountered while running the model: )"));
  EXPECT_NE(lines[1].find("the worker is gone"), std::string::npos);
}

TEST(OllamaErrors, AnAnswerThatWasEndedFromElsewhereIsCanceled) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    ScriptedAnswer answer = says({});
    answer.result.finish_reason = FinishReason::kCancelled;
    return answer;
  };
  const Asked asked = daemon.post("/api/generate", R"({"model":"m","prompt":"x"})");
  EXPECT_EQ(asked.status, 499);
  EXPECT_EQ(asked.body, R"({"error":"request canceled"})");
}

TEST(OllamaErrors, TheClientThatLeavesCancels) {
  for (const bool has_begun : {false, true}) {
    OllamaDaemon daemon;
    daemon.service.script = [&](const ModelCall&) {
      ScriptedAnswer answer = says({});
      if (has_begun) answer.pieces.push_back(content_piece("Hi"));
      answer.hold = true;
      return answer;
    };
    LocalRequest request(daemon.router, {}, "POST", "/api/generate",
                         R"({"model":"m","prompt":"x"})");
    EXPECT_FALSE(daemon.service.is_cancelled());
    request.leave();
    EXPECT_TRUE(daemon.service.is_cancelled());
  }
}

TEST(OllamaErrors, TheSlowClientIsCutAndItsAnswerCancelled) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    ScriptedAnswer answer = says({});
    answer.hold = true;
    return answer;
  };
  AnswerFraming framing;
  framing.minor_version = 0;
  framing.stream_buffer_bytes = 4096;
  auto exchange =
      std::make_shared<ServerExchange>(std::move(framing), CancellationToken(), [] {}, nullptr);
  HttpServerRequest request;
  request.body = R"({"model":"m","prompt":"x"})";
  HttpResponder responder(exchange);
  daemon.router.find("POST", {"api", "generate"}).route->handler(request, responder);
  const std::string text(20'000, 'x');
  daemon.service.go_on({content_piece("first"), content_piece(text)}, false);
  EXPECT_FALSE(daemon.service.is_cancelled()) << "so much may wait";
  for (int i = 0; i < 300 && !daemon.service.is_cancelled(); ++i) {
    daemon.service.go_on({content_piece(text)}, false);
  }
  EXPECT_TRUE(daemon.service.is_cancelled());
  EXPECT_EQ(exchange->phase(), ServerExchange::Phase::kBroken);
}

TEST(OllamaErrors, PiecesThatComeLaterGoOnInOrder) {
  OllamaDaemon daemon;
  daemon.service.script = [](const ModelCall&) {
    ScriptedAnswer answer = says({content_piece("1")});
    answer.hold = true;
    return answer;
  };
  LocalRequest request(daemon.router, {}, "POST", "/api/generate", R"({"model":"m","prompt":"x"})");
  daemon.service.go_on({content_piece("2"), content_piece("3")});
  std::string text;
  for (const std::string& line : lines_of(request.wait().body)) {
    text += object_of(line)["response"].as_string().c_str();
  }
  EXPECT_EQ(text, "123");
}

// Options.

TEST(OllamaOptions, AreTaken) {
  OllamaDaemon daemon;
  daemon.post("/api/generate", R"({"model":"m","prompt":"x","options":{
    "num_ctx":2048,"num_predict":7.9,"num_keep":5,"seed":42,"temperature":0,"top_k":-1,"top_p":0.5,
    "min_p":0.1,"typical_p":0.9,"repeat_last_n":-1,"repeat_penalty":1.1,"presence_penalty":-1,
    "frequency_penalty":2,"stop":["a","b",""],"mirostat":null}})");
  const Parameters& parameters = daemon.call().parameters;
  EXPECT_EQ(json::serialize(parameters_to_json(parameters)),
            json::serialize(json::value{{"max_tokens", 7},
                                        {"temperature", 0.0},
                                        {"top_k", 0},
                                        {"top_p", 0.5},
                                        {"min_p", 0.1},
                                        {"typical_p", 0.9},
                                        {"repeat_penalty", 1.1},
                                        {"presence_penalty", -1.0},
                                        {"frequency_penalty", 2.0},
                                        {"repeat_last_n", -1},
                                        {"seed", 42},
                                        {"context_length", 2048},
                                        {"keep_tokens", 5},
                                        {"stop", {"a", "b"}}}));
}

TEST(OllamaOptions, NoLimitHasManyNames) {
  OllamaDaemon daemon;
  const auto limit = [&](const std::string& path, const std::string& value) {
    daemon.post(path, R"({"model":"m","prompt":"x","messages":[{"role":"user","content":"x"}],)"
                      R"("options":{"num_predict":)" +
                          value + "}}");
    return daemon.call().parameters.max_tokens;
  };
  EXPECT_EQ(limit("/api/generate", "-2"), -1);
  EXPECT_EQ(limit("/api/generate", "0"), -1) << "as Ollama has it";
  EXPECT_EQ(limit("/api/chat", "0"), 0);
  EXPECT_EQ(limit("/api/chat", "5"), 5);
}

TEST(OllamaOptions, KeepAliveIsReadAsGoReadsIt) {
  struct Row {
    const char* text;
    int64_t milliseconds;
  };
  const Row rows[] = {{"5", 5000},
                      {"0.5", 500},
                      {"-1", -1},
                      {"-0.2", -1},
                      {"1e300", 3153600000000},
                      {R"("5m")", 300000},
                      {R"("1h30m")", 5400000},
                      {R"("1.5h")", 5400000},
                      {R"("-1m")", -1},
                      {R"("-1ns")", -1},
                      {R"("1ns")", 1},
                      {R"("300ms")", 300},
                      {R"("24h")", 86400000},
                      {R"("+2s")", 2000}};
  for (const Row& row : rows) {
    OllamaDaemon daemon;
    const Asked asked = daemon.post("/api/generate", R"({"model":"m","prompt":"x","keep_alive":)" +
                                                         std::string(row.text) + "}");
    ASSERT_EQ(asked.status, 200) << row.text << asked.body;
    EXPECT_EQ(daemon.call().keep_alive, KeepAlive(row.milliseconds)) << row.text;
  }
}

}  // namespace
}  // namespace omg
