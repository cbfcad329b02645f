// SPDX-License-Identifier: Apache-2.0
//
// The daemon: store, runs, jobs and dialects joined to one HTTP server. Everything it owns is made
// and ended here, in an order in which nothing outlives what it uses.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/log.h"
#include "daemon/access/access_control.h"
#include "daemon/jobs/hub_jobs.h"
#include "daemon/lifecycle/lifecycle.h"
#include "net/server/http_server.h"
#include "store/store.h"

namespace omg {

struct DaemonOptions {
  std::vector<HttpEndpoint> endpoints;
  HttpServerLimits limits;
  HttpAccessRules pages;  // which pages in a browser may ask
  std::optional<HttpTls> tls;
  AccessOptions keys;
  StoreOptions store;
  LifecycleOptions lifecycle;
  HubJobsOptions hub;
  TransferOptions transfers;
  /// Null: each model in a worker process, started from this program's own binary.
  ModelFactory load_model;
  /// What requests under way have to end in when the daemon stops.
  std::chrono::milliseconds grace{10'000};
  /// Stops by itself when for so long nobody asked and nothing is loaded or pulled; 0: never.
  std::chrono::milliseconds idle_exit{0};
};

class Daemon {
 public:
  /// Listens and serves when it returns. Throws Error: kUnavailable where an address is taken,
  /// kInvalidArgument where it would be open to other machines without a key. `log` must outlive
  /// it.
  Daemon(DaemonOptions options, const Log& log);
  /// Ends at once what is still under way.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Where it listens, with the ports that were chosen.
  std::vector<HttpEndpoint> endpoints() const;
  /// Serves until stop() is called, somebody asks it to end by POST /v1/shutdown, or it has been
  /// idle for long; then takes nothing new, lets what is under way end within the grace, and
  /// unloads everything. At most once.
  void run();
  /// Thread-safe; returns at once.
  void stop();

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace omg
