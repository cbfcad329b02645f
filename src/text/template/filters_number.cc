// SPDX-License-Identifier: Apache-2.0
//
// Filters that make numbers.
#include <array>
#include <cmath>
#include <limits>

#include "text/template/filters.h"
#include "text/template/number_text.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

int64_t truncated(Runtime& runtime, double value) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!(value >= -kLimit && value < kLimit)) {
    runtime.fail("cannot convert float " + float_text(value) + " to a 64 bit integer");
  }
  return static_cast<int64_t>(value);
}

Value filter_int(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "int", arguments, {"default", "base"});
  if (input.is_undefined()) runtime.fail_undefined(input);
  if (input.is_integral()) return Value(input.as_int());
  if (input.is(Kind::kFloat) && !std::isnan(input.as_double())) {
    return Value(truncated(runtime, input.as_double()));
  }
  if (input.is_string()) {
    const auto base = bound.integer(1, 10);
    if (base == 0 || (base >= 2 && base <= 36)) {
      const auto value = parse_integer(runtime, input.text(), static_cast<int>(base));
      if (value) return Value(*value);
    }
    // "42.23" is 42.
    const auto real = parse_float(input.text());
    if (real && std::isfinite(*real)) return Value(truncated(runtime, *real));
  }
  return bound.has(0) ? bound[0] : Value(int64_t{0});
}

Value filter_float(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "float", arguments, {"default"});
  if (input.is_undefined()) runtime.fail_undefined(input);
  if (input.is_number()) return Value(input.as_double());
  if (input.is_string()) {
    if (const auto value = parse_float(input.text())) return Value(*value);
  }
  return bound.has(0) ? bound[0] : Value(0.0);
}

Value filter_abs(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "abs", arguments, {});
  if (input.is(Kind::kFloat)) return Value(std::fabs(input.as_double()));
  const Value value = plus(runtime, input);
  return value.as_int() < 0 ? negate(runtime, value) : value;
}

/// Half goes to the even digit, decided on the exact value, as in Python.
double round_decimal(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 323) return value;
  if (precision < 0) {
    if (precision < -308) return std::copysign(0.0, value);  // beyond the largest power of ten
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(value / scale) * scale;
  }
  std::string text(400 + static_cast<size_t>(precision), '\0');
  const int size =
      std::snprintf(text.data(), text.size(), "%.*f", static_cast<int>(precision), value);
  return std::strtod(text.substr(0, static_cast<size_t>(size)).c_str(), nullptr);
}

Value filter_round(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "round", arguments, {"precision", "method"});
  if (input.is_undefined()) runtime.fail_undefined(input);
  if (!input.is_number()) {
    runtime.fail("round needs a number, not " + std::string(type_name(input)));
  }
  const int64_t precision = bound.integer(0, 0);
  const std::string_view method = bound.text(1, "common");
  if (method == "common") {
    if (!input.is_integral()) return Value(round_decimal(input.as_double(), precision));
    if (precision >= 0) return Value(input.as_int());
    const double rounded = round_decimal(input.as_double(), precision);
    return Value(truncated(runtime, rounded));
  }
  if (method != "ceil" && method != "floor") runtime.fail("method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.as_double() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value filter_filesizeformat(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "filesizeformat", arguments, {"binary"});
  const Value number = filter_float(runtime, input, {});
  const double bytes = number.as_double();
  const bool is_binary = bound.truth(0, false);
  const double base = is_binary ? 1024 : 1000;
  if (bytes == 1) return runtime.text("1 Byte");
  if (bytes < base) return runtime.text(std::to_string(truncated(runtime, bytes)) + " Bytes");
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  size_t prefix = 0;
  while (prefix + 1 < kPrefixes.size() && bytes >= unit * base) {
    unit *= base;
    ++prefix;
  }
  std::string text = is_binary
                         ? std::string(1, kPrefixes[prefix] == 'k' ? 'K' : kPrefixes[prefix]) + "iB"
                         : std::string(1, kPrefixes[prefix]) + "B";
  TextBuilder out(runtime);
  append_formatted(out, Value(bytes / unit), ".1f");
  out.append(' ');
  out.append(text);
  return out.take_value();
}

struct Row {
  std::string_view name;
  Filter filter;
};

constexpr std::array<Row, 5> kFilters = {{
    {"abs", filter_abs},
    {"filesizeformat", filter_filesizeformat},
    {"float", filter_float},
    {"int", filter_int},
    {"round", filter_round},
}};

}  // namespace

Filter find_number_filter(std::string_view name) {
  for (const Row& row : kFilters) {
    if (row.name == name) return row.filter;
  }
  return nullptr;
}

}  // namespace omg::jinja
