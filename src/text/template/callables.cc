// SPDX-License-Identifier: Apache-2.0
#include "text/template/callables.h"

#include "text/template/methods.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

Value loop_cycle(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return static_cast<LoopObject&>(self.dynamic()).cycle(runtime, arguments);
}

Value loop_changed(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return Value(static_cast<LoopObject&>(self.dynamic()).changed(runtime, arguments));
}

constexpr Method kCycle = {"cycle", loop_cycle};
constexpr Method kChanged = {"changed", loop_changed};

}  // namespace

std::string MacroObject::repr(Runtime&) {
  return "<Macro '" + evaluator_.name(macro_.name) + "'>";
}

bool MacroObject::get_attribute(Runtime& runtime, std::string_view name, Value& out) {
  if (name == "name") {
    out = runtime.text(evaluator_.name(macro_.name));
  } else if (name == "arguments") {
    ListBuilder names(runtime);
    for (const Parameter& parameter : macro_.parameters) {
      names.push(runtime.text(evaluator_.name(parameter.name)));
    }
    out = runtime.tuple(names.take());
  } else if (name == "catch_kwargs") {
    out = Value(macro_.uses_kwargs);
  } else if (name == "catch_varargs") {
    out = Value(macro_.uses_varargs);
  } else if (name == "caller") {
    out = Value(macro_.uses_caller);
  } else {
    return false;
  }
  return true;
}

bool FilteredItems::next(Runtime& runtime, Value& out) {
  if (!items_) return false;
  while (items_->next(runtime, out)) {
    if (evaluator_.passes(loop_, scope_, out)) return true;
  }
  return false;
}

bool LoopObject::peek(Runtime& runtime) {
  if (!has_after_) has_after_ = items_ && items_->next(runtime, after_);
  return has_after_;
}

bool LoopObject::advance(Runtime& runtime, Value& item) {
  if (!peek(runtime)) return false;
  has_after_ = false;
  before_ = std::move(current_);
  current_ = std::move(after_);
  item = current_;
  ++index_;
  return true;
}

int64_t LoopObject::length(Runtime& runtime) {
  if (length_ >= 0) return length_;
  // Only the end tells how many there are: read all, and go on from what was read.
  const int64_t seen = index_ + 1 + has_after_;
  const Value rest = runtime.list(collect(runtime, Value(items_)));
  length_ = seen + static_cast<int64_t>(rest.items().size());
  items_ = iterate(runtime, rest);
  return length_;
}

std::string LoopObject::repr(Runtime& runtime) {
  return "<LoopContext " + std::to_string(index_ + 1) + "/" + std::to_string(length(runtime)) + ">";
}

bool LoopObject::get_attribute(Runtime& runtime, std::string_view name, Value& out) {
  if (name == "index") {
    out = Value(index_ + 1);
  } else if (name == "index0") {
    out = Value(index_);
  } else if (name == "first") {
    out = Value(index_ == 0);
  } else if (name == "last") {
    out = Value(!peek(runtime));
  } else if (name == "length") {
    out = Value(length(runtime));
  } else if (name == "revindex") {
    out = Value(length(runtime) - index_);
  } else if (name == "revindex0") {
    out = Value(length(runtime) - index_ - 1);
  } else if (name == "depth") {
    out = Value(depth_ + 1);
  } else if (name == "depth0") {
    out = Value(depth_);
  } else if (name == "previtem") {
    out = index_ > 0 ? before_ : Value::undefined(Missing::kPreviousItem);
  } else if (name == "nextitem") {
    out = peek(runtime) ? after_ : Value::undefined(Missing::kNextItem);
  } else if (name == "cycle" || name == "changed") {
    const Value self{Ref<DynamicObject>(this)};
    const Method& method = name == "cycle" ? kCycle : kChanged;
    out = Value(Ref<DynamicObject>(runtime.heap.make<MethodObject>(self, method)));
  } else {
    return false;
  }
  return true;
}

Value LoopObject::call(Runtime& runtime, Arguments& arguments) {
  const BoundArguments bound(runtime, "loop", arguments, {"iterable"}, 1);
  if (!loop_.recursive) {
    runtime.fail("the loop must have the 'recursive' marker to be called recursively");
  }
  return evaluator_.call_loop(loop_, scope_, bound[0], depth_ + 1);
}

Value LoopObject::cycle(Runtime& runtime, const Arguments& arguments) const {
  if (arguments.positional.empty()) runtime.fail("no items for cycling given");
  return arguments.positional[static_cast<size_t>(index_) % arguments.positional.size()];
}

bool LoopObject::changed(Runtime& runtime, const Arguments& arguments) {
  Value now = runtime.tuple(arguments.positional);
  const bool differs = !has_changed_ || !equal(runtime, last_changed_, now);
  has_changed_ = true;
  last_changed_ = std::move(now);
  return differs;
}

void LoopObject::drop_references() {
  items_ = {};
  scope_ = {};
  before_ = current_ = after_ = last_changed_ = Value();
}

}  // namespace omg::jinja
