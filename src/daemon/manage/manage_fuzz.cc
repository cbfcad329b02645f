// SPDX-License-Identifier: Apache-2.0
//
// Bodies and queries of the management API, over services that do nothing: every answer has a
// status and, unless it is a stream or plain text, is JSON; what is refused has a code.
#include <cstdlib>

#include "daemon/manage/manage.h"
#include "daemon/requests/testing/fake_services.h"
#include "net/server/testing/ask.h"

namespace {

using omg::testing::Asked;

struct Route {
  const char* method;
  const char* target;
};
constexpr Route kRoutes[] = {
    {"POST", "/v1/models/pull"},
    {"POST", "/v1/generate"},
    {"POST", "/v1/generate_stream"},
    {"POST", "/v1/generate_batch"},
    {"POST", "/v1/tokenize"},
    {"POST", "/v1/detokenize"},
    {"POST", "/v1/runs"},
    {"POST", "/v1/runs/run-1/stop"},
    {"POST", "/v1/shutdown"},
    {"POST", "/v1/jobs/job-1/cancel"},
    {"GET", "/v1/plan?"},
    {"GET", "/v1/runs/run-1/logs?"},
    {"GET", "/v1/jobs/job-1?"},
    {"DELETE", "/v1/models/"},
};

struct Services {
  omg::testing::FakeModelService models;
  omg::testing::FakeModelCatalog catalog;
  omg::testing::FakeJobService jobs;
  omg::MetricsRegistry metrics;
  omg::EventBus events{1};
  omg::HttpRouter router;
  omg::HttpServerOptions options;

  Services() {
    catalog.add("m").model.extra["memory"] = {{"weights", 1}, {"kv_per_token", 7}};
    omg::JobInfo job;
    job.id = "job-1";
    job.state = omg::JobState::kDone;
    jobs.job_list = {job};
    jobs.updates = {job};
    models.logs["run-1"] = {"a line"};
    omg::ManageParts parts{
        models, catalog, jobs, metrics, events, "", [] {}, nullptr, std::chrono::milliseconds(100),
        nullptr};
    add_manage_routes(router, parts);
    options.problem_answer = omg::manage_problem;
  }
};

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Route& route = kRoutes[data[0] % std::size(kRoutes)];
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool in_target = route.method != std::string("POST");
  Services services;
  Asked asked;
  try {
    asked = omg::testing::LocalRequest(services.router, services.options, route.method,
                                       in_target ? route.target + rest : route.target,
                                       in_target ? "" : rest)
                .wait();
  } catch (const omg::HttpRefusal&) {  // no target that the server hands on
    return 0;
  } catch (const std::runtime_error& error) {
    check(std::string(error.what()).starts_with("no route"));
    return 0;
  }
  check(asked.status >= 200 && asked.status < 600 && asked.status != 500);
  if (asked.header("Content-Type") != "application/json") {
    check(asked.status == 200 && asked.whole);
    return 0;
  }
  const omg::json::value answer = omg::parse_json(asked.body, "the answer");
  check(answer.is_object());
  if (asked.status >= 400) check(answer.at("error").at("code").is_string());
  return 0;
}
