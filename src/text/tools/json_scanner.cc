// SPDX-License-Identifier: Apache-2.0
#include "text/tools/json_scanner.h"

#include <cstring>

namespace omg {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// States of a number: which part of `-0.5e+10` was read last.
enum Number : uint8_t { kMinus, kZero, kInteger, kPoint, kFraction, kE, kESign, kExponent };

}  // namespace

JsonScanner::Status JsonScanner::push(char byte) {
  event_ = Event::kNone;
  if (in_string_) return push_in_string(byte);
  if (expect_ == Expect::kLiteral) {
    if (byte != *literal_) return Status::kError;
    if (*++literal_ == '\0') expect_ = Expect::kCommaOrEnd;
    return Status::kMore;
  }
  if (expect_ == Expect::kScalar) return push_number(byte);
  return push_structure(byte);
}

JsonScanner::Status JsonScanner::push_in_string(char byte) {
  if (escape_ == 1) {
    if (byte == 'u') {
      escape_ = 5;
    } else if (byte != '\0' && std::strchr("\"\\/bfnrt", byte) != nullptr) {
      escape_ = 0;
    } else {
      return Status::kError;
    }
  } else if (escape_ > 1) {
    if (!is_hex(byte)) return Status::kError;
    escape_ = escape_ == 2 ? 0 : escape_ - 1;
  } else if (byte == '\\') {
    escape_ = 1;
  } else if (byte == '"') {
    in_string_ = false;
    event_ = string_is_key_ ? Event::kKeyEnd : Event::kStringEnd;
    expect_ = string_is_key_ ? Expect::kColon : Expect::kCommaOrEnd;
  }
  return Status::kMore;
}

JsonScanner::Status JsonScanner::push_structure(char byte) {
  if (is_space(byte)) return Status::kMore;
  switch (expect_) {
    case Expect::kValueOrEnd:
      if (byte == ']') return close(byte);
      return begin_value(byte);
    case Expect::kValue:
      return begin_value(byte);
    case Expect::kKeyOrEnd:
      if (byte == '}') return close(byte);
      [[fallthrough]];
    case Expect::kKey:
      if (byte != '"') return Status::kError;
      in_string_ = string_is_key_ = true;
      event_ = Event::kKeyBegin;
      return Status::kMore;
    case Expect::kColon:
      if (byte != ':') return Status::kError;
      expect_ = Expect::kValue;
      return Status::kMore;
    case Expect::kCommaOrEnd:
      if (byte != ',') return close(byte);
      expect_ = stack_.back() == '{' ? Expect::kKey : Expect::kValue;
      return Status::kMore;
    default:
      return Status::kError;
  }
}

JsonScanner::Status JsonScanner::begin_value(char byte) {
  if (byte == '{' || byte == '[') {
    if (stack_.size() == kMaxDepth) return Status::kError;
    stack_.push_back(byte);
    event_ = byte == '{' ? Event::kObjectBegin : Event::kArrayBegin;
    expect_ = byte == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
    return Status::kMore;
  }
  if (stack_.empty()) return Status::kError;
  if (byte == '"') {
    in_string_ = true;
    string_is_key_ = false;
    event_ = Event::kStringBegin;
    return Status::kMore;
  }
  event_ = Event::kScalarBegin;
  for (const char* literal : {"true", "false", "null"}) {
    if (byte != *literal) continue;
    literal_ = literal + 1;
    expect_ = Expect::kLiteral;
    return Status::kMore;
  }
  if (byte != '-' && !is_digit(byte)) return Status::kError;
  number_ = byte == '-' ? kMinus : byte == '0' ? kZero : kInteger;
  expect_ = Expect::kScalar;
  return Status::kMore;
}

bool JsonScanner::number_is_complete() const {
  return number_ == kZero || number_ == kInteger || number_ == kFraction || number_ == kExponent;
}

JsonScanner::Status JsonScanner::push_number(char byte) {
  const bool digit = is_digit(byte);
  const bool before_exponent = number_ == kZero || number_ == kInteger || number_ == kFraction;
  if (digit && number_ != kZero) {
    if (number_ == kMinus) number_ = byte == '0' ? kZero : kInteger;
    if (number_ == kPoint) number_ = kFraction;
    if (number_ == kE || number_ == kESign) number_ = kExponent;
    return Status::kMore;
  }
  if (byte == '.' && (number_ == kZero || number_ == kInteger)) {
    number_ = kPoint;
    return Status::kMore;
  }
  if ((byte == 'e' || byte == 'E') && before_exponent) {
    number_ = kE;
    return Status::kMore;
  }
  if ((byte == '+' || byte == '-') && number_ == kE) {
    number_ = kESign;
    return Status::kMore;
  }
  if (!number_is_complete()) return Status::kError;
  expect_ = Expect::kCommaOrEnd;
  return push_structure(byte);
}

JsonScanner::Status JsonScanner::close(char bracket) {
  if (stack_.empty() || bracket != (stack_.back() == '{' ? '}' : ']')) return Status::kError;
  stack_.pop_back();
  event_ = Event::kContainerEnd;
  expect_ = stack_.empty() ? Expect::kNothing : Expect::kCommaOrEnd;
  return stack_.empty() ? Status::kDone : Status::kMore;
}

}  // namespace omg
