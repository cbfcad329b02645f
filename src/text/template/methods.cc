// SPDX-License-Identifier: Apache-2.0
//
// Methods of lists, tuples, dicts and numbers, and what the sandbox denies. Methods of strings are
// in methods_text.cc.
#include "text/template/methods.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>

#include "text/template/markup.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

/// Attributes that every Python object has and the sandbox denies.
constexpr std::array<std::string_view, 24> kDunders = {
    "__class__",  "__delattr__", "__dir__",           "__doc__",      "__eq__",
    "__format__", "__ge__",      "__getattribute__",  "__getstate__", "__gt__",
    "__hash__",   "__init__",    "__init_subclass__", "__le__",       "__lt__",
    "__module__", "__ne__",      "__new__",           "__reduce__",   "__reduce_ex__",
    "__repr__",   "__setattr__", "__sizeof__",        "__str__",
};
constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear",  "extend",  "insert",
                                                          "pop",    "remove", "reverse", "sort"};
constexpr std::array<std::string_view, 5> kDictChanges = {"clear", "pop", "popitem", "setdefault",
                                                          "update"};

bool has(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value list_count(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "count", arguments, {"value"}, 1);
  int64_t count = 0;
  for (const Value& item : self.items()) count += equal(runtime, item, bound[0]);
  return Value(count);
}

Value list_index(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "index", arguments, {"value", "start", "stop"}, 1);
  const auto size = static_cast<int64_t>(self.items().size());
  const auto bounded = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const int64_t stop = bounded(bound.integer(2, size));
  for (int64_t i = bounded(bound.integer(1, 0)); i < stop; ++i) {
    if (equal(runtime, self.items()[static_cast<size_t>(i)], bound[0])) return Value(i);
  }
  runtime.fail(repr(runtime, bound[0]) + " is not in the " + std::string(type_name(self)));
}

Value list_copy(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "copy", arguments, {});
  ListBuilder copy(runtime);
  copy.append(self.items());
  return runtime.list(copy.take());
}

Value dict_get(Runtime& runtime, const Value& self, const Arguments& arguments) {
  if (!arguments.named.empty()) runtime.fail("get() takes no keyword arguments");
  const BoundArguments bound(runtime, "get", arguments, {"key", "default"}, 1);
  if (!is_hashable(bound[0])) {
    runtime.fail("unhashable type: '" + std::string(type_name(bound[0])) + "'");
  }
  if (const Value* found = self.dict().find(bound[0])) return *found;
  return bound.has(1) ? bound[1] : Value();
}

template <ViewKind kKind>
Value dict_view(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "dict view", arguments, {});
  return Value(runtime.heap.make<ViewObject>(kKind, Ref<DictObject>(&self.dict())));
}

Value dict_copy(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "copy", arguments, {});
  const auto copy = runtime.heap.make<DictObject>();
  merge_mapping(runtime, *copy, self);
  return Value(copy);
}

Value dict_fromkeys(Runtime& runtime, const Value&, const Arguments& arguments) {
  const BoundArguments bound(runtime, "fromkeys", arguments, {"iterable", "value"}, 1);
  const auto dict = runtime.heap.make<DictObject>();
  for (const Value& key : collect(runtime, bound[0])) {
    if (!is_hashable(key)) {
      runtime.fail("unhashable type: '" + std::string(type_name(key)) + "'");
    }
    dict->set(runtime.heap, key, bound.has(1) ? bound[1] : Value());
  }
  return Value(dict);
}

Value int_bit_length(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "bit_length", arguments, {});
  const auto bits = static_cast<uint64_t>(self.as_int());
  return Value(static_cast<int64_t>(std::bit_width(self.as_int() < 0 ? ~bits + 1 : bits)));
}

Value float_is_integer(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "is_integer", arguments, {});
  return Value(std::isfinite(self.as_double()) && std::trunc(self.as_double()) == self.as_double());
}

constexpr Method kListMethods[] = {
    {"copy", list_copy}, {"count", list_count}, {"index", list_index}};
constexpr Method kTupleMethods[] = {{"count", list_count}, {"index", list_index}};
constexpr Method kDictMethods[] = {
    {"get", dict_get},
    {"items", dict_view<ViewKind::kItems>},
    {"keys", dict_view<ViewKind::kKeys>},
    {"values", dict_view<ViewKind::kValues>},
    {"copy", dict_copy},
    {"fromkeys", dict_fromkeys},
};
constexpr Method kIntMethods[] = {{"bit_length", int_bit_length}};
constexpr Method kFloatMethods[] = {{"is_integer", float_is_integer}};

std::span<const Method> methods_of(Kind kind) {
  switch (kind) {
    case Kind::kList:
      return kListMethods;
    case Kind::kTuple:
      return kTupleMethods;
    case Kind::kDict:
      return kDictMethods;
    case Kind::kBool:
    case Kind::kInt:
      return kIntMethods;
    case Kind::kFloat:
      return kFloatMethods;
    default:
      return {};
  }
}

}  // namespace

const Method* find_collection_method(Kind kind, std::string_view name) {
  const auto methods = methods_of(kind);
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const Method& method) { return method.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

const Method* find_method(const Value& self, std::string_view name) {
  return self.is_string() ? find_text_method(name) : find_collection_method(self.kind(), name);
}

bool is_denied_attribute(const Value& self, std::string_view name) {
  if (self.is(Kind::kList) && has(kListChanges, name)) return true;
  if (self.is(Kind::kDict) && has(kDictChanges, name)) return true;
  return name.substr(0, 2) == "__" && has(kDunders, name);
}

std::string MethodObject::repr(Runtime&) {
  return "<built-in method " + std::string(method_.name) + " of " +
         std::string(jinja::type_name(self_)) + " object>";
}

Value MethodObject::call(Runtime& runtime, Arguments& arguments) {
  return call_method(runtime, method_, self_, arguments);
}

}  // namespace omg::jinja
