// SPDX-License-Identifier: Apache-2.0
//
// Pulls and pushes as jobs of a JobQueue. Each has a client and hub of its own, so that many run at
// once and each can be cancelled; transfers are shared, so that bytes which two of them need come
// once.
#pragma once

#include <string>

#include "daemon/jobs/job_queue.h"
#include "hub/hub.h"
#include "hub/transfer/transfer.h"
#include "net/http_client.h"
#include "store/store.h"

namespace omg {

struct HubJobsOptions {
  HttpClientOptions http;
  HubOptions hub;
};

/// Thread-safe. All that it is made with must outlive its jobs.
class HubJobs {
 public:
  HubJobs(Store& store, Transfers& transfers, HubJobsOptions options)
      : store_(store), transfers_(transfers), options_(std::move(options)) {}

  /// Error(kInvalidArgument) for what is no name, or a path.
  JobTask pull(const PullCall& call) const;
  /// Error(kNotFound) for what is not here, kInvalidArgument for a name without a registry.
  JobTask push(const std::string& model, bool insecure) const;
  /// A pull as part of another job. Returns the name that the model has in the store.
  StoreName pull_now(const PullCall& call, JobReport& report) const;

 private:
  Store& store_;
  Transfers& transfers_;
  const HubJobsOptions options_;
};

}  // namespace omg
