// SPDX-License-Identifier: Apache-2.0
//
// The text that Prometheus reads, and that what happens is counted where it should be.
#include <algorithm>
#include <gtest/gtest.h>

#include "daemon/metrics/registry.h"
#include "daemon/metrics/service_metrics.h"

namespace omg {
namespace {

using namespace std::chrono_literals;

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricsRegistry, WritesTheTextFormat) {
  MetricsRegistry registry;
  MetricFamily& plain = registry.counter("plain_total", "Some help\nin \\ two lines.");
  MetricFamily& named = registry.gauge("named", "Help.", {"a", "b"});
  MetricFamily& times = registry.histogram("times", "Help.", {"x"}, {0.1, 1, 10});
  plain.add({});
  plain.add({}, 2.5);
  named.set({"quote \" and \\ and \n", "ü\xff"}, -1);
  times.observe({"y"}, 0.1);  // a bound belongs to its bucket
  times.observe({"y"}, 5, 3);
  times.observe({"y"}, 100);
  EXPECT_EQ(registry.text(),
            "# HELP plain_total Some help\\nin \\\\ two lines.\n"
            "# TYPE plain_total counter\n"
            "plain_total 3.5\n"
            "# HELP named Help.\n"
            "# TYPE named gauge\n"
            "named{a=\"quote \\\" and \\\\ and \\n\",b=\"ü\uFFFD\"} -1\n"
            "# HELP times Help.\n"
            "# TYPE times histogram\n"
            "times_bucket{x=\"y\",le=\"0.1\"} 1\n"
            "times_bucket{x=\"y\",le=\"1\"} 1\n"
            "times_bucket{x=\"y\",le=\"10\"} 4\n"
            "times_bucket{x=\"y\",le=\"+Inf\"} 5\n"
            "times_sum{x=\"y\"} 115.1\n"
            "times_count{x=\"y\"} 5\n");
  EXPECT_THROW(registry.gauge("named", "again"), Error);
  EXPECT_THROW(registry.gauge("no-name", "x"), Error);
  EXPECT_THROW(registry.gauge("9lives", "x"), Error);
  EXPECT_THROW(registry.gauge("fine", "x", {"not fine"}), Error);
  EXPECT_THROW(named.set({"only one"}, 1), Error);
}

TEST(MetricsRegistry, DoesNotGrowWithoutBound) {
  MetricsRegistry registry;
  MetricFamily& family = registry.counter("many_total", "Help.", {"name"});
  for (size_t i = 0; i < MetricFamily::kMaxSeries + 500; ++i) family.add({std::to_string(i)});
  const std::string text = registry.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 + 1000 + 1);
  EXPECT_TRUE(has_line(text, "many_total{name=\"other\"} 500"));
}

/// Runs as they are told.
class FixedRuns final : public ModelService {
 public:
  Canceller answer(ModelCall, AnswerSink) override { return nullptr; }
  Canceller load(std::string, std::optional<KeepAlive>, OnLoaded) override { return nullptr; }
  bool unload(const std::string&) override { return false; }
  void set_pinned(const std::string&, bool) override {}
  Canceller with_model(std::string, UseModel) override { return nullptr; }
  std::vector<RunInfo> runs() const override { return list; }
  std::vector<std::string> run_log(const std::string&, size_t) const override { return {}; }
  std::vector<RunInfo> list;
};

RunInfo some_run() {
  RunInfo run;
  run.id = "run-1";
  run.model = StoredModel(StoreName("llama:1b"));
  run.state = RunState::kRunning;
  run.planned_bytes = 1000;
  run.facts.emplace();
  run.facts->device = "CPU (avx2), 2 threads";
  run.facts->kv_capacity_tokens = 4096;
  run.activity.running = 3;
  run.activity.waiting = 2;
  run.activity.kv_free_tokens = 96;
  return run;
}

/// One of each kind, and a few that go wrong.
void emit_some(ServiceEvents& events) {
  ServiceEvent event;
  event.model = "llama:1b";
  event.kind = ServiceEvent::Kind::kRunLoaded;
  event.duration = 2s;
  events.emit(event);
  event.kind = ServiceEvent::Kind::kAnswerFinished;
  event.result.prompt_tokens = 100;
  event.result.cached_tokens = 60;
  event.result.generated_tokens = 11;
  event.result.load_duration = 2s;
  event.result.queue_duration = 40ms;
  event.result.prompt_duration = 200ms;
  event.result.generation_duration = 300ms;
  events.emit(event);
  event.error = ErrorCode::kUnavailable;
  event.result = {};
  events.emit(event);
  event.model = "whatever a client types";
  event.error = ErrorCode::kNotFound;
  events.emit(event);
  event.error.reset();
  event.model = "llama:1b";
  event.kind = ServiceEvent::Kind::kRunCrashed;
  events.emit(event);
  event.kind = ServiceEvent::Kind::kRunStopped;
  event.cause = ServiceEvent::Cause::kEvicted;
  events.emit(event);
}

TEST(ServiceMetrics, CountsAnswersRunsAndRequests) {
  MetricsRegistry registry;
  FixedRuns runs;
  ServiceEvents events;
  ServiceMetrics metrics(registry, runs, events);
  runs.list = {some_run()};
  emit_some(events);
  metrics.observe({"POST", "/api/chat", 200, 10, 2000, 40ms, false});
  metrics.observe({"BREW", "", 405, 0, 100, 1ms, true});
  const std::string text = registry.text();
  for (const char* line :
       {"ohmygpu_http_requests_total{method=\"POST\",route=\"/api/chat\",status=\"200\"} 1",
        "ohmygpu_http_requests_total{method=\"other\",route=\"none\",status=\"405\"} 1",
        "ohmygpu_http_request_seconds_bucket{route=\"/api/chat\",le=\"0.025\"} 0",
        "ohmygpu_http_request_seconds_bucket{route=\"/api/chat\",le=\"0.05\"} 1",
        "ohmygpu_http_sent_bytes_total 2100",
        "ohmygpu_http_clients_left_total 1",
        "ohmygpu_answers_total{model=\"llama:1b\",result=\"stop\"} 1",
        "ohmygpu_answers_total{model=\"llama:1b\",result=\"unavailable\"} 1",
        "ohmygpu_answers_total{model=\"none\",result=\"not_found\"} 1",
        "ohmygpu_prompt_tokens_total{model=\"llama:1b\"} 100",
        "ohmygpu_cached_prompt_tokens_total{model=\"llama:1b\"} 60",
        "ohmygpu_generated_tokens_total{model=\"llama:1b\"} 11",
        "ohmygpu_time_to_first_token_seconds_count{model=\"llama:1b\"} 1",
        "ohmygpu_time_to_first_token_seconds_bucket{model=\"llama:1b\",le=\"2.5\"} 1",
        "ohmygpu_time_to_first_token_seconds_bucket{model=\"llama:1b\",le=\"1\"} 0",
        "ohmygpu_inter_token_seconds_count{model=\"llama:1b\"} 10",
        "ohmygpu_inter_token_seconds_bucket{model=\"llama:1b\",le=\"0.05\"} 10",
        "ohmygpu_inter_token_seconds_bucket{model=\"llama:1b\",le=\"0.025\"} 0",
        "ohmygpu_queue_seconds_sum{model=\"llama:1b\"} 0.04",
        "ohmygpu_model_loads_total{model=\"llama:1b\",result=\"loaded\"} 1",
        "ohmygpu_evictions_total{model=\"llama:1b\",cause=\"evicted\"} 1",
        "ohmygpu_worker_crashes_total{model=\"llama:1b\"} 1",
        "ohmygpu_sequences{model=\"llama:1b\",state=\"running\"} 3",
        "ohmygpu_sequences{model=\"llama:1b\",state=\"waiting\"} 2",
        "ohmygpu_kv_tokens{model=\"llama:1b\",state=\"used\"} 4000",
        "ohmygpu_planned_memory_bytes{model=\"llama:1b\",device=\"cpu\"} 1000",
        "ohmygpu_runs{state=\"running\"} 1",
        "ohmygpu_runs{state=\"error\"} 0"}) {
    EXPECT_TRUE(has_line(text, line)) << line;
  }
  runs.list.clear();
  const std::string later = registry.text();
  EXPECT_EQ(later.find("ohmygpu_sequences{"), std::string::npos) << "a run that is gone";
  EXPECT_TRUE(has_line(later, "ohmygpu_runs{state=\"running\"} 0"));
  EXPECT_NE(later.find("\nprocess_resident_memory_bytes "), std::string::npos);
  EXPECT_FALSE(has_line(later, "process_resident_memory_bytes 0"));
}

TEST(ServiceMetrics, KeepsSoManyModelNamesAndNoMore) {
  MetricsRegistry registry;
  FixedRuns runs;
  ServiceEvents events;
  const ServiceMetrics metrics(registry, runs, events);
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kRunCrashed;
  for (size_t i = 0; i < ServiceMetrics::kMaxModels + 5; ++i) {
    event.model = "m" + std::to_string(i);
    events.emit(event);
  }
  const std::string text = registry.text();
  EXPECT_TRUE(has_line(text, "ohmygpu_worker_crashes_total{model=\"m99\"} 1"));
  EXPECT_TRUE(has_line(text, "ohmygpu_worker_crashes_total{model=\"other\"} 5"));
}

}  // namespace
}  // namespace omg
