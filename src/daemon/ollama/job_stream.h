// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/ollama: a job's states as the status lines of /api/pull, push and create.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/ollama/ollama.h"
#include "daemon/requests/outgoing_stream.h"

namespace omg::ollama {

/// One client that follows one job.
class JobStream {
 public:
  /// `warnings` stand in the last object, before the job's.
  JobStream(std::shared_ptr<OutgoingStream> out, bool streams, std::string kind,
            std::vector<std::string> warnings = {});

  void update(const JobInfo& job);
  /// For as long as the client listens.
  void keep(std::unique_ptr<JobService::Hold> hold);
  /// A status line of its own.
  void say(std::string_view status);
  /// The end, an error.
  void fail(std::string_view text);

  bool is_over() const;
  /// The client has left.
  void abandon();

 private:
  void say_files(const JobInfo& job);
  void finish_steps();
  void send(std::string object);
  void end(std::string object, int status);

  const std::shared_ptr<OutgoingStream> out_;
  const bool streams_;
  const std::string kind_;
  const std::vector<std::string> warnings_;

  mutable std::mutex mutex_;  // guards all below
  bool over_ = false;
  std::unique_ptr<JobService::Hold> hold_;
  std::string last_status_;               // is not said twice
  std::map<std::string, uint64_t> told_;  // of each file, by name and digest
};

/// Clients that follow jobs, with their subscriptions. Thread-safe.
class JobStreams {
 public:
  explicit JobStreams(JobService& jobs) : jobs_(jobs) {}

  /// Has `stream` follow a job until its end, or until nobody reads `out` any more.
  void follow(const std::string& job, const std::shared_ptr<OutgoingStream>& out,
              const std::shared_ptr<JobStream>& stream);

 private:
  struct Watch {
    std::shared_ptr<JobStream> stream;
    std::unique_ptr<JobService::Subscription> subscription;
    bool is_complete = false;  // follow() is done with it
  };
  void drop_ended();

  JobService& jobs_;
  std::mutex mutex_;  // guards watches_
  std::vector<Watch> watches_;
};

}  // namespace omg::ollama
