// SPDX-License-Identifier: Apache-2.0
#include "daemon/lifecycle/lifecycle.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "daemon/lifecycle/core.h"
#include "engine/kernels/kv_type.h"

namespace omg {
namespace {

void check(const LifecycleOptions& options) {
  const auto refuse = [](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument, what);
  };
  if (!kv_type_from_name(options.kv_type)) {
    refuse("the KV cache cannot be of type '" + options.kv_type +
           "': f16, q8_0, q4_0 or f32 can be");
  }
  if (options.max_sequences == 0) refuse("max_sequences is 0: a run serves at least one");
  if (options.load_timeout <= std::chrono::milliseconds::zero()) {
    refuse("load_timeout must be more than 0: nothing loads in no time");
  }
  if (options.patience < std::chrono::milliseconds::zero()) refuse("patience must not be negative");
}

RunState state_of(const Run& run) {
  switch (run.phase) {
    case Run::Phase::kLoaded:
      return RunState::kRunning;
    case Run::Phase::kStopping:
      return RunState::kStopping;
    case Run::Phase::kFailed:
      return RunState::kError;
    default:
      return RunState::kStarting;
  }
}

}  // namespace

Lifecycle::Core::Core(Store& store, ModelFactory factory, LifecycleOptions options, const Log& log,
                      ServiceEvents& events, const LifecycleClock* clock)
    : store_(store),
      factory_(std::move(factory)),
      options_(std::move(options)),
      log_(log),
      events_(events),
      clock_(clock ? *clock : own_clock_) {}

Lifecycle::Core::Later::~Later() {
  if (has_events) core_.deliver_events();
  for (const auto& action : actions_) {
    try {
      action();
    } catch (const std::exception& error) {
      core_.log_.write(LogLevel::kError,
                       fmt::format("a callback threw, which is a bug: {}", error.what()));
    }
  }
}

/// One thread at a time, so that observers see the order in which things happened.
void Lifecycle::Core::deliver_events() {
  std::unique_lock lock(mutex_);
  if (is_delivering_) return;
  is_delivering_ = true;
  while (!outbox_.empty()) {
    const std::deque<ServiceEvent> events = std::exchange(outbox_, {});
    lock.unlock();
    for (const ServiceEvent& event : events) events_.emit(event);
    lock.lock();
  }
  is_delivering_ = false;
}

void Lifecycle::Core::tell(ServiceEvent event, const Run& run, Later& later) {
  event.model = run.model.name.str();
  event.run_id = run.id;
  event.planned_bytes = run.reserved_bytes;
  event.at = std::chrono::system_clock::now();
  if (event.kind == ServiceEvent::Kind::kRunStopped) {
    event.cause = run.cause;
    event.detail = run.detail;
  }
  outbox_.push_back(std::move(event));
  later.has_events = true;
}

void Lifecycle::Core::write(LogLevel level, const Run& run, const std::string& line) {
  run.log->add(line);
  if (log_.writes(level)) {
    log_.write(level, fmt::format("{} '{}': {}", run.id, run.model.name.str(), line));
  }
}

RunPtr Lifecycle::Core::find_accepting(const std::string& key) const {
  for (const RunPtr& run : runs_) {
    if (run->accepts() && run->key == key) return run;
  }
  return nullptr;
}

std::vector<RunInfo> Lifecycle::Core::runs() {
  std::vector<RunInfo> infos;
  std::vector<RunPtr> held;
  const auto wall = std::chrono::system_clock::now();
  {
    std::lock_guard lock(mutex_);
    for (const RunPtr& run : runs_) {
      if (run->has_successor) continue;
      RunInfo info;
      info.id = run->id;
      info.model = run->model;
      info.state = state_of(*run);
      if (run->phase == Phase::kFailed) {
        info.error = run->error;
        const auto health = health_.find(run->key);
        if (health != health_.end() && health->second.retry_at > now()) {
          info.error += fmt::format("; it is tried again after {:.0f} s",
                                    seconds(health->second.retry_at - now()));
        } else {
          info.error += "; the next request tries it again";
        }
      }
      info.load_progress = run->progress;
      info.planned_bytes = run->reserved_bytes;
      if (run->phase == Phase::kPending) info.planned_bytes = least_bytes(run->needs);
      info.facts = run->facts;
      info.answers = run->busy + static_cast<uint32_t>(run->waiters.size());
      info.restarts = run->restarts;
      info.is_pinned = is_pinned(*run);
      info.keep_alive = run->keep_alive;
      if (const auto when = expiry(*run)) {
        info.expires_at =
            wall + std::chrono::duration_cast<std::chrono::system_clock::duration>(*when - now());
      }
      info.started_at = run->started_at;
      infos.push_back(std::move(info));
      held.push_back(run->loaded ? run : nullptr);
      if (run->loaded) ++run->holds;
    }
  }
  for (size_t i = 0; i < held.size(); ++i) {
    if (!held[i]) continue;
    try {
      infos[i].activity = held[i]->loaded->activity();
    } catch (const Error&) {
      // It was lost; what is left to tell is told.
    }
    std::lock_guard lock(mutex_);
    let_go(*held[i]);
  }
  return infos;
}

std::vector<std::string> Lifecycle::Core::run_log(const std::string& run_id,
                                                  size_t max_lines) const {
  std::shared_ptr<RunLog> log;
  {
    std::lock_guard lock(mutex_);
    for (const EndedRun& ended : ended_) {
      if (ended.id == run_id) log = ended.log;
    }
    for (const RunPtr& run : runs_) {
      if (run->id == run_id) log = run->log;
    }
  }
  if (!log) {
    throw Error(ErrorCode::kNotFound,
                "there is no run '" + run_id + "', nor was there lately; 'omg ps' lists them");
  }
  return log->last(max_lines);
}

void Lifecycle::Core::start_keeper() {
  keeper_ = std::thread([this] { keeper_thread(); });
}

void Lifecycle::Core::shutdown(std::chrono::milliseconds grace) {
  std::lock_guard once(shutdown_mutex_);
  if (is_down_) return;
  {
    Later later(*this);
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    for (const RunPtr& run : runs_) {
      if (!run->is_coming()) continue;
      fail_waiters(*run, Error(ErrorCode::kUnavailable, "the server is stopping"), later);
      stop(*run, Cause::kShutdown, "", later);
    }
  }
  const TimePoint end = now() + grace;
  {
    std::unique_lock lock(mutex_);
    const auto is_busy = [](const RunPtr& run) { return run->busy > 0; };
    while (now() < end && std::any_of(runs_.begin(), runs_.end(), is_busy)) {
      clock_.wait_until(changed_, lock, end);
    }
  }
  {
    Later later(*this);
    std::lock_guard lock(mutex_);
    for (const RunPtr& run : runs_) {
      stop(*run, Cause::kShutdown, "", later);
      run->is_forced = true;
      run->wake.notify_all();
    }
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return std::all_of(runs_.begin(), runs_.end(),
                         [](const RunPtr& run) { return run->phase == Phase::kFailed; });
    });
    keeper_ends_ = true;
    keeper_is_poked_ = true;
    keeper_wake_.notify_all();
  }
  keeper_.join();
  for (std::thread& thread : finished_) thread.join();
  finished_.clear();
  is_down_ = true;
}

Lifecycle::Lifecycle(Store& store, ModelFactory factory, const LifecycleOptions& options,
                     const Log& log, ServiceEvents& events, const LifecycleClock* clock) {
  check(options);
  core_ = std::make_shared<Core>(store, std::move(factory), options, log, events, clock);
  core_->start_keeper();
}

Lifecycle::~Lifecycle() {
  core_->shutdown(std::chrono::milliseconds(0));
}

Canceller Lifecycle::answer(ModelCall call, AnswerSink sink) {
  const std::string name = call.model;
  const auto keep_alive = call.keep_alive;
  return core_->submit(name,
                       core_->make_call(AnswerJob{std::move(call), std::move(sink)}, keep_alive));
}

Canceller Lifecycle::load(std::string model, std::optional<KeepAlive> keep_alive, OnLoaded on_end) {
  return core_->submit(model, core_->make_call(LoadJob{std::move(on_end)}, keep_alive));
}

Canceller Lifecycle::with_model(std::string model, UseModel use) {
  return core_->submit(model, core_->make_call(UseJob{std::move(use)}, std::nullopt));
}

bool Lifecycle::unload(const std::string& model) {
  return core_->unload(model);
}

void Lifecycle::set_pinned(const std::string& model, bool is_pinned) {
  core_->set_pinned(model, is_pinned);
}

std::vector<RunInfo> Lifecycle::runs() const {
  return core_->runs();
}

std::vector<std::string> Lifecycle::run_log(const std::string& run_id, size_t max_lines) const {
  return core_->run_log(run_id, max_lines);
}

void Lifecycle::shutdown(std::chrono::milliseconds grace) {
  core_->shutdown(grace);
}

}  // namespace omg
