// SPDX-License-Identifier: Apache-2.0
//
// Filters over sequences. As in Jinja, `map`, `select`, `batch` and their like give a generator:
// lazy, without a length, and empty once it has been read.
#include <algorithm>
#include <array>

#include "text/template/filters.h"
#include "text/template/methods.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

/// Items that were computed at once but show as a generator.
class Prepared final : public IteratorObject {
 public:
  Prepared(std::string_view type, Ref<IteratorObject> items)
      : type_(type), items_(std::move(items)) {}
  bool next(Runtime& runtime, Value& out) override { return items_ && items_->next(runtime, out); }
  std::string_view type_name() const override { return type_; }

 protected:
  void drop_references() override { items_ = {}; }

 private:
  std::string_view type_;
  Ref<IteratorObject> items_;
};

Value generator(Runtime& runtime, std::vector<Value> items, std::string_view type = "generator") {
  const auto source = iterate(runtime, runtime.list(std::move(items)));
  return Value(Ref<IteratorObject>(runtime.heap.make<Prepared>(type, source)));
}

Value ignore_case(Runtime& runtime, const Value& value) {
  return value.is_string() ? runtime.text(to_lower(value.text())) : value;
}

/// Reads an attribute path of items, in lower case unless the case matters.
struct Getter {
  Value path;
  Value fallback;  // None: there is none
  bool case_sensitive = true;

  Value operator()(Runtime& runtime, const Value& item) const {
    Value value = get_path(runtime, item, path);
    if (!fallback.is_none() && value.is_undefined()) value = fallback;
    return case_sensitive ? value : ignore_case(runtime, value);
  }
};

Value or_none(const BoundArguments& bound, size_t index) {
  return bound.has(index) ? bound[index] : Value();
}

/// A lazy filter. Errors in its arguments show when the first item is read.
class LazyFilter : public IteratorObject {
 public:
  LazyFilter(Value source, Arguments arguments)
      : source_(std::move(source)), arguments_(std::move(arguments)) {}

  bool next(Runtime& runtime, Value& out) final {
    const DepthGuard guard(runtime);
    if (!started_) {
      started_ = true;
      if (truthy(runtime, source_)) {
        prepare(runtime);
        items_ = iterate(runtime, source_);
      }
      source_ = Value();
    }
    return items_ && next_item(runtime, *items_, out);
  }

 protected:
  virtual void prepare(Runtime& runtime) = 0;
  virtual bool next_item(Runtime& runtime, IteratorObject& items, Value& out) = 0;
  void drop_references() override {
    source_ = Value();
    arguments_ = {};
    items_ = {};
  }

  Arguments& arguments() { return arguments_; }
  /// Takes the first argument away, which names a filter, a test or an attribute.
  Value take_first(Runtime& runtime, std::string_view what) {
    if (arguments_.positional.empty()) runtime.fail("missing " + std::string(what));
    Value first = arguments_.positional.front();
    arguments_.positional.erase(arguments_.positional.begin());
    return first;
  }

 private:
  Value source_;
  Arguments arguments_;
  Ref<IteratorObject> items_;
  bool started_ = false;
};

class MapFilter final : public LazyFilter {
 public:
  using LazyFilter::LazyFilter;

 protected:
  void prepare(Runtime& runtime) override {
    const auto& named = arguments().named;
    const bool by_attribute = arguments().positional.empty() &&
                              std::any_of(named.begin(), named.end(),
                                          [](const auto& a) { return a.first == "attribute"; });
    if (by_attribute) {
      const BoundArguments bound(runtime, "map", arguments(), {"attribute", "default"});
      getter_ = {or_none(bound, 0), or_none(bound, 1), true};
      return;
    }
    const Value name = take_first(runtime, "filter name of map");
    filter_ = name.is_string() ? find_filter(name.text()) : nullptr;
    if (!filter_) runtime.fail("no filter named '" + to_text(runtime, name) + "'");
  }

  bool next_item(Runtime& runtime, IteratorObject& items, Value& out) override {
    if (!items.next(runtime, out)) return false;
    out = filter_ ? filter_(runtime, out, arguments()) : getter_(runtime, out);
    return true;
  }

  void drop_references() override {
    LazyFilter::drop_references();
    getter_ = {};
  }

 private:
  Filter filter_ = nullptr;
  Getter getter_;
};

/// select, reject, selectattr, rejectattr.
class SelectFilter final : public LazyFilter {
 public:
  SelectFilter(Value source, Arguments arguments, bool by_attribute, bool wanted)
      : LazyFilter(std::move(source), std::move(arguments)),
        by_attribute_(by_attribute),
        wanted_(wanted) {}

 protected:
  void prepare(Runtime& runtime) override {
    if (by_attribute_) getter_.path = take_first(runtime, "parameter for the attribute name");
    if (arguments().positional.empty()) return;
    const Value name = take_first(runtime, "test name");
    test_ = name.is_string() ? find_test(name.text()) : nullptr;
    if (!test_) runtime.fail("no test named '" + to_text(runtime, name) + "'");
  }

  bool next_item(Runtime& runtime, IteratorObject& items, Value& out) override {
    while (items.next(runtime, out)) {
      const Value value = by_attribute_ ? getter_(runtime, out) : out;
      const bool passes = test_ ? test_(runtime, value, arguments()) : truthy(runtime, value);
      if (passes == wanted_) return true;
    }
    return false;
  }

  void drop_references() override {
    LazyFilter::drop_references();
    getter_ = {};
  }

 private:
  bool by_attribute_;
  bool wanted_;
  Test test_ = nullptr;
  Getter getter_;
};

Value filter_map(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return Value(Ref<IteratorObject>(runtime.heap.make<MapFilter>(input, arguments)));
}

template <bool kByAttribute, bool kWanted>
Value filter_select(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return Value(Ref<IteratorObject>(
      runtime.heap.make<SelectFilter>(input, arguments, kByAttribute, kWanted)));
}

Value filter_default(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "default", arguments, {"default_value", "boolean"});
  const bool missing = input.is_undefined() || (bound.truth(1, false) && !truthy(runtime, input));
  if (!missing) return input;
  return bound.has(0) ? bound[0] : runtime.text("");
}

Value filter_length(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "length", arguments, {});
  return Value(length(runtime, input));
}

Value filter_list(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "list", arguments, {});
  return runtime.list(collect(runtime, input));
}

Value filter_first(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "first", arguments, {});
  Value item;
  if (iterate(runtime, input)->next(runtime, item)) return item;
  return Value::undefined(Missing::kFirstItem);
}

Value filter_last(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "last", arguments, {});
  const int64_t size = length_or_negative(runtime, input);
  if (size < 0) {
    runtime.fail("'" + std::string(type_name(input)) + "' object is not reversible");
  }
  if (size == 0) return Value::undefined(Missing::kLastItem);
  if (!input.is(Kind::kDict) && !input.is(Kind::kView)) {
    return get_item(runtime, input, Value(int64_t{-1}));
  }
  return collect(runtime, input).back();
}

Value filter_reverse(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "reverse", arguments, {});
  if (input.is_string()) {
    return slice(runtime, input, Value(), Value(), Value(int64_t{-1}));
  }
  std::vector<Value> items = collect(runtime, input);
  std::reverse(items.begin(), items.end());
  if (input.is(Kind::kIterator)) return runtime.list(std::move(items));
  return generator(runtime, std::move(items), "list_reverseiterator");
}

Value filter_items(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "items", arguments, {});
  if (input.is_undefined()) return generator(runtime, {});
  if (!input.is(Kind::kDict)) runtime.fail("can only get item pairs from a mapping");
  const Value view(runtime.heap.make<ViewObject>(ViewKind::kItems, Ref<DictObject>(&input.dict())));
  return generator(runtime, collect(runtime, view));
}

Value filter_attr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "attr", arguments, {"name"}, 1);
  if (input.is_undefined()) runtime.fail_undefined(input);
  Value result;
  if (find_attribute(runtime, input, bound.text(0, ""), nullptr, result)) return result;
  return Value::undefined(Missing::kAttribute, nullptr, input.kind());
}

Value filter_join(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "join", arguments, {"d", "attribute"});
  const Value separator = bound.has(0) ? as_string(runtime, bound[0]) : runtime.text("");
  const Getter getter{or_none(bound, 1), Value(), true};
  TextBuilder out(runtime);
  const auto items = iterate(runtime, input);
  Value item;
  for (bool first = true; items->next(runtime, item); first = false) {
    if (!first) out.append(separator.text());
    append_text(out, getter(runtime, item));
  }
  return out.take_value();
}

/// Sorts items by their keys; equal ones keep their order, also in reverse.
struct Keyed {
  Value key;
  Value item;
};

void sort_keyed(Runtime& runtime, std::vector<Keyed>& keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(runtime, b.key, a.key) : less(runtime, a.key, b.key);
  });
}

std::vector<Keyed> key_items(Runtime& runtime, const std::vector<Value>& items,
                             const Getter& getter) {
  std::vector<Keyed> keyed;
  checked_text_size(runtime, items.size(), sizeof(Keyed));
  keyed.reserve(items.size());
  for (const Value& item : items) keyed.push_back({getter(runtime, item), item});
  return keyed;
}

/// Sort keys of several attributes, "a,b": the tuple of their values.
Value multi_key(Runtime& runtime, const Value& item, std::string_view paths, bool case_sensitive) {
  std::vector<Value> parts;
  for (;;) {
    const size_t comma = paths.find(',');
    const Getter getter{runtime.text(paths.substr(0, comma)), Value(), case_sensitive};
    parts.push_back(getter(runtime, item));
    if (comma == paths.npos) return runtime.list(std::move(parts));
    paths.remove_prefix(comma + 1);
  }
}

Value unkeyed(Runtime& runtime, std::vector<Keyed>& keyed) {
  ListBuilder out(runtime);
  out.reserve(keyed.size());
  for (Keyed& entry : keyed) out.push(std::move(entry.item));
  return out.take_list();
}

Value filter_sort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "sort", arguments,
                             {"reverse", "case_sensitive", "attribute"});
  const Value path = or_none(bound, 2);
  const bool case_sensitive = bound.truth(1, false);
  const std::vector<Value> items = collect(runtime, input);
  std::vector<Keyed> keyed;
  if (path.is_string() && path.text().find(',') != std::string_view::npos) {
    for (const Value& item : items) {
      keyed.push_back({multi_key(runtime, item, path.text(), case_sensitive), item});
    }
  } else {
    keyed = key_items(runtime, items, {path, Value(), case_sensitive});
  }
  sort_keyed(runtime, keyed, bound.truth(0, false));
  return unkeyed(runtime, keyed);
}

Value filter_dictsort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string_view by = bound.text(1, "key");
  if (by != "key" && by != "value")
    runtime.fail("you can only sort by either \"key\" or \"value\"");
  if (input.is_undefined()) runtime.fail_undefined(input);
  if (!input.is(Kind::kDict)) {
    runtime.fail("dictsort needs a mapping, not " + std::string(type_name(input)));
  }
  const Value view(runtime.heap.make<ViewObject>(ViewKind::kItems, Ref<DictObject>(&input.dict())));
  const Getter getter{Value(int64_t{by == "key" ? 0 : 1}), Value(), bound.truth(0, false)};
  std::vector<Keyed> keyed = key_items(runtime, collect(runtime, view), getter);
  sort_keyed(runtime, keyed, bound.truth(2, false));
  return unkeyed(runtime, keyed);
}

Value filter_groupby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "groupby", arguments,
                             {"attribute", "default", "case_sensitive"}, 1);
  const bool case_sensitive = bound.truth(2, false);
  const Getter getter{bound[0], or_none(bound, 1), case_sensitive};
  const Getter exact{bound[0], or_none(bound, 1), true};
  std::vector<Keyed> keyed = key_items(runtime, collect(runtime, input), getter);
  sort_keyed(runtime, keyed, false);
  ListBuilder groups(runtime);
  for (size_t start = 0; start < keyed.size();) {
    size_t end = start;
    ListBuilder members(runtime);
    while (end < keyed.size() && equal(runtime, keyed[start].key, keyed[end].key)) {
      members.push(keyed[end++].item);
    }
    Value key = exact(runtime, keyed[start].item);
    const Value group = runtime.tuple({std::move(key), members.take_list()});
    group.sequence().is_group = true;
    groups.push(group);
    start = std::max(end, start + 1);  // a key that does not equal itself stands alone
  }
  return groups.take_list();
}

Value filter_unique(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "unique", arguments, {"case_sensitive", "attribute"});
  const Getter getter{or_none(bound, 1), Value(), bound.truth(0, false)};
  const auto seen = runtime.heap.make<DictObject>();
  ListBuilder out(runtime);
  const auto items = iterate(runtime, input);
  Value item;
  while (items->next(runtime, item)) {
    const Value key = getter(runtime, item);
    if (!is_hashable(key)) {
      runtime.fail("unhashable type: '" + std::string(type_name(key)) + "'");
    }
    if (seen->find(key)) continue;
    seen->set(runtime.heap, key, Value());
    out.push(item);
  }
  return generator(runtime, out.take());
}

template <bool kLargest>
Value filter_extreme(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, kLargest ? "max" : "min", arguments,
                             {"case_sensitive", "attribute"});
  const Getter getter{or_none(bound, 1), Value(), bound.truth(0, false)};
  const auto items = iterate(runtime, input);
  Value best;
  if (!items->next(runtime, best)) return Value::undefined(Missing::kAggregate);
  Value best_key = getter(runtime, best);
  Value item;
  while (items->next(runtime, item)) {
    Value key = getter(runtime, item);
    const bool better = kLargest ? less(runtime, best_key, key) : less(runtime, key, best_key);
    if (!better) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value filter_sum(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "sum", arguments, {"attribute", "start"});
  const Getter getter{or_none(bound, 0), Value(), true};
  Value total = bound.has(1) ? bound[1] : Value(int64_t{0});
  if (total.is_string()) runtime.fail("sum() cannot sum strings; use join");
  const auto items = iterate(runtime, input);
  Value item;
  while (items->next(runtime, item)) {
    total = binary(runtime, BinaryOperator::kAdd, total, getter(runtime, item));
  }
  return total;
}

Value filter_batch(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "batch", arguments, {"linecount", "fill_with"}, 1);
  const int64_t size = bound.integer(0, 0);
  ListBuilder batches(runtime);
  ListBuilder batch(runtime);
  const auto items = iterate(runtime, input);
  Value item;
  while (items->next(runtime, item)) {
    if (static_cast<int64_t>(batch.items().size()) == size) batches.push(batch.take_list());
    batch.push(item);
  }
  if (!batch.items().empty()) {
    if (bound.has(1) && !bound[1].is_none() && size > 0) {
      checked_text_size(runtime, static_cast<size_t>(size), sizeof(Value));
      while (static_cast<int64_t>(batch.items().size()) < size) batch.push(bound[1]);
    }
    batches.push(batch.take_list());
  }
  return generator(runtime, batches.take());
}

Value filter_slice(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "slice", arguments, {"slices", "fill_with"}, 1);
  const int64_t slices = bound.integer(0, 0);
  if (slices <= 0) runtime.fail("slice needs a positive number of slices");
  const std::vector<Value> items = collect(runtime, input);
  const auto size = static_cast<int64_t>(items.size());
  const bool fills = bound.has(1) && !bound[1].is_none();
  ListBuilder out(runtime);
  auto next = items.begin();
  for (int64_t i = 0; i < slices; ++i) {
    runtime.step();
    const bool longer = i < size % slices;
    ListBuilder part(runtime);
    for (int64_t k = 0; k < size / slices + longer; ++k) part.push(*next++);
    if (fills && !longer) part.push(bound[1]);
    out.push(part.take_list());
  }
  return generator(runtime, out.take());
}

struct Row {
  std::string_view name;
  Filter filter;
};

constexpr std::array<Row, 25> kFilters = {{
    {"attr", filter_attr},
    {"batch", filter_batch},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"groupby", filter_groupby},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"map", filter_map},
    {"max", filter_extreme<true>},
    {"min", filter_extreme<false>},
    {"reject", filter_select<false, false>},
    {"rejectattr", filter_select<true, false>},
    {"reverse", filter_reverse},
    {"select", filter_select<false, true>},
    {"selectattr", filter_select<true, true>},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"sum", filter_sum},
    {"unique", filter_unique},
}};

}  // namespace

Filter find_sequence_filter(std::string_view name) {
  const auto* found = std::find_if(kFilters.begin(), kFilters.end(),
                                   [&](const Row& row) { return row.name == name; });
  return found == kFilters.end() ? nullptr : found->filter;
}

}  // namespace omg::jinja
