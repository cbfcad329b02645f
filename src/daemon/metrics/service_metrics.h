// SPDX-License-Identifier: Apache-2.0
//
// What the daemon measures of itself: requests as the HTTP server saw them, answers and runs as
// ServiceEvents tell them, and how things stand when somebody asks.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "daemon/metrics/registry.h"
#include "daemon/requests/model_service.h"
#include "daemon/requests/service_events.h"
#include "net/server/http_server.h"

namespace omg {

/// Thread-safe. Models keep their names up to kMaxModels; further ones are "other".
class ServiceMetrics {
 public:
  static constexpr size_t kMaxModels = 100;

  /// Makes its families in `registry`. All three must outlive it, and nothing may ask for the
  /// registry's text() after it.
  ServiceMetrics(MetricsRegistry& registry, const ModelService& models, ServiceEvents& events);

  /// For HttpServerOptions::observe.
  void observe(const HttpRecord& record);

 private:
  void take(const ServiceEvent& event);
  void take_answer(const ServiceEvent& event);
  void look_at_runs();
  void look_at_process();
  std::string model_label(const std::string& name);

  const ModelService& models_;
  // Requests.
  MetricFamily& requests_;
  MetricFamily& request_seconds_;
  MetricFamily& received_;
  MetricFamily& sent_;
  MetricFamily& clients_left_;
  // Answers.
  MetricFamily& answers_;
  MetricFamily& first_token_;
  MetricFamily& inter_token_;
  MetricFamily& queue_;
  MetricFamily& prompt_tokens_;
  MetricFamily& cached_tokens_;
  MetricFamily& generated_tokens_;
  // Runs.
  MetricFamily& loads_;
  MetricFamily& load_seconds_;
  MetricFamily& stops_;
  MetricFamily& crashes_;
  MetricFamily& sequences_;
  MetricFamily& kv_tokens_;
  MetricFamily& steps_;
  MetricFamily& preemptions_;
  MetricFamily& restored_;
  MetricFamily& planned_;
  MetricFamily& runs_;
  // This process.
  MetricFamily& resident_;
  MetricFamily& cpu_;

  std::mutex mutex_;
  std::set<std::string> known_models_;
  ServiceEvents::Subscription subscription_;  // last: gone before what it calls
};

}  // namespace omg
