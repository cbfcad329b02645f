// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: one client's connection, from its first byte to its last. Requests are
// read, checked, handed to handlers and answered one after another; what the client sends ahead
// waits. While a handler works, reading goes on, so that a client that leaves is noticed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/server/access.h"
#include "net/server/exchange.h"
#include "net/server/http_server.h"
#include "net/server/request_parser.h"
#include "net/server/transport.h"
#include "net/server/websocket_frames.h"

namespace omg {

/// What the connections of a server share. Outlives them, and the handlers that they started.
struct ServerContext {
  const HttpServerOptions& options;
  const HttpRouter& router;
  AccessCheck access;
  /// Runs a task on a handler's thread, soon.
  std::function<void(std::function<void()>)> run;
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> requests{0};

  HttpAnswer answer_for(const Error& error, const HttpServerRequest* request) const;
};

/// Calls the route's handler, and turns what it throws into the answer.
void run_handler(const ServerContext& context, const HttpRoute& route, HttpServerRequest& request,
                 const std::shared_ptr<ServerExchange>& exchange);

/// Bytes that came and are not used yet, in one piece.
class InputBuffer {
 public:
  std::string_view data() const { return {bytes_.data() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  void consume(size_t size) { begin_ += size; }
  /// Room for at least `size` more; moves data().
  std::span<char> prepare(size_t size);
  void commit(size_t size) { end_ += size; }
  void clear();

 private:
  std::string bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

class Connection final : public TransportEvents, public std::enable_shared_from_this<Connection> {
 public:
  /// `on_closed` is called once, at the end, from inside an event.
  Connection(ServerContext& context, std::unique_ptr<Transport> transport, HttpPeer peer,
             std::function<void()> on_closed);
  ~Connection() override;

  void start() { transport_->start(shared_from_this()); }
  /// Answers 503 and closes: there are too many connections.
  void refuse_at_start() { refused_at_start_ = true; }
  /// From any thread: ends after the request that is under way, if there is one.
  void stop_soon();
  /// From any thread: ends now.
  void cut();

  void on_open() override;
  void on_read(size_t bytes) override;
  void on_read_end(bool broken) override;
  void on_written(bool all) override;
  void on_timer() override;

 private:
  using Clock = std::chrono::steady_clock;
  enum class State {
    kHead,       // waiting for a request, or inside its head
    kOpening,    // a sink is being made
    kBody,       // inside a body
    kSinking,    // a sink takes a piece
    kAnswering,  // somebody answers
    kWebSocket,
    kLingering,  // all is said; what the client still sends is dropped, until it is done
    kClosed,
  };

  // Reading (connection.cc).
  void advance();
  bool step_head();
  bool step_body();
  bool step_lingering();
  void read_more();
  void drain_body();

  // One request (connection_request.cc).
  void begin_request();
  void prepare_request();
  std::optional<HttpAnswer> choose_route(RequestTarget target);
  void check_access() const;
  void take_body();
  void make_exchange(bool keep_alive);
  void run_for_sink(std::function<void(const HttpRoute&, HttpServerRequest&)> work);
  void sink_is_done(std::optional<HttpAnswer> refusal, bool was_opening);
  void dispatch();
  void refuse(const Error& error, bool body_follows);
  void answer_early(HttpAnswer answer, bool body_follows);
  void answer_dropped();
  void finish_request();
  void record(bool client_left);

  // WebSocket (connection_request.cc).
  bool step_websocket();
  void take_websocket_message(WebSocketMessage& message);
  void end_websocket();
  void websocket_tick(Clock::time_point now);

  /// An event is done, or it ends this connection: memory may run out, and functions that users of
  /// the server gave may throw.
  template <typename Work>
  void guarded(Work work) {
    if (state_ == State::kClosed) return;
    try {
      work();
      arm_timer();
    } catch (const std::exception&) {
      close();
    }
  }

  // Writing and the end (connection.cc).
  void pump();
  void write_next();
  void linger();
  void close();
  void leave(bool client_left);

  // Time (connection.cc).
  void wait_to_read(std::chrono::milliseconds time) { read_deadline_ = Clock::now() + time; }
  void read_timed_out();
  bool must_look_at_peer() const {
    return state_ == State::kAnswering && !reading_ && !peer_ended_;
  }
  void arm_timer();

  ServerContext& context_;
  const HttpServerLimits& limits_;
  const std::unique_ptr<Transport> transport_;
  const HttpPeer peer_;
  std::function<void()> on_closed_;

  State state_ = State::kHead;
  InputBuffer input_;
  bool open_ = false;
  bool reading_ = false;
  bool peer_ended_ = false;
  bool refused_at_start_ = false;
  size_t lingered_ = 0;

  RequestHeadParser parser_;
  RequestHead head_;
  BodyDecoder body_;
  uint64_t body_mark_ = 0;  // where the body's deadline was last moved on
  bool head_begun_ = false;
  bool wants_continue_ = false;
  std::shared_ptr<HttpServerRequest> request_;  // the handler's alone once it runs
  std::string path_;
  const HttpRoute* route_ = nullptr;
  std::string piece_;                  // for the sink
  std::optional<HttpAnswer> refusal_;  // to be sent when a small body has been read past
  Clock::time_point began_;

  std::shared_ptr<ServerExchange> exchange_;
  std::string output_;
  size_t written_ = 0;
  size_t writing_ = 0;  // bytes that the transport has; 0 = none

  std::optional<WebSocketDecoder> websocket_;
  bool websocket_heard_ = true;
  bool websocket_closing_ = false;

  Clock::time_point read_deadline_ = Clock::time_point::max();
  Clock::time_point write_deadline_ = Clock::time_point::max();
  Clock::time_point tick_ = Clock::time_point::max();  // keep-alives, pings, a look at the peer
  Clock::time_point armed_ = Clock::time_point::max();
};

}  // namespace omg
