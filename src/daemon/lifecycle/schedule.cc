// SPDX-License-Identifier: Apache-2.0
//
// Who gets memory, who has to go for it, and what happens when nobody asks for anything.
#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include "base/hardware.h"
#include "daemon/lifecycle/core.h"

namespace omg {
namespace {

/// A run that failed is shown for this long.
constexpr std::chrono::minutes kRememberFailed{10};
/// The keeper looks at least this often: a sum of durations cannot overflow then.
constexpr std::chrono::hours kLongestSleep{1};
/// A keep-alive of more is for ever.
constexpr std::chrono::hours kLongestKeepAlive{24 * 365 * 100};

}  // namespace

/// Bytes that all runs together may have.
uint64_t Lifecycle::Core::capacity() {
  if (options_.memory_budget > 0) return options_.memory_budget;
  const uint64_t usable = options_.usable_memory ? options_.usable_memory() : usable_memory();
  const uint64_t spare = usable > options_.memory_reserve ? usable - options_.memory_reserve : 0;
  if (used_bytes_ == 0) empty_capacity_ = spare;
  // What runs have taken is no longer usable, but theirs; a load under way has taken some of it.
  uint64_t taken = 0;
  for (const RunPtr& run : runs_) {
    if (run->phase != Phase::kLoading) taken += run->reserved_bytes;
  }
  return std::min(empty_capacity_, spare + taken);
}

Lifecycle::Core::Room Lifecycle::Core::room() {
  Room room;
  const uint64_t all = capacity();
  room.free_bytes = all > used_bytes_ ? all - used_bytes_ : 0;
  size_t loaded = 0;
  for (const RunPtr& run : runs_) {
    if (run->reserved_bytes == 0) continue;
    ++loaded;
    if (run->phase == Phase::kStopping) {
      room.coming_bytes += run->reserved_bytes;
      ++room.coming_runs;
    }
  }
  const size_t most = options_.max_loaded_models;
  room.free_runs = most == 0 ? SIZE_MAX / 2 : most - std::min(most, loaded);
  return room;
}

/// Gives memory to those who wait for it, in the order in which they came. Those behind one that
/// has to wait may go first where there is room for them, but not once room is being made for it.
void Lifecycle::Core::schedule(Later& later) {
  std::vector<RunPtr> pending;
  for (const RunPtr& run : runs_) {
    if (run->phase == Phase::kPending) pending.push_back(run);
  }
  if (pending.empty()) return;
  std::stable_sort(pending.begin(), pending.end(), [](const RunPtr& a, const RunPtr& b) {
    return a->pending_since < b->pending_since;
  });
  bool someone_waits = false;
  for (const RunPtr& run : pending) {
    const Room now_there = room();
    const auto shape = shape_run(run->needs, now_there.free_bytes, options_.max_sequences);
    if (shape && now_there.free_runs > 0) {
      admit(run, *shape, later);
      continue;
    }
    if (someone_waits) continue;
    switch (make_room(run, now_there, later)) {
      case Outlook::kNever: {
        const Error error = does_not_fit(*run);
        fail_waiters(*run, error, later);
        stop(*run, Cause::kLoadFailed, error.what(), later);
        break;
      }
      case Outlook::kMakesRoom:
        return;
      case Outlook::kWaits:
        someone_waits = true;
    }
  }
}

/// Stops idle runs, or after a while busy ones, for one that does not fit beside them.
Lifecycle::Core::Outlook Lifecycle::Core::make_room(const RunPtr& run, const Room& room,
                                                    Later& later) {
  const uint64_t least = least_bytes(run->needs);
  const uint64_t have = room.free_bytes + room.coming_bytes;
  const uint64_t bytes = least > have ? least - have : 0;
  const size_t missing_runs = room.free_runs + room.coming_runs > 0 ? 0 : 1;
  if (bytes == 0 && missing_runs == 0) return Outlook::kMakesRoom;

  std::vector<RunPtr> idle;
  std::vector<RunPtr> any;
  uint64_t could_come = 0;
  size_t runs_could_come = 0;
  bool is_one_loading = false;
  for (const RunPtr& other : runs_) {
    if (other->phase == Phase::kLoading) is_one_loading = true;
    if (other->phase != Phase::kLoaded || is_pinned(*other)) continue;
    any.push_back(other);
    if (other->busy == 0) idle.push_back(other);
    could_come += other->reserved_bytes;
    ++runs_could_come;
  }
  if (stop_victims(idle, bytes, missing_runs, *run, later)) return Outlook::kMakesRoom;
  const bool can_ever = bytes <= could_come && missing_runs <= runs_could_come;
  if (!can_ever) return is_one_loading ? Outlook::kWaits : Outlook::kNever;
  if (now() - run->pending_since >= options_.patience &&
      stop_victims(any, bytes, missing_runs, *run, later)) {
    return Outlook::kMakesRoom;
  }
  return Outlook::kWaits;
}

bool Lifecycle::Core::stop_victims(const std::vector<RunPtr>& candidates, uint64_t bytes,
                                   size_t runs, const Run& whom, Later& later) {
  std::vector<EvictionCandidate> costs;
  for (const RunPtr& run : candidates) {
    EvictionCandidate candidate;
    candidate.bytes = run->reserved_bytes;
    candidate.reload_seconds = seconds(run->load_duration);
    candidate.idle_seconds = run->busy > 0 ? 0 : seconds(now() - run->idle_since);
    costs.push_back(candidate);
  }
  const auto victims = choose_victims(costs, bytes, runs);
  if (!victims) return false;
  for (const size_t index : *victims) {
    Run& victim = *candidates[index];
    stop(victim, Cause::kEvicted,
         fmt::format("to make room for '{}', which needs at least {}{}", whom.model.name.str(),
                     format_memory(least_bytes(whom.needs)),
                     victim.busy > 0 ? " and has waited long; calls under way end first" : ""),
         later);
  }
  return true;
}

Error Lifecycle::Core::does_not_fit(const Run& run) {
  uint64_t pinned = 0;
  std::string names;
  for (const RunPtr& other : runs_) {
    if (other->reserved_bytes == 0 || !is_pinned(*other)) continue;
    pinned += other->reserved_bytes;
    names += (names.empty() ? "'" : ", '") + other->model.name.str() + "'";
  }
  const Room there = room();
  if (shape_run(run.needs, there.free_bytes + there.coming_bytes, 1)) {
    return Error(ErrorCode::kOutOfMemory,
                 fmt::format("'{}' cannot be loaded: at most {} models may be, and {} are pinned; "
                             "unpin one or raise the limit",
                             run.model.name.str(), options_.max_loaded_models, names));
  }
  const RunNeeds& needs = run.needs;
  const uint64_t all = capacity();
  const uint64_t most = all > pinned ? all - pinned : 0;
  const uint64_t beside = least_bytes(needs) - needs.weights_bytes;
  std::string text = fmt::format(
      "'{}' does not fit in memory: it takes at least {} (weights {}, working memory {}, context "
      "{}) and {} can be used",
      run.model.name.str(), format_memory(least_bytes(needs)), format_memory(needs.weights_bytes),
      format_memory(needs.scratch_bytes), format_memory(beside - needs.scratch_bytes),
      format_memory(most));
  if (pinned > 0) text += fmt::format(", beside {} of {}, pinned", format_memory(pinned), names);
  text += "; ";
  if (most > beside) {
    text += fmt::format("weights of up to {} would fit: take a smaller quantisation or model",
                        format_memory(most - beside));
  } else {
    text += "take a smaller model";
  }
  text += pinned > 0 ? ", or unpin another" : ", or free memory";
  return Error(ErrorCode::kOutOfMemory, text);
}

void Lifecycle::Core::admit(const RunPtr& run, const RunShape& shape, Later& later) {
  run->shape = shape;
  run->reserved_bytes = shape.bytes;
  used_bytes_ += shape.bytes;
  run->phase = Phase::kLoading;
  run->load_began = run->last_progress = now();
  run->wake.notify_all();
  write(LogLevel::kInfo, *run,
        fmt::format("loading, with {} of memory", format_memory(shape.bytes)));
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kRunStarted;
  tell(std::move(event), *run, later);
  poke_keeper(run->last_progress + options_.load_timeout);
}

/// Takes no new calls from now on. Those that wait for it to load fail; those under way go on.
void Lifecycle::Core::stop(Run& run, Cause cause, const std::string& detail, Later& later) {
  if (!run.accepts()) return;
  run.phase = Phase::kStopping;
  run.cause = cause;
  run.detail = detail;
  run.cancel_load.cancel();
  fail_waiters(run,
               Error(ErrorCode::kUnavailable,
                     detail.empty() ? "the model was unloaded before it was there" : detail),
               later);
  run.wake.notify_all();
}

/// When an idle run is unloaded; nothing: it is busy, or stays.
std::optional<Lifecycle::Core::TimePoint> Lifecycle::Core::expiry(const Run& run) const {
  if (run.phase != Phase::kLoaded || run.busy > 0 || is_pinned(run) ||
      run.keep_alive < KeepAlive::zero() || run.keep_alive > kLongestKeepAlive) {
    return std::nullopt;
  }
  return run.idle_since + run.keep_alive;
}

/// What has become due, and when there will be more.
Lifecycle::Core::TimePoint Lifecycle::Core::do_due(Later& later) {
  const TimePoint time = now();
  TimePoint next = time + kLongestSleep;
  for (const RunPtr& run : std::vector<RunPtr>(runs_)) {
    std::optional<TimePoint> due;
    switch (run->phase) {
      case Phase::kLoaded:
        due = expiry(*run);
        if (due && *due <= time) stop(*run, Cause::kIdle, "", later);
        break;
      case Phase::kLoading:
        due = run->last_progress + options_.load_timeout;
        if (*due > time) break;
        stop(
            *run, Cause::kLoadFailed,
            fmt::format("'{}' made no progress in loading for {:.0f} s, at {:.0f} %; see its log",
                        run->model.name.str(), seconds(options_.load_timeout), 100 * run->progress),
            later);
        break;
      case Phase::kPending:
        due = run->pending_since + options_.patience;
        break;
      case Phase::kFailed:
        due = run->failed_at + kRememberFailed;
        if (*due <= time) retire(run);
        break;
      default:
        break;
    }
    if (due && *due > time) next = std::min(next, *due);
  }
  schedule(later);
  return next;
}

/// Wakes it unless it wakes by then anyway.
void Lifecycle::Core::poke_keeper(TimePoint due) {
  if (due >= keeper_due_) return;
  keeper_is_poked_ = true;
  keeper_wake_.notify_all();
}

void Lifecycle::Core::keeper_thread() {
  for (;;) {
    std::vector<std::thread> finished;
    {
      Later later(*this);
      std::lock_guard lock(mutex_);
      if (keeper_ends_) return;
      keeper_is_poked_ = false;
      finished.swap(finished_);
      keeper_due_ = do_due(later);
    }
    for (std::thread& thread : finished) thread.join();
    std::unique_lock lock(mutex_);
    if (!keeper_is_poked_) clock_.wait_until(keeper_wake_, lock, keeper_due_);
  }
}

}  // namespace omg
