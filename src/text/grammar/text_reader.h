// SPDX-License-Identifier: Apache-2.0
//
// A cursor over a text of a client's: characters, numbers, escapes, and errors that say where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace omg::grammar {

class TextReader {
 public:
  /// `what` stands in errors: "the grammar". Error(kInvalidArgument) if `text` is not UTF-8,
  /// Error(kLimitExceeded) if it is longer than `max_bytes`.
  TextReader(std::string_view text, std::string what, size_t max_bytes);

  bool at_end() const { return position_ == text_.size(); }
  /// '\0' at the end.
  char peek(size_t ahead = 0) const {
    return ahead < text_.size() - position_ ? text_[position_ + ahead] : '\0';
  }
  bool starts_with(std::string_view prefix) const {
    return text_.substr(position_).starts_with(prefix);
  }
  void skip(size_t bytes) { position_ += bytes; }
  bool take(std::string_view expected);
  /// One character as written.
  uint32_t character();
  /// `digits` hexadecimal digits.
  uint32_t hexadecimal(int digits);
  /// A number of decimal digits below 2^31.
  uint32_t number();
  size_t position() const { return position_; }
  std::string_view from(size_t position) const {
    return text_.substr(position, position_ - position);
  }
  [[noreturn]] void fail(const std::string& why,
                         ErrorCode code = ErrorCode::kInvalidArgument) const;

 private:
  std::string_view text_;
  std::string what_;
  size_t position_ = 0;
};

}  // namespace omg::grammar
