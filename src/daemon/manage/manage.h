// SPDX-License-Identifier: Apache-2.0
//
// The management API: health, models and jobs, runs, events, what this machine is, tokens, plain
// answers, figures. docs/management-api.md describes each route; errors are
// {"error": {"code": …, "message": …}}, and a field that nobody knows is refused.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "daemon/manage/event_bus.h"
#include "daemon/metrics/registry.h"
#include "daemon/requests/job_service.h"
#include "daemon/requests/model_catalog.h"
#include "daemon/requests/model_service.h"
#include "daemon/requests/service_events.h"
#include "net/server/http_server.h"
#include "net/server/router.h"

namespace omg {

struct ManageParts {
  ModelService& models;
  ModelCatalog& catalog;
  JobService& jobs;
  MetricsRegistry& metrics;
  EventBus& events;
  std::string models_folder;
  /// Begins to stop the daemon; returns at once. Null: POST /v1/shutdown is refused.
  std::function<void()> shutdown;
  /// More for GET /v1/system: what computes here, and how the daemon is set up. May be null.
  std::function<json::object()> more_about_system;
  /// What a model that is loaded has to decode a token in, for GET /readyz.
  std::chrono::milliseconds ready_timeout{5000};
  /// Bytes that a run may take; null: what the machine has to spare.
  std::function<uint64_t()> usable_memory;
};

/// The parts must outlive the router and all answers.
void add_manage_routes(HttpRouter& router, const ManageParts& parts);

/// HttpServerOptions::problem_answer for the paths of this API.
HttpAnswer manage_problem(const HttpProblem& problem);

/// Puts what happens to runs, answers and jobs on the bus while it lives. No text of a prompt or an
/// answer is in it. A job's progress comes once a second.
class EventPublisher {
 public:
  /// All must outlive it.
  EventPublisher(EventBus& bus, ServiceEvents& services, JobService& jobs);
  ~EventPublisher();
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;

 private:
  struct Jobs;
  std::unique_ptr<Jobs> jobs_;
  ServiceEvents::Subscription services_;
  std::unique_ptr<JobService::Subscription> job_updates_;
};

}  // namespace omg
