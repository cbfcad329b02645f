// SPDX-License-Identifier: Apache-2.0
//
// What is installed and loaded, uploads, and jobs, against what Ollama sends.
#include <cstdlib>
#include <ctime>
#include <gtest/gtest.h>

#include "daemon/ollama/testing_daemon.h"

namespace omg {
namespace {

using testing::Asked;
using testing::lines_of;
using testing::LocalRequest;
using testing::OllamaDaemon;

constexpr const char* kLines = "application/x-ndjson";
constexpr const char* kJson = "application/json; charset=utf-8";

json::object object_of(const std::string& text) {
  return parse_json(text, "the answer").as_object();
}

std::string error_of(const std::string& text) {
  return json::serialize(json::value{{"error", text}});
}

// What there is.

TEST(OllamaModels, SaysThatItRuns) {
  OllamaDaemon daemon;
  const Asked asked = daemon.get("/");
  EXPECT_EQ(asked.body, "Ollama is running");
  EXPECT_EQ(asked.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(testing::ask(daemon.router, "HEAD", "/").status, 200);
  EXPECT_EQ(daemon.get("/api/version").body, R"({"version":"0.9.1"})");
}

TEST(OllamaModels, ListsTags) {
  ::setenv("TZ", "Etc/GMT+7", 1);
  ::tzset();
  OllamaDaemon daemon;
  const std::string digest = daemon.catalog.models[0].model.files_digest().hex();
  EXPECT_EQ(daemon.get("/api/tags").body,
            R"({"models":[{"name":"m:latest","model":"m:latest",)"
            R"("modified_at":"2025-08-21T03:00:00-07:00","size":807694464,"digest":")" +
                digest +
                R"(","details":{"parent_model":"","format":"gguf","family":"llama",)"
                R"("families":["llama"],"parameter_size":"1.2B","quantization_level":"Q4_K_M",)"
                R"("context_length":4096},"capabilities":["completion","tools","thinking",)"
                R"("insert"]}]})");
  daemon.catalog.models.clear();
  EXPECT_EQ(daemon.get("/api/tags").body, R"({"models":[]})");
}

TEST(OllamaModels, ListsWhatIsBuiltInAloneOrWhenAsked) {
  OllamaDaemon daemon;
  daemon.catalog.add("guide").model.origin.provider = ModelProvider::kBuiltIn;
  const auto names = [&](const std::string& path) {
    std::string list;
    const json::object tags = object_of(daemon.get(path).body);
    for (const json::value& model : tags.at("models").as_array()) {
      list += std::string(model.at("name").as_string()) + " ";
    }
    return list;
  };
  EXPECT_EQ(names("/api/tags"), "m:latest ");
  EXPECT_EQ(names("/api/tags?all=false"), "m:latest ");
  EXPECT_EQ(names("/api/tags?all=true"), "m:latest guide:latest ");
  daemon.catalog.models.erase(daemon.catalog.models.begin());
  EXPECT_EQ(names("/api/tags"), "guide:latest ");
  EXPECT_EQ(daemon.post("/api/show", R"({"model":"guide:latest"})").status, 200);
}

TEST(OllamaModels, ListsWhatIsLoaded) {
  ::setenv("TZ", "Etc/GMT+7", 1);
  ::tzset();
  OllamaDaemon daemon;
  EXPECT_EQ(daemon.get("/api/ps").body, R"({"models":[]})");
  RunInfo run;
  run.model = daemon.catalog.models[0].model;
  run.model.origin.provider = ModelProvider::kRegistry;
  run.model.origin.commit = "sha256:" + std::string(64, 'a');
  run.state = RunState::kRunning;
  run.planned_bytes = 1000;
  run.facts.emplace();
  run.facts->context_length = 4096;
  run.facts->device = "CPU (avx2), 2 threads";
  run.expires_at = testing::fixed_time() + std::chrono::minutes(5);
  RunInfo pinned = run;
  pinned.model.name = StoreName("org/other:Q8_0");
  pinned.keep_alive = KeepAlive(-1);
  pinned.expires_at.reset();
  pinned.facts->device = "CUDA";
  RunInfo starting = run;
  starting.facts.reset();
  daemon.service.run_list = {run, pinned, starting};
  const std::string body = daemon.get("/api/ps").body;
  json::array models = object_of(body)["models"].as_array();
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].at("name"), "org/other:Q8_0");
  EXPECT_TRUE(std::string_view(models[0].at("expires_at").as_string()).starts_with("2318-"));
  EXPECT_EQ(models[0].at("size_vram"), 1000);
  EXPECT_EQ(body.substr(body.rfind("{\"name\"")),
            R"({"name":"m:latest","model":"m:latest","size":1000,"digest":")" +
                std::string(64, 'a') +
                R"(","details":{"parent_model":"","format":"gguf","family":"llama",)"
                R"("families":["llama"],"parameter_size":"1.2B","quantization_level":"Q4_K_M"},)"
                R"("expires_at":"2026-08-21T03:05:00.1-07:00","size_vram":0,)"
                R"("context_length":4096}]})");
}

TEST(OllamaModels, Shows) {
  OllamaDaemon daemon;
  ModelInspection& model = daemon.catalog.models[0];
  model.license = "MIT";
  model.model.settings.parameters = {
      {"temperature", 0.7}, {"stop", {"<|end|>", "x"}}, {"num_ctx", 512}};
  model.model.settings.messages = {{"user", "hi"}};
  model.model.settings.system = "be kind";
  json::object shown = object_of(daemon.post("/api/show", R"({"name":"m"})").body);
  EXPECT_EQ(shown["license"], "MIT");
  EXPECT_EQ(shown["parameters"],
            "temperature                    0.7\n"
            "stop                           \"<|end|>\"\n"
            "stop                           \"x\"\n"
            "num_ctx                        512");
  EXPECT_TRUE(std::string_view(shown["modelfile"].as_string())
                  .starts_with("# Modelfile generated by \"ollama show\"\n"));
  EXPECT_EQ(shown["system"], "be kind");
  EXPECT_EQ(json::serialize(shown["messages"]), R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(json::serialize(shown["model_info"]),
            R"({"general.architecture":"llama","llama.context_length":4096,)"
            R"("tokenizer.ggml.tokens":null})");
  EXPECT_EQ(json::serialize(shown["tensors"]),
            R"([{"name":"token_embd.weight","type":"Q4_K","shape":[64,128]}])");
  EXPECT_EQ(shown["capabilities"].as_array().size(), 4u);
  shown = object_of(
      daemon
          .post("/api/show",
                R"({"model":"m:latest","verbose":true,"system":"s","options":{"num_ctx":9}})")
          .body);
  EXPECT_EQ(json::serialize(shown["model_info"].at("tokenizer.ggml.tokens")), R"(["a","b"])");
  EXPECT_EQ(shown["system"], "s");
  EXPECT_TRUE(std::string_view(shown["parameters"].as_string())
                  .ends_with("num_ctx                        9"));
}

TEST(OllamaModels, FindsNamesThatWereShownWithATag) {
  OllamaDaemon daemon;
  daemon.catalog.add("org/repo");
  EXPECT_EQ(daemon.post("/api/show", R"({"model":"org/repo:latest"})").status, 200);
}

TEST(OllamaModels, CopiesAndDeletes) {
  OllamaDaemon daemon;
  Asked asked = daemon.post("/api/copy", R"({"source":"m","destination":"n:1"})");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.body, "");
  EXPECT_EQ(daemon.catalog.copies.at(0), std::pair(std::string("m:latest"), std::string("n:1")));
  asked = testing::ask(daemon.router, "DELETE", "/api/delete", R"({"name":"m"})");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.body, "");
  EXPECT_EQ(daemon.catalog.removed, std::vector<std::string>{"m"});
}

TEST(OllamaModels, TakesBlobs) {
  OllamaDaemon daemon;
  const std::string digest = sha256("bytes").str();
  const std::string path = "/api/blobs/" + digest;
  EXPECT_EQ(testing::ask(daemon.router, "HEAD", path).status, 404);
  EXPECT_EQ(daemon.post(path, "bytes").status, 201);
  EXPECT_EQ(testing::ask(daemon.router, "HEAD", path).status, 200);
  EXPECT_EQ(daemon.post(path, "bytes").status, 200);
  EXPECT_EQ(daemon.post("/api/blobs/" + sha256("more").file_name(), "more").status, 201);
  const Asked bad = daemon.post("/api/blobs/" + sha256("x").str(), "other");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.body, error_of("digest mismatch, expected \"" + sha256("x").str() + "\", got \"" +
                               sha256("other").str() + "\""));
  EXPECT_EQ(testing::ask(daemon.router, "HEAD", "/api/blobs/md5:00").status, 400);
  EXPECT_THROW(daemon.post("/api/blobs/md5:00", "x"), HttpRefusal);
}

// Jobs.

JobInfo job_state(JobState state, uint64_t completed, std::string phase = "") {
  JobInfo job;
  job.state = state;
  job.phase = std::move(phase);
  job.files = {{"model.gguf", "sha256:0a8c26691023" + std::string(52, '0'), 4683, completed}};
  return job;
}

TEST(OllamaJobs, Pulls) {
  OllamaDaemon daemon;
  daemon.jobs.updates = {job_state(JobState::kRunning, 0, "resolving"),
                         job_state(JobState::kRunning, 241, "transferring"),
                         job_state(JobState::kRunning, 241, "transferring"),
                         job_state(JobState::kDone, 4683)};
  const std::string digest = "sha256:0a8c26691023" + std::string(52, '0');
  Asked asked = daemon.post("/api/pull", R"({"model":"llama3","insecure":true})");
  EXPECT_EQ(asked.header("Content-Type"), kLines);
  EXPECT_EQ(asked.body, R"({"status":"pulling manifest"})"
                        "\n"
                        R"({"status":"pulling 0a8c26691023","digest":")" +
                            digest +
                            R"(","total":4683})"
                            "\n"
                            R"({"status":"pulling 0a8c26691023","digest":")" +
                            digest +
                            R"(","total":4683,"completed":241})"
                            "\n"
                            R"({"status":"pulling 0a8c26691023","digest":")" +
                            digest +
                            R"(","total":4683,"completed":4683})"
                            "\n"
                            R"({"status":"verifying sha256 digest"})"
                            "\n"
                            R"({"status":"writing manifest"})"
                            "\n"
                            R"({"status":"success"})"
                            "\n");
  EXPECT_EQ(daemon.jobs.pulls.at(0).model, "llama3");
  EXPECT_TRUE(daemon.jobs.pulls.at(0).insecure);
  asked = daemon.post("/api/pull", R"({"name":"llama3","stream":false})");
  EXPECT_EQ(asked.header("Content-Type"), kJson);
  EXPECT_EQ(asked.body, R"({"status":"success"})");
}

TEST(OllamaJobs, SaysThatThereIsNothingToPull) {
  OllamaDaemon daemon;
  daemon.jobs.updates = {job_state(JobState::kFailed, 0)};
  daemon.jobs.updates[0].files.clear();
  daemon.jobs.updates[0].error = Error(ErrorCode::kNotFound, "no such model");
  const char* lines = R"({"status":"pulling manifest"})"
                      "\n"
                      R"({"error":"pull model manifest: file does not exist"})"
                      "\n";
  EXPECT_EQ(daemon.post("/api/pull", R"({"model":"none"})").body, lines);
  const Asked whole = daemon.post("/api/pull", R"({"model":"none","stream":false})");
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.body, R"({"error":"pull model manifest: file does not exist"})");
  daemon.jobs.start_error = Error(ErrorCode::kNotFound, "no such model");
  EXPECT_EQ(daemon.post("/api/pull", R"({"model":"none"})").body, lines);
  daemon.jobs.start_error = Error(ErrorCode::kUnavailable, "shutting down");
  EXPECT_EQ(daemon.post("/api/pull", R"({"model":"none"})").status, 503);
  daemon.jobs.start_error.reset();
  daemon.jobs.updates = {job_state(JobState::kCancelled, 5)};
  EXPECT_EQ(lines_of(daemon.post("/api/pull", R"({"model":"x"})").body).back(),
            R"({"error":"request canceled"})");
}

TEST(OllamaJobs, Pushes) {
  OllamaDaemon daemon;
  daemon.jobs.updates = {job_state(JobState::kDone, 4683)};
  const auto lines = lines_of(daemon.post("/api/push", R"({"model":"m"})").body);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], R"({"status":"retrieving manifest"})");
  EXPECT_TRUE(lines[1].starts_with(R"({"status":"pushing 0a8c26691023","digest":"sha256:)"));
  EXPECT_EQ(lines[2], R"({"status":"pushing manifest"})");
  EXPECT_EQ(lines[3], R"({"status":"success"})");
  EXPECT_EQ(daemon.jobs.pushes.at(0), std::pair(std::string("m:latest"), false));
  EXPECT_EQ(daemon.post("/api/push", R"({"model":"none"})").body,
            R"({"status":"retrieving manifest"})"
            "\n"
            R"({"status":"couldn't retrieve manifest"})"
            "\n"
            R"({"error":"open registry.ollama.ai/library/none:latest: no such file or directory"})"
            "\n");
}

TEST(OllamaJobs, Creates) {
  OllamaDaemon daemon;
  daemon.jobs.updates = {job_state(JobState::kRunning, 0, "parsing GGUF"),
                         job_state(JobState::kRunning, 0, "quantizing"),
                         job_state(JobState::kDone, 0)};
  daemon.jobs.updates[0].files.clear();
  daemon.jobs.updates[1].files = {{"model.gguf", "", 100, 50}};
  daemon.jobs.updates[2].files.clear();
  daemon.jobs.updates[2].warnings = {"adapted"};
  const std::string digest = sha256("x").str();
  const Asked asked = daemon.post(
      "/api/create", R"({"model":"n","from":"m","files":{"a.gguf":")" + digest + R"("},"system":"s",
    "template":"{{ .Prompt }}","license":["l1","l2"],"parameters":{"num_ctx":9.7,"stop":["e"]},
    "messages":[{"role":"user","content":"c"}],"quantize":"Q4_K_M","renderer":"qwen3","info":{}})");
  const auto lines = lines_of(asked.body);
  ASSERT_EQ(lines.size(), 5u) << asked.body;
  EXPECT_EQ(lines[0], R"({"status":"parsing GGUF"})");
  EXPECT_EQ(lines[1], R"({"status":"quantizing"})");
  EXPECT_EQ(lines[2], R"({"status":"quantizing","digest":"0000000000000000000","total":100,)"
                      R"("completed":50})");
  EXPECT_EQ(lines[3], R"({"status":"writing manifest"})");
  EXPECT_EQ(lines[4],
            R"({"status":"success","warnings":["renderer had no effect: it belongs to another )"
            R"(engine","info had no effect: it belongs to another engine","adapted"]})");
  const CreateCall& call = daemon.jobs.creates.at(0);
  EXPECT_EQ(call.name, "n");
  EXPECT_EQ(call.from, "m");
  EXPECT_EQ(call.files.at("a.gguf"), digest);
  EXPECT_EQ(call.quantize, "Q4_K_M");
  EXPECT_EQ(call.settings.system, "s");
  EXPECT_EQ(call.settings.chat_template, "{{ .Prompt }}");
  EXPECT_EQ(call.settings.template_syntax, "go");
  EXPECT_EQ(call.settings.license_text, "l1\nl2");
  EXPECT_EQ(json::serialize(call.settings.parameters), R"({"num_ctx":9,"stop":["e"]})");
  EXPECT_EQ(call.settings.messages.at(0).content, "c");
}

TEST(OllamaJobs, TheLastWhoLeavesCancels) {
  OllamaDaemon daemon;
  daemon.jobs.updates = {job_state(JobState::kRunning, 1)};
  LocalRequest first(daemon.router, {}, "POST", "/api/pull", R"({"model":"x"})");
  LocalRequest second(daemon.router, {}, "POST", "/api/pull", R"({"model":"x"})");
  first.leave();
  EXPECT_TRUE(daemon.jobs.cancelled.empty());
  second.leave();
  EXPECT_EQ(daemon.jobs.cancelled, std::vector<std::string>{"job-1"});
}

TEST(OllamaJobs, LeavesOthersJobsAlone) {
  OllamaDaemon daemon;
  daemon.jobs.start_pull({"x"});
  daemon.jobs.updates = {job_state(JobState::kRunning, 1)};
  LocalRequest request(daemon.router, {}, "POST", "/api/pull", R"({"model":"x"})");
  request.leave();
  EXPECT_TRUE(daemon.jobs.cancelled.empty());
}

TEST(OllamaJobs, GivesSubscriptionsUp) {
  OllamaDaemon daemon;
  daemon.jobs.updates = {job_state(JobState::kDone, 4683)};
  for (int i = 0; i < 5; ++i) daemon.post("/api/pull", R"({"model":"x"})");
  EXPECT_LE(daemon.jobs.watchers(), 1u);
}

}  // namespace
}  // namespace omg
