// SPDX-License-Identifier: Apache-2.0
//
// Thin handles over exchanges: who drops one without an end has the client see it.
#include "net/server/responder.h"

#include <algorithm>
#include <utility>

#include "net/server/exchange.h"

namespace omg {

HttpRefusal::HttpRefusal(int status, const std::string& message,
                         std::vector<HttpHeaders::Field> headers)
    : Error(status == 404   ? ErrorCode::kNotFound
            : status == 413 ? ErrorCode::kLimitExceeded
            : status >= 500 ? ErrorCode::kUnavailable
                            : ErrorCode::kInvalidArgument,
            message),
      status_(status),
      headers_(std::move(headers)) {}

std::string_view HttpServerRequest::parameter(std::string_view name) const {
  for (const HttpParameter& own : parameters) {
    if (own.name == name) return own.value;
  }
  return "";
}

std::optional<std::string_view> HttpServerRequest::query_value(std::string_view name) const {
  for (const HttpParameter& own : query) {
    if (own.name == name) return own.value;
  }
  return std::nullopt;
}

HttpStream::HttpStream(std::shared_ptr<ServerExchange> exchange) : exchange_(std::move(exchange)) {}

HttpStream& HttpStream::operator=(HttpStream&& other) noexcept {
  std::swap(exchange_, other.exchange_);
  return *this;
}

HttpStream::~HttpStream() {
  if (exchange_) exchange_->drop();
}

HttpWrite HttpStream::try_write(std::string_view piece) {
  return exchange_ ? exchange_->try_write(piece) : HttpWrite::kGone;
}
bool HttpStream::write(std::string_view piece) {
  return exchange_ && exchange_->write(piece);
}
void HttpStream::on_writable(std::function<void()> call) {
  if (exchange_) exchange_->on_writable(std::move(call));
}
bool HttpStream::is_open() const {
  return exchange_ && exchange_->is_open();
}
void HttpStream::finish() {
  if (exchange_) exchange_->finish();
  exchange_.reset();
}

WebSocket::WebSocket(std::shared_ptr<ServerExchange> exchange) : exchange_(std::move(exchange)) {}

WebSocket& WebSocket::operator=(WebSocket&& other) noexcept {
  std::swap(exchange_, other.exchange_);
  return *this;
}

WebSocket::~WebSocket() {
  close();
}

HttpWrite WebSocket::try_send(std::string_view text) {
  return exchange_ ? exchange_->try_send(text) : HttpWrite::kGone;
}
bool WebSocket::send(std::string_view text) {
  return exchange_ && exchange_->send_text(text);
}
void WebSocket::on_writable(std::function<void()> call) {
  if (exchange_) exchange_->on_writable(std::move(call));
}
bool WebSocket::is_open() const {
  return exchange_ && exchange_->is_open();
}
void WebSocket::close(uint16_t code, std::string_view reason) {
  if (exchange_) exchange_->close_websocket(code, reason);
  exchange_.reset();
}

HttpResponder::HttpResponder(std::shared_ptr<ServerExchange> exchange)
    : exchange_(std::move(exchange)) {}

HttpResponder& HttpResponder::operator=(HttpResponder&& other) noexcept {
  std::swap(exchange_, other.exchange_);
  return *this;
}

HttpResponder::~HttpResponder() {
  if (exchange_) exchange_->drop();
}

ServerExchange& HttpResponder::exchange() const {
  if (!exchange_) throw Error(ErrorCode::kInternal, "a request is answered twice");
  return *exchange_;
}

void HttpResponder::send(HttpAnswer answer) {
  exchange().send(std::move(answer));
  exchange_.reset();
}

HttpStream HttpResponder::begin(HttpAnswer head, HttpStreamOptions options) {
  exchange().begin(std::move(head), std::move(options));
  return HttpStream(std::exchange(exchange_, nullptr));
}

WebSocket HttpResponder::upgrade(WebSocketOptions options) {
  exchange().upgrade(std::move(options));
  return WebSocket(std::exchange(exchange_, nullptr));
}

const CancellationToken& HttpResponder::cancellation() const {
  return exchange().cancellation();
}

void HttpResponder::on_gone(std::function<void()> call) {
  exchange().on_gone(std::move(call));
}

std::string sse_event(std::string_view data, std::string_view event) {
  std::string result;
  result.reserve(data.size() + event.size() + 24);
  if (!event.empty()) result.append("event: ").append(event).append("\n");
  while (true) {
    const size_t end = std::min(data.find_first_of("\r\n"), data.size());
    result.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == data.size()) break;
    data.remove_prefix(data.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
  }
  return result += '\n';
}

HttpAnswer sse_answer() {
  HttpAnswer answer;
  answer.content_type = "text/event-stream";
  answer.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  return answer;
}

HttpStreamOptions sse_options(std::chrono::milliseconds keep_alive_after) {
  return {": keep-alive\n\n", keep_alive_after};
}

}  // namespace omg
