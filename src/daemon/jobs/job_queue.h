// SPDX-License-Identifier: Apache-2.0
//
// Long work side by side, a few at once and the others in the order in which they came. What a job
// does is handed in as a function; here is all that is the same for any: states, progress, whoever
// watches, cancellation, and what is remembered over restarts of the daemon.
//
// A job belongs to nobody: it goes on when the last one who watched it has left, and who starts the
// same pull again gets the same job. Only where all who started it hold it (Ollama's clients, whose
// leaving cancels a pull there) it ends with the last of them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "daemon/requests/job_service.h"
#include "store/store.h"

namespace omg {

/// What a job tells of itself while it runs. On the job's thread.
class JobReport {
 public:
  virtual ~JobReport() = default;
  /// Raised when the job shall end: it then throws Error(kCancelled).
  virtual const CancellationToken& cancellation() const = 0;
  virtual void set_phase(const std::string& phase) = 0;
  /// Without a rate it is measured by `completed`.
  virtual void set_files(std::vector<JobFile> files, uint64_t completed, uint64_t total,
                         std::optional<double> bytes_per_second = std::nullopt) = 0;
  virtual void warn(const std::string& sentence) = 0;
  virtual void set_result(const std::string& model) = 0;
};

struct JobTask {
  std::string kind;     // JobInfo::kind
  std::string subject;  // JobInfo::subject
  /// While one of this key waits or runs, another is not begun; "": it is like no other.
  std::string key;
  /// Returns when all is done, or throws.
  std::function<void(JobReport& report)> run;
};

/// Make tasks of calls: quick, and throw Error for calls that cannot be right.
struct JobMakers {
  std::function<JobTask(const PullCall& call)> pull;
  std::function<JobTask(const std::string& model, bool insecure)> push;
  std::function<JobTask(const CreateCall& call)> create;
};

struct JobQueueOptions {
  size_t most_at_once = 3;
  size_t most_waiting = 256;  // more are refused: Error(kUnavailable)
  size_t most_ended = 100;    // that are remembered
  /// Between two tellings of progress.
  std::chrono::milliseconds interval{100};
  /// Seconds since 1970; null: the machine's clock.
  std::function<int64_t()> now;
};

class JobQueue final : public JobService {
 public:
  /// `store` keeps the list of jobs and must outlive this. Those that it has as running were
  /// interrupted: they failed.
  JobQueue(Store& store, JobMakers makers, JobQueueOptions options = {});
  /// Cancels what runs or waits, waits for it, and tells all who watch. What was cancelled so has
  /// failed as interrupted, as after a crash.
  ~JobQueue() override;

  JobInfo start_pull(const PullCall& call, std::unique_ptr<Hold>* hold = nullptr) override;
  JobInfo start_push(const std::string& model, bool insecure,
                     std::unique_ptr<Hold>* hold = nullptr) override;
  JobInfo start_create(const CreateCall& call, std::unique_ptr<Hold>* hold = nullptr) override;
  std::vector<JobInfo> jobs() const override;
  JobInfo job(const std::string& id) const override;
  void cancel(const std::string& id) override;
  /// Callbacks come on a thread of the queue, one at a time. They may call the queue and end
  /// subscriptions, their own too. Who ends one from elsewhere waits for a callback under way, and
  /// must hold nothing that the callback waits for.
  std::unique_ptr<Subscription> watch(const std::string& id, OnUpdate on_update) override;
  /// Begins with the jobs that have not ended.
  std::unique_ptr<Subscription> watch_all(OnUpdate on_update) override;

 private:
  class Body;
  std::shared_ptr<Body> body_;
  JobMakers makers_;
};

}  // namespace omg
