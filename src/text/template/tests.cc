// SPDX-License-Identifier: Apache-2.0
//
// Jinja's tests: `value is defined`, `value is string`, `value is eq(3)`, …
#include <algorithm>
#include <array>
#include <cmath>

#include "text/template/filters.h"
#include "text/template/methods.h"
#include "text/template/number_text.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

template <bool (*kPredicate)(const Value&)>
bool unary(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "test", arguments, {});
  return kPredicate(input);
}

template <Comparison kComparison>
bool comparison(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "comparison", arguments, {"other"}, 1);
  return compare(runtime, kComparison, input, bound[0]);
}

bool is_boolean(const Value& value) {
  return value.is(Kind::kBool);
}
bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_escaped(const Value& value) {
  return value.is_markup();
}
bool is_false(const Value& value) {
  return value.is(Kind::kBool) && !value.as_bool();
}
bool is_true(const Value& value) {
  return value.is(Kind::kBool) && value.as_bool();
}
bool is_float(const Value& value) {
  return value.is(Kind::kFloat);
}
bool is_integer(const Value& value) {
  return value.is(Kind::kInt);
}
bool is_mapping(const Value& value) {
  return value.is(Kind::kDict);
}
bool is_nothing(const Value& value) {
  return value.is_none();
}
bool is_numeral(const Value& value) {
  return value.is_number();
}
bool is_indexable(const Value& value) {
  // Python asks for len() and __getitem__, which Undefined has as well.
  return value.is_string() || value.is_sequence() || value.is(Kind::kDict) ||
         value.is(Kind::kRange) || value.is_undefined();
}
bool is_text(const Value& value) {
  return value.is_string();
}
bool is_missing(const Value& value) {
  return value.is_undefined();
}
bool is_callable_value(const Value& value) {
  return is_callable(value) || value.is_undefined();
}

bool is_lower_case(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "lower", arguments, {});
  return is_lower_text(as_string(runtime, input).text());
}

bool is_upper_case(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "upper", arguments, {});
  return is_upper_text(as_string(runtime, input).text());
}

bool leaves(Runtime& runtime, const Value& input, int64_t divisor, int64_t rest) {
  const Value result = binary(runtime, BinaryOperator::kModulo, input, Value(divisor));
  return equal(runtime, result, Value(rest));
}

bool is_odd(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "odd", arguments, {});
  return leaves(runtime, input, 2, 1);
}

bool is_even(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "even", arguments, {});
  return leaves(runtime, input, 2, 0);
}

bool is_divisible(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "divisibleby", arguments, {"num"}, 1);
  const Value rest = binary(runtime, BinaryOperator::kModulo, input, bound[0]);
  return equal(runtime, rest, Value(int64_t{0}));
}

bool is_in(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "in", arguments, {"seq"}, 1);
  return contains(runtime, bound[0], input);
}

bool is_same(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "sameas", arguments, {"other"}, 1);
  const Value& other = bound[0];
  if (input.kind() != other.kind()) return false;
  if (input.object()) {
    // Python keeps one object for each short string that a program names.
    return input.object() == other.object() || (input.is_string() && equal(runtime, input, other));
  }
  return input.is_none() || (!input.is_undefined() && equal(runtime, input, other));
}

bool is_filter_name(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "filter", arguments, {});
  return input.is_string() && find_filter(input.text()) != nullptr;
}

bool is_test_name(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "test", arguments, {});
  return input.is_string() && find_test(input.text()) != nullptr;
}

struct Row {
  std::string_view name;
  Test test;
};

constexpr std::array<Row, 39> kTests = {{
    {"!=", comparison<Comparison::kNotEqual>},
    {"<", comparison<Comparison::kLess>},
    {"<=", comparison<Comparison::kLessEqual>},
    {"==", comparison<Comparison::kEqual>},
    {">", comparison<Comparison::kGreater>},
    {">=", comparison<Comparison::kGreaterEqual>},
    {"boolean", unary<is_boolean>},
    {"callable", unary<is_callable_value>},
    {"defined", unary<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", comparison<Comparison::kEqual>},
    {"equalto", comparison<Comparison::kEqual>},
    {"escaped", unary<is_escaped>},
    {"even", is_even},
    {"false", unary<is_false>},
    {"filter", is_filter_name},
    {"float", unary<is_float>},
    {"ge", comparison<Comparison::kGreaterEqual>},
    {"greaterthan", comparison<Comparison::kGreater>},
    {"gt", comparison<Comparison::kGreater>},
    {"in", is_in},
    {"integer", unary<is_integer>},
    {"iterable", unary<is_iterable>},
    {"le", comparison<Comparison::kLessEqual>},
    {"lessthan", comparison<Comparison::kLess>},
    {"lower", is_lower_case},
    {"lt", comparison<Comparison::kLess>},
    {"mapping", unary<is_mapping>},
    {"ne", comparison<Comparison::kNotEqual>},
    {"none", unary<is_nothing>},
    {"number", unary<is_numeral>},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", unary<is_indexable>},
    {"string", unary<is_text>},
    {"test", is_test_name},
    {"true", unary<is_true>},
    {"undefined", unary<is_missing>},
    {"upper", is_upper_case},
}};

}  // namespace

Test find_test(std::string_view name) {
  const auto* found =
      std::find_if(kTests.begin(), kTests.end(), [&](const Row& row) { return row.name == name; });
  return found == kTests.end() ? nullptr : found->test;
}

}  // namespace omg::jinja
