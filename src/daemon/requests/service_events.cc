// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/service_events.h"

namespace omg {

struct ServiceEvents::Subscription::List {
  std::mutex mutex;
  std::map<uint64_t, Observer> observers;
  uint64_t next_id = 1;
};

std::string_view event_kind_name(ServiceEvent::Kind kind) {
  switch (kind) {
    case ServiceEvent::Kind::kRunStarted:
      return "run_started";
    case ServiceEvent::Kind::kRunLoaded:
      return "run_loaded";
    case ServiceEvent::Kind::kRunStopped:
      return "run_stopped";
    case ServiceEvent::Kind::kRunCrashed:
      return "run_crashed";
    case ServiceEvent::Kind::kAnswerFinished:
      return "answer_finished";
  }
  return "";
}

std::string_view event_cause_name(ServiceEvent::Cause cause) {
  switch (cause) {
    case ServiceEvent::Cause::kNone:
      return "";
    case ServiceEvent::Cause::kIdle:
      return "idle";
    case ServiceEvent::Cause::kAsked:
      return "asked";
    case ServiceEvent::Cause::kEvicted:
      return "evicted";
    case ServiceEvent::Cause::kCrashed:
      return "crashed";
    case ServiceEvent::Cause::kLoadFailed:
      return "load_failed";
    case ServiceEvent::Cause::kUnwanted:
      return "unwanted";
    case ServiceEvent::Cause::kShutdown:
      return "shutdown";
  }
  return "";
}

ServiceEvents::Subscription& ServiceEvents::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    end();
    list_ = std::move(other.list_);
    id_ = other.id_;
  }
  return *this;
}

void ServiceEvents::Subscription::end() {
  if (!list_) return;
  Observer gone;  // destroyed after the lock is given back
  {
    std::lock_guard lock(list_->mutex);
    const auto found = list_->observers.find(id_);
    gone = std::move(found->second);
    list_->observers.erase(found);
  }
  list_.reset();
}

ServiceEvents::ServiceEvents() : list_(std::make_shared<Subscription::List>()) {}

ServiceEvents::Subscription ServiceEvents::observe(Observer observer) {
  Subscription subscription;
  std::lock_guard lock(list_->mutex);
  subscription.id_ = list_->next_id++;
  list_->observers.emplace(subscription.id_, std::move(observer));
  subscription.list_ = list_;
  return subscription;
}

void ServiceEvents::emit(const ServiceEvent& event) {
  std::lock_guard lock(list_->mutex);
  for (const auto& [id, observer] : list_->observers) observer(event);
}

}  // namespace omg
