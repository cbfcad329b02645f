// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/events: what happens, as server-sent events or over a WebSocket; and how it comes onto
// the bus.
#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "daemon/manage/replies.h"
#include "runtimes/parameters.h"

namespace omg {
namespace manage {
namespace {

/// An id in decimal.
uint64_t parse_place(std::string_view text) {
  const auto number = parse_integer(text);
  if (!number || *number < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "Last-Event-ID cannot be '" + shortened(text) + "': it is an event's id");
  }
  return static_cast<uint64_t>(*number);
}

/// After which event to begin: EventSource sends the header by itself when it connects again.
std::optional<uint64_t> place_of(const HttpServerRequest& request) {
  if (const auto header = request.headers.find("Last-Event-ID"); header && !header->empty()) {
    return parse_place(*header);
  }
  if (const auto own = request.query_value("last_event_id")) return parse_place(*own);
  return std::nullopt;
}

std::vector<std::string> categories_of(const HttpServerRequest& request) {
  std::vector<std::string> categories;
  std::string_view list = request.query_value("types").value_or("");
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    if (name != "run" && name != "job" && name != "answer") {
      throw Error(ErrorCode::kInvalidArgument,
                  "types cannot name '" + shortened(name) + "': there are run, job and answer");
    }
    categories.emplace_back(name);
  }
  return categories;
}

std::string sse_text(const BusEvent& event) {
  return "id: " + std::to_string(event.id) + "\n" + sse_event(event.data, event.type);
}

std::string message_text(const BusEvent& event) {
  return "{\"id\":" + std::to_string(event.id) + ",\"type\":\"" + event.type +
         "\",\"at_ms\":" + std::to_string(event.at_ms) + ",\"data\":" + event.data + "}";
}

/// What is to happen once when the client has gone, which may be before it is known.
class WhenGone {
 public:
  void gone() {
    std::function<void()> call;
    {
      const std::lock_guard lock(mutex_);
      is_gone_ = true;
      call = std::exchange(call_, nullptr);
    }
    if (call) call();
  }
  void set(std::function<void()> call) {
    {
      const std::lock_guard lock(mutex_);
      if (!is_gone_) {
        call_ = std::move(call);
        return;
      }
    }
    call();
  }

 private:
  std::mutex mutex_;
  bool is_gone_ = false;
  std::function<void()> call_;
};

void send_events(EventBus& bus, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {"types", "last_event_id"});
  const auto after = place_of(request);
  std::vector<std::string> categories = categories_of(request);
  if (bus.feeds() >= EventBus::kMaxFeeds) {  // refused with a status, while there is one
    throw Error(ErrorCode::kUnavailable,
                "too many clients read the events; close one, or try again later");
  }
  EventBus::Output output;
  const auto when_gone = std::make_shared<WhenGone>();
  if (request.headers.find("Upgrade")) {
    WebSocketOptions options;
    options.on_closed = [when_gone] { when_gone->gone(); };
    const auto socket = std::make_shared<WebSocket>(responder.upgrade(std::move(options)));
    output.write = [socket](const BusEvent& event) {
      return socket->try_send(message_text(event));
    };
    output.on_writable = [socket](auto call) { socket->on_writable(std::move(call)); };
  } else {
    responder.on_gone([when_gone] { when_gone->gone(); });
    const auto stream = std::make_shared<HttpStream>(responder.begin(sse_answer(), sse_options()));
    output.write = [stream](const BusEvent& event) { return stream->try_write(sse_text(event)); };
    output.on_writable = [stream](auto call) { stream->on_writable(std::move(call)); };
  }
  when_gone->set(bus.feed(std::move(output), after, std::move(categories)));
}

}  // namespace

void add_event_routes(HttpRouter& router, const ManageParts& parts) {
  EventBus& bus = parts.events;
  router.add("GET", "/v1/events", [&bus](HttpServerRequest& request, HttpResponder& responder) {
    send_events(bus, request, responder);
  });
}

}  // namespace manage

/// What was last told of each job that is under way.
struct EventPublisher::Jobs {
  using Clock = std::chrono::steady_clock;
  struct Told {
    JobState state;
    std::string phase;
    Clock::time_point at;
  };

  explicit Jobs(EventBus& event_bus) : bus(event_bus) {}

  void take(const JobInfo& job) {
    {
      const std::lock_guard lock(mutex);
      const auto now = Clock::now();
      const auto found = told.find(job.id);
      if (found != told.end() && found->second.state == job.state &&
          found->second.phase == job.phase && now - found->second.at < std::chrono::seconds(1)) {
        return;
      }
      if (manage::has_ended(job)) {
        told.erase(job.id);
      } else {
        told[job.id] = {job.state, job.phase, now};
      }
    }
    bus.publish("job", "job", manage::job_to_json(job));
  }

  EventBus& bus;
  std::mutex mutex;
  std::map<std::string, Told> told;
};

EventPublisher::EventPublisher(EventBus& bus, ServiceEvents& services, JobService& jobs)
    : jobs_(std::make_unique<Jobs>(bus)) {
  services_ = services.observe([&bus](const ServiceEvent& event) {
    const bool is_answer = event.kind == ServiceEvent::Kind::kAnswerFinished;
    bus.publish(is_answer ? "answer" : "run", std::string(event_kind_name(event.kind)),
                manage::service_event_to_json(event));
  });
  job_updates_ = jobs.watch_all([own = jobs_.get()](const JobInfo& job) { own->take(job); });
}

EventPublisher::~EventPublisher() = default;

}  // namespace omg
