// SPDX-License-Identifier: Apache-2.0
//
// Pulls and pushes as jobs, against a registry in the test.
#include "daemon/jobs/hub_jobs.h"

#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "daemon/jobs/built_in.h"
#include "daemon/jobs/fake_registry.h"
#include "daemon/jobs/installed.h"
#include "net/testing/scripted_server.h"
#include "store/store_test_support.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

using testing::answer;
using testing::FakeRegistry;
using testing::ScriptedAnswer;
using testing::ScriptedRequest;
using testing::ScriptedServer;

class HubJobsTest : public testing::StoreFixture {
 protected:
  std::unique_ptr<JobQueue> make() {
    JobMakers makers;
    makers.pull = [this](const PullCall& call) { return jobs_->pull(call); };
    makers.push = [this](const std::string& model, bool insecure) {
      return jobs_->push(model, insecure);
    };
    return std::make_unique<JobQueue>(store_, std::move(makers));
  }
  static std::string small_gguf(const std::string& path) {
    model_maker::Options options;
    options.layers = 1;
    options.embedding = 64;
    options.feed_forward = 64;
    options.heads = 2;
    options.kv_heads = 2;
    options.type = "F16";
    model_maker::make_model(options, path);
    RealFileSystem files;
    return read_file(files, path, 64u << 20);
  }
  JobInfo wait(JobQueue& queue, const std::string& id) {
    std::mutex mutex;
    std::condition_variable changed;
    JobInfo last;
    const auto watch = queue.watch(id, [&](const JobInfo& job) {
      const std::lock_guard guard(mutex);
      last = job;
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] {
      return !last.id.empty() && last.state != JobState::kQueued &&
             last.state != JobState::kRunning;
    }));
    return last;
  }

  Store store_ = open();
  RealFileSystem files_;
  SteadyClock clock_;
  Transfers transfers_{files_, clock_, HttpClientOptions{}};
  HubJobsOptions options_;
  std::unique_ptr<HubJobs> jobs_ = std::make_unique<HubJobs>(store_, transfers_, options_);
};

TEST_F(HubJobsTest, PullsAndPushes) {
  FakeRegistry registry;
  const std::string gguf = small_gguf(outside() + "/a.gguf");
  registry.add_model(gguf, R"({"temperature":0.5})");
  const auto queue = make();
  PullCall call;
  call.model = registry.name();
  const JobInfo pulled = wait(*queue, queue->start_pull(call).id);
  ASSERT_EQ(pulled.state, JobState::kDone) << (pulled.error ? pulled.error->what() : "");
  EXPECT_EQ(pulled.subject, registry.name());
  ASSERT_EQ(pulled.files.size(), 3u);
  EXPECT_EQ(pulled.files[0].name, "model.gguf");
  EXPECT_EQ(pulled.files[0].digest, sha256(gguf).str());
  EXPECT_EQ(pulled.files[0].completed, gguf.size());
  EXPECT_EQ(pulled.completed, pulled.total);
  const StoredModel model = store_.require(StoreName(registry.name()));
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(json::serialize(model.settings.parameters), R"({"temperature":5E-1})");

  // The registry has the model already: it gets the manifest alone, byte for byte.
  const JobInfo pushed = wait(*queue, queue->start_push(registry.name(), false).id);
  ASSERT_EQ(pushed.state, JobState::kDone) << (pushed.error ? pushed.error->what() : "");
  EXPECT_EQ(registry.pushed, registry.manifest);
  registry.blobs.clear();
  const JobInfo whole = wait(*queue, queue->start_push(registry.name(), false).id);
  ASSERT_EQ(whole.state, JobState::kDone) << (whole.error ? whole.error->what() : "");
  EXPECT_EQ(registry.blobs[sha256(gguf).str()], gguf);
  EXPECT_EQ(whole.completed, whole.total);
  EXPECT_GE(whole.total, gguf.size());
}

TEST_F(HubJobsTest, WhatIsBuiltInIsHereAlready) {
  StoreOptions options;
  options.folder = root();
  options.built_in = built_in_models();
  store_ = Store::open(options);
  const auto queue = make();
  PullCall call;
  call.model = "guide:latest";
  const JobInfo job = wait(*queue, queue->start_pull(call).id);
  ASSERT_EQ(job.state, JobState::kDone) << (job.error ? job.error->what() : "");
  EXPECT_EQ(job.result, "guide");
  EXPECT_GT(job.total, 1'000'000u);
  EXPECT_EQ(job.completed, job.total);
  ASSERT_EQ(job.warnings.size(), 1u);
  EXPECT_NE(job.warnings[0].find("'guide' is built in"), std::string::npos);
  EXPECT_TRUE(names_in("blobs").empty());

  const StoredModel guide = store_.require(StoreName("guide"));
  EXPECT_EQ(guide.family, "llama");
  EXPECT_EQ(guide.quantization, "Q8_0");
  EXPECT_GT(guide.context_length, 0u);
  EXPECT_GT(guide.installed_at, 1'700'000'000);
  EXPECT_EQ(code_of([&] { require_only_installed(store_, "guide"); }), ErrorCode::kInvalidArgument);
}

TEST_F(HubJobsTest, FailsAsTheHubSays) {
  FakeRegistry registry;
  const auto queue = make();
  PullCall call;
  call.model = registry.name();
  const JobInfo job = wait(*queue, queue->start_pull(call).id);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.error->code(), ErrorCode::kNotFound);
  for (const char* name : {"", "a b", "./file.gguf", "/etc/passwd", "../x"}) {
    call.model = name;
    EXPECT_EQ(code_of([&] { queue->start_pull(call); }), ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(code_of([&] { queue->start_push("org/repo", false); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { queue->start_push("a.example/b/c:d", false); }), ErrorCode::kNotFound);
}

TEST_F(HubJobsTest, CancelledPullsKeepWhatHasArrived) {
  FakeRegistry registry;
  registry.is_slow = true;
  const std::string gguf = small_gguf(outside() + "/a.gguf");
  registry.add_model(gguf, "{}");
  auto queue = make();
  PullCall call;
  call.model = registry.name();
  const auto transfers = [&](const std::string& id) {
    for (int i = 0; i < 5000; ++i) {
      if (registry.seen_gguf > 1) return queue->job(id).phase == "transferring";
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  };
  const std::string id = queue->start_pull(call).id;
  EXPECT_EQ(queue->start_pull(call).id, id);
  EXPECT_TRUE(transfers(id));
  queue->cancel(id);
  EXPECT_EQ(wait(*queue, id).state, JobState::kCancelled);
  EXPECT_FALSE(store_.find(StoreName(registry.name())));
  registry.seen_gguf = 0;
  // The daemon's end is the same to the bytes.
  EXPECT_TRUE(transfers(queue->start_pull(call).id));
  queue.reset();
  EXPECT_FALSE(names_in("partial").empty());
  registry.is_slow = false;
  queue = make();
  EXPECT_EQ(wait(*queue, queue->start_pull(call).id).state, JobState::kDone);
  EXPECT_TRUE(store_.find(StoreName(registry.name())));
}

TEST_F(HubJobsTest, PlainHttpGoesToTheNamedRegistryAlone) {
  std::mutex mutex;
  std::vector<std::string> asked;
  ScriptedServer proxy([&](const ScriptedRequest& request) {
    const std::lock_guard guard(mutex);
    asked.push_back(request.method + " " + request.target);
    return answer(404, "{}");
  });
  options_.http.proxy.http = options_.http.proxy.https = proxy.url();
  options_.hub.catalog.add(
      "[x]\ntitle = \"X\"\nmaker = \"Y\"\n[x.aliases]\n\"short\" = \"registry.invalid/ns/m:t\"\n",
      "test", false);
  jobs_ = std::make_unique<HubJobs>(store_, transfers_, options_);
  const auto queue = make();
  const auto ask = [&](const std::string& name, bool insecure) {
    PullCall call;
    call.model = name;
    call.insecure = insecure;
    const std::string id = queue->start_pull(call).id;
    const auto is_asked = [&] {
      const std::lock_guard guard(mutex);
      return !asked.empty();
    };
    for (int i = 0; i < 10000 && !is_asked(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    queue->cancel(id);  // it would try again
    wait(*queue, id);
    const std::lock_guard guard(mutex);
    const std::string first = asked.empty() ? "nothing" : asked.front();
    asked.clear();
    return first;
  };
  EXPECT_EQ(ask("registry.invalid/ns/m:t", true),
            "GET http://registry.invalid/v2/ns/m/manifests/t");
  EXPECT_EQ(ask("registry.invalid/ns/m:t", false), "CONNECT registry.invalid:443");
  EXPECT_EQ(ask("short", true), "CONNECT registry.invalid:443");
}

}  // namespace
}  // namespace omg
