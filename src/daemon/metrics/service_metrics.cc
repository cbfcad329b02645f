// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics/service_metrics.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <unistd.h>

#include "base/hardware.h"

namespace omg {
namespace {

using Seconds = std::chrono::duration<double>;

double seconds(std::chrono::nanoseconds duration) {
  return Seconds(duration).count();
}

/// Any token may come as a method.
std::string method_label(const std::string& method) {
  constexpr std::array<std::string_view, 7> kMethods = {"GET",    "POST",    "HEAD", "PUT",
                                                        "DELETE", "OPTIONS", "PATCH"};
  return std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end() ? "other" : method;
}

/// "cpu" of "CPU (avx512_vnni), 2 threads".
std::string device_label(const RunInfo& run) {
  if (!run.facts) return "cpu";
  std::string name = run.facts->device.substr(0, run.facts->device.find_first_of(" ("));
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return name.empty() ? "cpu" : name;
}

uint64_t resident_bytes() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                             &std::fclose);
  unsigned long long all = 0;
  unsigned long long resident = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu", &all, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

ServiceMetrics::ServiceMetrics(MetricsRegistry& registry, const ModelService& models,
                               ServiceEvents& events)
    : models_(models),
      requests_(registry.counter("ohmygpu_http_requests_total", "Requests answered or abandoned.",
                                 {"method", "route", "status"})),
      request_seconds_(registry.histogram("ohmygpu_http_request_seconds",
                                          "From a request's head to the end of its answer.",
                                          {"route"}, latency_bounds())),
      received_(registry.counter("ohmygpu_http_received_bytes_total", "Bytes of bodies received.")),
      sent_(registry.counter("ohmygpu_http_sent_bytes_total", "Bytes of answers sent.")),
      clients_left_(registry.counter("ohmygpu_http_clients_left_total",
                                     "Requests whose client left before the end.")),
      answers_(registry.counter("ohmygpu_answers_total",
                                "Answers by how they ended: stop, length, cancelled or an error.",
                                {"model", "result"})),
      first_token_(registry.histogram("ohmygpu_time_to_first_token_seconds",
                                      "Loading, waiting and reading the prompt.", {"model"},
                                      latency_bounds())),
      inter_token_(registry.histogram("ohmygpu_inter_token_seconds",
                                      "Between tokens: each answer's mean, once for each token.",
                                      {"model"}, latency_bounds())),
      queue_(registry.histogram("ohmygpu_queue_seconds",
                                "From a loaded model to the answer's first step.", {"model"},
                                latency_bounds())),
      prompt_tokens_(
          registry.counter("ohmygpu_prompt_tokens_total", "Tokens of prompts.", {"model"})),
      cached_tokens_(registry.counter("ohmygpu_cached_prompt_tokens_total",
                                      "Tokens of prompts that the cache had.", {"model"})),
      generated_tokens_(
          registry.counter("ohmygpu_generated_tokens_total", "Tokens of answers.", {"model"})),
      loads_(
          registry.counter("ohmygpu_model_loads_total", "Loads of models.", {"model", "result"})),
      load_seconds_(registry.histogram("ohmygpu_model_load_seconds", "Time that loads took.",
                                       {"model"}, latency_bounds())),
      stops_(registry.counter("ohmygpu_evictions_total",
                              "Runs that ended: evicted, idle, asked, crashed…",
                              {"model", "cause"})),
      crashes_(registry.counter("ohmygpu_worker_crashes_total", "Workers lost.", {"model"})),
      sequences_(registry.gauge("ohmygpu_sequences", "Answers in the batch, and before it.",
                                {"model", "state"})),
      kv_tokens_(
          registry.gauge("ohmygpu_kv_tokens", "Tokens of the KV cache.", {"model", "state"})),
      steps_(
          registry.gauge("ohmygpu_engine_steps", "Steps since the model was loaded.", {"model"})),
      preemptions_(registry.gauge("ohmygpu_preemptions",
                                  "Sequences put back for want of memory, since the load.",
                                  {"model"})),
      restored_(registry.gauge("ohmygpu_restored_prompt_tokens",
                               "Tokens of prompts that came from the disk, since the load.",
                               {"model"})),
      planned_(registry.gauge("ohmygpu_planned_memory_bytes", "Memory set aside for runs.",
                              {"model", "device"})),
      runs_(registry.gauge("ohmygpu_runs", "Runs by state.", {"state"})),
      resident_(registry.gauge("process_resident_memory_bytes",
                               "Resident memory of the daemon, without its workers.")),
      cpu_(registry.counter("process_cpu_seconds_total",
                            "Processor time of the daemon and of workers that ended.")) {
  registry.gauge("ohmygpu_info", "What runs here.", {"version"}).set({OMG_VERSION}, 1);
  registry.gauge("process_start_time_seconds", "When the daemon started, in seconds since 1970.")
      .set({}, Seconds(std::chrono::system_clock::now().time_since_epoch()).count());
  registry.before_scrape([this] {
    look_at_runs();
    look_at_process();
  });
  subscription_ = events.observe([this](const ServiceEvent& event) { take(event); });
}

std::string ServiceMetrics::model_label(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (known_models_.contains(name)) return name;
  if (known_models_.size() >= kMaxModels) return "other";
  known_models_.insert(name);
  return name;
}

void ServiceMetrics::observe(const HttpRecord& record) {
  const std::string route = record.route.empty() ? "none" : record.route;
  requests_.add({method_label(record.method), route, std::to_string(record.status)});
  request_seconds_.observe({route}, seconds(record.duration));
  received_.add({}, static_cast<double>(record.body_bytes));
  sent_.add({}, static_cast<double>(record.sent_bytes));
  if (record.client_left) clients_left_.add({});
}

void ServiceMetrics::take_answer(const ServiceEvent& event) {
  // A name that is no model's may be anything.
  const bool is_model = event.error != ErrorCode::kNotFound;
  const std::string model = is_model ? model_label(event.model) : "none";
  const AnswerResult& result = event.result;
  answers_.add({model, std::string(event.error ? error_name(*event.error)
                                               : finish_reason_name(result.finish_reason))});
  prompt_tokens_.add({model}, result.prompt_tokens);
  cached_tokens_.add({model}, result.cached_tokens);
  generated_tokens_.add({model}, result.generated_tokens);
  if (event.error || result.prompt_duration.count() == 0) return;
  queue_.observe({model}, seconds(result.queue_duration));
  first_token_.observe(
      {model}, seconds(result.load_duration + result.queue_duration + result.prompt_duration));
  if (result.generated_tokens > 1) {
    const uint64_t gaps = result.generated_tokens - 1;
    inter_token_.observe({model}, seconds(result.generation_duration) / static_cast<double>(gaps),
                         gaps);
  }
}

void ServiceMetrics::take(const ServiceEvent& event) {
  using Kind = ServiceEvent::Kind;
  switch (event.kind) {
    case Kind::kRunStarted:
      return;
    case Kind::kRunLoaded: {
      const std::string model = model_label(event.model);
      loads_.add({model, "loaded"});
      load_seconds_.observe({model}, seconds(event.duration));
      return;
    }
    case Kind::kRunStopped: {
      const std::string model = model_label(event.model);
      if (event.cause == ServiceEvent::Cause::kLoadFailed) {
        loads_.add({model, std::string(event.error ? error_name(*event.error) : "failed")});
      } else {
        stops_.add({model, std::string(event_cause_name(event.cause))});
      }
      return;
    }
    case Kind::kRunCrashed:
      crashes_.add({model_label(event.model)});
      return;
    case Kind::kAnswerFinished:
      take_answer(event);
      return;
  }
}

void ServiceMetrics::look_at_runs() {
  const std::vector<RunInfo> runs = models_.runs();
  for (MetricFamily* family :
       {&sequences_, &kv_tokens_, &steps_, &preemptions_, &restored_, &planned_, &runs_}) {
    family->clear();
  }
  for (const RunState state :
       {RunState::kStarting, RunState::kRunning, RunState::kStopping, RunState::kError}) {
    const auto count = std::count_if(runs.begin(), runs.end(),
                                     [&](const RunInfo& run) { return run.state == state; });
    runs_.set({std::string(run_state_name(state))}, static_cast<double>(count));
  }
  for (const RunInfo& run : runs) {
    const std::string model = model_label(run.model.name.str());
    planned_.add({model, device_label(run)}, static_cast<double>(run.planned_bytes));
    if (!run.facts) continue;
    const ModelActivity& activity = run.activity;
    sequences_.add({model, "running"}, activity.running);
    sequences_.add({model, "waiting"}, activity.waiting);
    const auto capacity = static_cast<double>(run.facts->kv_capacity_tokens);
    const auto free = std::min(static_cast<double>(activity.kv_free_tokens), capacity);
    kv_tokens_.add({model, "used"}, capacity - free);
    kv_tokens_.add({model, "free"}, free);
    steps_.add({model}, static_cast<double>(activity.steps));
    preemptions_.add({model}, static_cast<double>(activity.preemptions));
    restored_.add({model}, static_cast<double>(activity.restored_tokens));
  }
}

void ServiceMetrics::look_at_process() {
  resident_.set({}, static_cast<double>(resident_bytes()));
  cpu_.set({}, own_processor_seconds());
}

}  // namespace omg
