// SPDX-License-Identifier: Apache-2.0
//
// The management API over services that do as they are told, each route with what it refuses; the
// event bus; and events over real sockets.
#include "daemon/manage/manage.h"

#include <gtest/gtest.h>
#include <thread>

#include "base/testing/temporary_folder.h"
#include "daemon/requests/testing/fake_services.h"
#include "net/server/testing/ask.h"
#include "net/server/testing/raw_client.h"

namespace omg {
namespace {

using namespace std::chrono_literals;
using testing::Asked;
using testing::content_piece;
using testing::LocalRequest;
using testing::RawClient;
using testing::ScriptedAnswer;

RunInfo some_run() {
  RunInfo run;
  run.id = "run-1";
  run.model = StoredModel(StoreName("llama:1b"));
  run.state = RunState::kRunning;
  run.planned_bytes = 1000;
  run.facts.emplace();
  run.facts->family = "llama";
  run.facts->device = "CPU (avx2), 2 threads";
  run.keep_alive = 5min;
  run.expires_at = std::chrono::system_clock::time_point(1'700'000'300s);
  run.started_at = std::chrono::system_clock::time_point(1'700'000'000s);
  return run;
}

JobInfo some_job(JobState state) {
  JobInfo job;
  job.id = "job-1";
  job.kind = "pull";
  job.subject = "llama:1b";
  job.state = state;
  job.phase = "transferring";
  job.files = {{"model.gguf", "sha256:00", 100, 50}};
  job.completed = 50;
  job.total = 100;
  return job;
}

class ManageTest : public ::testing::Test {
 protected:
  ManageTest() {
    ManageParts parts{models, catalog, jobs, metrics, events, "", nullptr, nullptr, 200ms, nullptr};
    parts.shutdown = [this] { ++shutdowns; };
    parts.more_about_system = [] { return json::object{{"engine", {{"threads", 2}}}}; };
    parts.usable_memory = [] { return uint64_t{1'000'000}; };
    add_manage_routes(router, parts);
    options.problem_answer = manage_problem;
  }

  Asked ask(const std::string& method, const std::string& target, const std::string& body = "",
            std::vector<HttpHeaders::Field> headers = {}) {
    return LocalRequest(router, options, method, target, body, std::move(headers)).wait();
  }
  json::object ask_json(const std::string& method, const std::string& target,
                        const std::string& body = "", int status = 200) {
    const Asked asked = ask(method, target, body);
    EXPECT_EQ(asked.status, status) << method << " " << target << ": " << asked.body;
    EXPECT_EQ(asked.header("Content-Type"), "application/json");
    return parse_json(asked.body, "the answer").as_object();
  }

  testing::FakeModelService models;
  testing::FakeModelCatalog catalog;
  testing::FakeJobService jobs;
  MetricsRegistry metrics;
  EventBus events{100};
  HttpRouter router;
  HttpServerOptions options;
  int shutdowns = 0;
};

TEST_F(ManageTest, TellsThatItIsUp) {
  for (const char* path : {"/health", "/v1/health"}) {
    const json::object health = ask_json("GET", path);
    EXPECT_EQ(health.at("status"), "ok");
    EXPECT_EQ(health.at("version"), OMG_VERSION);
    EXPECT_EQ(health.at("uptime_seconds"), 0);
  }
}

TEST_F(ManageTest, IsReadyWithoutModels) {
  const json::object ready = ask_json("GET", "/readyz");
  EXPECT_EQ(ready.at("ready"), true);
  EXPECT_EQ(ready.at("models"), 0);
  EXPECT_TRUE(models.calls.empty());
}

TEST_F(ManageTest, AsksEachLoadedModelForAToken) {
  models.run_list = {some_run()};
  const json::object ready = ask_json("GET", "/readyz");
  EXPECT_EQ(ready.at("ready"), true);
  EXPECT_EQ(ready.at("models"), 1);
  ASSERT_EQ(models.calls.size(), 1u);
  EXPECT_EQ(models.calls[0].model, "llama:1b");
  EXPECT_EQ(models.calls[0].parameters.max_tokens, 1);
  ask_json("GET", "/readyz");
  EXPECT_EQ(models.calls.size(), 1u) << "an idle model is not used by asking after it";
  models.run_list[0].activity.running = 1;
  ask_json("GET", "/readyz");
  EXPECT_EQ(models.calls.size(), 2u) << "busy, and no step was taken";
  models.run_list[0].activity.steps = 10;
  ask_json("GET", "/readyz");
  EXPECT_EQ(models.calls.size(), 2u) << "busy, and it goes on";
  models.run_list[0].state = RunState::kStarting;
  EXPECT_EQ(ask_json("GET", "/readyz").at("models"), 0);
}

TEST_F(ManageTest, IsNotReadyWhileAnEngineIsStuckOrBroken) {
  models.run_list = {some_run()};
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.hold = true;
    return answer;
  };
  const auto asked_at = std::chrono::steady_clock::now();
  json::object ready = ask_json("GET", "/readyz", "", 503);
  EXPECT_GE(std::chrono::steady_clock::now() - asked_at, 200ms);
  EXPECT_EQ(ready.at("ready"), false);
  EXPECT_EQ(ready.at("runs").at(0).at("problem"), "it decoded no token in time");
  EXPECT_TRUE(models.is_cancelled());
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.error = Error(ErrorCode::kInternal, "the worker is gone");
    return answer;
  };
  ready = ask_json("GET", "/readyz", "", 503);
  EXPECT_EQ(ready.at("runs").at(0).at("problem"), "the worker is gone");
  models.script = nullptr;
  EXPECT_EQ(ask_json("GET", "/readyz").at("ready"), true);
}

TEST_F(ManageTest, PullsAreJobs) {
  const json::object job = ask_json(
      "POST", "/v1/models/pull",
      R"({"model": "org/repo", "quantization": "Q4_K_M", "revision": "v2", "insecure": true,
          "allow_low_quality": true})",
      202);
  EXPECT_EQ(job.at("id"), "job-1");
  EXPECT_EQ(job.at("state"), "running");
  ASSERT_EQ(jobs.pulls.size(), 1u);
  EXPECT_EQ(jobs.pulls[0].model, "org/repo");
  EXPECT_EQ(jobs.pulls[0].quantization, "Q4_K_M");
  EXPECT_EQ(jobs.pulls[0].revision, "v2");
  EXPECT_TRUE(jobs.pulls[0].insecure);
  EXPECT_TRUE(jobs.pulls[0].allow_low_quality);
  ask_json("POST", "/v1/models/install", R"({"model": "other"})", 202);
  EXPECT_FALSE(jobs.pulls[1].insecure);
  jobs.start_error = Error(ErrorCode::kOutOfMemory, "the disk is full: no");
  const json::object full = ask_json("POST", "/v1/models/pull", R"({"model": "big"})", 507);
  EXPECT_EQ(full.at("error").at("code"), "out_of_memory");
  EXPECT_EQ(full.at("error").at("message"), "the disk is full: no");
}

TEST_F(ManageTest, PullsCanBeWatched) {
  jobs.updates = {some_job(JobState::kRunning), some_job(JobState::kDone)};
  const Asked asked = ask("POST", "/v1/models/pull", R"({"model": "llama:1b", "stream": true})");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.header("Content-Type"), "text/event-stream");
  EXPECT_TRUE(asked.whole);
  EXPECT_NE(asked.body.find("event: job\ndata: {\"id\":\"job-1\",\"kind\":\"pull\""),
            std::string::npos)
      << asked.body;
  EXPECT_NE(asked.body.find("\"state\":\"done\""), std::string::npos);
  EXPECT_NE(asked.body.find("\"completed\":50,\"total\":100"), std::string::npos);
  ask_json("GET", "/v1/jobs");
  EXPECT_EQ(jobs.watchers(), 0u) << "over, and swept";
}

TEST_F(ManageTest, ClientsThatStopWatchingDoNotStopTheJob) {
  jobs.updates = {some_job(JobState::kRunning)};
  LocalRequest request(router, options, "POST", "/v1/models/pull",
                       R"({"model": "llama:1b", "stream": true})");
  EXPECT_EQ(jobs.watchers(), 1u);
  request.leave();
  jobs.tell(some_job(JobState::kRunning));
  ask_json("GET", "/v1/jobs");
  EXPECT_EQ(jobs.watchers(), 0u);
  EXPECT_TRUE(jobs.cancelled.empty());
}

TEST_F(ManageTest, ShowsAndCancelsJobs) {
  jobs.job_list = {some_job(JobState::kFailed)};
  jobs.job_list[0].error = Error(ErrorCode::kIo, "the network is down");
  jobs.job_list[0].warnings = {"the template is kept and not used"};
  const json::object list = ask_json("GET", "/v1/jobs");
  EXPECT_EQ(list.at("jobs").as_array().size(), 1u);
  const json::object job = ask_json("GET", "/v1/jobs/job-1");
  EXPECT_EQ(job.at("state"), "failed");
  EXPECT_EQ(job.at("error").at("code"), "io");
  EXPECT_EQ(job.at("files").at(0).at("completed"), 50);
  EXPECT_EQ(job.at("warnings").at(0), "the template is kept and not used");
  EXPECT_TRUE(job.at("result").is_null());
  EXPECT_EQ(ask_json("GET", "/v1/jobs/nope", "", 404).at("error").at("code"), "not_found");
  ask_json("DELETE", "/v1/jobs/job-1");
  ask_json("POST", "/v1/jobs/job-1/cancel");
  ask_json("POST", "/v1/jobs/job-1/cancel", "{}");
  EXPECT_EQ(jobs.cancelled.size(), 3u);
  ask_json("POST", "/v1/jobs/nope/cancel", "", 404);
  const Asked watched = ask("GET", "/v1/jobs/job-1?stream=true");
  EXPECT_TRUE(watched.whole);
  EXPECT_NE(watched.body.find("\"state\":\"failed\""), std::string::npos);
}

TEST_F(ManageTest, DeletesModels) {
  catalog.add("org/repo:Q4_K_M");
  EXPECT_EQ(ask_json("DELETE", "/v1/models/org/repo:Q4_K_M").at("deleted"), "org/repo:Q4_K_M");
  EXPECT_EQ(catalog.removed, std::vector<std::string>{"org/repo:Q4_K_M"});
  ask_json("DELETE", "/v1/models/none", "", 404);
}

TEST_F(ManageTest, ShowsRuns) {
  EXPECT_TRUE(ask_json("GET", "/v1/runs").at("runs").as_array().empty());
  models.run_list = {some_run()};
  const json::object run = ask_json("GET", "/v1/runs").at("runs").as_array().at(0).as_object();
  EXPECT_EQ(run.at("id"), "run-1");
  EXPECT_EQ(run.at("model"), "llama:1b");
  EXPECT_EQ(run.at("state"), "running");
  EXPECT_EQ(run.at("keep_alive_ms"), 300'000);
  EXPECT_EQ(run.at("expires_at"), 1'700'000'300);
  EXPECT_EQ(run.at("facts").at("device"), "CPU (avx2), 2 threads");
  EXPECT_EQ(ask_json("GET", "/v1/runs/run-1"), run);
  EXPECT_EQ(ask_json("GET", "/v1/runs/llama:1b"), run) << "by its model's name";
  ask_json("GET", "/v1/runs/run-2", "", 404);
}

TEST_F(ManageTest, LoadsPinsAndStopsRuns) {
  models.run_list = {some_run()};
  models.run_list[0].model = catalog.add("llama:1b").model;
  const json::object run =
      ask_json("POST", "/v1/runs", R"({"model": "llama:1b", "keep_alive": "10m", "pinned": true})");
  EXPECT_EQ(run.at("id"), "run-1");
  ASSERT_EQ(models.loads.size(), 1u);
  EXPECT_EQ(models.loads[0].keep_alive, KeepAlive(10min));
  EXPECT_TRUE(models.pins.at("llama:1b"));
  const json::object later =
      ask_json("POST", "/v1/runs", R"({"model": "llama:1b", "wait": false})", 202);
  EXPECT_EQ(later.at("state"), "starting");
  EXPECT_EQ(models.loads[1].keep_alive, std::nullopt);
  EXPECT_EQ(ask_json("POST", "/v1/runs/run-1/stop").at("state"), "stopping");
  EXPECT_EQ(models.unloads, std::vector<std::string>{"llama:1b"});
  ask_json("POST", "/v1/runs/nope/stop", "", 404);
  models.load_error = Error(ErrorCode::kUnavailable, "too many wait");
  const Asked busy = ask("POST", "/v1/runs", R"({"model": "llama:1b"})");
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.header("Retry-After"), "1");
  models.known = {"llama:1b"};
  ask_json("POST", "/v1/runs", R"({"model": "nope"})", 404);
  ask_json("POST", "/v1/runs", R"({"model": "nope", "pinned": true})", 404);
}

TEST_F(ManageTest, ShowsLogs) {
  models.logs["run-1"] = {"one", "tw\xffo", "three"};
  const Asked text = ask("GET", "/v1/runs/run-1/logs?lines=2");
  EXPECT_EQ(text.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(text.body, "tw\uFFFDo\nthree\n");
  const json::object log = ask_json("GET", "/v1/runs/run-1/logs?format=json");
  EXPECT_EQ(log.at("lines"), (json::array{"one", "tw\uFFFDo", "three"}));
  ask_json("GET", "/v1/runs/run-2/logs", "", 404);
}

TEST_F(ManageTest, PlansMemory) {
  auto& model = catalog.add("llama:1b").model;
  model.context_length = 1000;
  const json::object missing = ask_json("GET", "/v1/plan?model=llama:1b", "", 400);
  EXPECT_EQ(missing.at("error").at("code"), "unsupported");
  catalog.models[0].model.extra["memory"] = {
      {"weights", 500'000}, {"scratch", 100'000}, {"kv_per_token", 500}};
  const json::object plan = ask_json("GET", "/v1/plan?model=llama:1b");
  EXPECT_EQ(plan.at("context"), 1000);
  EXPECT_EQ(plan.at("total_bytes"), 1'100'000);
  EXPECT_EQ(plan.at("fits"), false);
  EXPECT_EQ(plan.at("longest_context_that_fits"), 800);
  const json::object two = ask_json("GET", "/v1/plan?model=llama:1b&context=100&sequences=2");
  EXPECT_EQ(two.at("kv_bytes"), 100'000);
  EXPECT_EQ(two.at("fits"), true);
}

TEST_F(ManageTest, Tokenizes) {
  const json::object tokens = ask_json("POST", "/v1/tokenize", R"({"model": "m", "text": "ab"})");
  EXPECT_EQ(tokens.at("tokens"), (json::array{256, 97, 98}));
  EXPECT_EQ(tokens.at("count"), 3);
  const json::object bare =
      ask_json("POST", "/v1/tokenize", R"({"model": "m", "text": "a", "add_special": false})");
  EXPECT_EQ(bare.at("tokens"), (json::array{97}));
  const json::object text =
      ask_json("POST", "/v1/detokenize", R"({"model": "m", "tokens": [256, 97, 98]})");
  EXPECT_EQ(text.at("text"), "ab");
  EXPECT_EQ(text.at("whole"), true);
  const json::object half =
      ask_json("POST", "/v1/detokenize", R"({"model": "m", "tokens": [97, 195]})");
  EXPECT_EQ(half.at("text"), "a\uFFFD");
  EXPECT_EQ(half.at("whole"), false);
  const json::object outside =
      ask_json("POST", "/v1/detokenize", R"({"model": "m", "tokens": [300]})", 400);
  EXPECT_EQ(outside.at("error").at("code"), "invalid_argument");
  models.known = {"llama:1b"};
  ask_json("POST", "/v1/tokenize", R"({"model": "nope", "text": "a"})", 404);
}

TEST_F(ManageTest, Generates) {
  const json::object answer = ask_json(
      "POST", "/v1/generate",
      R"({"model": "m", "prompt": "Once", "suffix": "end", "keep_alive": -1, "truncate": true,
          "parameters": {"temperature": 0.5, "num_predict": 7, "stop": ["x"]}, "format": "json"})");
  EXPECT_EQ(answer.at("text"), "Hi there");
  EXPECT_EQ(answer.at("model"), "m");
  EXPECT_EQ(answer.at("finish_reason"), "stop");
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), 5);
  EXPECT_EQ(answer.at("seed"), 42);
  ASSERT_EQ(models.calls.size(), 1u);
  const ModelCall& call = models.calls[0];
  EXPECT_EQ(std::get<TextPrompt>(call.prompt).text, "Once");
  EXPECT_EQ(std::get<TextPrompt>(call.prompt).suffix, "end");
  EXPECT_EQ(call.parameters.max_tokens, 7);
  EXPECT_EQ(call.parameters.temperature, 0.5);
  EXPECT_EQ(call.parameters.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(call.format.kind, AnswerFormat::Kind::kJsonObject);
  EXPECT_LT(call.keep_alive, KeepAlive(0));
  EXPECT_TRUE(call.cut_prompt);
  EXPECT_FALSE(call.shift_context);
}

TEST_F(ManageTest, GeneratesFromConversations) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.pieces = {testing::reasoning_piece("hm"), content_piece("Hello"),
                     testing::call_piece(0, "look", "{\"a\":1}")};
    answer.result = testing::some_result();
    answer.result.warnings = {"the template has no system message"};
    answer.result.tokens = {1, 2};
    return answer;
  };
  const std::string body =
      R"({"model": "m", "messages": [{"role": "user", "content": "hi"}], "system": "be kind",
          "tools": [{"type": "function"}], "thinking": "true", "return_tokens": true,
          "format": {"type": "object"}})";
  const json::object answer = ask_json("POST", "/v1/generate", body);
  EXPECT_EQ(answer.at("text"), "Hello");
  EXPECT_EQ(answer.at("reasoning"), "hm");
  EXPECT_EQ(answer.at("tool_calls").at(0).at("name"), "look");
  EXPECT_EQ(answer.at("tool_calls").at(0).at("arguments"), "{\"a\":1}");
  EXPECT_EQ(answer.at("warnings").at(0), "the template has no system message");
  EXPECT_EQ(answer.at("tokens"), (json::array{1, 2}));
  EXPECT_EQ(models.calls[0].system, "be kind");
  EXPECT_EQ(models.calls[0].format.kind, AnswerFormat::Kind::kJsonSchema);
  EXPECT_EQ(std::get<ChatPrompt>(models.calls[0].prompt).thinking, "true");
  const Asked stream = ask("POST", "/v1/generate_stream", body);
  EXPECT_TRUE(stream.whole);
  EXPECT_TRUE(
      stream.body.starts_with("data: {\"reasoning\":\"hm\"}\n\ndata: {\"text\":\"Hello\"}"
                              "\n\ndata: {\"tool_call\":{\"id\":null,\"name\":\"look\","
                              "\"arguments\":\"{\\\"a\\\":1}\"}}\n\nevent: done\ndata: {"))
      << stream.body;
  EXPECT_NE(stream.body.find("\"done\":true"), std::string::npos);
}

TEST_F(ManageTest, StreamsText) {
  const Asked stream =
      ask("POST", "/v1/generate_stream", R"({"model": "m", "prompt": "Once", "regex": "a+"})");
  EXPECT_TRUE(stream.whole);
  EXPECT_TRUE(
      stream.body.starts_with("data: {\"text\":\"Hi\"}\n\ndata: {\"text\":\" there\"}\n\n"
                              "event: done\ndata: {\"model\":\"m\",\"finish_reason\":"))
      << stream.body;
  EXPECT_EQ(models.calls[0].format.kind, AnswerFormat::Kind::kRegex);
}

TEST_F(ManageTest, ErrorsBeforeTheFirstWordHaveAStatusAndLaterOnesAnEvent) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.error = Error(ErrorCode::kContextLengthExceeded, "5 of 4 tokens");
    return answer;
  };
  const std::string body = R"({"model": "m", "prompt": "x"})";
  for (const char* path : {"/v1/generate", "/v1/generate_stream"}) {
    const json::object answer = ask_json("POST", path, body, 400);
    EXPECT_EQ(answer.at("error").at("code"), "context_length_exceeded");
  }
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.pieces = {content_piece("Hi")};
    answer.error = Error(ErrorCode::kUnavailable, "the worker was lost");
    return answer;
  };
  const Asked stream = ask("POST", "/v1/generate_stream", body);
  EXPECT_EQ(stream.body,
            "data: {\"text\":\"Hi\"}\n\nevent: error\ndata: {\"error\":{\"code\":\"unavailable\","
            "\"message\":\"the worker was lost\"}}\n\n");
}

TEST_F(ManageTest, ClientsThatLeaveEndTheirAnswers) {
  models.script = [](const ModelCall&) {
    ScriptedAnswer answer;
    answer.hold = true;
    return answer;
  };
  for (const char* path : {"/v1/generate", "/v1/generate_stream"}) {
    LocalRequest request(router, options, "POST", path, R"({"model": "m", "prompt": "x"})");
    request.leave();
    EXPECT_TRUE(models.is_cancelled()) << path;
  }
}

TEST_F(ManageTest, GeneratesForSeveralPrompts) {
  models.script = [](const ModelCall& call) {
    const std::string& prompt = std::get<TextPrompt>(call.prompt).text;
    ScriptedAnswer answer;
    answer.pieces = {content_piece(prompt + "!")};
    if (prompt == "bad") answer.error = Error(ErrorCode::kUnsupported, "no");
    return answer;
  };
  const json::object batch =
      ask_json("POST", "/v1/generate_batch", R"({"model": "m", "prompts": ["a", "bad", "c"]})");
  const json::array& responses = batch.at("responses").as_array();
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_EQ(responses[0].at("text"), "a!");
  EXPECT_EQ(responses[1].at("error").at("code"), "unsupported");
  EXPECT_EQ(responses[2].at("text"), "c!");
}

TEST_F(ManageTest, RefusesWhatMakesNoSense) {
  const std::string many(70, 'p');
  struct Case {
    const char* method;
    std::string target;
    std::string body;
    const char* named;  // in the message
  };
  std::string prompts = "[";
  for (int i = 0; i < 65; ++i) prompts += i == 0 ? "\"a\"" : ",\"a\"";
  prompts += "]";
  const std::vector<Case> cases = {
      {"POST", "/v1/models/pull", "", "JSON"},
      {"POST", "/v1/models/pull", "[]", "object"},
      {"POST", "/v1/models/pull", "{", "JSON"},
      {"POST", "/v1/models/pull", "{}", "model"},
      {"POST", "/v1/models/pull", R"({"model": ""})", "model"},
      {"POST", "/v1/models/pull", R"({"model": 3})", "model"},
      {"POST", "/v1/models/pull", R"({"model": "a", "modle": "b"})", "modle"},
      {"POST", "/v1/models/pull", R"({"model": "a", "stream": "yes"})", "stream"},
      {"POST", "/v1/models/pull", "{\"model\": \"\xff\"}", "JSON"},
      {"POST", "/v1/models/pull?x=1", R"({"model": "a"})", "'x'"},
      {"POST", "/v1/models/pull", R"({"model": ")" + std::string(1025, 'x') + "\"}", "model"},
      {"GET", "/v1/jobs?x=1", "", "'x'"},
      {"GET", "/v1/jobs/job-1?stream=maybe", "", "stream"},
      {"POST", "/v1/jobs/job-1/cancel", R"({"now": true})", "now"},
      {"POST", "/v1/runs", R"({"model": "m", "keep_alive": "soon"})", "keep_alive"},
      {"POST", "/v1/runs", R"({"model": "m", "keep_alive": []})", "keep_alive"},
      {"POST", "/v1/runs", R"({"model": "m", "pinned": 1})", "pinned"},
      {"POST", "/v1/runs", R"({"model": "m", "gpu": 1})", "gpu"},
      {"GET", "/v1/runs/run-1/logs?lines=0", "", "lines"},
      {"GET", "/v1/runs/run-1/logs?lines=-5", "", "lines"},
      {"GET", "/v1/runs/run-1/logs?lines=99999999999999999999", "", "lines"},
      {"GET", "/v1/runs/run-1/logs?lines=1e3", "", "lines"},
      {"GET", "/v1/runs/run-1/logs?lines=1&lines=2", "", "twice"},
      {"GET", "/v1/runs/run-1/logs?format=xml", "", "format"},
      {"GET", "/v1/plan", "", "model"},
      {"GET", "/v1/plan?model=", "", "model"},
      {"GET", "/v1/plan?model=planned&context=0", "", "context"},
      {"GET", "/v1/plan?model=planned&context=x", "", "context"},
      {"GET", "/v1/plan?model=planned&sequences=99999", "", "sequences"},
      {"GET", "/v1/events?types=run,weather", "", "weather"},
      {"GET", "/v1/events?last_event_id=-1", "", "Last-Event-ID"},
      {"GET", "/v1/events?last_event_id=abc", "", "Last-Event-ID"},
      {"POST", "/v1/tokenize", R"({"model": "m"})", "text"},
      {"POST", "/v1/tokenize", R"({"model": "m", "text": ["a"]})", "text"},
      {"POST", "/v1/tokenize", R"({"model": "m", "text": "a", "add_special": "no"})",
       "add_special"},
      {"POST", "/v1/detokenize", R"({"model": "m"})", "tokens"},
      {"POST", "/v1/detokenize", R"({"model": "m", "tokens": "1"})", "tokens"},
      {"POST", "/v1/detokenize", R"({"model": "m", "tokens": [1.5]})", "tokens"},
      {"POST", "/v1/detokenize", R"({"model": "m", "tokens": [-1]})", "tokens"},
      {"POST", "/v1/detokenize", R"({"model": "m", "tokens": [2147483648]})", "tokens"},
      {"POST", "/v1/generate", R"({"model": "m"})", "prompt"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "messages": []})", "prompt"},
      {"POST", "/v1/generate", R"({"model": "m", "messages": []})", "messages"},
      {"POST", "/v1/generate", R"({"model": "m", "messages": "hi"})", "messages"},
      {"POST", "/v1/generate", R"({"model": "m", "messages": ["hi"]})", "messages"},
      {"POST", "/v1/generate", R"({"model": "m", "messages": [{"content": "hi"}]})", "role"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "system": "b"})", "system"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "temperature": 1})", "temperature"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "parameters": {"heat": 1}})",
       "heat"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "parameters": {"top_p": 2}})",
       "top_p"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "parameters": []})", "parameters"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "parameters": {"top_k": "1"}})",
       "top_k"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "format": "xml"})", "format"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "format": "json", "regex": "a"})",
       "format"},
      {"POST", "/v1/generate", R"({"model": "m", "prompt": "a", "tools": []})", "tools"},
      {"POST", "/v1/generate_batch", R"({"model": "m", "prompts": []})", "prompts"},
      {"POST", "/v1/generate_batch", R"({"model": "m", "prompts": [1]})", "prompts"},
      {"POST", "/v1/generate_batch", R"({"model": "m", "prompts": )" + prompts + "}", "prompts"},
      {"POST", "/v1/generate_batch", R"({"model": "m", "prompt": "a"})", "prompt"},
      {"POST", "/v1/shutdown", R"({"force": true})", "force"},
      {"GET", "/v1/system?verbose=1", "", "verbose"},
  };
  jobs.job_list = {some_job(JobState::kRunning)};
  models.logs["run-1"] = {};
  catalog.add("planned").model.extra["memory"] = {{"weights", 1}};
  for (const Case& each : cases) {
    const Asked asked = ask(each.method, each.target, each.body);
    const std::string what =
        each.method + (" " + each.target) + " " + each.body + ": " + asked.body;
    EXPECT_EQ(asked.status, 400) << what;
    const json::value answer = parse_json(asked.body, "the answer");
    const auto* error = answer.as_object().if_contains("error");
    ASSERT_NE(error, nullptr) << what;
    EXPECT_TRUE(error->at("code") == "invalid_argument" || error->at("code") == "unsupported")
        << what;
    EXPECT_NE(std::string(error->at("message").as_string()).find(each.named), std::string::npos)
        << what;
  }
  EXPECT_TRUE(jobs.pulls.empty());
  EXPECT_TRUE(models.calls.empty());
  EXPECT_TRUE(models.loads.empty());
  EXPECT_EQ(shutdowns, 0);
}

TEST_F(ManageTest, ShowsTheSystemAndItsFigures) {
  catalog.add("a");
  catalog.models.push_back(catalog.models[0]);  // shares all its bytes
  const json::object system = ask_json("GET", "/v1/system");
  EXPECT_EQ(system.at("version"), OMG_VERSION);
  EXPECT_GT(system.at("memory").at("total").to_number<uint64_t>(), 0u);
  EXPECT_EQ(system.at("store").at("models"), 2);
  EXPECT_EQ(system.at("store").at("own_bytes"), 807'694'464);
  EXPECT_EQ(system.at("engine").at("threads"), 2);
  EXPECT_TRUE(system.at("gpus").is_array());
  metrics.counter("some_total", "Help.").add({});
  const Asked figures = ask("GET", "/metrics");
  EXPECT_EQ(figures.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(figures.body.find("\nsome_total 1\n"), std::string::npos);
}

TEST_F(ManageTest, Stops) {
  EXPECT_EQ(ask_json("POST", "/v1/shutdown", "", 202).at("status"), "stopping");
  EXPECT_EQ(shutdowns, 1);
}

/// What a feed has written, through a client that takes so many events at a time.
struct Reader {
  std::vector<std::string> seen;  // "type:id"
  size_t room = SIZE_MAX;
  bool gone = false;
  std::function<void()> writable;

  EventBus::Output output() {
    return {[this](const BusEvent& event) {
              if (gone) return HttpWrite::kGone;
              if (seen.size() >= room) return HttpWrite::kFull;
              seen.push_back(event.type + ":" + std::to_string(event.id));
              return HttpWrite::kTaken;
            },
            [this](std::function<void()> call) { writable = std::move(call); }};
  }
};

TEST(EventBus, TellsWhatComesAndWhatWas) {
  EventBus bus(100);
  bus.publish("run", "run_started", {});
  bus.publish("job", "job", {});
  Reader from_now, all, runs, later;
  bus.feed(from_now.output(), std::nullopt, {});
  bus.feed(all.output(), 0, {});
  bus.feed(runs.output(), 101, {"run"});
  bus.publish("run", "run_loaded", {});
  bus.feed(later.output(), 5000, {});  // a place that was never reached
  EXPECT_EQ(from_now.seen, (std::vector<std::string>{"run_loaded:103"}));
  EXPECT_EQ(all.seen, (std::vector<std::string>{"run_started:101", "job:102", "run_loaded:103"}));
  EXPECT_EQ(runs.seen, (std::vector<std::string>{"run_loaded:103"}));
  EXPECT_TRUE(later.seen.empty());
  EXPECT_EQ(bus.feeds(), 4u);
  for (Reader* reader : {&from_now, &all, &runs, &later}) reader->gone = true;
  bus.publish("run", "run_stopped", {});
  EXPECT_EQ(bus.feeds(), 0u);
}

TEST(EventBus, SlowReadersFallBehindAndAreTold) {
  EventBus bus(100);
  Reader slow;
  slow.room = 2;
  bus.feed(slow.output(), std::nullopt, {});
  for (size_t i = 0; i < EventBus::kKept + 10; ++i) bus.publish("run", "tick", {});
  EXPECT_EQ(slow.seen, (std::vector<std::string>{"tick:101", "tick:102"}));
  slow.room = SIZE_MAX;
  slow.writable();
  ASSERT_EQ(slow.seen.size(), 2 + 1 + EventBus::kKept);
  EXPECT_EQ(slow.seen[2], "missed:110");
  EXPECT_EQ(slow.seen[3], "tick:111");
  EXPECT_EQ(slow.seen.back(), "tick:366");
  Reader back;  // connects again after a long time
  bus.feed(back.output(), 102, {});
  EXPECT_EQ(back.seen.front(), "missed:110");
}

TEST(EventBus, HasSoManyReadersAndNoMore) {
  EventBus bus(100);
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::function<void()>> ends;
  for (size_t i = 0; i < EventBus::kMaxFeeds; ++i) {
    readers.push_back(std::make_unique<Reader>());
    ends.push_back(bus.feed(readers.back()->output(), std::nullopt, {}));
  }
  Reader more;
  EXPECT_THROW(bus.feed(more.output(), std::nullopt, {}), Error);
  ends.front()();
  ends.front()();
  EXPECT_EQ(bus.feeds(), EventBus::kMaxFeeds - 1);
  EXPECT_NO_THROW(bus.feed(more.output(), std::nullopt, {}));
}

TEST(EventBus, ManyThreadsPublishInOneOrder) {
  EventBus bus(100);
  Reader reader;
  EventBus::Output output = reader.output();
  bus.feed(std::move(output), std::nullopt, {});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) bus.publish("run", "tick", {});
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(reader.seen.size(), 200u);
  for (size_t i = 0; i < 200; ++i) EXPECT_EQ(reader.seen[i], "tick:" + std::to_string(101 + i));
}

TEST(EventBus, CutsItsFeedsWhenItCloses) {
  EventBus bus(100);
  Reader reader;
  bus.feed(reader.output(), std::nullopt, {});
  EXPECT_EQ(bus.feeds(), 1u);
  bus.close();
  EXPECT_EQ(bus.feeds(), 0u);
  bus.publish("run", "tick", {});
  EXPECT_TRUE(reader.seen.empty());
  Reader late;
  EXPECT_THROW(bus.feed(late.output(), std::nullopt, {}), Error);
}

TEST_F(ManageTest, PublishesWhatHappensWithoutAnyText) {
  ServiceEvents services;
  jobs.job_list = {some_job(JobState::kRunning)};
  const EventPublisher publisher(events, services, jobs);
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kAnswerFinished;
  event.model = "llama:1b";
  event.run_id = "run-1";
  event.result = testing::some_result();
  event.result.stop_sequence = "secret";
  services.emit(event);
  event.kind = ServiceEvent::Kind::kRunStopped;
  event.cause = ServiceEvent::Cause::kCrashed;
  event.error = ErrorCode::kUnavailable;
  event.error_message = "the worker was lost";
  services.emit(event);
  for (int i = 0; i < 5; ++i) jobs.tell(some_job(JobState::kRunning));  // within a second
  jobs.tell(some_job(JobState::kDone));
  std::vector<BusEvent> seen;
  events.feed({[&](const BusEvent& each) {
                 seen.push_back(each);
                 return HttpWrite::kTaken;
               },
               nullptr},
              0, {});
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[0].type, "job");
  EXPECT_EQ(seen[1].type, "answer_finished");
  EXPECT_EQ(seen[1].category, "answer");
  EXPECT_NE(seen[1].data.find("\"prompt_tokens\":5"), std::string::npos);
  EXPECT_EQ(seen[1].data.find("secret"), std::string::npos);
  EXPECT_EQ(seen[2].type, "run_stopped");
  EXPECT_NE(seen[2].data.find("\"cause\":\"crashed\""), std::string::npos);
  EXPECT_NE(seen[2].data.find("the worker was lost"), std::string::npos);
  EXPECT_NE(seen[3].data.find("\"state\":\"done\""), std::string::npos);
}

/// Waits until the condition holds; false after 10 s.
template <typename Condition>
bool wait_for(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST_F(ManageTest, SendsEventsToRealClients) {
  HttpServerOptions own = options;
  own.endpoints = {{"127.0.0.1", 0, ""}};
  HttpServer server(own, router);
  const uint16_t port = server.endpoints().front().port;
  events.publish("run", "run_started", {{"model", "a"}});
  RawClient client(port);
  client.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 100\r\n\r\n");
  EXPECT_NE(client.receive_until("{\"model\":\"a\"}\n\n")
                .find("id: 101\nevent: run_started\ndata: {\"model\":\"a\"}\n\n"),
            std::string::npos);
  ASSERT_TRUE(wait_for([&] { return events.feeds() == 1; }));
  events.publish("job", "job", {{"id", "j"}});
  EXPECT_NE(client.receive_until("\n\n").find("id: 102\nevent: job\n"), std::string::npos);

  RawClient socket(port);
  socket.send(
      "GET /v1/events?types=job&last_event_id=0 HTTP/1.1\r\nHost: localhost\r\n"
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  EXPECT_TRUE(socket.receive_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
  const std::string message = socket.receive_until("}}");
  EXPECT_NE(message.find("{\"id\":102,\"type\":\"job\",\"at_ms\":"), std::string::npos) << message;
  EXPECT_TRUE(wait_for([&] { return events.feeds() == 2; }));

  client.close();
  socket.close();
  EXPECT_TRUE(wait_for([&] { return events.feeds() == 0; })) << "without another event";
}

}  // namespace
}  // namespace omg
