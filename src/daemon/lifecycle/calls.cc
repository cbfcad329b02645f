// SPDX-License-Identifier: Apache-2.0
//
// Who wants a model, and what becomes of them.
#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "daemon/jobs/installed.h"
#include "daemon/lifecycle/core.h"
#include "daemon/lifecycle/plan_run.h"
#include "daemon/lifecycle/settings_merge.h"

namespace omg {
namespace {

Error stopping_error() {
  return Error(ErrorCode::kUnavailable, "the server is stopping; ask again when it is back");
}

}  // namespace

ResolvedModel resolve_model(const Store& store, const std::string& name) {
  StoredModel model = store.require(require_installed(store, name));
  std::string key = run_key(model);
  return {std::move(model), std::move(key)};
}

CallPtr Lifecycle::Core::make_call(std::variant<AnswerJob, LoadJob, UseJob> job,
                                   std::optional<KeepAlive> keep_alive) const {
  auto call = std::make_shared<Call>();
  call->job = std::move(job);
  call->keep_alive = keep_alive;
  call->began = now();
  return call;
}

Canceller Lifecycle::Core::submit(const std::string& name, CallPtr call) {
  std::optional<ResolvedModel> resolved;
  std::optional<Error> error;
  try {
    resolved = resolve_model(store_, name);
  } catch (const Error& caught) {
    error = caught;
  } catch (const std::exception& caught) {
    error = Error(ErrorCode::kInternal, fmt::format("looking for '{}': {}", name, caught.what()));
  }
  {
    Later later(*this);
    std::lock_guard lock(mutex_);
    if (error) {
      fail_call(call, *error, later);
    } else {
      place(call, std::move(resolved->model), resolved->key, later);
    }
  }
  return [weak = weak_from_this(), call = std::move(call)] {
    if (const auto core = weak.lock()) core->cancel(call);
  };
}

void Lifecycle::Core::place(const CallPtr& call, StoredModel model, const std::string& key,
                            Later& later) {
  call->settings = model.settings;
  call->model_name = model.name.str();
  if (is_stopping_) return fail_call(call, stopping_error(), later);
  RunPtr run = find_accepting(key);
  if (run && run->phase == Phase::kLoaded) {
    if (call->keep_alive) run->keep_alive = *call->keep_alive;
    return give(call, run, later);
  }
  if (const auto found = health_.find(key); !run && found != health_.end()) {
    const Health& health = found->second;
    if (now() < health.retry_at) {
      return fail_call(
          call,
          Error(ErrorCode::kUnavailable,
                fmt::format("model '{}' was lost: {}; it is tried again in {:.1f} s",
                            call->model_name, health.why, seconds(health.retry_at - now()))),
          later);
    }
  }
  if (waiting_ >= options_.max_waiting) {
    return fail_call(call,
                     Error(ErrorCode::kUnavailable,
                           fmt::format("the server is busy: {} requests wait for models to load "
                                       "already; try again later",
                                       waiting_)),
                     later);
  }
  try {
    if (!run) run = start_run(std::move(model), key);
  } catch (const std::exception& error) {
    return fail_call(call,
                     Error(ErrorCode::kUnavailable,
                           fmt::format("no thread could be started for '{}': {}; try again later",
                                       call->model_name, error.what())),
                     later);
  }
  if (call->keep_alive) run->keep_alive = *call->keep_alive;
  if (std::holds_alternative<LoadJob>(call->job)) run->is_wanted = true;
  call->run = run;
  run->waiters.push_back(call);
  ++waiting_;
}

/// The model is there.
void Lifecycle::Core::give(const CallPtr& call, const RunPtr& run, Later& later) {
  call->given = now();
  call->run = run;
  if (auto* job = std::get_if<LoadJob>(&call->job)) {
    call->state = Call::State::kEnded;
    call->run.reset();
    later.add([on_end = std::move(job->on_end), took = call->given - call->began] {
      if (on_end) on_end(nullptr, took);
    });
    run->idle_since = now();
    rest(*run, later);
    return;
  }
  call->state = Call::State::kGiven;
  ++run->busy;
  ++run->holds;
  if (std::holds_alternative<AnswerJob>(call->job)) {
    later.add([this, call] { start_answer(call); });
  } else {
    later.add([this, call] { start_use(call); });
  }
}

/// On whichever thread gave the call; it holds the model until this returns.
void Lifecycle::Core::start_answer(const CallPtr& call) {
  const RunPtr run = call->run;
  auto& job = std::get<AnswerJob>(call->job);
  Canceller canceller;
  try {
    MergedCall merged =
        merge_settings(call->settings, std::move(job.call), run->facts->context_length);
    call->warnings = std::move(merged.warnings);
    GenerateOptions& options = merged.request.options;
    if (options.context_length == 0) options.context_length = options_.context_length;
    AnswerSink sink;
    sink.on_piece = std::move(job.sink.on_piece);
    if (!sink.on_piece) sink.on_piece = [](AnswerPiece&&) {};
    sink.on_end = [this, call](const Error* error, const AnswerResult& result) {
      end_answer(call, error, result);
    };
    canceller = run->loaded->answer(std::move(merged.request), std::move(sink));
  } catch (const Error& error) {
    end_answer(call, &error, {});
  } catch (const std::exception& caught) {
    const Error error(ErrorCode::kInternal, caught.what());
    end_answer(call, &error, {});
  }
  bool is_cancelled = false;
  {
    std::lock_guard lock(mutex_);
    if (call->state == Call::State::kGiven) {
      is_cancelled = call->is_cancelled;
      call->cancel_model = canceller;
    }
    let_go(*run);
  }
  if (is_cancelled && canceller) canceller();
}

void Lifecycle::Core::start_use(const CallPtr& call) {
  const RunPtr run = call->run;
  const auto use = std::move(std::get<UseJob>(call->job).use);
  try {
    if (use) use(nullptr, run->loaded.get());
  } catch (const std::exception& error) {
    log_.write(LogLevel::kError,
               fmt::format("a use of a model threw, which is a bug: {}", error.what()));
  }
  Later later(*this);
  std::lock_guard lock(mutex_);
  call->state = Call::State::kEnded;
  call->run.reset();
  let_go(*run);
  leave(*run, later);
}

/// The model says that the answer is over.
void Lifecycle::Core::end_answer(const CallPtr& call, const Error* error,
                                 const AnswerResult& result) {
  AnswerResult whole = result;
  whole.load_duration = call->given - call->began;
  whole.total_duration = now() - call->began;
  whole.warnings.insert(whole.warnings.begin(), call->warnings.begin(), call->warnings.end());
  Canceller forgotten;  // destroyed after the lock is given back
  Later later(*this);
  std::lock_guard lock(mutex_);
  if (call->state == Call::State::kEnded) return;
  call->state = Call::State::kEnded;
  forgotten = std::move(call->cancel_model);
  call->cancel_model = nullptr;
  const RunPtr run = std::move(call->run);
  call->run.reset();
  // Whoever did not cancel is not told that it was cancelled when the model was lost under it.
  std::optional<Error> lost;
  if (!error && whole.finish_reason == FinishReason::kCancelled && !call->is_cancelled &&
      run->lost) {
    lost = run->lost;
    error = &*lost;
  }
  tell_answer(*call, run->id, error, whole, later);
  auto& job = std::get<AnswerJob>(call->job);
  std::optional<Error> copy;
  if (error) copy = *error;
  later.add([on_end = std::move(job.sink.on_end), copy, whole = std::move(whole)] {
    if (on_end) on_end(copy ? &*copy : nullptr, whole);
  });
  leave(*run, later);
}

void Lifecycle::Core::cancel(const CallPtr& call) {
  Later later(*this);
  std::lock_guard lock(mutex_);
  if (call->state == Call::State::kEnded || call->is_cancelled) return;
  call->is_cancelled = true;
  if (call->state == Call::State::kGiven) {
    if (call->cancel_model) later.add(call->cancel_model);
    return;
  }
  const RunPtr run = call->run;
  std::erase(run->waiters, call);
  --waiting_;
  fail_call(call, Error(ErrorCode::kCancelled, "cancelled while the model was loading"), later);
  if (run->waiters.empty() && !run->is_wanted && run->is_coming()) {
    stop(*run, Cause::kUnwanted, "", later);
  }
}

/// Ends a call that has not reached the model. Cancelled answers are results, no errors.
void Lifecycle::Core::fail_call(const CallPtr& call, const Error& error, Later& later) {
  const std::string run_id = call->run ? call->run->id : "";
  call->state = Call::State::kEnded;
  call->run.reset();
  if (auto* job = std::get_if<LoadJob>(&call->job)) {
    later.add([on_end = std::move(job->on_end), error] {
      if (on_end) on_end(&error, std::chrono::nanoseconds(0));
    });
  } else if (auto* use = std::get_if<UseJob>(&call->job)) {
    later.add([use = std::move(use->use), error] {
      if (use) use(&error, nullptr);
    });
  } else if (auto* answer = std::get_if<AnswerJob>(&call->job)) {
    AnswerResult result;
    result.total_duration = now() - call->began;
    result.load_duration = result.total_duration;
    const bool is_result = error.code() == ErrorCode::kCancelled && call->is_cancelled;
    if (is_result) result.finish_reason = FinishReason::kCancelled;
    tell_answer(*call, run_id, is_result ? nullptr : &error, result, later);
    later.add([on_end = std::move(answer->sink.on_end), error, result, is_result] {
      if (on_end) on_end(is_result ? nullptr : &error, result);
    });
    answer->sink = {};
    answer->call = {};
  }
}

void Lifecycle::Core::fail_waiters(Run& run, const Error& error, Later& later) {
  waiting_ -= run.waiters.size();
  for (const CallPtr& call : std::exchange(run.waiters, {})) fail_call(call, error, later);
}

void Lifecycle::Core::tell_answer(const Call& call, const std::string& run_id, const Error* error,
                                  const AnswerResult& result, Later& later) {
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kAnswerFinished;
  event.model = call.model_name;
  event.run_id = run_id;
  event.result = result;
  event.at = std::chrono::system_clock::now();
  if (error) {
    event.error = error->code();
    event.error_message = error->what();
  }
  outbox_.push_back(std::move(event));
  later.has_events = true;
}

/// A call that was given has ended.
void Lifecycle::Core::leave(Run& run, Later& later) {
  if (--run.busy > 0) return;
  run.idle_since = now();
  run.wake.notify_all();
  if (is_stopping_) changed_.notify_all();
  rest(run, later);
  schedule(later);
}

/// Its keep-alive begins, if it is idle; one of 0 has ended by then.
void Lifecycle::Core::rest(Run& run, Later& later) {
  const auto when = expiry(run);
  if (!when) return;
  if (*when <= now()) {
    stop(run, Cause::kIdle, "", later);
  } else {
    poke_keeper(*when);
  }
}

/// A thread is no longer inside the model.
void Lifecycle::Core::let_go(Run& run) {
  if (--run.holds == 0) run.wake.notify_all();
}

bool Lifecycle::Core::unload(const std::string& name) {
  const std::string key = resolve_model(store_, name).key;
  Later later(*this);
  std::lock_guard lock(mutex_);
  const RunPtr run = find_accepting(key);
  if (!run) {
    const auto failed = std::find_if(runs_.begin(), runs_.end(), [&](const RunPtr& other) {
      return other->key == key && other->phase == Phase::kFailed;
    });
    if (failed != runs_.end()) retire(RunPtr(*failed));
    return false;
  }
  const auto wants_model = [](const CallPtr& call) {
    return !std::holds_alternative<LoadJob>(call->job);
  };
  if (std::any_of(run->waiters.begin(), run->waiters.end(), wants_model)) {
    run->unload_once_loaded = true;
  } else {
    stop(*run, Cause::kAsked, "", later);
  }
  return true;
}

void Lifecycle::Core::set_pinned(const std::string& name, bool is_pinned) {
  const std::string key = resolve_model(store_, name).key;
  Later later(*this);
  std::lock_guard lock(mutex_);
  if (is_pinned) {
    pins_.insert(key);
    return;
  }
  pins_.erase(key);
  if (const RunPtr run = find_accepting(key); run && run->phase == Phase::kLoaded) {
    if (run->busy == 0) run->idle_since = now();
    poke_keeper(TimePoint::min());
  }
  schedule(later);
}

}  // namespace omg
