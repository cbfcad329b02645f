// SPDX-License-Identifier: Apache-2.0
//
// What happens to runs and answers, told as it happens: for metrics, for /v1/events, for whoever
// watches. daemon/lifecycle tells; what listens must not slow it down.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runtimes/answer.h"

namespace omg {

struct ServiceEvent {
  enum class Kind {
    kRunStarted,      // memory is set aside for it, and it begins to load
    kRunLoaded,       // `duration`: it took
    kRunStopped,      // its memory is free again; `cause`
    kRunCrashed,      // lost under way; `error`. kRunStopped follows
    kAnswerFinished,  // `result`; `error` if it failed
  };
  /// Why a run was stopped.
  enum class Cause {
    kNone,
    kIdle,        // its keep-alive was over
    kAsked,       // unload()
    kEvicted,     // to make room: `detail` names what for
    kCrashed,     // it was lost
    kLoadFailed,  // it never came up: `error`
    kUnwanted,    // nobody waited for it any more
    kShutdown,
  };
  Kind kind = Kind::kRunStarted;
  Cause cause = Cause::kNone;
  std::string model;   // as the store names it
  std::string run_id;  // "" for an answer that never had a run
  std::string detail;  // a sentence for people, or ""
  std::optional<ErrorCode> error;
  std::string error_message;
  uint64_t planned_bytes = 0;           // of the run
  std::chrono::nanoseconds duration{};  // of loading
  AnswerResult result;                  // kAnswerFinished, with all durations
  std::chrono::system_clock::time_point at;
};

/// "run_started", "answer_finished", …
std::string_view event_kind_name(ServiceEvent::Kind kind);
/// "idle", "asked", "evicted", …; "" for kNone.
std::string_view event_cause_name(ServiceEvent::Cause cause);

/// Hands events on to observers, one at a time, in the order in which they happened. Thread-safe.
class ServiceEvents {
 public:
  /// Must be quick and must not throw; may not call observe() or emit(), nor end a subscription.
  using Observer = std::function<void(const ServiceEvent& event)>;

  /// While it lives the observer is called. Its end waits for a call under way. May outlive the
  /// events.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept = default;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription() { end(); }
    void end();

   private:
    friend class ServiceEvents;
    struct List;
    std::shared_ptr<List> list_;
    uint64_t id_ = 0;
  };

  ServiceEvents();
  [[nodiscard]] Subscription observe(Observer observer);
  void emit(const ServiceEvent& event);

 private:
  std::shared_ptr<Subscription::List> list_;
};

}  // namespace omg
