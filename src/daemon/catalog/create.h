// SPDX-License-Identifier: Apache-2.0
//
// New models out of what is here: settings over another model, files that were uploaded, and either
// of them in fewer bits. Weights are never copied, only named.
#pragma once

#include <functional>
#include <string>

#include "daemon/jobs/job_queue.h"
#include "daemon/requests/job_service.h"
#include "store/store.h"

namespace omg {

/// The name that a new model gets in the store: that of the model which it replaces, if there is
/// one of that name in any spelling. Error(kInvalidArgument) "invalid model name …" for what could
/// not be asked for again: paths, URLs, revisions, digests.
StoreName new_model_name(const Store& store, const std::string& text);

struct CreateParts {
  Store& store;  // must outlive the jobs
  /// Brings a base that is not here; HubJobs::pull_now. Null: that is Error(kNotFound).
  std::function<StoreName(const PullCall& call, JobReport& report)> pull;
};

/// Checks all that can be known beforehand and throws Error for it: names, parameters, templates,
/// digests (kInvalidArgument), blobs that are not here (kNotFound), adapters (kUnsupported). What
/// only the files tell comes while the job runs; then no model has changed.
JobTask create_job(const CreateParts& parts, const CreateCall& call);

}  // namespace omg
