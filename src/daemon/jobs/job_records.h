// SPDX-License-Identifier: Apache-2.0
//
// Jobs as the store remembers them.
#pragma once

#include <optional>

#include "daemon/requests/job_service.h"
#include "store/store.h"

namespace omg {

JobRecord record_of(const JobInfo& job);

/// Nothing for what is no job of a queue. One that had not ended was interrupted, and has failed.
std::optional<JobInfo> job_of(const JobRecord& record);

/// What a job ends with when the daemon does.
Error interrupted_job();

bool has_ended(JobState state);

}  // namespace omg
