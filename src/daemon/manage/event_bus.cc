// SPDX-License-Identifier: Apache-2.0
#include "daemon/manage/event_bus.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace omg {
namespace {

int64_t now_ms() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now).count();
}

}  // namespace

/// One reader's place in the ring. The bus holds it until its client is gone.
class EventFeed : public std::enable_shared_from_this<EventFeed> {
 public:
  EventFeed(EventBus& bus, EventBus::Output output, uint64_t place, bool tells_gaps,
            std::vector<std::string> categories)
      : bus_(bus),
        output_(std::move(output)),
        categories_(std::move(categories)),
        place_(place),
        tells_gaps_(tells_gaps) {}

  /// Writes what it can. Whoever comes while somebody writes leaves a mark and goes: the writer
  /// looks again.
  void pump() {
    if (asked_.fetch_add(1) != 0) return;
    uint32_t seen = 1;
    do {
      seen = asked_.load();
      write_all();
    } while (!asked_.compare_exchange_strong(seen, 0));
  }

 private:
  bool is_wanted(const BusEvent& event) const {
    return categories_.empty() ||
           std::find(categories_.begin(), categories_.end(), event.category) != categories_.end();
  }

  void write_all() {
    while (!done_) {
      const EventBus::Next next = bus_.next_after(place_);
      if (!next.event) return;
      if (next.overtaken && tells_gaps_) {
        if (!write(missed_event(place_, next.event->id))) return;
        place_ = next.event->id - 1;
      }
      tells_gaps_ = true;
      if (is_wanted(*next.event) && !write(*next.event)) return;
      place_ = next.event->id;
    }
  }

  /// False: not now, or never again.
  bool write(const BusEvent& event) {
    switch (output_.write(event)) {
      case HttpWrite::kTaken:
        return true;
      case HttpWrite::kFull:
        output_.on_writable([weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->pump();
        });
        return false;
      case HttpWrite::kGone:
        done_ = true;
        bus_.remove(this);
        return false;
    }
    return false;
  }

  EventBus& bus_;
  const EventBus::Output output_;
  const std::vector<std::string> categories_;
  std::atomic<uint32_t> asked_ = 0;
  // Used by the thread that has raised asked_ from 0.
  uint64_t place_;
  bool tells_gaps_;
  bool done_ = false;
};

EventBus::EventBus(uint64_t first_id)
    : last_id_(first_id > 0 ? first_id : static_cast<uint64_t>(now_ms())) {}

void EventBus::publish(std::string category, std::string type, const json::object& data) {
  auto event = std::make_shared<BusEvent>();
  event->type = std::move(type);
  event->category = std::move(category);
  event->at_ms = now_ms();
  event->data = json::serialize(data);
  std::vector<std::shared_ptr<EventFeed>> feeds;
  {
    const std::lock_guard lock(mutex_);
    event->id = ++last_id_;
    kept_.push_back(std::move(event));
    if (kept_.size() > kKept) kept_.pop_front();
    feeds = feeds_;
  }
  for (const auto& feed : feeds) feed->pump();
}

EventBus::Next EventBus::next_after(uint64_t after) const {
  const std::lock_guard lock(mutex_);
  const auto later = std::upper_bound(
      kept_.begin(), kept_.end(), after,
      [](uint64_t id, const std::shared_ptr<const BusEvent>& event) { return id < event->id; });
  if (later == kept_.end()) return {};
  return {*later, (*later)->id > after + 1};
}

std::function<void()> EventBus::feed(Output output, std::optional<uint64_t> after,
                                     std::vector<std::string> categories) {
  std::shared_ptr<EventFeed> feed;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) throw Error(ErrorCode::kUnavailable, "the daemon is stopping");
    if (feeds_.size() >= kMaxFeeds) {
      throw Error(ErrorCode::kUnavailable, "too many clients read the events: at most " +
                                               std::to_string(kMaxFeeds) +
                                               " can; close one, or try again later");
    }
    // A place that no daemon has reached yet is none.
    const uint64_t place = std::min(after.value_or(last_id_), last_id_);
    feed = std::make_shared<EventFeed>(*this, std::move(output), place, place > 0,
                                       std::move(categories));
    feeds_.push_back(feed);
  }
  feed->pump();
  return [this, weak = std::weak_ptr(feed)] {
    if (const auto own = weak.lock()) remove(own.get());
  };
}

size_t EventBus::feeds() const {
  const std::lock_guard lock(mutex_);
  return feeds_.size();
}

void EventBus::remove(const EventFeed* feed) {
  std::shared_ptr<EventFeed> last;  // goes after the mutex
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(feeds_.begin(), feeds_.end(),
                                  [&](const auto& own) { return own.get() == feed; });
  if (found == feeds_.end()) return;
  last = std::move(*found);
  feeds_.erase(found);
}

BusEvent missed_event(uint64_t after, uint64_t next) {
  BusEvent event;
  event.id = next - 1;
  event.type = "missed";
  event.at_ms = now_ms();
  event.data = json::serialize(json::object{{"after", after}, {"before", next}});
  return event;
}

void EventBus::close() {
  std::vector<std::shared_ptr<EventFeed>>
      feeds;  // end after the mutex: streams are dropped with them
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  feeds.swap(feeds_);
}

}  // namespace omg
