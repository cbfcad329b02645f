// SPDX-License-Identifier: Apache-2.0
//
// Masking, fragments, control frames between fragments, UTF-8 and close codes.
#include "net/server/websocket_frames.h"

#include <algorithm>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/utf8.h"

namespace omg {
namespace {

constexpr uint16_t kProtocolError = 1002;
constexpr uint16_t kUnsupportedData = 1003;
constexpr uint16_t kInvalidText = 1007;
constexpr uint16_t kTooBig = 1009;
constexpr size_t kMaxControlPayload = 125;

[[noreturn]] void violate(uint16_t code, const char* why) {
  throw WebSocketViolation(code, std::string("the WebSocket is closed: ") + why);
}

bool is_control(WebSocketOpcode opcode) {
  return static_cast<uint8_t>(opcode) >= 8;
}

/// Codes that an endpoint may send.
bool is_close_code(uint16_t code) {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

}  // namespace

size_t WebSocketDecoder::take(std::string_view bytes, bool& has_message) {
  has_message = false;
  size_t used = 0;
  while (!has_message) {
    if (!in_payload_) {
      const size_t taken = take_header(bytes.substr(used));
      if (taken == 0) break;
      used += taken;
    }
    const size_t count = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - used));
    std::string& out = is_control(opcode_) ? control_ : text_;
    const size_t start = out.size();
    out.append(bytes.substr(used, count));
    for (size_t i = start; i < out.size(); ++i) {
      out[i] = static_cast<char>(static_cast<uint8_t>(out[i]) ^ mask_[mask_at_++ & 3]);
    }
    used += count;
    left_ -= count;
    if (left_ != 0) break;
    in_payload_ = false;
    has_message = finish_frame();
  }
  return used;
}

size_t WebSocketDecoder::take_header(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (bytes.size() < 2) return 0;
  if ((byte(0) & 0x70) != 0) violate(kProtocolError, "reserved bits are set");
  if ((byte(1) & 0x80) == 0) violate(kProtocolError, "a frame of a client is not masked");
  const bool final = (byte(0) & 0x80) != 0;
  uint64_t length = byte(1) & 0x7f;
  size_t size = 2;
  if (length >= 126) {
    const size_t extra = length == 126 ? 2 : 8;
    if (bytes.size() < 2 + extra) return 0;
    length = 0;
    for (size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
    if (length < 126 || (extra == 8 && (length < 65536 || length >> 63 != 0))) {
      violate(kProtocolError, "a frame's length is not written as it must be");
    }
    size += extra;
  }
  check_header(final, byte(0) & 0x0f, length);
  if (bytes.size() < size + 4) return 0;
  for (size_t i = 0; i < 4; ++i) mask_[i] = byte(size + i);
  mask_at_ = 0;
  left_ = length;
  final_ = final;
  opcode_ = static_cast<WebSocketOpcode>(byte(0) & 0x0f);
  in_payload_ = true;
  return size + 4;
}

void WebSocketDecoder::check_header(bool final, uint8_t opcode, uint64_t length) const {
  switch (static_cast<WebSocketOpcode>(opcode)) {
    case WebSocketOpcode::kClose:
    case WebSocketOpcode::kPing:
    case WebSocketOpcode::kPong:
      if (!final || length > kMaxControlPayload) {
        violate(kProtocolError, "a control frame is fragmented or too long");
      }
      return;
    case WebSocketOpcode::kContinuation:
      if (!in_message_) violate(kProtocolError, "a fragment continues nothing");
      break;
    case WebSocketOpcode::kText:
      if (in_message_) violate(kProtocolError, "a message begins inside another");
      break;
    case WebSocketOpcode::kBinary:
      violate(kUnsupportedData, "only text is understood");
    default:
      violate(kProtocolError, "a frame has an unknown opcode");
  }
  if (length > max_message_bytes_ - text_.size()) violate(kTooBig, "a message is too large");
}

bool WebSocketDecoder::finish_frame() {
  if (!is_control(opcode_)) {
    in_message_ = !final_;
    if (!final_) return false;
    if (!is_valid_utf8(text_)) violate(kInvalidText, "a text is not UTF-8");
    message_ = {WebSocketOpcode::kText, std::move(text_)};
    text_.clear();
    return true;
  }
  message_ = {opcode_, std::move(control_)};
  control_.clear();
  if (opcode_ != WebSocketOpcode::kClose || message_.payload.empty()) return true;
  if (message_.payload.size() < 2) violate(kProtocolError, "a close has half a code");
  message_.close_code = static_cast<uint16_t>(static_cast<uint8_t>(message_.payload[0]) << 8 |
                                              static_cast<uint8_t>(message_.payload[1]));
  message_.payload.erase(0, 2);
  if (!is_close_code(message_.close_code)) violate(kProtocolError, "a close has a wrong code");
  if (!is_valid_utf8(message_.payload)) violate(kInvalidText, "a reason is not UTF-8");
  return true;
}

std::string websocket_frame(WebSocketOpcode opcode, std::string_view payload) {
  std::string frame;
  frame.reserve(payload.size() + 10);
  frame += static_cast<char>(0x80 | static_cast<uint8_t>(opcode));
  const size_t extra = payload.size() < 126 ? 0 : payload.size() < 65536 ? 2 : 8;
  frame += static_cast<char>(extra == 0 ? payload.size() : extra == 2 ? 126u : 127u);
  for (size_t i = extra; i > 0; --i) {
    frame += static_cast<char>(static_cast<uint64_t>(payload.size()) >> (8 * (i - 1)) & 0xff);
  }
  frame += payload;
  return frame;
}

std::string websocket_close_payload(uint16_t code, std::string_view reason) {
  reason = reason.substr(0, kMaxControlPayload - 2);
  reason.remove_suffix(incomplete_utf8_suffix(reason));
  std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  payload += reason;
  return payload;
}

std::string websocket_accept(std::string_view key) {
  const size_t padding = key.size() == 24 ? key.find('=') : 0;
  if (padding != 22 || !key.ends_with("==")) return "";
  const auto is_base64 = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '/';
  };
  if (!std::all_of(key.begin(), key.begin() + 22, is_base64)) return "";
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char encoded[32];
  const int size = EVP_EncodeBlock(encoded, digest, sizeof digest);
  return {reinterpret_cast<const char*>(encoded), static_cast<size_t>(size)};
}

}  // namespace omg
