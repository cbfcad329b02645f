// SPDX-License-Identifier: Apache-2.0
//
// Python's operations on values: truth, text, comparison, arithmetic, attributes, subscripts and
// iteration, with Jinja's view of attributes (an attribute first, then an item, else undefined) and
// its immutable sandbox (methods that would change a list or dict are out of reach).
// Source: Python 3 language reference, section 6, and Jinja 3.1's sandbox documentation.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace omg::jinja {

enum class BinaryOperator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
};

enum class Comparison : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

/// Python's name of the type, e.g. "str"; for messages.
std::string_view type_name(Kind kind);
std::string_view type_name(const Value& value);

bool truthy(Runtime& runtime, const Value& value);
/// What str() gives.
std::string to_text(Runtime& runtime, const Value& value);
void append_text(TextBuilder& out, const Value& value);
/// The value itself where it is a string, else its text.
Value as_string(Runtime& runtime, const Value& value);
/// What repr() gives.
std::string repr(Runtime& runtime, const Value& value);
void append_repr(TextBuilder& out, const Value& value);

bool equal(Runtime& runtime, const Value& a, const Value& b);
/// Order of two values; fails where Python has none. Not-a-number is unordered.
std::partial_ordering order(Runtime& runtime, const Value& a, const Value& b);
/// order(a, b) < 0, for sorting; counts a step.
bool less(Runtime& runtime, const Value& a, const Value& b);
bool compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b);
/// `needle in haystack`.
bool contains(Runtime& runtime, const Value& haystack, const Value& needle);

Value binary(Runtime& runtime, BinaryOperator operation, const Value& a, const Value& b);
Value negate(Runtime& runtime, const Value& value);
Value plus(Runtime& runtime, const Value& value);
/// An int64 product or sum that fails on overflow.
int64_t checked_multiply(Runtime& runtime, int64_t a, int64_t b);
/// count * size, or a failure where that is more than the heap could hold.
size_t checked_text_size(Runtime& runtime, size_t count, size_t size);

/// len(); -1 where the value has none.
int64_t length_or_negative(Runtime& runtime, const Value& value);
/// len(); fails where the value has none.
int64_t length(Runtime& runtime, const Value& value);
bool is_iterable(const Value& value);
/// iter(); fails where the value is not iterable.
Ref<IteratorObject> iterate(Runtime& runtime, const Value& value);
/// All items of an iterable.
std::vector<Value> collect(Runtime& runtime, const Value& value);

/// `value.name`. `name` must outlive the render: it may end in a message.
Value get_attribute(Runtime& runtime, const Value& value, const std::string& name);
/// The attribute that Python's getattr finds, as far as the sandbox allows; false where there is
/// none.
bool find_attribute(Runtime& runtime, const Value& value, std::string_view name,
                    const std::string* lasting_name, Value& out);
/// `value[key]`. `name` is the key as a text that outlives the render, if there is one: it may end
/// in a message.
Value get_item(Runtime& runtime, const Value& value, const Value& key,
               const std::string* name = nullptr);
/// `value[start:stop:step]`; absent bounds are None.
Value slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
            const Value& step);
/// A path as filters take it: "a.b.0", or one integer. None is the value itself.
Value get_path(Runtime& runtime, const Value& value, const Value& path);

Value call(Runtime& runtime, const Value& callee, Arguments& arguments);
bool is_callable(const Value& value);

/// The entries of any mapping that `**value` or dict(value) accepts.
void merge_mapping(Runtime& runtime, DictObject& target, const Value& value);

}  // namespace omg::jinja
