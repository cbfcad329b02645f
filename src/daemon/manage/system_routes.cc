// SPDX-License-Identifier: Apache-2.0
//
// How the daemon is: /health, /readyz, /v1/system, /metrics; and its end, /v1/shutdown.
#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <unistd.h>
#include <utility>

#include "base/file_system.h"
#include "base/gpu_probe.h"
#include "base/hardware.h"
#include "daemon/manage/replies.h"

namespace omg::manage {
namespace {

using Clock = std::chrono::steady_clock;

/// Whether the loaded models decode. A model that decoded once, and has nothing to do since, is
/// not asked again: to ask is to use it, and a probe every few seconds would keep everything loaded
/// for ever.
class ReadyProbe {
 public:
  ReadyProbe(ModelService& models, std::chrono::milliseconds timeout)
      : models_(models), timeout_(timeout) {}

  struct Verdict {
    std::string run;
    std::string model;
    std::string problem;  // "" if it decodes
  };

  /// Waits for the models, at most the timeout. One looks at a time; who comes meanwhile gets what
  /// was seen last, so that a model that is stuck cannot hold all threads. Nothing: not known yet.
  std::optional<std::vector<Verdict>> look() {
    const std::unique_lock looking(looking_, std::try_to_lock);
    if (!looking) {
      const std::lock_guard lock(mutex_);
      return last_;
    }
    std::vector<Verdict> verdicts = look_at_all();
    const std::lock_guard lock(mutex_);
    last_ = verdicts;
    return verdicts;
  }

 private:
  std::vector<Verdict> look_at_all() {
    std::vector<RunInfo> runs = models_.runs();
    std::erase_if(runs, [](const RunInfo& run) { return run.state != RunState::kRunning; });
    std::erase_if(proven_, [&](const auto& entry) {
      return std::none_of(runs.begin(), runs.end(),
                          [&](const RunInfo& run) { return run.id == entry.first; });
    });
    std::vector<std::shared_ptr<Asked>> asked;
    for (const RunInfo& run : runs) asked.push_back(is_proven(run) ? nullptr : ask(run));
    const auto deadline = Clock::now() + timeout_;
    std::vector<Verdict> verdicts;
    for (size_t i = 0; i < runs.size(); ++i) {
      std::string problem = asked[i] ? asked[i]->wait(deadline) : "";
      if (problem.empty()) proven_[runs[i].id] = runs[i].activity.steps;
      verdicts.push_back({runs[i].id, runs[i].model.name.str(), std::move(problem)});
    }
    return verdicts;
  }

  /// One token that a model was asked for. Outlives the question where the answer comes too late.
  struct Asked {
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    std::string problem;
    Canceller cancel;

    std::string wait(Clock::time_point deadline) {
      const Canceller stop = std::exchange(cancel, nullptr);  // it may keep what keeps this
      std::unique_lock lock(mutex);
      if (changed.wait_until(lock, deadline, [&] { return ended; })) return problem;
      lock.unlock();
      stop();
      return "it decoded no token in time";
    }
  };

  bool is_proven(const RunInfo& run) const {
    const auto found = proven_.find(run.id);
    if (found == proven_.end()) return false;
    const bool is_idle = run.activity.running == 0 && run.activity.waiting == 0;
    return is_idle || run.activity.steps > found->second;
  }

  std::shared_ptr<Asked> ask(const RunInfo& run) {
    const auto asked = std::make_shared<Asked>();
    ModelCall call;
    call.model = run.model.name.str();
    call.prompt = TextPrompt{"a", std::nullopt, true};
    call.parameters.max_tokens = 1;
    call.parameters.temperature = 0;
    AnswerSink sink;
    sink.on_piece = [](AnswerPiece&&) {};
    sink.on_end = [asked](const Error* error, const AnswerResult&) {
      const std::lock_guard lock(asked->mutex);
      asked->ended = true;
      // One that is too busy for another answer decodes for others.
      if (error != nullptr && error->code() != ErrorCode::kUnavailable) {
        asked->problem = error->what();
      }
      asked->changed.notify_all();
    };
    asked->cancel = models_.answer(std::move(call), std::move(sink));
    return asked;
  }

  ModelService& models_;
  const std::chrono::milliseconds timeout_;
  std::mutex looking_;
  std::map<std::string, uint64_t> proven_;  // run id to its steps when it last decoded; looking_
  std::mutex mutex_;
  std::optional<std::vector<Verdict>> last_;
};

void send_ready(ReadyProbe& probe, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const auto seen = probe.look();
  const auto verdicts = seen.value_or(std::vector<ReadyProbe::Verdict>());
  bool ready = seen.has_value();
  json::array runs;
  for (const ReadyProbe::Verdict& verdict : verdicts) {
    json::object run = {{"id", verdict.run}, {"ready", verdict.problem.empty()}};
    if (!verdict.problem.empty()) run["problem"] = verdict.problem;
    ready = ready && verdict.problem.empty();
    runs.push_back(std::move(run));
  }
  HttpAnswer answer = json_answer(
      json::object{{"ready", ready}, {"models", verdicts.size()}, {"runs", std::move(runs)}},
      ready ? 200 : 503);
  if (!ready) answer.headers = {{"Retry-After", "5"}};
  responder.send(std::move(answer));
}

json::value or_null(const std::optional<uint64_t>& value) {
  if (!value) return nullptr;
  return *value;
}

json::object cpu_to_json() {
  const CpuInfo cpu = probe_cpu();
  const auto quota = cgroup_cpu_quota();
  json::object object = {{"name", cpu.name},
                         {"sockets", cpu.sockets},
                         {"cores", cpu.cores},
                         {"threads", cpu.threads},
                         {"affinity_threads", affinity_threads()},
                         {"cgroup_quota", nullptr}};
  if (quota) object["cgroup_quota"] = *quota;
  return object;
}

json::array gpus_to_json() {
  json::array gpus;
  for (const GpuInfo& gpu : probe_gpus().gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"vendor", gpu.vendor},
                    {"driver", gpu.driver},
                    {"bus_id", gpu.bus_id},
                    {"memory_total", or_null(gpu.memory_total)},
                    {"memory_free", or_null(gpu.memory_free)},
                    {"compute_capability", gpu.compute_capability}});
  }
  return gpus;
}

/// What models take on the disk, each file once however many models need it.
json::object store_to_json(const ManageParts& parts) {
  uint64_t own = 0;
  uint64_t referenced = 0;
  std::set<std::string> seen;
  const std::vector<ListedModel> models = parts.catalog.list(BuiltIn::kNever);
  for (const ListedModel& listed : models) {
    for (const Artifact& artifact : listed.model.artifacts) {
      const std::string bytes = artifact.reference ? artifact.reference->path
                                : artifact.digest  ? artifact.digest->str()
                                                   : artifact.filename;
      if (!seen.insert(bytes).second) continue;
      (artifact.reference ? referenced : own) += artifact.size;
    }
  }
  json::object object = {{"folder", parts.models_folder},
                         {"models", models.size()},
                         {"own_bytes", own},
                         {"referenced_bytes", referenced},
                         {"free_bytes", nullptr}};
  try {
    if (!parts.models_folder.empty()) {
      object["free_bytes"] = RealFileSystem().free_bytes(parts.models_folder);
    }
  } catch (const Error&) {  // a folder that is not there yet
  }
  return object;
}

/// Graphics processors are asked through a library that is opened for it: not for each request.
class SystemInfo {
 public:
  json::array gpus() {
    const std::lock_guard lock(mutex_);
    if (!looked_at_ || Clock::now() - *looked_at_ > std::chrono::seconds(5)) {
      gpus_ = gpus_to_json();
      looked_at_ = Clock::now();
    }
    return gpus_;
  }

 private:
  std::mutex mutex_;
  std::optional<Clock::time_point> looked_at_;
  json::array gpus_;
};

json::object system_to_json(const ManageParts& parts, SystemInfo& info) {
  const MemoryInfo memory = probe_memory();
  json::object object = {{"version", OMG_VERSION},
                         {"cpu", cpu_to_json()},
                         {"memory",
                          {{"total", memory.total},
                           {"available", memory.available},
                           {"cgroup_limit", or_null(memory.cgroup_limit)},
                           {"cgroup_used", memory.cgroup_used}}},
                         {"gpus", info.gpus()},
                         {"store", store_to_json(parts)}};
  if (parts.more_about_system) {
    for (auto& [key, value] : parts.more_about_system()) object[key] = std::move(value);
  }
  return object;
}

void shut_down(const ManageParts& parts, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = optional_body(request);
  JsonFields(body).finish();
  if (!parts.shutdown) {
    throw Error(ErrorCode::kUnsupported, "this daemon cannot be stopped through its API");
  }
  responder.send(json_answer(json::object{{"status", "stopping"}}, 202));
  parts.shutdown();
}

}  // namespace

void add_system_routes(HttpRouter& router, const ManageParts& parts) {
  const auto health = [started = Clock::now()](HttpServerRequest&, HttpResponder& responder) {
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started);
    responder.send(json_answer(json::object{{"status", "ok"},
                                            {"version", OMG_VERSION},
                                            {"pid", static_cast<int64_t>(::getpid())},
                                            {"uptime_seconds", uptime.count()}}));
  };
  router.add("GET", "/health", health);
  router.add("GET", "/v1/health", health);
  router.add("GET", "/readyz",
             [probe = std::make_shared<ReadyProbe>(parts.models, parts.ready_timeout)](
                 HttpServerRequest& request, HttpResponder& responder) {
               send_ready(*probe, request, responder);
             });
  router.add("GET", "/v1/system",
             [parts, info = std::make_shared<SystemInfo>()](HttpServerRequest& request,
                                                            HttpResponder& responder) {
               check_query(request, {});
               responder.send(json_answer(system_to_json(parts, *info)));
             });
  router.add(
      "GET", "/metrics", [&metrics = parts.metrics](HttpServerRequest&, HttpResponder& responder) {
        responder.send({200, std::string(MetricsRegistry::kContentType), {}, metrics.text()});
      });
  router.add("POST", "/v1/shutdown", [parts](HttpServerRequest& request, HttpResponder& responder) {
    shut_down(parts, request, responder);
  });
}

}  // namespace omg::manage
