// SPDX-License-Identifier: Apache-2.0
//
// Truth, text, equality, order and containment. Attributes, subscripts and iteration are in
// access.cc, arithmetic in arithmetic.cc.
#include "text/template/operations.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/utf8.h"
#include "text/template/number_text.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

constexpr std::array<std::string_view, 13> kTypeNames = {
    "Undefined", "None", "bool",      "int",   "float",     "str",    "list",
    "tuple",     "dict", "dict_view", "range", "generator", "object",
};

std::string_view view_name(ViewKind kind) {
  switch (kind) {
    case ViewKind::kKeys:
      return "dict_keys";
    case ViewKind::kValues:
      return "dict_values";
    default:
      return "dict_items";
  }
}

// Python prefers single quotes, and double ones where that saves escapes.
void append_string_repr(TextBuilder& out, std::string_view text) {
  const bool single = text.find('\'') != text.npos;
  const char quote = single && text.find('"') == text.npos ? '"' : '\'';
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto hex = [&](char kind, uint32_t value, int digits) {
    out.append('\\');
    out.append(kind);
    while (digits-- > 0) out.append(kHex[value >> (4 * digits) & 15]);
  };
  out.append(quote);
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    const uint32_t c = point.value;
    if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c == '\\' || c == static_cast<uint32_t>(quote)) {
      out.append('\\');
      out.append(point.bytes);
    } else if (is_printable(c)) {
      out.append(point.bytes);
    } else if (c < 0x100) {
      hex('x', c, 2);
    } else if (c < 0x10000) {
      hex('u', c, 4);
    } else {
      hex('U', c, 8);
    }
  }
  out.append(quote);
  out.runtime().work(4 * text.size());
}

void append_items(TextBuilder& out, const std::vector<Value>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(out, items[i]);
  }
}

void append_dict_repr(TextBuilder& out, const DictObject& dict) {
  out.append('{');
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!std::exchange(first, false)) out.append(", ");
    append_repr(out, key);
    out.append(": ");
    append_repr(out, value);
  }
  out.append('}');
}

void append_view_repr(TextBuilder& out, const ViewObject& view) {
  out.append(view_name(view.kind()));
  out.append("([");
  bool first = true;
  for (const auto& [key, value] : view.dict().entries()) {
    if (!std::exchange(first, false)) out.append(", ");
    if (view.kind() == ViewKind::kItems) out.append('(');
    if (view.kind() != ViewKind::kValues) append_repr(out, key);
    if (view.kind() == ViewKind::kItems) out.append(", ");
    if (view.kind() != ViewKind::kKeys) append_repr(out, value);
    if (view.kind() == ViewKind::kItems) out.append(')');
  }
  out.append("])");
}

void append_range_repr(TextBuilder& out, const RangeObject& range) {
  out.append("range(" + std::to_string(range.start) + ", " + std::to_string(range.stop));
  if (range.increment != 1) out.append(", " + std::to_string(range.increment));
  out.append(')');
}

[[noreturn]] void fail_order(Runtime& runtime, const Value& a, const Value& b) {
  if (a.is_undefined()) runtime.fail_undefined(a);
  if (b.is_undefined()) runtime.fail_undefined(b);
  runtime.fail("values of type '" + std::string(type_name(a)) + "' and '" +
               std::string(type_name(b)) + "' cannot be ordered");
}

bool equal_items(Runtime& runtime, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!equal(runtime, a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(Runtime& runtime, const DictObject& a, const DictObject& b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const auto& [key, value] : a.entries()) {
    runtime.step();
    const Value* other = b.find(key);
    if (!other || !equal(runtime, value, *other)) return false;
  }
  return true;
}

bool equal_ranges(const RangeObject& a, const RangeObject& b) {
  if (a.size != b.size) return false;
  return a.size == 0 || (a.start == b.start && (a.size == 1 || a.increment == b.increment));
}

}  // namespace

std::string_view type_name(Kind kind) {
  return kTypeNames[static_cast<size_t>(kind)];
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "NoneType";
    case Kind::kView:
      return view_name(value.view().kind());
    case Kind::kIterator:
      return value.iterator().type_name();
    case Kind::kDynamic:
      return value.dynamic().type_name();
    default:
      return type_name(value.kind());
  }
}

bool truthy(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_double() != 0;
    case Kind::kIterator:
    case Kind::kDynamic:
      return true;
    default:
      return length(runtime, value) != 0;
  }
}

void append_text(TextBuilder& out, const Value& value) {
  if (value.is_string()) return out.append(value.text());
  if (!value.is_undefined()) append_repr(out, value);
}

std::string to_text(Runtime& runtime, const Value& value) {
  TextBuilder out(runtime);
  append_text(out, value);
  return out.take();
}

Value as_string(Runtime& runtime, const Value& value) {
  return value.is_string() ? value : runtime.text(to_text(runtime, value));
}

std::string repr(Runtime& runtime, const Value& value) {
  TextBuilder out(runtime);
  append_repr(out, value);
  return out.take();
}

void append_repr(TextBuilder& out, const Value& value) {
  const DepthGuard guard(out.runtime());
  out.runtime().step();
  switch (value.kind()) {
    case Kind::kUndefined:
      return out.append("Undefined");
    case Kind::kNone:
      return out.append("None");
    case Kind::kBool:
      return out.append(value.as_bool() ? "True" : "False");
    case Kind::kInt:
      return out.append(std::to_string(value.as_int()));
    case Kind::kFloat:
      return out.append(float_text(value.as_double()));
    case Kind::kString:
      if (!value.is_markup()) return append_string_repr(out, value.text());
      out.append("Markup(");
      append_string_repr(out, value.text());
      return out.append(')');
    case Kind::kList:
      out.append('[');
      append_items(out, value.items());
      return out.append(']');
    case Kind::kTuple:
      out.append('(');
      append_items(out, value.items());
      return out.append(value.items().size() == 1 ? ",)" : ")");
    case Kind::kDict:
      return append_dict_repr(out, value.dict());
    case Kind::kView:
      return append_view_repr(out, value.view());
    case Kind::kRange:
      return append_range_repr(out, value.range());
    case Kind::kIterator:
      out.append('<');
      out.append(type_name(value));
      return out.append(" object>");
    case Kind::kDynamic:
      return out.append(value.dynamic().repr(out.runtime()));
  }
}

bool equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.step();
  if (a.is_number() && b.is_number()) {
    return a.is_integral() && b.is_integral() ? a.as_int() == b.as_int()
                                              : a.as_double() == b.as_double();
  }
  if (a.kind() != b.kind()) return false;
  const DepthGuard guard(runtime);
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      if (a.text().size() == b.text().size()) runtime.work(a.text().size());
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple:
      return a.object() == b.object() || equal_items(runtime, a.items(), b.items());
    case Kind::kDict:
      return a.object() == b.object() || equal_dicts(runtime, a.dict(), b.dict());
    case Kind::kRange:
      return equal_ranges(a.range(), b.range());
    default:
      return a.object() == b.object();
  }
}

std::partial_ordering order(Runtime& runtime, const Value& a, const Value& b) {
  runtime.step();
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_int() <=> b.as_int();
    return a.as_double() <=> b.as_double();
  }
  if (a.is_string() && b.is_string()) {
    runtime.work(std::min(a.text().size(), b.text().size()));
    return a.text() <=> b.text();  // the order of UTF-8 bytes is that of code points
  }
  if (a.kind() != b.kind() || !a.is_sequence()) fail_order(runtime, a, b);
  const DepthGuard guard(runtime);
  const size_t common = std::min(a.items().size(), b.items().size());
  for (size_t i = 0; i < common; ++i) {
    if (!equal(runtime, a.items()[i], b.items()[i])) {
      return order(runtime, a.items()[i], b.items()[i]);
    }
  }
  return a.items().size() <=> b.items().size();
}

bool less(Runtime& runtime, const Value& a, const Value& b) {
  return order(runtime, a, b) < 0;
}

bool compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b) {
  switch (comparison) {
    case Comparison::kEqual:
      return equal(runtime, a, b);
    case Comparison::kNotEqual:
      return !equal(runtime, a, b);
    case Comparison::kLess:
      return order(runtime, a, b) < 0;
    case Comparison::kLessEqual:
      return order(runtime, a, b) <= 0;
    case Comparison::kGreater:
      return order(runtime, a, b) > 0;
    case Comparison::kGreaterEqual:
      return order(runtime, a, b) >= 0;
    case Comparison::kIn:
      return contains(runtime, b, a);
    case Comparison::kNotIn:
      return !contains(runtime, b, a);
  }
  return false;
}

bool contains(Runtime& runtime, const Value& haystack, const Value& needle) {
  if (haystack.is_string()) {
    if (!needle.is_string()) {
      if (needle.is_undefined()) {
        runtime.fail("'in <string>' requires string as left operand, not Undefined");
      }
      runtime.fail("'in <string>' requires string as left operand, not " +
                   std::string(type_name(needle)));
    }
    runtime.heap.require(4 * needle.text().size());
    const Searcher searcher(needle.text());
    runtime.work(searcher.cost(haystack.text().size() + needle.text().size()));
    return searcher.find(haystack.text()) != Searcher::npos;
  }
  const bool keys = haystack.is(Kind::kView) && haystack.view().kind() == ViewKind::kKeys;
  if (haystack.is(Kind::kDict) || keys) {
    if (!is_hashable(needle)) {
      runtime.fail("unhashable type: '" + std::string(type_name(needle)) + "'");
    }
    const DictObject& dict = keys ? haystack.view().dict() : haystack.dict();
    return dict.find(needle) != nullptr;
  }
  if (!is_iterable(haystack)) {
    runtime.fail("argument of type '" + std::string(type_name(haystack)) + "' is not iterable");
  }
  const auto items = iterate(runtime, haystack);
  Value item;
  while (items->next(runtime, item)) {
    if (equal(runtime, item, needle)) return true;
  }
  return false;
}

}  // namespace omg::jinja
