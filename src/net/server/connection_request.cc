// SPDX-License-Identifier: Apache-2.0
//
// One request on a connection: what is checked before its body, its sink, its handler, its end; and
// the messages of a WebSocket that it became.
#include <utility>

#include "base/utf8.h"
#include "net/server/connection.h"

namespace omg {
namespace {

// A refused request whose body is no longer than this is read past, and the connection is kept.
constexpr uint64_t kSmallBody = 64u << 10;

/// Sec-WebSocket-Accept, or the status that says why there is none.
void read_websocket_offer(const RequestHead& head, const HttpHeaders& headers,
                          AnswerFraming& framing) {
  if (!header_lists(headers, "Upgrade", "websocket") || head.minor_version == 0) return;
  if (!header_lists(headers, "Connection", "upgrade") || head.method != "GET") return;
  if (headers.find("Sec-WebSocket-Version").value_or("") != "13") {
    framing.websocket_refusal = 426;
    return;
  }
  framing.websocket_accept = websocket_accept(headers.find("Sec-WebSocket-Key").value_or(""));
}

/// Runs `work` and says with which answer it was refused.
template <typename Work>
std::optional<HttpAnswer> refusal_of(const ServerContext& context, const HttpServerRequest& request,
                                     Work work) {
  try {
    work();
  } catch (const Error& error) {
    return context.answer_for(error, &request);
  } catch (const std::exception& error) {
    return context.answer_for(Error(ErrorCode::kInternal, error.what()), &request);
  }
  return std::nullopt;
}

}  // namespace

HttpAnswer ServerContext::answer_for(const Error& error, const HttpServerRequest* request) const {
  const auto* refusal = dynamic_cast<const HttpRefusal*>(&error);
  HttpProblem problem;
  problem.status = refusal != nullptr ? refusal->status() : http_status(error.code());
  problem.code = error_name(error.code());
  problem.message = replace_invalid_utf8(error.what());
  problem.request = request;
  HttpAnswer answer;
  try {
    answer = options.problem_answer(problem);
  } catch (const std::exception&) {  // a status without a body is an answer too
  }
  answer.status = problem.status;
  if (refusal != nullptr) {
    answer.headers.insert(answer.headers.end(), refusal->headers().begin(),
                          refusal->headers().end());
  }
  return answer;
}

void run_handler(const ServerContext& context, const HttpRoute& route, HttpServerRequest& request,
                 const std::shared_ptr<ServerExchange>& exchange) {
  HttpResponder responder(exchange);
  auto refusal = refusal_of(context, request, [&] { route.handler(request, responder); });
  // Somebody may hold the responder, or have begun a stream, which its own drop breaks off.
  if (refusal && responder) exchange->send_surely(std::move(*refusal));
}

void Connection::begin_request() {
  prepare_request();
  RequestTarget target;
  try {
    target = parse_target(request_->target);
  } catch (const HttpRefusal& refusal) {  // somebody tries something
    refuse(refusal, false);
    return;
  }
  try {
    check_access();
    if (auto answer = choose_route(std::move(target))) {
      answer_early(std::move(*answer), true);
      return;
    }
    if (context_.options.admit) context_.options.admit(*request_);
    take_body();
  } catch (const Error& error) {
    refuse(error, true);
  } catch (const std::exception& error) {
    refuse(Error(ErrorCode::kInternal, error.what()), true);
  }
}

void Connection::prepare_request() {
  head_ = parser_.finish();
  body_ = BodyDecoder();
  body_mark_ = 0;
  refusal_.reset();
  piece_.clear();
  route_ = nullptr;
  path_.clear();
  wants_continue_ = head_.expects_continue;
  request_ = std::make_shared<HttpServerRequest>();
  request_->method = head_.method;
  request_->target = head_.target;
  request_->headers = std::move(head_.headers);
  request_->peer = peer_;
  request_->number = ++context_.requests;
  make_exchange(head_.keep_alive && !context_.stopping);
}

void Connection::make_exchange(bool keep_alive) {
  began_ = Clock::now();
  AnswerFraming framing;
  framing.keep_alive = keep_alive;
  framing.stream_buffer_bytes = limits_.stream_buffer_bytes;
  CancellationToken cancellation;
  if (request_) {
    cancellation = request_->cancellation;
    framing.minor_version = head_.minor_version;
    framing.head_only = head_.method == "HEAD";
    read_websocket_offer(head_, request_->headers, framing);
    const std::string_view origin = request_->headers.find("Origin").value_or("");
    if (context_.access.allows_origin(origin, head_.host)) {
      framing.cors_lines = AccessCheck::cors_lines(origin);
    }
  }
  const auto wake = [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->transport_->post([self] { self->guarded([&] { self->pump(); }); });
  };
  const auto write_now = [transport = transport_.get()](std::string_view bytes) {
    return transport->write_now(bytes);
  };
  exchange_ = std::make_shared<ServerExchange>(std::move(framing), std::move(cancellation), wake,
                                               write_now);
}

void Connection::check_access() const {
  if (!peer_.unix_socket && !head_.host.empty() && !context_.access.allows_host(head_.host)) {
    throw HttpRefusal(
        403, "this server is not known as '" + head_.host + "'; add it to the allowed hosts");
  }
  const auto origin = request_->headers.find("Origin");
  if (origin && !context_.access.allows_origin(*origin, head_.host)) {
    throw HttpRefusal(403, "pages of '" + std::string(*origin) +
                               "' may not ask here; add it to the allowed origins");
  }
  const auto coding = request_->headers.find("Content-Encoding");
  if (coding && !equal_without_case(*coding, "identity")) {
    throw HttpRefusal(415, "the body's Content-Encoding is not understood; send it as it is");
  }
}

/// Finds route_, or answers for the server itself (OPTIONS).
std::optional<HttpAnswer> Connection::choose_route(RequestTarget target) {
  request_->path = path_ = std::move(target.path);
  request_->query = std::move(target.query);
  HttpRouter::Match match = context_.router.find(request_->method, target.parts);
  route_ = match.route;
  request_->parameters = std::move(match.parameters);
  if (route_ != nullptr) {
    request_->route = route_->pattern;
    return std::nullopt;
  }
  const bool is_options = request_->method == "OPTIONS";
  HttpAnswer answer;
  answer.status = 204;
  if (is_options && request_->headers.find("Origin") &&
      request_->headers.find("Access-Control-Request-Method")) {
    answer.headers = AccessCheck::preflight_headers(request_->headers);
    return answer;
  }
  if (is_options && path_ == "*") return answer;
  if (match.allow.empty()) throw HttpRefusal(404, "there is no " + path_ + " here");
  answer.headers = {{"Allow", match.allow}};
  if (is_options) return answer;
  throw HttpRefusal(405, path_ + " does not know the method " + request_->method, answer.headers);
}

void Connection::take_body() {
  const bool has_sink = route_->options.sink != nullptr;
  if (has_sink && !head_.chunked && !head_.content_length) {
    throw HttpRefusal(411, "the length of the body must be given (Content-Length)");
  }
  body_ = BodyDecoder(head_, route_->options.max_body_bytes.value_or(limits_.max_body_bytes));
  state_ = State::kBody;
  wait_to_read(limits_.body_timeout);
  if (!has_sink) return;
  read_deadline_ = Clock::time_point::max();
  state_ = State::kOpening;
  run_for_sink([](const HttpRoute& route, HttpServerRequest& request) {
    request.sink = route.options.sink(request);
  });
}

/// Does what may block on a handler's thread, and comes back.
void Connection::run_for_sink(std::function<void(const HttpRoute&, HttpServerRequest&)> work) {
  const bool opening = state_ == State::kOpening;
  context_.run([self = shared_from_this(), route = route_, request = request_, opening,
                work = std::move(work)] {
    auto refusal = refusal_of(self->context_, *request, [&] { work(*route, *request); });
    self->transport_->post([self, opening, refusal = std::move(refusal)]() mutable {
      self->sink_is_done(std::move(refusal), opening);
    });
  });
}

void Connection::sink_is_done(std::optional<HttpAnswer> refusal, bool was_opening) {
  guarded([&] {
    state_ = State::kBody;
    wait_to_read(limits_.body_timeout);
    if (refusal) answer_early(std::move(*refusal), was_opening);
    advance();
  });
}

void Connection::dispatch() {
  state_ = State::kAnswering;
  read_deadline_ = Clock::time_point::max();
  if (refusal_) {
    exchange_->send_surely(std::move(*refusal_));
    return;
  }
  context_.run([&context = context_, route = route_, request = std::exchange(request_, nullptr),
                exchange = exchange_] { run_handler(context, *route, *request, exchange); });
}

void Connection::refuse(const Error& error, bool body_follows) {
  answer_early(context_.answer_for(error, request_.get()), body_follows);
}

/// Answers without a handler. `body_follows`: the request's body comes next, and is understood.
void Connection::answer_early(HttpAnswer answer, bool body_follows) {
  if (!exchange_) make_exchange(false);
  if (body_follows && answer.status != 413 && !wants_continue_ && !head_.chunked &&
      head_.content_length.value_or(0) <= kSmallBody) {
    refusal_ = std::move(answer);
    body_ = BodyDecoder(head_, kSmallBody);
    state_ = State::kBody;
    wait_to_read(limits_.body_timeout);
    return;
  }
  exchange_->forbid_keep_alive();
  state_ = State::kAnswering;
  read_deadline_ = Clock::time_point::max();
  exchange_->send_surely(std::move(answer));
}

/// A handler let go of its responder.
void Connection::answer_dropped() {
  HttpServerRequest request;  // the real one is the handler's
  request.method = head_.method;
  request.target = head_.target;
  request.path = path_;
  exchange_->send_surely(context_.answer_for(
      Error(ErrorCode::kInternal, "the request was not answered: a bug of this server"), &request));
}

void Connection::finish_request() {
  const bool keep =
      exchange_->keep_alive() && body_.is_done() && !peer_ended_ && !context_.stopping;
  if (!keep) {
    linger();
    advance();
    return;
  }
  leave(false);
  state_ = State::kHead;
  tick_ = Clock::time_point::max();
  wait_to_read(limits_.idle_timeout);
  advance();
}

void Connection::record(bool client_left) {
  if (!context_.options.observe) return;
  HttpRecord record;
  record.method = head_.method;
  record.route = route_ == nullptr ? "" : route_->pattern;
  record.status = exchange_->status();
  record.body_bytes = body_.received();
  record.sent_bytes = exchange_->sent_bytes();
  record.duration = Clock::now() - began_;
  record.client_left = client_left;
  context_.options.observe(record);
}

bool Connection::step_websocket() {
  while (state_ == State::kWebSocket && input_.size() > 0) {
    bool has_message = false;
    try {
      input_.consume(websocket_->take(input_.data(), has_message));
    } catch (const WebSocketViolation& violation) {
      exchange_->close_websocket(violation.close_code(), violation.what());
      end_websocket();
      break;
    }
    websocket_heard_ = true;
    if (!has_message) break;
    take_websocket_message(websocket_->message());
  }
  if (state_ == State::kWebSocket) read_more();
  return false;
}

void Connection::take_websocket_message(WebSocketMessage& message) {
  switch (message.opcode) {
    case WebSocketOpcode::kPing:
      // Who pings and does not read has us hold the answers.
      if (!exchange_->control_frame(websocket_frame(WebSocketOpcode::kPong, message.payload))) {
        close();
      }
      return;
    case WebSocketOpcode::kClose:
      exchange_->close_websocket(message.close_code == 1005 ? 1000 : message.close_code, "");
      end_websocket();
      return;
    case WebSocketOpcode::kText:
      if (exchange_->close_sent() || !exchange_->websocket().on_message) return;
      try {
        exchange_->websocket().on_message(std::move(message.payload));
      } catch (const std::exception&) {
        exchange_->close_websocket(1011, "the message could not be handled");
      }
      return;
    default:
      return;  // a pong: it was heard
  }
}

/// What was taken is sent, then the connection ends.
void Connection::end_websocket() {
  exchange_->end_websocket();
  state_ = State::kAnswering;
}

void Connection::websocket_tick(Clock::time_point now) {
  if (!std::exchange(websocket_heard_, false)) {
    close();
    return;
  }
  exchange_->control_frame(websocket_frame(WebSocketOpcode::kPing, ""));
  tick_ = now + exchange_->websocket().ping_interval;
}

}  // namespace omg
