// SPDX-License-Identifier: Apache-2.0
//
// Attributes, subscripts, slices and iteration.
#include <algorithm>
#include <charconv>

#include "text/template/markup.h"
#include "text/template/methods.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

class ItemsIterator final : public IteratorObject {
 public:
  explicit ItemsIterator(Ref<ListObject> items) : items_(std::move(items)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.step();
    if (!items_ || index_ >= items_->items().size()) return false;
    out = items_->items()[index_++];
    return true;
  }
  int64_t known_length() const override {
    return items_ ? static_cast<int64_t>(items_->items().size() - index_) : 0;
  }
  std::string_view type_name() const override { return "list_iterator"; }

 protected:
  void drop_references() override { items_ = {}; }

 private:
  Ref<ListObject> items_;
  size_t index_ = 0;
};

class CharacterIterator final : public IteratorObject {
 public:
  explicit CharacterIterator(Ref<StringObject> text)
      : text_(std::move(text)), walk_(text_->view()) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.step();
    CodePoint point;
    if (!walk_.next(point)) return false;
    out = runtime.character(point.bytes);
    return true;
  }
  std::string_view type_name() const override { return "str_iterator"; }

 private:
  Ref<StringObject> text_;
  CodePoints walk_;
};

class DictIterator final : public IteratorObject {
 public:
  DictIterator(ViewKind kind, Ref<DictObject> dict) : kind_(kind), dict_(std::move(dict)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.step();
    if (!dict_ || index_ >= dict_->entries().size()) return false;
    const auto& [key, value] = dict_->entries()[index_++];
    if (kind_ == ViewKind::kKeys) out = key;
    if (kind_ == ViewKind::kValues) out = value;
    if (kind_ == ViewKind::kItems) out = runtime.tuple({key, value});
    return true;
  }
  int64_t known_length() const override {
    return dict_ ? static_cast<int64_t>(dict_->entries().size() - index_) : 0;
  }
  std::string_view type_name() const override { return "dict_iterator"; }

 protected:
  void drop_references() override { dict_ = {}; }

 private:
  ViewKind kind_;
  Ref<DictObject> dict_;
  size_t index_ = 0;
};

class RangeIterator final : public IteratorObject {
 public:
  explicit RangeIterator(Ref<RangeObject> range) : range_(std::move(range)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.step();
    if (index_ >= range_->size) return false;
    out = Value(range_->at(index_++));
    return true;
  }
  int64_t known_length() const override { return range_->size - index_; }
  std::string_view type_name() const override { return "range_iterator"; }

 private:
  Ref<RangeObject> range_;
  int64_t index_ = 0;
};

/// Index of an item counted from either end; -1 outside.
int64_t item_index(int64_t index, int64_t size) {
  if (index < 0) index += size;
  return index >= 0 && index < size ? index : -1;
}

Value character_at(Runtime& runtime, StringObject& text, int64_t index) {
  const std::string_view view = text.view();
  if (text.is_ascii()) return runtime.character(view.substr(static_cast<size_t>(index), 1));
  runtime.work(2 * view.size());
  CodePoints walk(view.substr(byte_offset(view, static_cast<size_t>(index))));
  CodePoint point{};
  walk.next(point);
  return runtime.character(point.bytes);
}

/// The item that a subscript finds; false where Python raises TypeError or LookupError.
bool find_item(Runtime& runtime, const Value& value, const Value& key, Value& out) {
  if (value.is(Kind::kDict)) {
    const Value* found = is_hashable(key) ? value.dict().find(key) : nullptr;
    if (found) out = *found;
    return found != nullptr;
  }
  if (!key.is_integral()) return false;
  if (value.is_string()) {
    const int64_t size = length(runtime, value);
    const int64_t index = item_index(key.as_int(), size);
    if (index >= 0) out = keep_markup(value, character_at(runtime, value.string(), index));
    return index >= 0;
  }
  if (value.is_sequence()) {
    const int64_t index = item_index(key.as_int(), static_cast<int64_t>(value.items().size()));
    if (index >= 0) out = Value(value.items()[static_cast<size_t>(index)]);
    return index >= 0;
  }
  if (value.is(Kind::kRange)) {
    const int64_t index = item_index(key.as_int(), value.range().size);
    if (index >= 0) out = Value(value.range().at(index));
    return index >= 0;
  }
  return false;
}

struct SliceBounds {
  int64_t start;
  int64_t stop;
  int64_t step;
  int64_t count;
};

int64_t slice_index(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (!value.is_integral()) runtime.fail("slice indices must be integers or None");
  return value.as_int();
}

int64_t clamp_bound(int64_t bound, int64_t size, int64_t low, int64_t high) {
  if (bound < 0) bound = bound < -size ? low : bound + size;
  return std::clamp(bound, low, high);
}

SliceBounds slice_bounds(Runtime& runtime, int64_t size, const Value& start, const Value& stop,
                         const Value& step) {
  int64_t stride = step.is_none() ? 1 : slice_index(runtime, step);
  if (stride == 0) runtime.fail("slice step cannot be zero");
  stride = std::clamp<int64_t>(stride, -(size + 1), size + 1);  // more makes no difference
  const int64_t low = stride < 0 ? -1 : 0;
  const int64_t high = stride < 0 ? size - 1 : size;
  const int64_t first = start.is_none() ? (stride < 0 ? high : low)
                                        : clamp_bound(slice_index(runtime, start), size, low, high);
  const int64_t last = stop.is_none() ? (stride < 0 ? low : high)
                                      : clamp_bound(slice_index(runtime, stop), size, low, high);
  int64_t count = 0;
  if (stride > 0 && first < last) count = (last - first - 1) / stride + 1;
  if (stride < 0 && first > last) count = (first - last - 1) / -stride + 1;
  return {first, last, stride, count};
}

Value slice_text(Runtime& runtime, StringObject& text, const SliceBounds& bounds) {
  const std::string_view view = text.view();
  const auto start = static_cast<size_t>(bounds.start);
  const auto count = static_cast<size_t>(bounds.count);
  if (bounds.count == 0) return runtime.text("");
  if (bounds.step == 1 && text.is_ascii()) return runtime.text(view.substr(start, count));
  runtime.work(2 * view.size());
  if (bounds.step == 1) {
    const std::string_view rest = view.substr(byte_offset(view, start));
    return runtime.text(rest.substr(0, byte_offset(rest, count)));
  }
  // Any other step: offsets of all characters, then a pick of them.
  runtime.heap.require(text.length() * sizeof(uint32_t));
  std::vector<uint32_t> offsets;
  offsets.reserve(text.length() + 1);
  for (CodePoints walk(view);;) {
    offsets.push_back(static_cast<uint32_t>(walk.position()));
    CodePoint point;
    if (!walk.next(point)) break;
  }
  TextBuilder out(runtime);
  for (int64_t i = 0; i < bounds.count; ++i) {
    const auto at = static_cast<size_t>(bounds.start + i * bounds.step);
    out.append(view.substr(offsets[at], offsets[at + 1] - offsets[at]));
  }
  return out.take_value();
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

int64_t length_or_negative(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      runtime.work(value.text().size() / 8);
      return static_cast<int64_t>(value.string().length());
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries().size());
    case Kind::kView:
      return static_cast<int64_t>(value.view().dict().entries().size());
    case Kind::kRange:
      return value.range().size;
    default:
      return -1;
  }
}

int64_t length(Runtime& runtime, const Value& value) {
  const int64_t result = length_or_negative(runtime, value);
  if (result < 0) {
    runtime.fail("object of type '" + std::string(type_name(value)) + "' has no len()");
  }
  return result;
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || (value.kind() >= Kind::kString && !value.is(Kind::kDynamic));
}

Ref<IteratorObject> iterate(Runtime& runtime, const Value& value) {
  Heap& heap = runtime.heap;
  switch (value.kind()) {
    case Kind::kUndefined:
      return heap.make<ItemsIterator>(Ref<ListObject>());
    case Kind::kString:
      return heap.make<CharacterIterator>(Ref<StringObject>(&value.string()));
    case Kind::kList:
    case Kind::kTuple:
      return heap.make<ItemsIterator>(Ref<ListObject>(&value.sequence()));
    case Kind::kDict:
      return heap.make<DictIterator>(ViewKind::kKeys, Ref<DictObject>(&value.dict()));
    case Kind::kView:
      return heap.make<DictIterator>(value.view().kind(), value.view().dict_ref());
    case Kind::kRange:
      return heap.make<RangeIterator>(Ref<RangeObject>(&value.range()));
    case Kind::kIterator:
      return Ref<IteratorObject>(&value.iterator());
    default:
      runtime.fail("'" + std::string(type_name(value)) + "' object is not iterable");
  }
}

std::vector<Value> collect(Runtime& runtime, const Value& value) {
  ListBuilder items(runtime);
  if (value.is_sequence()) {
    items.append(value.items());
    runtime.step(value.items().size() / 4);
    return items.take();
  }
  const auto iterator = iterate(runtime, value);
  Value item;
  while (iterator->next(runtime, item)) items.push(item);
  return items.take();
}

bool find_attribute(Runtime& runtime, const Value& value, std::string_view name,
                    const std::string* lasting_name, Value& out) {
  if (value.is(Kind::kDynamic)) {
    if (value.dynamic().get_attribute(runtime, name, out)) return true;
  } else if (const Method* method = find_method(value, name)) {
    out = Value(Ref<DynamicObject>(runtime.heap.make<MethodObject>(value, *method)));
    return true;
  } else if (value.is(Kind::kTuple) && value.sequence().is_group) {
    if (name == "grouper" || name == "list") {
      out = Value(value.items()[name == "list" ? 1 : 0]);
      return true;
    }
  }
  if (!is_denied_attribute(value, name)) return false;
  out = Value::undefined(Missing::kUnsafe, lasting_name, value.kind());
  return true;
}

Value get_attribute(Runtime& runtime, const Value& value, const std::string& name) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  Value result;
  if (find_attribute(runtime, value, name, &name, result)) return result;
  if (value.is(Kind::kDict)) {
    if (const Value* found = value.dict().find(name)) return *found;
  }
  return Value::undefined(Missing::kAttribute, &name, value.kind());
}

Value get_item(Runtime& runtime, const Value& value, const Value& key, const std::string* name) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  Value result;
  if (find_item(runtime, value, key, result)) return result;
  if (key.is_string() && find_attribute(runtime, value, key.text(), name, result)) return result;
  const Missing why = key.is_string() ? Missing::kAttribute : Missing::kElement;
  return Value::undefined(why, name, value.kind());
}

Value slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
            const Value& step) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (!value.is_string() && !value.is_sequence() && !value.is(Kind::kRange)) {
    runtime.fail("'" + std::string(type_name(value)) + "' object cannot be sliced");
  }
  const SliceBounds bounds = slice_bounds(runtime, length(runtime, value), start, stop, step);
  if (value.is_string()) {
    return keep_markup(value, slice_text(runtime, value.string(), bounds));
  }
  if (value.is(Kind::kRange)) {
    const RangeObject& range = value.range();
    // Between fewer than two numbers the step does not matter, and the product might overflow.
    const int64_t step_size = bounds.count < 2 ? 1 : range.increment * bounds.step;
    return Value(runtime.heap.make<RangeObject>(range.at(bounds.start), range.at(bounds.stop),
                                                step_size, bounds.count));
  }
  ListBuilder out(runtime);
  out.reserve(static_cast<size_t>(bounds.count));
  for (int64_t i = 0; i < bounds.count; ++i) {
    out.push(value.items()[static_cast<size_t>(bounds.start + i * bounds.step)]);
  }
  return value.is(Kind::kList) ? runtime.list(out.take()) : runtime.tuple(out.take());
}

Value get_path(Runtime& runtime, const Value& value, const Value& path) {
  if (path.is_none()) return value;
  if (!path.is_string()) return get_item(runtime, value, path);
  Value current = value;
  for (std::string_view rest = path.text();;) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const bool numeric =
        is_digits(part) &&
        std::from_chars(part.data(), part.data() + part.size(), index).ec == std::errc();
    current = get_item(runtime, current, numeric ? Value(index) : runtime.text(part));
    if (dot == rest.npos) return current;
    rest.remove_prefix(dot + 1);
  }
}

bool is_callable(const Value& value) {
  return value.is(Kind::kDynamic) && value.dynamic().is_callable();
}

Value call(Runtime& runtime, const Value& callee, Arguments& arguments) {
  if (callee.is_undefined()) runtime.fail_undefined(callee);
  if (!is_callable(callee)) {
    runtime.fail({"'", type_name(callee), "' object is not callable"});
  }
  const DepthGuard guard(runtime);
  return callee.dynamic().call(runtime, arguments);
}

void merge_mapping(Runtime& runtime, DictObject& target, const Value& value) {
  if (value.is(Kind::kDict)) {
    for (const auto& [key, item] : value.dict().entries()) {
      runtime.step();
      target.set(runtime.heap, key, item);
    }
    return;
  }
  const auto pairs = iterate(runtime, value);
  Value pair;
  while (pairs->next(runtime, pair)) {
    std::vector<Value> parts = collect(runtime, pair);
    if (parts.size() != 2) runtime.fail("a dict is made of pairs of key and value");
    if (!is_hashable(parts[0])) {
      runtime.fail("unhashable type: '" + std::string(type_name(parts[0])) + "'");
    }
    target.set(runtime.heap, std::move(parts[0]), std::move(parts[1]));
  }
}

}  // namespace omg::jinja
