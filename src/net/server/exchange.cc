// SPDX-License-Identifier: Apache-2.0
//
// A mutex, a string that waits to be sent, and who is told when it has.
#include "net/server/exchange.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <utility>

#include "net/server/request_parser.h"
#include "net/server/websocket_frames.h"

namespace omg {
namespace {

struct Reason {
  int status;
  const char* text;
};
constexpr std::array<Reason, 37> kReasons = {{
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
}};

const char* reason_of(int status) {
  const auto* found = std::find_if(kReasons.begin(), kReasons.end(),
                                   [&](const Reason& row) { return row.status == status; });
  return found == kReasons.end() ? "Unknown" : found->text;
}

/// IMF-fixdate of RFC 9110: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::time_t time) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", kDays[parts.tm_wday],
                parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  constexpr std::string_view kOurs[] = {
      "Content-Length", "Transfer-Encoding",           "Connection",
      "Date",           "Access-Control-Allow-Origin", "Upgrade"};
  const auto is_ours = [&](std::string_view own) { return equal_without_case(own, name); };
  if (!is_http_token(name) || !is_http_field_value(value) ||
      std::any_of(std::begin(kOurs), std::end(kOurs), is_ours)) {
    throw Error(ErrorCode::kInternal,
                "an answer has a header that cannot be sent: '" + std::string(name) + "'");
  }
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

ServerExchange::ServerExchange(AnswerFraming framing, CancellationToken cancellation,
                               std::function<void()> wake,
                               std::function<size_t(std::string_view)> write_now)
    : framing_(std::move(framing)),
      cancellation_(std::move(cancellation)),
      wake_(std::move(wake)),
      write_now_(std::move(write_now)) {}

/// Status line and headers. Called with the mutex held.
std::string ServerExchange::format_head(const HttpAnswer& answer, bool whole) {
  assert(answer.status >= 200 && answer.status < 600);
  chunked_ = !whole && framing_.minor_version == 1;
  if (!whole && !chunked_) framing_.keep_alive = false;  // HTTP/1.0: the end is the end
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + ' ' + reason_of(answer.status) +
                     "\r\nDate: " + http_date(std::time(nullptr)) + "\r\n";
  if (!answer.content_type.empty()) append_field(head, "Content-Type", answer.content_type);
  for (const HttpHeaders::Field& field : answer.headers) {
    append_field(head, field.name, field.value);
  }
  head += framing_.cors_lines;
  if (chunked_) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (whole && answer.status != 204 && answer.status != 304) {
    head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
  }
  if (!framing_.keep_alive) {
    head += "Connection: close\r\n";
  } else if (framing_.minor_version == 0) {
    head += "Connection: keep-alive\r\n";
  }
  return head += "\r\n";
}

void ServerExchange::send(HttpAnswer answer) {
  const std::lock_guard lock(mutex_);
  assert(phase_ == Phase::kWaiting || phase_ == Phase::kDropped);
  std::string output = format_head(answer, true);  // may throw
  if (!framing_.head_only && answer.status != 204 && answer.status != 304) output += answer.body;
  status_ = answer.status;
  phase_ = Phase::kEnded;
  if (!wake_) return;  // nobody is left
  pending_ += output;
  wake();
}

void ServerExchange::send_surely(HttpAnswer answer) {
  try {
    send(std::move(answer));
  } catch (const Error& error) {
    send({500, "text/plain; charset=utf-8", {}, error.what()});
  }
}

void ServerExchange::begin(HttpAnswer head, HttpStreamOptions options) {
  const std::lock_guard lock(mutex_);
  assert(phase_ == Phase::kWaiting && head.body.empty());
  const std::string output = format_head(head, false);
  stream_ = std::move(options);
  status_ = head.status;
  phase_ = Phase::kStreaming;
  last_write_ = Clock::now();
  if (!gone_) pending_ += output;
  wake();
}

void ServerExchange::upgrade(WebSocketOptions options) {
  const std::lock_guard lock(mutex_);
  assert(phase_ == Phase::kWaiting);
  if (framing_.websocket_accept.empty()) {
    if (framing_.websocket_refusal == 426) {
      throw HttpRefusal(426, "WebSockets are spoken here in version 13 alone",
                        {{"Sec-WebSocket-Version", "13"}});
    }
    throw HttpRefusal(400,
                      "this route is a WebSocket; ask for it with Upgrade: websocket, "
                      "Connection: Upgrade and a Sec-WebSocket-Key");
  }
  std::string head = "HTTP/1.1 101 Switching Protocols\r\nDate: " + http_date(std::time(nullptr)) +
                     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                     framing_.websocket_accept + "\r\n";
  if (!options.protocol.empty()) append_field(head, "Sec-WebSocket-Protocol", options.protocol);
  head += framing_.cors_lines + "\r\n";
  websocket_ = std::move(options);
  framing_.keep_alive = false;
  status_ = 101;
  phase_ = Phase::kWebSocket;
  if (!gone_) pending_ += head;
  wake();
}

bool ServerExchange::has_room(size_t size) const {
  const size_t waiting = pending_.size() + in_flight_;
  return waiting == 0 ||
         (waiting < framing_.stream_buffer_bytes && size <= framing_.stream_buffer_bytes - waiting);
}

void ServerExchange::append_chunk(std::string_view piece) {
  if (!chunked_) {
    pending_ += piece;
    return;
  }
  char size[24];
  const auto end = std::to_chars(size, size + sizeof size, piece.size(), 16).ptr;
  pending_.append(size, end).append("\r\n").append(piece).append("\r\n");
}

HttpWrite ServerExchange::append(std::string_view piece, bool frame_text) {
  const std::lock_guard lock(mutex_);
  const Phase wanted = frame_text ? Phase::kWebSocket : Phase::kStreaming;
  if (gone_ || phase_ != wanted || close_sent_) return HttpWrite::kGone;
  if (!frame_text && (framing_.head_only || piece.empty())) return HttpWrite::kTaken;
  if (!has_room(piece.size())) {
    refused_size_ = piece.size();
    return HttpWrite::kFull;
  }
  if (frame_text) {
    pending_ += websocket_frame(WebSocketOpcode::kText, piece);
  } else {
    append_chunk(piece);
    last_write_ = Clock::now();
  }
  flush();
  return HttpWrite::kTaken;
}

/// Sends from here, where the connection has nothing under way: to wake its thread for each token
/// would cost as much again as sending it. Called with the mutex held, so that the connection
/// cannot close the socket meanwhile.
void ServerExchange::flush() {
  if (!woken_ && in_flight_ == 0 && write_now_) {
    const size_t sent = write_now_(pending_);
    sent_bytes_ += sent;
    pending_.erase(0, sent);
  }
  if (!pending_.empty()) wake();
}

bool ServerExchange::append_waiting(std::string_view piece, bool frame_text) {
  while (true) {
    const HttpWrite result = append(piece, frame_text);
    if (result != HttpWrite::kFull) return result == HttpWrite::kTaken;
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return gone_ || has_room(piece.size()); });
  }
}

HttpWrite ServerExchange::try_write(std::string_view piece) {
  return append(piece, false);
}
bool ServerExchange::write(std::string_view piece) {
  return append_waiting(piece, false);
}
HttpWrite ServerExchange::try_send(std::string_view text) {
  return append(text, true);
}
bool ServerExchange::send_text(std::string_view text) {
  return append_waiting(text, true);
}

void ServerExchange::on_writable(std::function<void()> call) {
  std::function<void()> replaced;  // goes after the mutex: it may hold this exchange
  {
    const std::lock_guard lock(mutex_);
    replaced = std::exchange(writable_, nullptr);
    if (!gone_ && !has_room(refused_size_)) {
      writable_ = std::move(call);
      return;
    }
  }
  if (call) call();
}

void ServerExchange::on_gone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) {
      std::swap(gone_call_, call);  // a replaced one goes after the mutex
      return;
    }
  }
  if (call) call();
}

bool ServerExchange::is_open() const {
  const std::lock_guard lock(mutex_);
  return !gone_ && !close_sent_ && (phase_ == Phase::kStreaming || phase_ == Phase::kWebSocket);
}

bool ServerExchange::is_answered() const {
  const std::lock_guard lock(mutex_);
  return phase_ != Phase::kWaiting && phase_ != Phase::kDropped;
}

void ServerExchange::finish() {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kStreaming) return;
  if (chunked_ && !framing_.head_only) pending_ += "0\r\n\r\n";
  phase_ = Phase::kEnded;
  wake();
}

void ServerExchange::drop() {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::kWaiting) phase_ = Phase::kDropped;
  if (phase_ == Phase::kStreaming) phase_ = Phase::kBroken;
  wake();
}

void ServerExchange::close_websocket(uint16_t code, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kWebSocket || close_sent_) return;
  close_sent_ = true;
  pending_ += websocket_frame(WebSocketOpcode::kClose, websocket_close_payload(code, reason));
  wake();
}

/// Called with the mutex held.
void ServerExchange::wake() {
  if (woken_ || !wake_) return;
  woken_ = true;
  wake_();
}

void ServerExchange::interim(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  pending_ += bytes;
  wake();
}

ServerExchange::Phase ServerExchange::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

std::string ServerExchange::take_output() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  in_flight_ += pending_.size();
  return std::exchange(pending_, {});
}

void ServerExchange::written(size_t bytes) {
  std::function<void()> call;
  {
    const std::lock_guard lock(mutex_);
    in_flight_ -= bytes;
    sent_bytes_ += bytes;
    const size_t waiting = pending_.size() + in_flight_;
    // Not for each piece that was sent: half of the buffer at a time.
    if (waiting <= framing_.stream_buffer_bytes / 2 && has_room(refused_size_)) {
      call = std::exchange(writable_, nullptr);
    }
  }
  room_.notify_all();
  if (call) call();
}

bool ServerExchange::keep_alive() const {
  const std::lock_guard lock(mutex_);
  return framing_.keep_alive;
}

void ServerExchange::forbid_keep_alive() {
  const std::lock_guard lock(mutex_);
  framing_.keep_alive = false;
}

int ServerExchange::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

uint64_t ServerExchange::sent_bytes() const {
  const std::lock_guard lock(mutex_);
  return sent_bytes_;
}

ServerExchange::Clock::time_point ServerExchange::keep_alive_tick(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kStreaming || stream_.keep_alive.empty() || framing_.head_only) {
    return Clock::time_point::max();
  }
  if (now - last_write_ >= stream_.keep_alive_after) {
    last_write_ = now;
    if (pending_.empty() && in_flight_ == 0) {
      append_chunk(stream_.keep_alive);
      wake();
    }
  }
  return last_write_ + stream_.keep_alive_after;
}

bool ServerExchange::control_frame(std::string_view frame) {
  const std::lock_guard lock(mutex_);
  if (close_sent_) return true;
  if (!has_room(frame.size())) return false;
  pending_ += frame;
  wake();
  return true;
}

void ServerExchange::end_websocket() {
  const std::lock_guard lock(mutex_);
  close_sent_ = true;
  phase_ = Phase::kEnded;
  wake();
}

bool ServerExchange::close_sent() const {
  const std::lock_guard lock(mutex_);
  return close_sent_;
}

void ServerExchange::client_ended() {
  cancellation_.cancel();
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
  }
  call_gone();
}

void ServerExchange::call_gone() {
  std::function<void()> gone;
  std::function<void()> writable;
  {
    const std::lock_guard lock(mutex_);
    gone = std::exchange(gone_call_, nullptr);
    writable = std::exchange(writable_, nullptr);
  }
  room_.notify_all();
  if (gone) gone();
  if (writable) writable();
}

void ServerExchange::release(bool client_left) {
  cancellation_.cancel();
  // What is let go of here may hold this very exchange, and does not go under the mutex.
  std::function<void()> unused;
  WebSocketOptions websocket;
  {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
    write_now_ = nullptr;
    gone_ = true;
    if (!client_left) unused = std::exchange(gone_call_, nullptr);
    websocket = std::exchange(websocket_, {});
    pending_.clear();
  }
  call_gone();
  if (websocket.on_closed) websocket.on_closed();
}

}  // namespace omg
