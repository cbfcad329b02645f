// SPDX-License-Identifier: Apache-2.0
//
// A run's thread: plan, wait for memory, load, serve, unload.
#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/heap.h"
#include "daemon/lifecycle/core.h"
#include "daemon/lifecycle/plan_run.h"
#include "daemon/lifecycle/prefix_files.h"
#include "daemon/lifecycle/settings_merge.h"

namespace omg {
namespace {

constexpr size_t kMaxEndedRuns = 32;         // whose logs are kept
constexpr uint32_t kMostBackOff = 60;        // seconds
constexpr std::chrono::minutes kHealthy{1};  // after which an earlier loss is forgiven

}  // namespace

/// A run of a model that was lost goes on under its id.
RunPtr Lifecycle::Core::start_run(StoredModel model, const std::string& key) {
  auto run = std::make_shared<Run>(std::move(model));
  run->key = key;
  run->keep_alive = options_.keep_alive;
  run->started_at = std::chrono::system_clock::now();
  const auto before = std::find_if(runs_.begin(), runs_.end(), [&](const RunPtr& other) {
    const bool was_lost = other->phase == Phase::kFailed || other->cause == Cause::kCrashed;
    return other->key == key && was_lost && !other->has_successor;
  });
  if (before != runs_.end()) {
    const RunPtr lost = *before;
    run->id = lost->id;
    run->log = lost->log;
    run->restarts = lost->restarts + 1;
    run->keep_alive = lost->keep_alive;
    lost->has_successor = true;
    if (lost->phase == Phase::kFailed) runs_.erase(before);
  } else {
    run->id = fmt::format("run-{}", next_id_++);
    run->log = std::make_shared<RunLog>();
  }
  runs_.push_back(run);
  try {
    run->thread = std::thread([this, run] { run_thread(run); });
  } catch (...) {
    runs_.pop_back();
    throw;
  }
  return run;
}

void Lifecycle::Core::run_thread(const RunPtr& run) {
  std::optional<Error> error;
  try {
    UsedModel used = store_.use(run->model.name);
    const std::string path = weights_path(store_, used);
    const RunNeeds needs = options_.plan ? options_.plan(path)
                                         : plan_run(path, options_.threads, options_.max_sequences,
                                                    options_.kv_type, options_.prefix_bytes > 0);
    if (wait_for_memory(run, needs)) {
      load(run, path);
      serve(run);
    }
  } catch (const Error& caught) {
    error = caught;
  } catch (const std::bad_alloc&) {
    error = Error(ErrorCode::kOutOfMemory,
                  fmt::format("loading '{}' ran out of memory; unload other models or take a "
                              "smaller quantisation",
                              run->model.name.str()));
  } catch (const std::exception& caught) {
    error = Error(ErrorCode::kInternal,
                  fmt::format("loading '{}' failed: {}", run->model.name.str(), caught.what()));
  }
  end_run(run, error);
}

/// False: it was stopped before it had its turn.
bool Lifecycle::Core::wait_for_memory(const RunPtr& run, const RunNeeds& needs) {
  {
    Later later(*this);
    std::lock_guard lock(mutex_);
    if (run->phase != Phase::kPlanning) return false;
    run->needs = needs;
    run->phase = Phase::kPending;
    run->pending_since = now();
    poke_keeper(run->pending_since + options_.patience);
    schedule(later);
  }
  std::unique_lock lock(mutex_);
  run->wake.wait(lock, [&] { return run->phase != Phase::kPending; });
  return run->phase == Phase::kLoading;
}

ModelHooks Lifecycle::Core::hooks_of(const RunPtr& run) {
  ModelHooks hooks;
  hooks.on_progress = [this, run](float progress) {
    std::lock_guard lock(mutex_);
    if (progress != run->progress) run->last_progress = now();
    run->progress = std::clamp(progress, 0.0f, 1.0f);
  };
  hooks.on_exit = [this, run](const Error& why) { on_exit(run, why); };
  hooks.on_log = [log = run->log](std::string_view line) { log->add(line); };
  hooks.cancellation = run->cancel_load;
  return hooks;
}

/// Throws what the factory throws.
void Lifecycle::Core::load(const RunPtr& run, const std::string& path) {
  ModelLoadOptions options;
  options.path = path;
  options.chat_template = template_of(run->model.settings);
  options.max_sequences = options_.max_sequences;
  options.max_waiting = options_.max_waiting_in_run;
  options.threads = options_.threads;
  options.kv_type = options_.kv_type;
  set_prefix_storage(*run, options);
  {
    std::lock_guard lock(mutex_);
    options.context_length = run->shape.context_length;
    options.kv_capacity_tokens = run->shape.kv_capacity_tokens;
  }
  auto model = factory_(options, hooks_of(run));
  if (!model) throw Error(ErrorCode::kInternal, "the runtime brought no model");
  take_model(run, std::move(model));
}

/// Without the storage where that has a problem.
void Lifecycle::Core::set_prefix_storage(const Run& run, ModelLoadOptions& options) {
  if (options_.prefix_bytes == 0) return;
  try {
    std::set<std::string> known;
    for (const ListedModel& listed : store_.list().models) known.insert(run_key(listed.model));
    for (const ListedModel& listed : store_.built_in()) known.insert(run_key(listed.model));
    RealFileSystem files;
    options.prefix_storage =
        plan_prefix_file(files, {options_.prefix_folder, options_.prefix_bytes}, run.key, known);
  } catch (const Error& error) {
    log_.write(LogLevel::kWarn, fmt::format("{} '{}' keeps no prompts on the disk: {}", run.id,
                                            run.model.name.str(), error.what()));
  }
}

void Lifecycle::Core::take_model(const RunPtr& run, std::unique_ptr<Model> model) {
  const ModelFacts facts = model->facts();
  const uint64_t bytes = facts.weights_bytes + facts.scratch_bytes + facts.kv_bytes;
  Later later(*this);
  std::lock_guard lock(mutex_);
  run->loaded = std::move(model);
  run->facts = facts;
  run->progress = 1;
  if (run->phase != Phase::kLoading) return;  // stopped meanwhile
  if (run->lost) throw Error(*run->lost);
  run->phase = Phase::kLoaded;
  run->loaded_at = run->idle_since = now();
  run->load_duration = now() - run->load_began;
  if (bytes > run->reserved_bytes) {
    // The plan was wrong, which is a bug; the budget goes by what is so.
    write(LogLevel::kWarn, *run,
          fmt::format("takes {} instead of the {} that were planned", format_memory(bytes),
                      format_memory(run->reserved_bytes)));
    used_bytes_ += bytes - run->reserved_bytes;
    run->reserved_bytes = bytes;
  }
  write(LogLevel::kInfo, *run,
        fmt::format("loaded in {:.2f} s: context of {} tokens, cache of {}, {}",
                    seconds(run->load_duration), run->shape.context_length,
                    run->shape.kv_capacity_tokens, format_memory(run->reserved_bytes)));
  if (!facts.prefix_storage.empty()) {
    write(LogLevel::kInfo, *run, fmt::format("prompts on the disk: {}", facts.prefix_storage));
  }
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kRunLoaded;
  event.duration = run->load_duration;
  tell(std::move(event), *run, later);

  std::deque<CallPtr> waiters = std::exchange(run->waiters, {});
  waiting_ -= waiters.size();
  // Those who only use the model take this thread's time: answers begin before.
  std::stable_partition(waiters.begin(), waiters.end(), [](const CallPtr& call) {
    return std::holds_alternative<AnswerJob>(call->job);
  });
  for (const CallPtr& call : waiters) give(call, run, later);
  if (run->unload_once_loaded && run->phase == Phase::kLoaded) {
    stop(*run, Cause::kAsked, "", later);
  }
  poke_keeper(TimePoint::min());
  schedule(later);
}

/// Until it is to stop and nobody is inside; then the model goes.
void Lifecycle::Core::serve(const RunPtr& run) {
  std::unique_ptr<Model> model;
  {
    std::unique_lock lock(mutex_);
    run->wake.wait(lock, [&] {
      return run->phase == Phase::kStopping && run->holds == 0 &&
             (run->busy == 0 || run->is_forced);
    });
    model = std::move(run->loaded);
  }
  model.reset();
}

void Lifecycle::Core::on_exit(const RunPtr& run, const Error& why) {
  Later later(*this);
  std::lock_guard lock(mutex_);
  if (run->lost || !run->loaded || run->phase == Phase::kFailed) {
    if (!run->lost) run->lost = why;  // while it loads: the load fails by it
    return;
  }
  run->lost = why;
  if (run->phase != Phase::kLoaded) return;
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kRunCrashed;
  event.error = why.code();
  event.error_message = why.what();
  tell(std::move(event), *run, later);
  note_failure(*run, why.what());
  stop(*run, Cause::kCrashed, why.what(), later);
}

/// The next request tries it again at once; if that is lost as well, the one after it waits 1 s,
/// then 2, 4, … 60.
void Lifecycle::Core::note_failure(const Run& run, const std::string& why) {
  Health& health = health_[run.key];
  if (run.phase == Phase::kLoaded && now() - run.loaded_at >= kHealthy) health.failures = 0;
  uint32_t delay = 0;
  if (health.failures > 0) {
    delay =
        health.failures < 7 ? std::min(1u << (health.failures - 1), kMostBackOff) : kMostBackOff;
  }
  ++health.failures;
  health.retry_at = now() + std::chrono::seconds(delay);
  health.why = why;
  log_.write(LogLevel::kWarn, fmt::format("{} '{}' was lost: {}; it is tried again after {} s",
                                          run.id, run.model.name.str(), why, delay));
}

/// The last that the run's thread does. `error`: why it never was loaded.
void Lifecycle::Core::end_run(const RunPtr& run, const std::optional<Error>& error) {
  std::unique_ptr<Model> unused;  // of a load that failed after all; destroyed without the lock
  {
    std::lock_guard lock(mutex_);
    unused = std::move(run->loaded);
  }
  unused.reset();
  // What its requests took lies in the heaps of many threads. Who unloads a model wants the memory.
  return_free_memory();
  Later later(*this);
  std::lock_guard lock(mutex_);
  const bool was_admitted = run->reserved_bytes > 0;
  const bool has_failed = error && run->phase != Phase::kStopping;
  run->phase = Phase::kStopping;
  if (has_failed) {
    run->cause = Cause::kLoadFailed;
    run->detail = error->what();
    write(LogLevel::kWarn, *run, fmt::format("could not be loaded: {}", error->what()));
    // A worker that died under the load is no file that cannot be read: it is given time.
    if (was_admitted && (run->lost || error->code() == ErrorCode::kUnavailable)) {
      note_failure(*run, error->what());
    }
    fail_waiters(*run, *error, later);
  } else {
    fail_waiters(*run, Error(ErrorCode::kUnavailable, "the model was unloaded; ask again"), later);
    const bool was_healthy = run->facts && !run->lost && now() - run->loaded_at >= kHealthy;
    if (was_healthy) health_.erase(run->key);
    write(LogLevel::kInfo, *run,
          fmt::format("stopped ({}){}{}", event_cause_name(run->cause),
                      run->detail.empty() ? "" : ": ", run->detail));
  }
  used_bytes_ -= run->reserved_bytes;
  if (was_admitted) {
    ServiceEvent event;
    event.kind = ServiceEvent::Kind::kRunStopped;
    if (has_failed) {
      event.error = error->code();
      event.error_message = error->what();
    }
    tell(std::move(event), *run, later);
  }
  run->reserved_bytes = 0;
  finished_.push_back(std::move(run->thread));
  if (was_admitted && (has_failed || run->cause == Cause::kCrashed) && !run->has_successor) {
    run->phase = Phase::kFailed;
    run->failed_at = now();
    run->error = run->detail;
  } else {
    retire(run);
  }
  poke_keeper(TimePoint::min());
  changed_.notify_all();
  schedule(later);
}

/// The run is forgotten, but for its log.
void Lifecycle::Core::retire(const RunPtr& run) {
  std::erase(runs_, run);
  if (run->has_successor) return;
  ended_.push_back({run->id, run->log});
  if (ended_.size() > kMaxEndedRuns) ended_.pop_front();
}

}  // namespace omg
