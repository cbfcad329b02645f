// SPDX-License-Identifier: Apache-2.0
//
// Numbers to text and back as Python writes them, and its format specifications.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/template/runtime.h"

namespace omg::jinja {

/// Shortest text that reads back as the same number, as repr(float) gives: "1.0", "1e+16", "nan".
std::string float_text(double value);
/// int(text, base) where base is 0 or 2 to 36; empty where Python raises ValueError. Fails the
/// render on overflow of int64.
std::optional<int64_t> parse_integer(Runtime& runtime, std::string_view text, int base = 10);
/// float(text).
std::optional<double> parse_float(std::string_view text);
/// Digits of a number in a base from 2 to 16, with a minus sign where negative.
std::string integer_digits(int64_t value, unsigned base, bool upper = false);

/// format(value, specification), e.g. ">8.2f".
void append_formatted(TextBuilder& out, const Value& value, std::string_view specification);
/// template % value.
Value percent_format(Runtime& runtime, std::string_view format, const Value& value);
/// format.format(*positional, **named).
Value brace_format(Runtime& runtime, std::string_view format, const Arguments& arguments);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  /// One level of indentation; one line where absent.
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// json.dumps(value); fails on values that JSON has no word for.
void append_json(TextBuilder& out, const Value& value, const JsonStyle& style);

}  // namespace omg::jinja
