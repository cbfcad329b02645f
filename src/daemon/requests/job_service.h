// SPDX-License-Identifier: Apache-2.0
//
// Long work with progress (pull, push, create) as dialects see it. daemon/jobs implements it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "daemon/requests/model_catalog.h"

namespace omg {

enum class JobState { kQueued, kRunning, kDone, kFailed, kCancelled };
std::string_view job_state_name(JobState state);

/// A file, or layer, that a job works on.
struct JobFile {
  std::string name;
  std::string digest;  // "sha256:…", "" if not known
  uint64_t total = 0;
  uint64_t completed = 0;
};

struct JobInfo {
  std::string id;
  std::string kind;     // "pull", "push", "create"
  std::string subject;  // the model's name
  JobState state = JobState::kQueued;
  /// What it does now, in a few words: "resolving", "transferring", "writing manifest".
  std::string phase;
  std::vector<JobFile> files;
  uint64_t completed = 0;  // bytes of all files
  uint64_t total = 0;
  double bytes_per_second = 0;
  /// What was done otherwise than asked, or has no effect, a sentence each.
  std::vector<std::string> warnings;
  std::string result;          // kDone: the model that came of it, by its name in the store
  std::optional<Error> error;  // kFailed
  int64_t created_at = 0;      // seconds since 1970
  int64_t updated_at = 0;
};

struct PullCall {
  std::string model;
  std::string quantization;  // "": the best that fits
  std::string revision;
  bool insecure = false;  // registry over plain HTTP
  bool allow_low_quality = false;
};

/// Thread-safe; methods throw Error.
class JobService {
 public:
  virtual ~JobService() = default;

  /// Who holds a job wants it for as long as he does. May outlive the service.
  class Hold {
   public:
    virtual ~Hold() = default;
  };

  /// A pull of what is being pulled already is that job. It goes on whoever leaves, unless each who
  /// has started it took a `hold` (where it points, nothing is held yet): then it is cancelled when
  /// the last of these is given up. To join and to give up are one step each: nobody joins a job
  /// that then ends for another.
  virtual JobInfo start_pull(const PullCall& call, std::unique_ptr<Hold>* hold = nullptr) = 0;
  virtual JobInfo start_push(const std::string& model, bool insecure,
                             std::unique_ptr<Hold>* hold = nullptr) = 0;
  virtual JobInfo start_create(const CreateCall& call, std::unique_ptr<Hold>* hold = nullptr) = 0;

  virtual std::vector<JobInfo> jobs() const = 0;  // newest first; those that ended for a while
  /// Error(kNotFound).
  virtual JobInfo job(const std::string& id) const = 0;
  /// What has arrived is kept. No error for one that has ended.
  virtual void cancel(const std::string& id) = 0;

  /// Calls with the job as it is now and at each change (at most ten times a second for progress),
  /// and last with its final state. From any thread; must be quick. Ends when the result is
  /// destroyed, after which nothing is called.
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  using OnUpdate = std::function<void(const JobInfo& job)>;
  virtual std::unique_ptr<Subscription> watch(const std::string& id, OnUpdate on_update) = 0;
  /// Of all jobs, also those to come.
  virtual std::unique_ptr<Subscription> watch_all(OnUpdate on_update) = 0;
};

}  // namespace omg
