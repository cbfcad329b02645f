// SPDX-License-Identifier: Apache-2.0
//
// The names that states of runs and jobs have on the wire.
#include "daemon/requests/job_service.h"
#include "daemon/requests/model_service.h"

namespace omg {

std::string_view run_state_name(RunState state) {
  switch (state) {
    case RunState::kStarting:
      return "starting";
    case RunState::kRunning:
      return "running";
    case RunState::kStopping:
      return "stopping";
    case RunState::kError:
      return "error";
  }
  return "";
}

std::string_view job_state_name(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kDone:
      return "done";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "";
}

}  // namespace omg
