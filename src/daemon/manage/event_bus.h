// SPDX-License-Identifier: Apache-2.0
//
// What happens in the daemon, for whoever watches: the last events in a ring, and feeds that read
// from it at their own pace. A slow reader costs its place in the ring and nothing more; when it
// has been overtaken it is told so.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/server/responder.h"

namespace omg {

struct BusEvent {
  uint64_t id = 0;       // rises, also over restarts of the daemon
  std::string type;      // "run_started", "job", …
  std::string category;  // "run", "job", "answer"
  int64_t at_ms = 0;     // since 1970
  std::string data;      // a JSON object, on one line
};

class EventFeed;

/// Thread-safe.
class EventBus {
 public:
  static constexpr size_t kKept = 256;
  static constexpr size_t kMaxFeeds = 64;

  /// Ids begin after `first_id`; 0: the clock, which has them rise over restarts.
  explicit EventBus(uint64_t first_id = 0);

  /// Keeps the event and has all feeds write. What it costs is a write to each feed's socket that
  /// does not wait.
  void publish(std::string category, std::string type, const json::object& data);

  /// How a feed writes one event to its client, and how it is told that it can write again. Called
  /// by one thread at a time.
  struct Output {
    std::function<HttpWrite(const BusEvent& event)> write;
    std::function<void(std::function<void()>)> on_writable;
  };
  /// Writes what is kept after `after` (nothing: what is to come), of these categories (empty: of
  /// all), until the client is gone: when a write says so, or when the result is called, which any
  /// thread may do at any time while the bus lives. Error(kUnavailable) when there are kMaxFeeds.
  std::function<void()> feed(Output output, std::optional<uint64_t> after,
                             std::vector<std::string> categories);
  size_t feeds() const;
  /// Cuts all feeds and takes no more: they would keep a server from stopping.
  void close();

 private:
  friend class EventFeed;
  struct Next {
    std::shared_ptr<const BusEvent> event;  // null: there is none yet
    bool overtaken = false;                 // some between `after` and it are lost
  };
  Next next_after(uint64_t after) const;
  void remove(const EventFeed* feed);

  mutable std::mutex mutex_;  // guards all below
  uint64_t last_id_;
  std::deque<std::shared_ptr<const BusEvent>> kept_;
  std::vector<std::shared_ptr<EventFeed>> feeds_;
  bool is_closed_ = false;
};

/// `event: missed` for a reader that was overtaken.
BusEvent missed_event(uint64_t after, uint64_t next);

}  // namespace omg
