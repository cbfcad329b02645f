// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: the frames of a WebSocket (RFC 6455), the server's side, with no sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace omg {

enum class WebSocketOpcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

/// Why a connection must be closed, with the code that says so (RFC 6455, 7.4.1).
class WebSocketViolation : public Error {
 public:
  WebSocketViolation(uint16_t close_code, const std::string& message)
      : Error(ErrorCode::kInvalidArgument, message), close_code_(close_code) {}
  uint16_t close_code() const { return close_code_; }

 private:
  uint16_t close_code_;
};

struct WebSocketMessage {
  WebSocketOpcode opcode = WebSocketOpcode::kText;  // kText, kClose, kPing or kPong
  std::string payload;
  uint16_t close_code = 1005;  // of kClose; 1005 = none was given
};

/// What a client sends: frames become whole messages.
class WebSocketDecoder {
 public:
  explicit WebSocketDecoder(size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}
  /// Takes what it can use from the front of `bytes`; returns how many bytes. Stops after each
  /// message, which is then in message(); `has_message` says so. Throws WebSocketViolation.
  size_t take(std::string_view bytes, bool& has_message);
  WebSocketMessage& message() { return message_; }

 private:
  size_t take_header(std::string_view bytes);
  void check_header(bool final, uint8_t opcode, uint64_t length) const;
  bool finish_frame();

  size_t max_message_bytes_;
  bool in_payload_ = false;
  bool final_ = false;
  WebSocketOpcode opcode_ = WebSocketOpcode::kText;
  uint64_t left_ = 0;
  uint8_t mask_[4] = {};
  size_t mask_at_ = 0;
  bool in_message_ = false;  // fragments of a text message have come
  std::string text_;
  std::string control_;
  WebSocketMessage message_;
};

/// One unmasked, unfragmented frame.
std::string websocket_frame(WebSocketOpcode opcode, std::string_view payload);
/// The payload of a close frame. The reason is cut to what fits.
std::string websocket_close_payload(uint16_t code, std::string_view reason);
/// Sec-WebSocket-Accept for a Sec-WebSocket-Key; "" if that is no base64 of 16 bytes.
std::string websocket_accept(std::string_view key);

}  // namespace omg
