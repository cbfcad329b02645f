// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/hub_jobs.h"

#include <algorithm>

#include "base/error.h"
#include "daemon/jobs/built_in.h"
#include "daemon/jobs/installed.h"
#include "daemon/jobs/pull.h"
#include "daemon/jobs/push.h"

namespace omg {
namespace {

/// What a job's requests go through; ends with it.
struct Connection {
  Connection(const HubJobsOptions& options, bool insecure, const CancellationToken& cancellation)
      : client(with(options.http, cancellation)), hub(client, with(options.hub, insecure)) {}

  static HttpClientOptions with(HttpClientOptions http, const CancellationToken& cancellation) {
    http.cancellation = cancellation;
    return http;
  }
  static HubOptions with(HubOptions hub, bool insecure) {
    hub.registry.insecure = insecure;
    return hub;
  }

  HttpClient client;
  Hub hub;
};

const char* phase_name(PullPhase phase) {
  switch (phase) {
    case PullPhase::kResolving:
      return "resolving";
    case PullPhase::kTransferring:
      return "transferring";
    case PullPhase::kPublishing:
    case PullPhase::kDone:
      break;
  }
  return "writing manifest";
}

void report_pull(const PullProgress& progress, JobReport& report) {
  report.set_phase(phase_name(progress.phase));
  std::vector<JobFile> files;
  double rate = 0;
  for (const PullFile& file : progress.files) {
    const uint64_t done = file.was_there ? file.size : std::min(file.transfer.done, file.size);
    files.push_back({file.path, file.digest, file.size, done});
    if (file.transfer.phase != TransferPhase::kDone) rate += file.transfer.bytes_per_second;
  }
  report.set_files(std::move(files), progress.done, progress.total, rate);
}

/// Of a model for which nothing had to be asked.
void report_files(const StoredModel& model, JobReport& report) {
  std::vector<JobFile> files;
  for (const Artifact& artifact : model.artifacts) {
    files.push_back({artifact.filename, artifact.digest ? artifact.digest->str() : "",
                     artifact.size, artifact.size});
  }
  report.set_files(std::move(files), model.total_bytes(), model.total_bytes(), 0);
}

/// What has been sent, blob by blob.
class PushFiles {
 public:
  void show(const PushProgress& now, JobReport& report) {
    const std::string digest = now.digest.str();
    auto found = std::find_if(files_.begin(), files_.end(),
                              [&](const JobFile& file) { return file.digest == digest; });
    if (found == files_.end()) {
      files_.push_back({digest, digest, now.size, 0});
      found = files_.end() - 1;
    }
    found->completed = now.already_there ? now.size : now.sent;
    uint64_t completed = 0, total = 0;
    for (const JobFile& file : files_) {
      completed += file.completed;
      total += file.total;
    }
    report.set_phase("transferring");
    report.set_files(files_, completed, total);
  }

 private:
  std::vector<JobFile> files_;
};

RegistryName require_registry(const std::string& model) {
  const ModelName name = parse_model_name(model);
  if (const auto* registry = std::get_if<RegistryName>(&name)) return *registry;
  throw Error(ErrorCode::kInvalidArgument,
              "cannot push '" + model +
                  "': the name has no registry; copy the model to a name such as "
                  "registry.example/team/name:tag, and push that");
}

}  // namespace

JobTask HubJobs::pull(const PullCall& call) const {
  const ModelName name = parse_model_name(call.model);
  if (std::holds_alternative<PathName>(name)) {
    throw Error(ErrorCode::kInvalidArgument,
                "invalid model name '" + call.model +
                    "': a path cannot be pulled; make a model of it with 'omg import'");
  }
  JobTask task;
  task.kind = "pull";
  task.subject = to_string(name);
  task.key = "pull\n" + task.subject + "\n" + call.quantization + "\n" + call.revision + "\n" +
             (call.insecure ? "i" : "") + (call.allow_low_quality ? "q" : "");
  task.run = [this, call](JobReport& report) { pull_now(call, report); };
  return task;
}

JobTask HubJobs::push(const std::string& model, bool insecure) const {
  const RegistryName destination = require_registry(model);
  require_installed(store_, model);
  JobTask task;
  task.kind = "push";
  task.subject = model;
  task.key = "push\n" + to_string(ModelName(destination)) + (insecure ? "\ni" : "\n");
  task.run = [this, model, insecure, destination](JobReport& report) {
    report.set_phase("retrieving manifest");
    Connection connection(options_, insecure, report.cancellation());
    PushFiles files;
    push_model(
        store_, connection.hub.registry(), require_installed(store_, model), destination,
        [&](const PushProgress& now) { files.show(now, report); }, report.cancellation());
    report.set_phase("done");
  };
  return task;
}

StoreName HubJobs::pull_now(const PullCall& call, JobReport& report) const {
  PullOptions options;
  options.selection.quantization = call.quantization;
  options.selection.allow_low_quality = call.allow_low_quality;
  options.revision = call.revision;
  // What an alias or a redirection leads to was not what the user vouched for.
  const bool names_registry = std::holds_alternative<RegistryName>(parse_model_name(call.model));
  Connection connection(options_, call.insecure && names_registry, report.cancellation());
  const PullParts parts{store_, connection.hub, connection.client, transfers_};
  const PullResult result = pull_model(
      parts, call.model, options,
      [&](const PullProgress& progress) { report_pull(progress, report); }, report.cancellation());
  if (result.was_there) report_files(result.model, report);
  if (result.model.is_built_in()) report.warn(nothing_to_fetch(result.model));
  report.set_result(result.model.name.str());
  return result.model.name;
}

}  // namespace omg
