// SPDX-License-Identifier: Apache-2.0
//
// Models load when they are first asked for and serve many users at once, under a budget of memory
// that is planned from their files. One run for what is really loaded: names that share files and
// template share it. memory_budget.h says who gets how much and who has to go; settings_merge.h
// what a request becomes.
//
// Each run has a thread: it plans, waits for memory, loads, sleeps while others use the model, and
// unloads. One further thread, the keeper, sleeps until the next thing is due: a keep-alive that
// ends, a load that stands still, a run that has waited long enough for busy ones. All state is
// behind one mutex, which is never held while a model or a callback is called.
//
//   answer() ─ resolve the name ─┬─ loaded: to the model
//                                └─ else: wait with the run ─ planned ─ memory ─ loaded ─ to the
//                                model
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/lifecycle/memory_budget.h"
#include "daemon/requests/model_service.h"
#include "daemon/requests/service_events.h"
#include "runtimes/model.h"
#include "store/store.h"

namespace omg {

/// What a model tells while it loads and lives. The functions may be called on any thread, until
/// the factory has thrown or the model's destructor has returned.
struct ModelHooks {
  std::function<void(float progress)> on_progress;  // of loading, 0 to 1
  /// The model is gone by itself (its worker was lost), and why. Its answers fail by themselves,
  /// after this: whoever hears of it and asks again is not given to what is gone.
  std::function<void(const Error& why)> on_exit;
  std::function<void(std::string_view line)> on_log;
  /// Once raised the load is to end soon, by Error(kCancelled).
  CancellationToken cancellation;
};

/// Loads a model; throws Error. Called on any thread, for several models at once.
using ModelFactory =
    std::function<std::unique_ptr<Model>(const ModelLoadOptions& options, ModelHooks hooks)>;

/// Time as the lifecycle sees it; tests have one that stands still.
class LifecycleClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~LifecycleClock() = default;
  virtual TimePoint now() const { return std::chrono::steady_clock::now(); }
  /// Returns when notified, or at `when`, or for no reason at all.
  virtual void wait_until(std::condition_variable& wake, std::unique_lock<std::mutex>& lock,
                          TimePoint when) const {
    wake.wait_until(lock, when);
  }
};

struct LifecycleOptions {
  /// Bytes for all runs together; 0: what the machine has to spare, asked again before each load,
  /// less `memory_reserve`.
  uint64_t memory_budget = 0;
  uint64_t memory_reserve = uint64_t{512} << 20;
  /// Bytes that could be used now; null: usable_memory() of base/hardware.h.
  std::function<uint64_t()> usable_memory;
  /// What a run of this file takes; null: plan_memory(). Throws Error.
  std::function<RunNeeds(const std::string& path)> plan;

  size_t max_loaded_models = 0;  // 0: as memory allows
  KeepAlive keep_alive = std::chrono::minutes(5);
  size_t max_waiting = 512;  // calls that wait for a model; more are refused
  /// A load that makes no progress for this long has failed.
  std::chrono::milliseconds load_timeout = std::chrono::minutes(5);
  /// So long a model waits for busy ones to become idle by themselves; then some get no new answers
  /// until it has had its turn.
  std::chrono::milliseconds patience = std::chrono::seconds(10);

  uint32_t context_length = 0;  // of an answer where neither request nor model says; 0: the run's
  uint32_t max_sequences = 64;  // of a run
  uint32_t max_waiting_in_run = 512;
  uint32_t threads = 0;
  std::string kv_type = "f16";
  /// Bytes on the disk for what the KV caches of all models hold; 0: none.
  uint64_t prefix_bytes = 0;
  std::string prefix_folder;
};

class Lifecycle final : public ModelService {
 public:
  /// All but the options must outlive it. Error(kInvalidArgument) for options that make no sense.
  Lifecycle(Store& store, ModelFactory factory, const LifecycleOptions& options, const Log& log,
            ServiceEvents& events, const LifecycleClock* clock = nullptr);
  /// shutdown(0).
  ~Lifecycle() override;
  Lifecycle(const Lifecycle&) = delete;
  Lifecycle& operator=(const Lifecycle&) = delete;

  // The calls that wait are ended by Error(kUnavailable) when too many wait, when the model was
  // lost and is not tried again yet, and at shutdown; by Error(kOutOfMemory) with the numbers if
  // the model can never fit.
  Canceller answer(ModelCall call, AnswerSink sink) override;
  Canceller load(std::string model, std::optional<KeepAlive> keep_alive, OnLoaded on_end) override;
  /// Answers that wait for the load are answered first. A pinned run goes too; the pin stays for
  /// the next one.
  bool unload(const std::string& model) override;
  /// Also of a model that is not loaded: its next run is pinned then.
  void set_pinned(const std::string& model, bool is_pinned) override;
  Canceller with_model(std::string model, UseModel use) override;
  std::vector<RunInfo> runs() const override;
  /// Also of the last runs that ended.
  std::vector<std::string> run_log(const std::string& run_id, size_t max_lines) const override;

  /// Refuses what is new, gives answers under way `grace` to end, then cancels them and unloads
  /// everything. Returns when nothing is left.
  void shutdown(std::chrono::milliseconds grace);

 private:
  class Core;
  std::shared_ptr<Core> core_;  // cancellers hold it weakly
};

}  // namespace omg
