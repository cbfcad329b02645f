// SPDX-License-Identifier: Apache-2.0
//
// The connection's states, its bytes in and out, its deadlines and its end.
#include "net/server/connection.h"

#include <algorithm>
#include <utility>

namespace omg {
namespace {

using namespace std::chrono_literals;

constexpr size_t kIdleReadPiece = 4u << 10;  // of each connection that waits for a request
constexpr size_t kReadPiece = 16u << 10;
constexpr size_t kBodyReadPiece = 64u << 10;
constexpr size_t kSinkPiece = 256u << 10;
// Deadlines of bodies and of writing are for pieces of this size: a client that trickles bytes
// makes no progress, one that needs 30 s for each 64 KiB does.
constexpr size_t kProgress = 64u << 10;
// An answer that comes before the request is whole would be lost if the socket were closed over
// unread bytes (TCP resets it), so they are read and dropped for a while.
constexpr size_t kMaxLingered = 8u << 20;
constexpr std::chrono::milliseconds kLingerTime = 2s;
constexpr std::chrono::milliseconds kLookAtPeer = 1s;

}  // namespace

std::span<char> InputBuffer::prepare(size_t size) {
  if (begin_ > 0) {
    std::copy(bytes_.begin() + static_cast<ptrdiff_t>(begin_),
              bytes_.begin() + static_cast<ptrdiff_t>(end_), bytes_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (bytes_.size() - end_ < size) bytes_.resize(end_ + size);
  return {bytes_.data() + end_, bytes_.size() - end_};
}

void InputBuffer::clear() {
  std::string().swap(bytes_);
  begin_ = end_ = 0;
}

Connection::Connection(ServerContext& context, std::unique_ptr<Transport> transport, HttpPeer peer,
                       std::function<void()> on_closed)
    : context_(context),
      limits_(context.options.limits),
      transport_(std::move(transport)),
      peer_(std::move(peer)),
      on_closed_(std::move(on_closed)),
      parser_(limits_) {}

Connection::~Connection() {
  leave(true);
}

void Connection::stop_soon() {
  transport_->post([self = shared_from_this()] {
    if (self->state_ == State::kClosed) return;
    if (self->exchange_) self->exchange_->forbid_keep_alive();
    if (self->state_ == State::kWebSocket) {
      self->exchange_->close_websocket(1001, "the server stops");
    }
    if (!self->open_ || (self->state_ == State::kHead && !self->head_begun_)) self->close();
  });
}

void Connection::cut() {
  transport_->post([self = shared_from_this()] { self->close(); });
}

void Connection::on_open() {
  guarded([this] {
    open_ = true;
    wait_to_read(limits_.idle_timeout);
    if (refused_at_start_) {
      refuse(HttpRefusal(503, "the server has too many connections; try again in a moment",
                         {{"Retry-After", "1"}}),
             false);
    }
    advance();
  });
}

void Connection::on_read(size_t bytes) {
  reading_ = false;
  guarded([this, bytes] {
    input_.commit(bytes);
    advance();
  });
}

void Connection::on_read_end(bool broken) {
  reading_ = false;
  peer_ended_ = true;
  guarded([this, broken] {
    // Who asked and then closed its writing side may still read a whole answer. A stream is not
    // worth going on for somebody who has most likely left.
    const bool may_read = state_ == State::kAnswering && !broken;
    if (!may_read || exchange_->phase() == ServerExchange::Phase::kStreaming) {
      close();
    } else {
      exchange_->client_ended();
    }
  });
}

void Connection::on_written(bool all) {
  const size_t sent = std::exchange(writing_, 0);
  guarded([this, sent, all] {
    if (!all) {
      close();
      return;
    }
    written_ += sent;
    if (exchange_) exchange_->written(sent);
    if (written_ < output_.size()) {
      write_next();
      return;
    }
    output_.clear();
    if (output_.capacity() > kProgress) output_.shrink_to_fit();
    written_ = 0;
    write_deadline_ = Clock::time_point::max();
    pump();
  });
}

void Connection::advance() {
  bool more = true;
  while (more) {
    switch (state_) {
      case State::kHead:
        more = step_head();
        break;
      case State::kBody:
        more = step_body();
        break;
      case State::kWebSocket:
        more = step_websocket();
        break;
      case State::kLingering:
        more = step_lingering();
        break;
      case State::kAnswering:
        if (input_.size() < limits_.max_pipelined_bytes) read_more();
        more = false;
        break;
      case State::kOpening:
      case State::kSinking:
      case State::kClosed:
        more = false;
        break;
    }
  }
}

bool Connection::step_head() {
  try {
    input_.consume(parser_.take(input_.data()));
  } catch (const HttpRefusal& refusal) {
    refuse(refusal, false);
    return true;
  }
  if (parser_.is_done()) {
    head_begun_ = false;
    begin_request();
    return true;
  }
  if (!head_begun_ && parser_.has_begun(input_.data())) {
    head_begun_ = true;
    wait_to_read(limits_.header_timeout);
  }
  if (!head_begun_ && context_.stopping) {
    close();
    return false;
  }
  if (!head_begun_ && !reading_) input_.clear();  // who is idle takes little memory
  read_more();
  return false;
}

bool Connection::step_body() {
  if (wants_continue_) {
    wants_continue_ = false;
    if (input_.size() == 0) exchange_->interim("HTTP/1.1 100 Continue\r\n\r\n");
  }
  try {
    drain_body();
  } catch (const HttpRefusal& refusal) {
    refuse(refusal, false);
    return true;
  }
  if (body_.received() - body_mark_ >= kProgress) {
    body_mark_ = body_.received();
    wait_to_read(limits_.body_timeout);
  }
  const bool piece_ready = piece_.size() >= kSinkPiece || (body_.is_done() && !piece_.empty());
  if (request_->sink && piece_ready) {
    read_deadline_ = Clock::time_point::max();
    state_ = State::kSinking;
    run_for_sink([piece = std::exchange(piece_, {})](const HttpRoute&, HttpServerRequest& request) {
      request.sink->take(piece);
    });
    return false;
  }
  if (body_.is_done()) {
    dispatch();
    return true;
  }
  read_more();
  return false;
}

/// Moves what has come of the body to where it belongs.
void Connection::drain_body() {
  if (refusal_) {
    std::string dropped;
    input_.consume(body_.take(input_.data(), dropped, input_.size()));
  } else if (request_->sink) {
    input_.consume(body_.take(input_.data(), piece_, kSinkPiece - piece_.size()));
  } else {
    input_.consume(body_.take(input_.data(), request_->body, input_.size()));
  }
}

bool Connection::step_lingering() {
  lingered_ += input_.size();
  input_.consume(input_.size());
  if (lingered_ > kMaxLingered) {
    close();
  } else {
    read_more();
  }
  return false;
}

void Connection::read_more() {
  if (reading_ || peer_ended_ || state_ == State::kClosed) return;
  reading_ = true;
  const bool idle = state_ == State::kHead && !head_begun_;
  transport_->read(input_.prepare(idle                     ? kIdleReadPiece
                                  : state_ == State::kBody ? kBodyReadPiece
                                                           : kReadPiece));
}

/// On the connection: sends what the exchange has ready, and goes on when the answer is out.
void Connection::pump() {
  if (state_ == State::kClosed || !exchange_ || writing_ != 0) return;
  using Phase = ServerExchange::Phase;
  const Phase phase = exchange_->phase();
  if (phase == Phase::kDropped) answer_dropped();
  if (phase == Phase::kWebSocket && state_ == State::kAnswering) {
    websocket_.emplace(exchange_->websocket().max_message_bytes);
    state_ = State::kWebSocket;
    tick_ = Clock::now() + exchange_->websocket().ping_interval;
  }
  if (phase == Phase::kWebSocket && exchange_->close_sent() && !websocket_closing_) {
    websocket_closing_ = true;
    wait_to_read(kLingerTime);  // for the peer's close
  }
  output_ = exchange_->take_output();
  if (!output_.empty()) {
    write_next();
  } else if (phase == Phase::kEnded) {
    finish_request();
  } else if (phase == Phase::kBroken ||
             (peer_ended_ && (phase == Phase::kStreaming || phase == Phase::kWebSocket))) {
    close();
  }
  if (phase == Phase::kStreaming && exchange_ && tick_ == Clock::time_point::max()) {
    tick_ = exchange_->keep_alive_tick(Clock::now());
  }
  if (state_ == State::kWebSocket) advance();
}

void Connection::write_next() {
  writing_ = std::min(kProgress, output_.size() - written_);
  write_deadline_ = Clock::now() + limits_.write_timeout;
  transport_->write(std::string_view(output_).substr(written_, writing_));
}

void Connection::linger() {
  leave(false);
  state_ = State::kLingering;
  tick_ = Clock::time_point::max();
  if (peer_ended_) {
    close();
    return;
  }
  transport_->finish_writing();
  wait_to_read(kLingerTime);
}

/// Lets go of the request.
void Connection::leave(bool client_left) {
  if (!exchange_) return;
  record(client_left);
  exchange_->release(client_left);
  exchange_.reset();
  request_.reset();
  route_ = nullptr;
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  leave(true);  // others may be writing until then
  transport_->close();
  if (auto call = std::exchange(on_closed_, nullptr)) call();
}

void Connection::on_timer() {
  armed_ = Clock::time_point::max();
  guarded([this] {
    const Clock::time_point now = Clock::now();
    if (now >= write_deadline_) {
      close();
      return;
    }
    if (now >= read_deadline_) {
      read_deadline_ = Clock::time_point::max();
      read_timed_out();
    }
    if (now >= tick_ && exchange_) {
      if (state_ == State::kWebSocket) {
        websocket_tick(now);
      } else {
        tick_ = exchange_->keep_alive_tick(now);
      }
    }
    // A full buffer hides that the peer has left.
    if (must_look_at_peer() && transport_->peer_has_closed()) close();
  });
}

void Connection::read_timed_out() {
  if (state_ == State::kHead && head_begun_) {
    refuse(HttpRefusal(408, "the request took too long to come"), false);
  } else if (state_ == State::kBody) {
    refuse(HttpRefusal(408, "the request's body took too long to come"), false);
  } else {
    close();
  }
}

void Connection::arm_timer() {
  if (state_ == State::kClosed) return;
  Clock::time_point next = std::min({read_deadline_, write_deadline_, tick_});
  if (must_look_at_peer()) next = std::min(next, Clock::now() + kLookAtPeer);
  // A timer that comes too early is cheaper than one that is set anew for each byte.
  if (next >= armed_) return;
  armed_ = next;
  transport_->wake_at(next);
}

}  // namespace omg
