// SPDX-License-Identifier: Apache-2.0
//
// What every operation of a render shares: the heap, the counters that bound it, the line it is at,
// and helpers that build values within the limits.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/template/chat_template.h"
#include "text/template/value.h"

namespace omg::jinja {

/// Arguments of a call, as the template wrote them.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Runtime {
 public:
  /// Deepest nesting of expressions, statements, macro calls and values: about what Python's own
  /// limit of 1000 frames gives, and well inside 8 MiB of stack even with sanitizers.
  static constexpr uint32_t kMaxDepth = 1000;

  explicit Runtime(const RenderOptions& options)
      : options_(options), heap(options.max_memory_bytes) {}

  const RenderOptions& options() const { return options_; }

  /// Counts work: 1 for an operation on one node or item.
  void step(uint64_t count = 1) {
    steps_ += count;
    if (steps_ > options_.max_steps) fail_steps();
  }
  /// Counts work that touches `bytes` of text; 32 bytes cost about as much as one node.
  void work(size_t bytes) { step(bytes / 32); }

  /// Throws Error(kInvalidArgument) "template line L: why".
  [[noreturn]] void fail(const std::string& why) const;
  [[noreturn]] void fail(std::initializer_list<std::string_view> parts) const;
  /// Throws what using an undefined value means.
  [[noreturn]] void fail_undefined(const Value& value) const;

  Value text(std::string text);
  Value text(std::string_view text) { return this->text(std::string(text)); }
  Value text(const char* text) { return this->text(std::string(text)); }
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  /// A one-character string; ASCII ones are made once.
  Value character(std::string_view bytes);

 private:
  friend class DepthGuard;
  [[noreturn]] void fail_steps() const;
  Ref<ListObject> make_items(std::vector<Value> items);

  const RenderOptions options_;
  uint64_t steps_ = 0;
  uint32_t depth_ = 0;

 public:
  Heap heap;
  /// Line of the template that runs now.
  uint32_t line = 1;

 private:
  std::vector<Value> ascii_;
};

/// Holds one level of nesting while it lives; throws Error(kLimitExceeded) where there are too
/// many.
class DepthGuard {
 public:
  explicit DepthGuard(Runtime& runtime) : runtime_(runtime) {
    if (runtime_.depth_ >= Runtime::kMaxDepth) fail();
    ++runtime_.depth_;
  }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
  ~DepthGuard() { --runtime_.depth_; }

 private:
  [[noreturn]] void fail() const;
  Runtime& runtime_;
};

/// Text that grows within the heap's limit.
class TextBuilder {
 public:
  explicit TextBuilder(Runtime& runtime) : runtime_(runtime) {}
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;
  ~TextBuilder() { runtime_.heap.discharge(charged_); }

  void append(std::string_view text) {
    if (text.size() > text_.capacity() - text_.size()) grow(text.size());
    text_.append(text);
  }
  void append(char byte) { append(std::string_view(&byte, 1)); }
  void append(size_t count, std::string_view text);
  void append_code_point(uint32_t code_point);
  size_t size() const { return text_.size(); }
  std::string_view view() const { return text_; }
  Runtime& runtime() { return runtime_; }
  /// The text; the builder is empty afterwards.
  std::string take();
  Value take_value() { return runtime_.text(take()); }

 private:
  void grow(size_t more);

  Runtime& runtime_;
  std::string text_;
  size_t charged_ = 0;
};

/// A list that grows within the heap's limit.
class ListBuilder {
 public:
  explicit ListBuilder(Runtime& runtime) : runtime_(runtime) {}
  ListBuilder(const ListBuilder&) = delete;
  ListBuilder& operator=(const ListBuilder&) = delete;
  ~ListBuilder() { runtime_.heap.discharge(charged_); }

  void push(Value value) {
    if (items_.size() == items_.capacity()) grow(items_.size() + 1);
    items_.push_back(std::move(value));
  }
  void append(const std::vector<Value>& more);
  /// Makes room for `count` items, or fails.
  void reserve(size_t count) {
    if (count > items_.capacity()) grow(count);
  }
  std::vector<Value>& items() { return items_; }
  std::vector<Value> take();
  Value take_list() { return runtime_.list(take()); }

 private:
  void grow(size_t at_least);

  Runtime& runtime_;
  std::vector<Value> items_;
  size_t charged_ = 0;
};

/// Binds the arguments of a call to parameter names, as Python does: positional ones first.
class BoundArguments {
 public:
  static constexpr size_t kMaxParameters = 6;

  /// Fails on arguments too many, unknown, given twice or (the first `required` ones) missing.
  BoundArguments(Runtime& runtime, std::string_view callee, const Arguments& arguments,
                 std::initializer_list<std::string_view> parameters, size_t required = 0);

  /// Null where the caller gave none.
  const Value* at(size_t index) const { return values_[index]; }
  const Value& operator[](size_t index) const { return *values_[index]; }
  bool has(size_t index) const { return values_[index] != nullptr; }
  /// The argument, or `fallback` where there is none.
  bool truth(size_t index, bool fallback) const;
  int64_t integer(size_t index, int64_t fallback) const;
  /// As integer(), also where the argument is None.
  int64_t integer_or_none(size_t index, int64_t fallback) const;
  /// The text of a string argument; other types fail.
  std::string_view text(size_t index, std::string_view fallback) const;

 private:
  Runtime& runtime_;
  std::string_view callee_;
  const Value* values_[kMaxParameters] = {};
};

}  // namespace omg::jinja
