// SPDX-License-Identifier: Apache-2.0
#include "daemon/server/daemon.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "base/file_system.h"
#include "daemon/catalog/create.h"
#include "daemon/catalog/store_catalog.h"
#include "daemon/jobs/job_queue.h"
#include "daemon/manage/event_bus.h"
#include "daemon/manage/manage.h"
#include "daemon/metrics/service_metrics.h"
#include "daemon/ollama/ollama.h"
#include "daemon/openai/openai.h"
#include "runtimes/worker/worker_model.h"

namespace omg {
namespace {

std::unique_ptr<Model> load_in_worker(const ModelLoadOptions& options, ModelHooks hooks) {
  WorkerOptions worker;
  worker.load = options;
  // Its prompts are written to the disk first, which it gives 5 s.
  if (!options.prefix_storage.path.empty()) worker.stop_grace += std::chrono::seconds(6);
  worker.on_progress = std::move(hooks.on_progress);
  worker.on_log = std::move(hooks.on_log);
  worker.cancellation = hooks.cancellation;
  worker.on_exit = [on_exit = std::move(hooks.on_exit)](const WorkerExit& exit) {
    on_exit(Error(ErrorCode::kUnavailable, exit.reason));
  };
  return start_worker(std::move(worker));
}

/// Each dialect has its own shape for what went wrong before a handler could answer. Of models,
/// OpenAI's routes tell, and the management's bring and delete them.
HttpAnswer problem_answer(const HttpProblem& problem) {
  std::string_view path;
  if (problem.request != nullptr) path = problem.request->path;
  const bool deletes = problem.request != nullptr && problem.request->method == "DELETE";
  for (const std::string_view openai :
       {"/v1/chat/", "/v1/completions", "/v1/embeddings", "/v1/models"}) {
    if (deletes && openai == "/v1/models") continue;
    if (path.starts_with(openai) && path != "/v1/models/pull" && path != "/v1/models/install") {
      return openai_problem(problem);
    }
  }
  if (path.starts_with("/v1/")) return manage_problem(problem);
  json::object answer = {{"error", problem.message}};
  return {problem.status, "application/json; charset=utf-8", {}, json::serialize(answer)};
}

}  // namespace

class Daemon::Parts {
 public:
  Parts(DaemonOptions options, const Log& log)
      : options_(std::move(options)),
        access_(files_, options_.keys, &log),
        store_(Store::open(options_.store)),
        transfers_(files_, clock_, options_.hub.http, options_.transfers),
        hub_jobs_(store_, transfers_, options_.hub),
        jobs_(store_, job_makers()),
        lifecycle_(store_, options_.load_model ? options_.load_model : load_in_worker,
                   options_.lifecycle, log, events_),
        catalog_(store_,
                 {.before_remove =
                      [this](const StoredModel& model) { lifecycle_.unload(model.name.str()); }}),
        metrics_(registry_, lifecycle_, events_),
        publisher_(bus_, events_, jobs_) {
    check_bind(options_.endpoints, access_);
    if (const auto& why = store_.read_only_reason()) {
      log.write(LogLevel::kWarn, "models can be used but not changed: " + *why);
    }
    server_ = std::make_unique<HttpServer>(server_options(), router());
  }

  std::vector<HttpEndpoint> endpoints() const { return server_->endpoints(); }

  void run() {
    wait_for_the_end();
    bus_.close();
    server_->stop(options_.grace);
    lifecycle_.shutdown(std::chrono::milliseconds(0));
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    wake_.notify_all();
  }

 private:
  using Clock = std::chrono::steady_clock;

  JobMakers job_makers() {
    const CreateParts create{store_, [this](const PullCall& call, JobReport& report) {
                               return hub_jobs_.pull_now(call, report);
                             }};
    return {
        [this](const PullCall& call) { return hub_jobs_.pull(call); },
        [this](const std::string& model, bool insecure) { return hub_jobs_.push(model, insecure); },
        [create](const CreateCall& call) { return create_job(create, call); }};
  }

  HttpRouter router() {
    HttpRouter router;
    add_ollama_routes(router, {lifecycle_, catalog_, jobs_, OMG_VERSION});
    add_openai_routes(router, {lifecycle_, catalog_});
    add_manage_routes(router, {.models = lifecycle_,
                               .catalog = catalog_,
                               .jobs = jobs_,
                               .metrics = registry_,
                               .events = bus_,
                               .models_folder = store_.folder(),
                               .shutdown = [this] { stop(); }});
    return router;
  }

  HttpServerOptions server_options() {
    HttpServerOptions server;
    server.endpoints = options_.endpoints;
    server.limits = options_.limits;
    server.tls = options_.tls;
    server.access = options_.pages;
    server.admit = [this](const HttpServerRequest& head) {
      last_request_ = Clock::now().time_since_epoch();
      access_.admit(head);
    };
    server.problem_answer = problem_answer;
    server.observe = [this](const HttpRecord& record) { metrics_.observe(record); };
    return server;
  }

  void wait_for_the_end() {
    last_request_ = Clock::now().time_since_epoch();
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
      if (options_.idle_exit.count() == 0) {
        wake_.wait(lock);
        continue;
      }
      wake_.wait_for(lock, options_.idle_exit / 8);
      if (is_idle()) return;
    }
  }

  bool is_idle() {
    const Clock::time_point last{last_request_.load()};
    if (Clock::now() - last < options_.idle_exit) return false;
    for (const JobInfo& job : jobs_.jobs()) {
      if (job.state == JobState::kQueued || job.state == JobState::kRunning) return false;
    }
    return lifecycle_.runs().empty() && server_->connections() == 0;
  }

  const DaemonOptions options_;
  RealFileSystem files_;
  SteadyClock clock_;
  AccessControl access_;
  Store store_;
  Transfers transfers_;
  HubJobs hub_jobs_;
  JobQueue jobs_;
  ServiceEvents events_;
  Lifecycle lifecycle_;
  StoreCatalog catalog_;
  EventBus bus_;
  MetricsRegistry registry_;
  ServiceMetrics metrics_;
  EventPublisher publisher_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;  // guarded by mutex_
  std::atomic<Clock::duration> last_request_{};

  std::unique_ptr<HttpServer> server_;  // last: its handlers use all of the above
};

Daemon::Daemon(DaemonOptions options, const Log& log)
    : parts_(std::make_unique<Parts>(std::move(options), log)) {}
Daemon::~Daemon() = default;

std::vector<HttpEndpoint> Daemon::endpoints() const {
  return parts_->endpoints();
}
void Daemon::run() {
  parts_->run();
}
void Daemon::stop() {
  parts_->stop();
}

}  // namespace omg
