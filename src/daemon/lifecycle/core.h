// SPDX-License-Identifier: Apache-2.0
//
// The lifecycle's state and its rules. calls.cc: who wants a model, and what becomes of them;
// schedule.cc: who gets memory, who has to go, and when; run_thread.cc: a run from its plan to its
// end. Methods that take a `Later` are called with the mutex held, and never call out: what has to
// be called comes after the mutex is given back, in order.
#pragma once

#include <map>
#include <set>

#include "daemon/lifecycle/run.h"

namespace omg {

inline double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

class Lifecycle::Core : public std::enable_shared_from_this<Lifecycle::Core> {
 public:
  Core(Store& store, ModelFactory factory, LifecycleOptions options, const Log& log,
       ServiceEvents& events, const LifecycleClock* clock);

  Canceller submit(const std::string& name, CallPtr call);
  CallPtr make_call(std::variant<AnswerJob, LoadJob, UseJob> job,
                    std::optional<KeepAlive> keep_alive) const;
  bool unload(const std::string& name);
  void set_pinned(const std::string& name, bool is_pinned);
  std::vector<RunInfo> runs();
  std::vector<std::string> run_log(const std::string& run_id, size_t max_lines) const;

  void start_keeper();
  void shutdown(std::chrono::milliseconds grace);

 private:
  using TimePoint = LifecycleClock::TimePoint;
  using Phase = Run::Phase;
  using Cause = ServiceEvent::Cause;

  /// What is called once the mutex is free. Make it before the lock, so that it ends after it.
  class Later {
   public:
    explicit Later(Core& core) : core_(core) {}
    Later(const Later&) = delete;
    Later& operator=(const Later&) = delete;
    ~Later();
    void add(std::function<void()> action) { actions_.push_back(std::move(action)); }
    bool has_events = false;

   private:
    Core& core_;
    std::vector<std::function<void()>> actions_;
  };

  /// What is known of a model that was lost.
  struct Health {
    uint32_t failures = 0;
    TimePoint retry_at;
    std::string why;
  };
  struct EndedRun {
    std::string id;
    std::shared_ptr<RunLog> log;
  };
  struct Room {
    uint64_t free_bytes = 0;
    size_t free_runs = 0;
    uint64_t coming_bytes = 0;  // of runs that are stopping
    size_t coming_runs = 0;
  };
  enum class Outlook { kWaits, kMakesRoom, kNever };

  // calls.cc
  void place(const CallPtr& call, StoredModel model, const std::string& key, Later& later);
  void give(const CallPtr& call, const RunPtr& run, Later& later);
  void start_answer(const CallPtr& call);
  void start_use(const CallPtr& call);
  void end_answer(const CallPtr& call, const Error* error, const AnswerResult& result);
  void cancel(const CallPtr& call);
  void fail_call(const CallPtr& call, const Error& error, Later& later);
  void tell_answer(const Call& call, const std::string& run_id, const Error* error,
                   const AnswerResult& result, Later& later);
  void fail_waiters(Run& run, const Error& error, Later& later);
  void leave(Run& run, Later& later);
  void rest(Run& run, Later& later);
  void let_go(Run& run);

  // run_thread.cc
  RunPtr start_run(StoredModel model, const std::string& key);
  void run_thread(const RunPtr& run);
  bool wait_for_memory(const RunPtr& run, const RunNeeds& needs);
  void load(const RunPtr& run, const std::string& path);
  void set_prefix_storage(const Run& run, ModelLoadOptions& options);
  void take_model(const RunPtr& run, std::unique_ptr<Model> model);
  void serve(const RunPtr& run);
  void end_run(const RunPtr& run, const std::optional<Error>& error);
  ModelHooks hooks_of(const RunPtr& run);
  void on_exit(const RunPtr& run, const Error& why);
  void note_failure(const Run& run, const std::string& why);
  void retire(const RunPtr& run);

  // schedule.cc
  uint64_t capacity();
  Room room();
  void schedule(Later& later);
  Outlook make_room(const RunPtr& run, const Room& room, Later& later);
  bool stop_victims(const std::vector<RunPtr>& candidates, uint64_t bytes, size_t runs,
                    const Run& whom, Later& later);
  Error does_not_fit(const Run& run);
  void admit(const RunPtr& run, const RunShape& shape, Later& later);
  void stop(Run& run, Cause cause, const std::string& detail, Later& later);
  std::optional<TimePoint> expiry(const Run& run) const;
  TimePoint do_due(Later& later);
  void keeper_thread();
  void poke_keeper(TimePoint due);

  RunPtr find_accepting(const std::string& key) const;
  bool is_pinned(const Run& run) const { return pins_.contains(run.key); }
  void tell(ServiceEvent event, const Run& run, Later& later);
  void deliver_events();
  void write(LogLevel level, const Run& run, const std::string& line);
  TimePoint now() const { return clock_.now(); }

  Store& store_;
  const ModelFactory factory_;
  const LifecycleOptions options_;
  const Log& log_;
  ServiceEvents& events_;
  const LifecycleClock own_clock_;
  const LifecycleClock& clock_;
  std::thread keeper_;
  std::mutex shutdown_mutex_;  // of shutdown() alone; taken before the other
  bool is_down_ = false;       // guarded by it

  mutable std::mutex mutex_;  // guards all that follows
  std::condition_variable keeper_wake_;
  std::condition_variable changed_;  // for shutdown()
  std::vector<RunPtr> runs_;         // in order of arrival
  std::deque<EndedRun> ended_;
  std::set<std::string> pins_;  // keys
  std::map<std::string, Health> health_;
  size_t waiting_ = 0;           // calls in all runs' `waiters`
  uint64_t used_bytes_ = 0;      // of all runs' `reserved_bytes`
  uint64_t empty_capacity_ = 0;  // as it was when no run had memory
  uint64_t next_id_ = 1;
  bool is_stopping_ = false;
  bool keeper_ends_ = false;
  bool keeper_is_poked_ = false;
  TimePoint keeper_due_{};
  std::vector<std::thread> finished_;  // of runs, to be joined
  std::deque<ServiceEvent> outbox_;
  bool is_delivering_ = false;
};

/// The model of the store that a name means, and the key of its run. Error(kNotFound).
struct ResolvedModel {
  StoredModel model;
  std::string key;
};
ResolvedModel resolve_model(const Store& store, const std::string& name);

}  // namespace omg
