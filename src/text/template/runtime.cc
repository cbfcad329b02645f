// SPDX-License-Identifier: Apache-2.0
#include "text/template/runtime.h"

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "base/utf8.h"
#include "text/template/operations.h"

namespace omg::jinja {

void Runtime::fail(const std::string& why) const {
  throw Error(ErrorCode::kInvalidArgument, "template line " + std::to_string(line) + ": " + why);
}

void Runtime::fail(std::initializer_list<std::string_view> parts) const {
  std::string why;
  for (const std::string_view part : parts) why += part;
  fail(why);
}

void Runtime::fail_steps() const {
  throw Error(ErrorCode::kLimitExceeded, "template line " + std::to_string(line) +
                                             ": the chat template was stopped: it needs " +
                                             "more than " + std::to_string(options_.max_steps) +
                                             " steps");
}

void Runtime::fail_undefined(const Value& value) const {
  const std::string name = value.missing_name() ? *value.missing_name() : "";
  const std::string quoted = value.missing_name() ? "'" + name + "'" : "that was asked for";
  const std::string base(type_name(value.missing_base()));
  switch (value.missing()) {
    case Missing::kVariable:
      fail(quoted + " is undefined");
    case Missing::kAttribute:
      fail("'" + base + " object' has no attribute " + quoted);
    case Missing::kElement:
      fail(base + " object has no element " + quoted);
    case Missing::kParameter:
      fail("parameter " + quoted + " was not provided");
    case Missing::kUnsafe:
      fail("access to attribute " + quoted + " of '" + base + "' object is unsafe");
    case Missing::kCaller:
      fail("no caller defined");
    case Missing::kFirstItem:
      fail("no first item, sequence was empty");
    case Missing::kLastItem:
      fail("no last item, sequence was empty");
    case Missing::kAggregate:
      fail("no aggregated item, sequence was empty");
    case Missing::kPreviousItem:
      fail("there is no previous item");
    case Missing::kNextItem:
      fail("there is no next item");
    case Missing::kElseBranch:
      fail("the inline if-expression evaluated to false and no else section was defined");
  }
  fail("undefined value");
}

Value Runtime::text(std::string text) {
  const size_t capacity = text.capacity() > 15 ? text.capacity() + 1 : 0;
  heap.require(capacity);
  work(text.size());
  const auto object = heap.make<StringObject>(std::move(text));
  heap.charge(*object, capacity);
  return Value(object);
}

Ref<ListObject> Runtime::make_items(std::vector<Value> items) {
  const size_t bytes = items.capacity() * sizeof(Value);
  heap.require(bytes);
  step(items.size() / 4);
  const auto object = heap.make<ListObject>(std::move(items));
  heap.charge(*object, bytes);
  return object;
}

Value Runtime::list(std::vector<Value> items) {
  return Value::list(make_items(std::move(items)));
}

Value Runtime::tuple(std::vector<Value> items) {
  return Value::tuple(make_items(std::move(items)));
}

Value Runtime::character(std::string_view bytes) {
  if (bytes.size() != 1) return text(bytes);
  if (ascii_.empty()) ascii_.resize(256);
  Value& known = ascii_[static_cast<uint8_t>(bytes[0])];
  if (known.is_none()) known = text(bytes);
  return known;
}

void DepthGuard::fail() const {
  throw Error(ErrorCode::kLimitExceeded,
              "template line " + std::to_string(runtime_.line) +
                  ": the chat template was stopped: it nests more than " +
                  std::to_string(Runtime::kMaxDepth) + " levels deep");
}

void TextBuilder::append(size_t count, std::string_view text) {
  if (text.empty() || count == 0) return;
  const auto bytes = checked_text_size(runtime_, count, text.size());
  if (bytes > text_.capacity() - text_.size()) grow(bytes);
  for (size_t i = 0; i < count; ++i) text_.append(text);
}

void TextBuilder::append_code_point(uint32_t code_point) {
  if (text_.capacity() - text_.size() < 4) grow(4);
  append_utf8(text_, code_point);
}

// Both the old and the new block live while the text moves, so both are charged. A factor of 1.5
// lets the allocator put a new block where the former ones were.
void TextBuilder::grow(size_t more) {
  runtime_.heap.require(more);
  const size_t generous = text_.size() + std::max(more, text_.size() / 2);
  runtime_.heap.charge(generous);
  try {
    text_.reserve(generous);
  } catch (...) {
    runtime_.heap.discharge(generous);
    throw;
  }
  runtime_.heap.discharge(charged_);
  charged_ = generous;
}

std::string TextBuilder::take() {
  runtime_.heap.discharge(std::exchange(charged_, 0));
  return std::exchange(text_, {});
}

void ListBuilder::append(const std::vector<Value>& more) {
  reserve(items_.size() + more.size());
  items_.insert(items_.end(), more.begin(), more.end());
}

void ListBuilder::grow(size_t at_least) {
  const size_t capacity = std::max(at_least, items_.size() + items_.size() / 2);
  const size_t bytes = checked_text_size(runtime_, capacity, sizeof(Value));
  runtime_.heap.charge(bytes);
  try {
    items_.reserve(capacity);
  } catch (...) {
    runtime_.heap.discharge(bytes);
    throw;
  }
  runtime_.heap.discharge(charged_);
  charged_ = bytes;
}

std::vector<Value> ListBuilder::take() {
  runtime_.heap.discharge(std::exchange(charged_, 0));
  return std::exchange(items_, {});
}

BoundArguments::BoundArguments(Runtime& runtime, std::string_view callee,
                               const Arguments& arguments,
                               std::initializer_list<std::string_view> parameters, size_t required)
    : runtime_(runtime), callee_(callee) {
  assert(parameters.size() <= kMaxParameters);
  const std::string name(callee);
  if (arguments.positional.size() > parameters.size()) {
    runtime.fail(name + "() takes at most " + std::to_string(parameters.size()) +
                 " argument(s), not " + std::to_string(arguments.positional.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [key, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), key);
    if (found == parameters.end()) {
      runtime.fail(name + "() got an unexpected keyword argument '" + key + "'");
    }
    const Value*& slot = values_[found - parameters.begin()];
    if (slot) runtime.fail(name + "() got multiple values for argument '" + key + "'");
    slot = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (values_[i]) continue;
    runtime.fail(name + "() misses argument '" + std::string(*(parameters.begin() + i)) + "'");
  }
}

bool BoundArguments::truth(size_t index, bool fallback) const {
  return values_[index] ? truthy(runtime_, *values_[index]) : fallback;
}

int64_t BoundArguments::integer(size_t index, int64_t fallback) const {
  const Value* value = values_[index];
  if (!value) return fallback;
  if (value->is_undefined()) runtime_.fail_undefined(*value);
  if (!value->is_integral()) {
    runtime_.fail(std::string(callee_) + "() needs an integer, not " +
                  std::string(type_name(*value)));
  }
  return value->as_int();
}

int64_t BoundArguments::integer_or_none(size_t index, int64_t fallback) const {
  return values_[index] && values_[index]->is_none() ? fallback : integer(index, fallback);
}

std::string_view BoundArguments::text(size_t index, std::string_view fallback) const {
  const Value* value = values_[index];
  if (!value) return fallback;
  if (!value->is_string()) {
    runtime_.fail(std::string(callee_) + "() needs a string, not " +
                  std::string(type_name(*value)));
  }
  return value->text();
}

}  // namespace omg::jinja
