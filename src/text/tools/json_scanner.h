// SPDX-License-Identifier: Apache-2.0
//
// JSON byte by byte: says where keys and values begin and end as the text comes, and where it stops
// being JSON. Nothing is built and nothing is copied, so that a model's arguments can be passed on
// while the model still writes them.
// Source: RFC 8259; raw control characters inside strings are let through, because models write
// line breaks there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace omg {

class JsonScanner {
 public:
  static constexpr size_t kMaxDepth = 128;

  enum class Status { kMore, kDone, kError };
  /// What the last byte was.
  enum class Event {
    kNone,
    kKeyBegin,     // the opening quote of a key
    kKeyEnd,       // its closing quote
    kStringBegin,  // the opening quote of a value
    kStringEnd,
    kObjectBegin,
    kArrayBegin,
    kContainerEnd,
    kScalarBegin,  // first byte of a number, true, false or null
  };

  /// The document must be an object or an array; kDone comes with its closing bracket. After kError
  /// the scanner is done with.
  Status push(char byte);
  Event event() const { return event_; }
  /// Containers open after the last byte.
  size_t depth() const { return stack_.size(); }
  bool in_string() const { return in_string_; }

 private:
  enum class Expect : uint8_t {
    kValue,
    kValueOrEnd,
    kKey,
    kKeyOrEnd,
    kColon,
    kCommaOrEnd,
    kScalar,
    kLiteral,
    kNothing
  };

  Status push_in_string(char byte);
  Status push_structure(char byte);
  Status begin_value(char byte);
  Status close(char bracket);
  Status push_number(char byte);
  bool number_is_complete() const;

  std::vector<char> stack_;  // '{' and '['
  Expect expect_ = Expect::kValue;
  Event event_ = Event::kNone;
  bool in_string_ = false;
  bool string_is_key_ = false;
  uint8_t escape_ = 0;        // 1: after a backslash; 2 to 5: hex digits to come, plus 1
  uint8_t number_ = 0;        // state of the number automaton
  const char* literal_ = "";  // rest of true, false or null
};

}  // namespace omg
