// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/text_reader.h"

#include <algorithm>

#include "base/utf8.h"

namespace omg::grammar {
namespace {

int hexadecimal_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

TextReader::TextReader(std::string_view text, std::string what, size_t max_bytes)
    : text_(text), what_(std::move(what)) {
  if (text.size() > max_bytes) {
    throw Error(ErrorCode::kLimitExceeded, what_ + " is too long: " + std::to_string(text.size()) +
                                               " bytes, the limit is " + std::to_string(max_bytes));
  }
  if (!is_valid_utf8(text)) {
    throw Error(ErrorCode::kInvalidArgument, what_ + " is not valid UTF-8; send text");
  }
}

bool TextReader::take(std::string_view expected) {
  if (!starts_with(expected)) return false;
  position_ += expected.size();
  return true;
}

uint32_t TextReader::character() {
  if (at_end()) fail("it ends in the middle");
  const DecodedCodePoint decoded = decode_utf8(text_, position_);
  position_ += decoded.size;
  return decoded.value;
}

uint32_t TextReader::hexadecimal(int digits) {
  uint32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    const int digit = hexadecimal_digit(peek());
    if (digit < 0) fail("expected " + std::to_string(digits) + " hexadecimal digits");
    value = value << 4 | static_cast<uint32_t>(digit);
    ++position_;
  }
  return value;
}

uint32_t TextReader::number() {
  if (peek() < '0' || peek() > '9') fail("expected a number");
  uint64_t value = 0;
  while (peek() >= '0' && peek() <= '9') {
    value = value * 10 + static_cast<uint64_t>(peek() - '0');
    if (value > INT32_MAX) fail("the number is too large", ErrorCode::kLimitExceeded);
    ++position_;
  }
  return static_cast<uint32_t>(value);
}

void TextReader::fail(const std::string& why, ErrorCode code) const {
  const std::string_view before = text_.substr(0, position_);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  throw Error(code, what_ + " cannot be used: " + why + " (line " + std::to_string(line) +
                        ", column " + std::to_string(position_ - line_begin + 1) + ")");
}

}  // namespace omg::grammar
