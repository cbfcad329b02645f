// SPDX-License-Identifier: Apache-2.0
//
// Plain completions, models, and what is no route.
#include <limits>

#include "daemon/openai/test_support.h"

namespace omg {
namespace {

using testing::Asked;
using testing::content_piece;
using testing::events_of;
using testing::object_of;
using testing::ScriptedAnswer;
using testing::some_result;
using testing::text_of;

class OpenAiCompletions : public testing::OpenAiRoutes<testing::FakeModelService> {
 protected:
  OpenAiCompletions() {
    // Each call is answered with its number.
    models.script = [this](const ModelCall&) {
      ScriptedAnswer answer;
      answer.pieces = {content_piece(std::to_string(models.calls.size()))};
      answer.result = some_result();
      answer.result.cached_tokens = 1;
      return answer;
    };
  }
  Asked complete(const std::string& fields) {
    return post("/v1/completions", "{\"model\":\"m\"," + fields + "}");
  }
  std::vector<std::string> texts(const Asked& asked) {
    std::vector<std::string> result;
    const json::object body = object_of(asked.body);
    for (const json::value& choice : body.at("choices").as_array()) {
      EXPECT_EQ(choice.at("index"), result.size());
      result.push_back(text_of(choice.at("text")));
    }
    return result;
  }
};
using OpenAiOpenCompletions = testing::OpenAiRoutes<testing::OpenModelService>;

const std::string kHead =
    std::string(R"({"id":"cmpl-000000001000000020000000","object":"text_completion",)") +
    R"("created":1755770400,"model":"m","system_fingerprint":"fp_ohmygpu_)" + OMG_VERSION + "\"";

TEST_F(OpenAiCompletions, AnswersWhole) {
  const Asked asked = complete(R"("prompt":"Once")");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.body,
            kHead + R"(,"choices":[{"text":"0","index":0,"logprobs":null,"finish_reason":"stop"}],)"
                    R"("usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9,)"
                    R"("prompt_tokens_details":{"cached_tokens":1},)"
                    R"("completion_tokens_details":{"reasoning_tokens":0}}})");
  const ModelCall& call = models.calls[0];
  EXPECT_EQ(std::get<TextPrompt>(call.prompt).text, "Once");
  EXPECT_FALSE(std::get<TextPrompt>(call.prompt).suffix);
  EXPECT_EQ(json::serialize(parameters_to_json(call.parameters)), R"({"max_tokens":16})");
}

TEST_F(OpenAiCompletions, Streams) {
  const std::vector<std::string> events = events_of(
      complete(R"("prompt":"Once","stream":true,"stream_options":{"include_usage":true})").body);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0],
            kHead + R"(,"choices":[{"text":"0","index":0,"logprobs":null,"finish_reason":null}],)"
                    R"("usage":null})");
  EXPECT_EQ(events[1],
            kHead + R"(,"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],)"
                    R"("usage":null})");
  EXPECT_TRUE(events[2].starts_with(kHead + R"(,"choices":[],"usage":{"prompt_tokens":5,)"));
  EXPECT_EQ(events[3], "[DONE]");
}

TEST_F(OpenAiCompletions, TakesAllFormsOfPrompts) {
  EXPECT_EQ(texts(complete(R"("prompt":["a","b"],"n":2)")),
            (std::vector<std::string>{"0", "1", "2", "3"}));
  EXPECT_EQ(std::get<TextPrompt>(models.calls[1].prompt).text, "a");
  EXPECT_EQ(std::get<TextPrompt>(models.calls[2].prompt).text, "b");
  models.calls.clear();
  EXPECT_EQ(complete(R"("prompt":[1,2,3])").status, 200);
  EXPECT_EQ(std::get<TokenPrompt>(models.calls[0].prompt).tokens, (std::vector<int32_t>{1, 2, 3}));
  models.calls.clear();
  const Asked mixed = complete(R"("prompt":[[1,2],"x",[3]],"n":2,"best_of":2)");
  EXPECT_EQ(texts(mixed).size(), 6u);
  EXPECT_EQ(std::get<TokenPrompt>(models.calls[5].prompt).tokens, std::vector<int32_t>{3});
  // Each prompt counts once.
  EXPECT_EQ(json::serialize(object_of(mixed.body).at("usage")),
            R"({"prompt_tokens":15,"completion_tokens":24,"total_tokens":39,)"
            R"("prompt_tokens_details":{"cached_tokens":3},)"
            R"("completion_tokens_details":{"reasoning_tokens":0}})");
}

TEST_F(OpenAiCompletions, HandsEverythingOn) {
  ASSERT_EQ(complete(R"("prompt":"a","suffix":"z","max_tokens":0,"logprobs":2,"seed":1,)"
                     R"("temperature":2,"stop":"x","response_format":{"type":"json_object"})")
                .status,
            200);
  const ModelCall& call = models.calls[0];
  EXPECT_EQ(std::get<TextPrompt>(call.prompt).suffix, "z");
  EXPECT_EQ(call.top_logprobs, 2);
  EXPECT_EQ(call.format.kind, AnswerFormat::Kind::kJsonObject);
  EXPECT_EQ(json::serialize(parameters_to_json(call.parameters)),
            R"({"max_tokens":0,"temperature":2E0,"seed":1,"stop":["x"]})");
  models.calls.clear();
  ASSERT_EQ(complete(R"("prompt":"a","suffix":"","grammar":"root ::= \"a\"")").status, 200);
  EXPECT_FALSE(std::get<TextPrompt>(models.calls[0].prompt).suffix);
  EXPECT_EQ(models.calls[0].format.kind, AnswerFormat::Kind::kGbnf);
}

TEST_F(OpenAiCompletions, EchoesPrompts) {
  EXPECT_EQ(texts(complete(R"("prompt":["a=",[98,61]],"n":2,"echo":true)")),
            (std::vector<std::string>{"a=0", "a=1", "b=2", "b=3"}));
  const std::vector<std::string> events =
      events_of(complete(R"("prompt":"é","echo":true,"stream":true)").body);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_NE(events[0].find(R"("text":"é4")"), std::string::npos);
  const Asked outside = complete(R"("prompt":[999],"echo":true)");
  EXPECT_EQ(outside.status, 400);
  models.known = {"other"};
  EXPECT_EQ(complete(R"("prompt":"a","echo":true)").status, 404);
}

TEST_F(OpenAiCompletions, TellsLogprobs) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    const float none = -std::numeric_limits<float>::infinity();
    AnswerPiece first = content_piece("é");
    first.tokens = {{1, "\xc3", -0.5f, {{1, "\xc3", -0.5f}, {2, "b", none}}},
                    {2, "\xa9", -0.25f, {{2, "\xa9", -0.25f}}}};
    AnswerPiece second = content_piece("x");
    second.tokens = {{3, "x", -1.0f, {}}};
    answer.pieces = {first, second};
    answer.result = some_result();
    return answer;
  };
  EXPECT_NE(
      complete(R"("prompt":"a","logprobs":2)")
          .body.find(R"("logprobs":{"tokens":["bytes:\\xc3","bytes:\\xa9","x"],"token_logprobs":)"
                     R"([-0.5,-0.25,-1],"top_logprobs":[{"bytes:\\xc3":-0.5,"b":-9999},)"
                     R"({"bytes:\\xa9":-0.25},{}],"text_offset":[0,1,1]})"),
      std::string::npos);
  const std::vector<std::string> events =
      events_of(complete(R"("prompt":"a","logprobs":0,"stream":true)").body);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_NE(events[1].find(R"({"tokens":["x"],"token_logprobs":[-1],"top_logprobs":null,)"
                           R"("text_offset":[1]})"),
            std::string::npos)
      << events[1];
}

TEST_F(OpenAiCompletions, PromptsThatAreTooLongAreNamed) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.error = Error(ErrorCode::kContextLengthExceeded, "too long");
    return answer;
  };
  const Asked asked = complete(R"("prompt":"a")");
  EXPECT_EQ(asked.status, 400);
  EXPECT_EQ(text_of(object_of(asked.body).at("error").at("param")), "prompt");
}

TEST_F(OpenAiOpenCompletions, ClientsThatLeaveCancel) {
  const auto request = begin("/v1/completions", R"({"model":"m","prompt":["a","b"]})");
  ASSERT_EQ(models.open.size(), 2u);
  models.open[0]->sink.on_end(nullptr, some_result());
  request->leave();
  EXPECT_TRUE(models.open[1]->cancelled);
  AnswerResult cancelled;
  cancelled.finish_reason = FinishReason::kCancelled;
  models.open[1]->sink.on_end(nullptr, cancelled);
}

TEST_F(OpenAiCompletions, ListsModels) {
  EXPECT_EQ(get("/v1/models").body, R"({"object":"list","data":[]})");
  catalog.add("guide").model.origin.provider = ModelProvider::kBuiltIn;
  const std::string guide =
      R"({"id":"guide","object":"model","created":1755770400,"owned_by":"ohmygpu"})";
  EXPECT_EQ(get("/v1/models").body, R"({"object":"list","data":[)" + guide + "]}");
  catalog.add("llama3.2:latest").model.origin = {ModelProvider::kRegistry, "", "library/llama3.2",
                                                 "", ""};
  catalog.add("org/repo:Q4_K_M").model.origin = {ModelProvider::kHuggingFace, "", "org/repo", "",
                                                 ""};
  catalog.models.back().model.installed_at = 1;
  catalog.add("mine").model.installed_at = 0;
  EXPECT_EQ(
      get("/v1/models").body,
      R"({"object":"list","data":[)"
      R"({"id":"llama3.2:latest","object":"model","created":1755770400,"owned_by":"library"},)"
      R"({"id":"org/repo:Q4_K_M","object":"model","created":1,"owned_by":"org"},)"
      R"({"id":"mine","object":"model","created":0,"owned_by":"user"}]})");
  EXPECT_EQ(get("/v1/models/org/repo:Q4_K_M").body,
            R"({"id":"org/repo:Q4_K_M","object":"model","created":1,"owned_by":"org"})");
  EXPECT_EQ(get("/v1/models/org%2Frepo:Q4_K_M").status, 200);
  EXPECT_EQ(get("/v1/models/guide").body, guide);
  EXPECT_EQ(get("/v1/models/llama3.2").status, 200);
  const Asked missing = get("/v1/models/none");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, R"({"error":{"message":"model 'none' is not here","type":)"
                          R"("not_found_error","param":"model","code":"model_not_found"}})");
}

TEST_F(OpenAiCompletions, RefusesEmbeddings) {
  const Asked asked = post("/v1/embeddings", R"({"model":"m","input":"x"})");
  EXPECT_EQ(asked.status, 501);
  EXPECT_EQ(asked.header("x-should-retry"), "false");
  const json::object body = object_of(asked.body);
  const json::value& error = body.at("error");
  EXPECT_EQ(text_of(error.at("type")), "server_error");
  EXPECT_EQ(text_of(error.at("code")), "not_implemented");
}

TEST(OpenAiProblem, HasTheShapeOfErrors) {
  const auto body = [](int status, const char* code) {
    const HttpAnswer answer = openai_problem({status, code, "why\xff", nullptr});
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.content_type, "application/json");
    return answer.body;
  };
  EXPECT_EQ(body(404, "not_found"), R"({"error":{"message":"why�","type":"not_found_error",)"
                                    R"("param":null,"code":"unknown_url"}})");
  for (const auto& [status, code] : std::map<int, std::string>{{400, "x"},
                                                               {401, "invalid_api_key"},
                                                               {405, "method_not_allowed"},
                                                               {413, "x"},
                                                               {429, "rate_limit_exceeded"},
                                                               {500, "x"}}) {
    EXPECT_EQ(text_of(object_of(body(status, "x")).at("error").at("code")), code);
  }
}

}  // namespace
}  // namespace omg
