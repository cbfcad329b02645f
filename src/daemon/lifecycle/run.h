// SPDX-License-Identifier: Apache-2.0
//
// A run and the calls that use it, as the lifecycle keeps them. Plain state: but for the log, all
// of it is guarded by the lifecycle's mutex.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "daemon/lifecycle/lifecycle.h"

namespace omg {

/// The last lines of a run. Thread-safe.
class RunLog {
 public:
  static constexpr size_t kMaxLines = 1000;
  static constexpr size_t kMaxLineBytes = 4096;

  void add(std::string_view line) {
    std::lock_guard lock(mutex_);
    if (lines_.size() >= kMaxLines) lines_.pop_front();
    lines_.emplace_back(line.substr(0, kMaxLineBytes));
  }
  std::vector<std::string> last(size_t count) const {
    std::lock_guard lock(mutex_);
    const size_t skip = lines_.size() > count ? lines_.size() - count : 0;
    return {lines_.begin() + static_cast<ptrdiff_t>(skip), lines_.end()};
  }

 private:
  mutable std::mutex mutex_;
  std::deque<std::string> lines_;
};

struct Run;

struct AnswerJob {
  ModelCall call;
  AnswerSink sink;
};
struct LoadJob {
  ModelService::OnLoaded on_end;
};
struct UseJob {
  ModelService::UseModel use;
};

/// Somebody who wants a model.
struct Call {
  enum class State { kWaiting, kGiven, kEnded };

  std::variant<AnswerJob, LoadJob, UseJob> job;
  std::optional<KeepAlive> keep_alive;
  LifecycleClock::TimePoint began;
  LifecycleClock::TimePoint given;  // to the model
  ModelSettings settings;
  std::string model_name;  // as the store names it; "" while that is not known
  State state = State::kWaiting;
  std::shared_ptr<Run> run;  // until it has ended
  bool is_cancelled = false;
  Canceller cancel_model;  // of an answer under way
  std::vector<std::string> warnings;
};
using CallPtr = std::shared_ptr<Call>;

struct Run {
  enum class Phase {
    kPlanning,  // its thread reads the file's head
    kPending,   // waits for memory
    kLoading,   // has its memory
    kLoaded,
    kStopping,  // takes no new calls; ends once those under way have
    kFailed,    // lost or never loaded; without thread and memory, kept to be seen
  };

  explicit Run(StoredModel stored) : model(std::move(stored)) {}
  bool accepts() const {
    return phase == Phase::kPlanning || phase == Phase::kPending || phase == Phase::kLoading ||
           phase == Phase::kLoaded;
  }
  bool is_coming() const { return accepts() && phase != Phase::kLoaded; }

  std::string id;
  std::string key;
  StoredModel model;
  Phase phase = Phase::kPlanning;
  std::chrono::system_clock::time_point started_at;
  uint32_t restarts = 0;
  std::shared_ptr<RunLog> log;

  RunNeeds needs;
  RunShape shape;
  uint64_t reserved_bytes = 0;  // of the budget, from kLoading until the model is gone
  LifecycleClock::TimePoint pending_since;
  LifecycleClock::TimePoint load_began;
  LifecycleClock::TimePoint last_progress;
  LifecycleClock::TimePoint loaded_at;
  std::chrono::nanoseconds load_duration{};
  float progress = 0;
  CancellationToken cancel_load;

  std::unique_ptr<Model> loaded;
  std::optional<ModelFacts> facts;
  std::deque<CallPtr> waiters;  // while it is coming
  uint32_t busy = 0;            // calls under way
  uint32_t holds = 0;           // threads that are inside the model now
  bool is_wanted = false;       // by a load(): it is loaded even if nobody waits any more
  bool unload_once_loaded = false;
  KeepAlive keep_alive{};
  LifecycleClock::TimePoint idle_since;

  ServiceEvent::Cause cause = ServiceEvent::Cause::kNone;  // of kStopping
  std::string detail;
  bool is_forced = false;  // calls under way are not waited for
  std::optional<Error> lost;
  bool has_successor = false;           // that goes on under its id
  std::string error;                    // kFailed
  LifecycleClock::TimePoint failed_at;  // kFailed
  std::condition_variable wake;         // of its thread
  std::thread thread;
};
using RunPtr = std::shared_ptr<Run>;

}  // namespace omg
