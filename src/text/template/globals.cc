// SPDX-License-Identifier: Apache-2.0
//
// Functions that every template can call.
#include <algorithm>

#include "base/error.h"
#include "text/template/filters.h"
#include "text/template/methods.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

/// Longest range that Jinja's sandbox makes.
constexpr int64_t kMaxRange = 100'000;

class FunctionObject final : public DynamicObject {
 public:
  FunctionObject(std::string_view name, Function function) : name_(name), function_(function) {}
  std::string_view type_name() const override { return "function"; }
  std::string repr(Runtime&) override { return "<function " + std::string(name_) + ">"; }
  bool is_callable() const override { return true; }
  Value call(Runtime& runtime, Arguments& arguments) override {
    return function_(runtime, arguments);
  }

 private:
  std::string_view name_;
  Function function_;
};

class CyclerObject final : public DynamicObject {
 public:
  explicit CyclerObject(std::vector<Value> items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  std::string repr(Runtime&) override { return "<Cycler>"; }
  bool get_attribute(Runtime& runtime, std::string_view name, Value& out) override;
  const Value& current() const { return items_[position_]; }
  void advance() { position_ = (position_ + 1) % items_.size(); }
  void reset() { position_ = 0; }

 protected:
  void drop_references() override { items_.clear(); }

 private:
  std::vector<Value> items_;
  size_t position_ = 0;
};

Value cycler_next(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "next", arguments, {});
  auto& cycler = static_cast<CyclerObject&>(self.dynamic());
  const Value value = cycler.current();
  cycler.advance();
  return value;
}

Value cycler_reset(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "reset", arguments, {});
  static_cast<CyclerObject&>(self.dynamic()).reset();
  return Value();
}

constexpr Method kCyclerNext = {"next", cycler_next};
constexpr Method kCyclerReset = {"reset", cycler_reset};

bool CyclerObject::get_attribute(Runtime& runtime, std::string_view name, Value& out) {
  if (name == "current") {
    out = current();
    return true;
  }
  if (name != "next" && name != "reset") return false;
  const Value self{Ref<DynamicObject>(this)};
  const Method& method = name == "next" ? kCyclerNext : kCyclerReset;
  out = Value(Ref<DynamicObject>(runtime.heap.make<MethodObject>(self, method)));
  return true;
}

/// Nothing at its first call, then always the separator.
class JoinerObject final : public DynamicObject {
 public:
  explicit JoinerObject(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  std::string repr(Runtime&) override { return "<Joiner>"; }
  bool is_callable() const override { return true; }
  Value call(Runtime& runtime, Arguments& arguments) override {
    const BoundArguments bound(runtime, "joiner", arguments, {});
    return std::exchange(used_, true) ? separator_ : runtime.text("");
  }

 protected:
  void drop_references() override { separator_ = Value(); }

 private:
  Value separator_;
  bool used_ = false;
};

Value make_range(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound(runtime, "range", arguments, {"start", "stop", "step"}, 1);
  const bool only_stop = !bound.has(1);
  const int64_t start = only_stop ? 0 : bound.integer(0, 0);
  const int64_t stop = bound.integer(only_stop ? 0 : 1, 0);
  const int64_t step = bound.integer(2, 1);
  if (step == 0) runtime.fail("range() arg 3 must not be zero");
  // Differences of 64 bit numbers need 65 bits.
  using Wide = long double;
  const Wide distance = step > 0 ? static_cast<Wide>(stop) - static_cast<Wide>(start)
                                 : static_cast<Wide>(start) - static_cast<Wide>(stop);
  const Wide stride = step > 0 ? static_cast<Wide>(step) : -static_cast<Wide>(step);
  if (distance > stride * kMaxRange) {
    throw Error(ErrorCode::kLimitExceeded, "template line " + std::to_string(runtime.line) +
                                               ": range() of more than " +
                                               std::to_string(kMaxRange) + " items");
  }
  const int64_t count =
      distance <= 0 ? 0 : (static_cast<int64_t>(distance) - 1) / static_cast<int64_t>(stride) + 1;
  return Value(runtime.heap.make<RangeObject>(start, stop, step, count));
}

Ref<DictObject> build_dict(Runtime& runtime, std::string_view name, const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    runtime.fail(std::string(name) + "() takes at most 1 positional argument");
  }
  const auto dict = runtime.heap.make<DictObject>();
  if (!arguments.positional.empty()) merge_mapping(runtime, *dict, arguments.positional[0]);
  for (const auto& [key, value] : arguments.named) {
    dict->set(runtime.heap, runtime.text(key), value);
  }
  return dict;
}

Value make_dict(Runtime& runtime, const Arguments& arguments) {
  return Value(build_dict(runtime, "dict", arguments));
}

Value make_namespace(Runtime& runtime, const Arguments& arguments) {
  const auto members = build_dict(runtime, "namespace", arguments);
  return Value(Ref<DynamicObject>(runtime.heap.make<NamespaceObject>(members)));
}

Value make_cycler(Runtime& runtime, const Arguments& arguments) {
  if (arguments.positional.empty()) runtime.fail("at least one item has to be provided");
  return Value(Ref<DynamicObject>(runtime.heap.make<CyclerObject>(arguments.positional)));
}

Value make_joiner(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound(runtime, "joiner", arguments, {"sep"});
  const Value separator = bound.has(0) ? bound[0] : runtime.text(", ");
  return Value(Ref<DynamicObject>(runtime.heap.make<JoinerObject>(separator)));
}

Value raise_exception(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound(runtime, "raise_exception", arguments, {"message"}, 1);
  throw Error(ErrorCode::kInvalidArgument, to_text(runtime, bound[0]));
}

Value strftime_now(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound(runtime, "strftime_now", arguments, {"format"}, 1);
  return runtime.text(format_time(runtime, bound.text(0, "")));
}

struct Row {
  std::string_view name;
  Function function;
};

constexpr Row kGlobals[] = {
    {"cycler", make_cycler},
    {"dict", make_dict},
    {"joiner", make_joiner},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"range", make_range},
    {"strftime_now", strftime_now},
};

}  // namespace

Value find_global(Runtime& runtime, std::string_view name) {
  const auto* found = std::find_if(std::begin(kGlobals), std::end(kGlobals),
                                   [&](const Row& row) { return row.name == name; });
  if (found == std::end(kGlobals)) return Value::undefined(Missing::kVariable);
  return Value(Ref<DynamicObject>(runtime.heap.make<FunctionObject>(found->name, found->function)));
}

}  // namespace omg::jinja
