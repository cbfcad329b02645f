// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/daemon_pull.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fmt/format.h>
#include <set>

#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/pull_screen.h"

namespace omg::cli {
namespace {

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

uint64_t count_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<uint64_t>() : 0;
}

bool is_under_way(const json::object& job) {
  const std::string state = text_of(job, "state");
  return state == "queued" || state == "running";
}

PullPhase phase_of(const json::object& job) {
  if (!is_under_way(job)) return PullPhase::kDone;
  const std::string phase = text_of(job, "phase");
  if (phase == "transferring") return PullPhase::kTransferring;
  return phase == "writing manifest" ? PullPhase::kPublishing : PullPhase::kResolving;
}

/// A job tells one rate for all of its files, so those under way share it.
PullProgress progress_of(const json::object& job) {
  PullProgress progress;
  progress.phase = phase_of(job);
  progress.name = text_of(job, "subject");
  progress.done = count_of(job, "completed");
  progress.total = count_of(job, "total");
  size_t under_way = 0;
  for (const json::value& value : job.at("files").as_array()) {
    const json::object& told = value.as_object();
    PullFile file;
    file.path = text_of(told, "name");
    file.digest = text_of(told, "digest");
    file.size = count_of(told, "total");
    file.transfer.total = file.size;
    file.transfer.done = count_of(told, "completed");
    const bool is_done = file.transfer.done >= file.size;
    file.transfer.phase = is_done ? TransferPhase::kDone : TransferPhase::kTransferring;
    if (!is_done) ++under_way;
    progress.files.push_back(std::move(file));
  }
  const json::value* rate = job.if_contains("bytes_per_second");
  const double all = rate != nullptr && rate->is_number() ? rate->to_number<double>() : 0;
  for (PullFile& file : progress.files) {
    if (all <= 0 || file.transfer.phase == TransferPhase::kDone) continue;
    file.transfer.bytes_per_second = all / double(under_way);
    file.transfer.seconds_left =
        double(file.size - file.transfer.done) / file.transfer.bytes_per_second;
  }
  return progress;
}

std::set<std::string> jobs_under_way(DaemonClient& daemon) {
  std::set<std::string> ids;
  const json::value answer = daemon.get("/v1/jobs");
  for (const json::value& value : answer.at("jobs").as_array()) {
    const json::object& job = value.as_object();
    if (is_under_way(job)) ids.insert(text_of(job, "id"));
  }
  return ids;
}

/// A daemon has the environment that it was started with.
std::string hint_of_environment() {
  constexpr std::array<const char*, 6> kNames = {"HF_TOKEN",          "HF_ENDPOINT",
                                                 "HTTPS_PROXY",       "https_proxy",
                                                 "OMG_REGISTRY_USER", "OMG_REGISTRY_PASSWORD"};
  for (const char* name : kNames) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == 0) continue;
    return fmt::format(
        " (the daemon asks with its own environment: where this command's {} should "
        "count, add --direct)",
        name);
  }
  return "";
}

/// What is told of the pull that was interrupted here.
void leave(DaemonClient& daemon, const std::string& job, bool is_ours, Terminal& terminal) {
  terminal.status("");
  if (job.empty()) return;
  if (!is_ours) {
    terminal.note(
        fmt::format("the pull goes on, for somebody else began it: 'omg jobs --cancel "
                    "{}' ends it",
                    printable(job)));
    return;
  }
  daemon.remove("/v1/jobs/" + job);
  terminal.note("stopped; what has arrived is kept");
}

}  // namespace

json::object pull_in_daemon(const DaemonAddress& address, json::object request,
                            Terminal& terminal) {
  DaemonClient daemon(address);
  const std::set<std::string> before = jobs_under_way(daemon);
  const std::string model = text_of(request, "model");
  request["stream"] = true;
  const CancellationToken cancellation;
  const InterruptGuard guard(cancellation, /*second_kills=*/true);
  PullScreen screen(terminal);
  json::object last;
  std::string id;
  const auto take = [&](const json::object& job, std::string_view) {
    last = job;
    id = text_of(job, "id");
    screen.show(progress_of(job));
  };
  try {
    daemon.stream("/v1/models/pull", request, take, cancellation);
  } catch (const DaemonUnreachable&) {
    throw;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled && cancellation.is_cancelled()) {
      leave(daemon, id, !before.contains(id), terminal);
      throw;
    }
    throw Error(error.code(), error.what() + hint_of_environment());
  }
  const std::string state = text_of(last, "state");
  if (state == "done") return last;
  throw Error(ErrorCode::kUnavailable,
              state == "cancelled" ? "the pull of '" + model +
                                         "' was cancelled by somebody else: begin it again, "
                                         "what has arrived is kept"
                                   : "the daemon went away in the middle of the pull of '" + model +
                                         "': begin it again, what has arrived is kept");
}

void bring_to_daemon(const DaemonAddress& address, const std::string& model, Terminal& terminal) {
  try {
    DaemonClient(address).post("/api/show", {{"model", model}});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    pull_in_daemon(address, {{"model", model}}, terminal);
  }
}

}  // namespace omg::cli
