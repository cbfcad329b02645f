// SPDX-License-Identifier: Apache-2.0
//
// Ollama's HTTP API: its clients work here unchanged. Field names, their order, defaults, statuses
// and error texts are Ollama's; what it drops silently is said here in an additional field,
// "warnings", of the last object of an answer.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "daemon/requests/job_service.h"
#include "daemon/requests/model_catalog.h"
#include "daemon/requests/model_service.h"
#include "net/server/router.h"

namespace omg {

/// What the routes stand on; all of it must outlive the router and the server that has it.
struct OllamaParts {
  ModelService& service;
  ModelCatalog& catalog;
  JobService& jobs;
  std::string version;  // of /api/version
  /// The time of created_at and the like; null: the machine's clock.
  std::function<std::chrono::system_clock::time_point()> clock;
};

/// GET / and all of /api/… that is Ollama's. Handlers never wait for tokens, loads or jobs.
void add_ollama_routes(HttpRouter& router, OllamaParts parts);

}  // namespace omg
