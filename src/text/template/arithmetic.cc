// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic as Python does it: integers stay integers (64 bits here: an overflow is an error, not
// a wrong number), `//` and `%` round down, `+` and `*` also work on sequences, `%` formats text.
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "text/template/markup.h"
#include "text/template/number_text.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

std::string_view symbol(BinaryOperator operation) {
  constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSymbols[static_cast<size_t>(operation)];
}

[[noreturn]] void fail_operands(Runtime& runtime, BinaryOperator operation, const Value& a,
                                const Value& b) {
  if (a.is_undefined()) runtime.fail_undefined(a);
  if (b.is_undefined()) runtime.fail_undefined(b);
  if (operation == BinaryOperator::kAdd && (a.is_string() || a.is_sequence())) {
    runtime.fail("can only concatenate " + std::string(type_name(a)) + " (not \"" +
                 std::string(type_name(b)) + "\") to " + std::string(type_name(a)));
  }
  runtime.fail("unsupported operand types for " + std::string(symbol(operation)) + ": '" +
               std::string(type_name(a)) + "' and '" + std::string(type_name(b)) + "'");
}

[[noreturn]] void fail_overflow(Runtime& runtime) {
  runtime.fail("integer overflow: the result does not fit 64 bits");
}

int64_t floor_divide(Runtime& runtime, int64_t a, int64_t b) {
  if (a == std::numeric_limits<int64_t>::min() && b == -1) fail_overflow(runtime);
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double floor_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) {
    if ((rest < 0) != (b < 0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  return rest;
}

double floor_divide(double a, double b) {
  const double rest = floor_modulo(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1.0 : floor;
}

int64_t integer_power(Runtime& runtime, int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1) result = checked_multiply(runtime, result, base);
    exponent >>= 1;
    if (exponent > 0) base = checked_multiply(runtime, base, base);
  }
  return result;
}

Value power(Runtime& runtime, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral() && b.as_int() >= 0) {
    if (a.as_int() == 0 || a.as_int() == 1) return Value(b.as_int() == 0 ? 1 : a.as_int());
    if (a.as_int() == -1) return Value(int64_t{b.as_int() % 2 == 0 ? 1 : -1});
    return Value(integer_power(runtime, a.as_int(), b.as_int()));
  }
  if (a.as_double() == 0 && b.as_double() < 0) {
    runtime.fail("0.0 cannot be raised to a negative power");
  }
  const double result = std::pow(a.as_double(), b.as_double());
  if (std::isnan(result) && !std::isnan(a.as_double()) && !std::isnan(b.as_double())) {
    runtime.fail("a negative number cannot be raised to a fractional power");
  }
  return Value(result);
}

Value integer_binary(Runtime& runtime, BinaryOperator operation, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (operation) {
    case BinaryOperator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) fail_overflow(runtime);
      return Value(result);
    case BinaryOperator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) fail_overflow(runtime);
      return Value(result);
    case BinaryOperator::kMultiply:
      return Value(checked_multiply(runtime, a, b));
    case BinaryOperator::kFloorDivide:
      return Value(floor_divide(runtime, a, b));
    case BinaryOperator::kModulo:
      return Value(floor_modulo(a, b));
    default:
      return Value(static_cast<double>(a) / static_cast<double>(b));
  }
}

Value real_binary(BinaryOperator operation, double a, double b) {
  switch (operation) {
    case BinaryOperator::kAdd:
      return Value(a + b);
    case BinaryOperator::kSubtract:
      return Value(a - b);
    case BinaryOperator::kMultiply:
      return Value(a * b);
    case BinaryOperator::kFloorDivide:
      return Value(floor_divide(a, b));
    case BinaryOperator::kModulo:
      return Value(floor_modulo(a, b));
    default:
      return Value(a / b);
  }
}

Value number_binary(Runtime& runtime, BinaryOperator operation, const Value& a, const Value& b) {
  if (operation == BinaryOperator::kPower) return power(runtime, a, b);
  const bool divides = operation == BinaryOperator::kDivide ||
                       operation == BinaryOperator::kFloorDivide ||
                       operation == BinaryOperator::kModulo;
  if (divides && b.as_double() == 0) runtime.fail("division by zero");
  if (a.is_integral() && b.is_integral()) {
    return integer_binary(runtime, operation, a.as_int(), b.as_int());
  }
  return real_binary(operation, a.as_double(), b.as_double());
}

Value concatenate(Runtime& runtime, const Value& a, const Value& b) {
  if (a.is_string()) {
    const bool is_markup = a.is_markup() || b.is_markup();
    TextBuilder out(runtime);
    for (const Value* text : {&a, &b}) {
      if (is_markup && !text->is_markup()) {
        append_escaped(out, text->text());
      } else {
        out.append(text->text());
      }
    }
    return is_markup ? out.take_value().as_markup() : out.take_value();
  }
  ListBuilder out(runtime);
  out.reserve(a.items().size() + b.items().size());
  out.append(a.items());
  out.append(b.items());
  return a.is(Kind::kList) ? runtime.list(out.take()) : runtime.tuple(out.take());
}

Value repeat(Runtime& runtime, const Value& sequence, int64_t count) {
  const size_t times = count > 0 ? static_cast<size_t>(count) : 0;
  if (sequence.is_string()) {
    TextBuilder out(runtime);
    out.append(times, sequence.text());
    return keep_markup(sequence, out.take_value());
  }
  ListBuilder out(runtime);
  const size_t size = sequence.items().size();
  if (size > 0 && times > 0) {
    checked_text_size(runtime, times, size * sizeof(Value));
    out.reserve(times * size);
    for (size_t i = 0; i < times; ++i) out.append(sequence.items());
  }
  return sequence.is(Kind::kList) ? runtime.list(out.take()) : runtime.tuple(out.take());
}

}  // namespace

int64_t checked_multiply(Runtime& runtime, int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) fail_overflow(runtime);
  return result;
}

size_t checked_text_size(Runtime& runtime, size_t count, size_t size) {
  const auto bytes = checked_mul(count, size);
  runtime.heap.require(bytes ? *bytes : SIZE_MAX);
  return *bytes;
}

Value binary(Runtime& runtime, BinaryOperator operation, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return number_binary(runtime, operation, a, b);
  const bool a_repeats = a.is_string() || a.is_sequence();
  const bool b_repeats = b.is_string() || b.is_sequence();
  if (operation == BinaryOperator::kAdd && a_repeats && a.kind() == b.kind()) {
    return concatenate(runtime, a, b);
  }
  if (operation == BinaryOperator::kMultiply) {
    if (a_repeats && b.is_integral()) return repeat(runtime, a, b.as_int());
    if (b_repeats && a.is_integral()) return repeat(runtime, b, a.as_int());
  }
  if (operation == BinaryOperator::kModulo && a.is_string()) {
    return a.is_markup() ? format_markup(runtime, a.text(), b)
                         : percent_format(runtime, a.text(), b);
  }
  fail_operands(runtime, operation, a, b);
}

Value negate(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (value.is(Kind::kFloat)) return Value(-value.as_double());
  if (!value.is_integral()) {
    runtime.fail("bad operand type for unary -: '" + std::string(type_name(value)) + "'");
  }
  if (value.as_int() == std::numeric_limits<int64_t>::min()) fail_overflow(runtime);
  return Value(-value.as_int());
}

Value plus(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (value.is(Kind::kFloat)) return value;
  if (!value.is_integral()) {
    runtime.fail("bad operand type for unary +: '" + std::string(type_name(value)) + "'");
  }
  return Value(value.as_int());
}

}  // namespace omg::jinja
