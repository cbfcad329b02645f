// SPDX-License-Identifier: Apache-2.0
//
// Variables and statements; expressions are in evaluator_expressions.cc.
#include "text/template/evaluator.h"

#include <limits>

#include "base/error.h"
#include "text/template/callables.h"
#include "text/template/operations.h"

namespace omg::jinja {

void Scope::set(Heap& heap, NameId name, Value value) {
  for (auto& [id, known] : variables_) {
    if (id == name) {
      known = std::move(value);
      return;
    }
  }
  if (variables_.size() == variables_.capacity()) heap.charge(*this, 2 * sizeof(variables_[0]));
  variables_.emplace_back(name, std::move(value));
}

Evaluator::Evaluator(const Syntax& syntax, const json::object& context,
                     const RenderOptions& options)
    : syntax_(syntax),
      context_(context),
      runtime_(options),
      root_(syntax.names.size()),
      resolved_(syntax.names.size()),
      literals_(syntax.string_literals),
      output_(runtime_) {}

std::string Evaluator::run() {
  run_body(syntax_.body);
  return output_.take();
}

const Value& Evaluator::lookup(NameId name) {
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent()) {
    runtime_.step();
    if (const Value* found = scope->find(name)) return *found;
  }
  return lookup_root(name);
}

const Value& Evaluator::lookup_root(NameId id) {
  if (!resolved_[id]) {
    resolved_[id] = true;
    const std::string& text = syntax_.names[id];
    if (const json::value* found = context_.if_contains(text)) {
      runtime_.heap.set_charging(false);
      root_[id] = convert(*found);
      runtime_.heap.set_charging(true);
    } else {
      root_[id] = find_global(runtime_, text);
      if (root_[id].is_undefined()) root_[id] = Value::undefined(Missing::kVariable, &text);
    }
  }
  return root_[id];
}

/// Strings of the context and of the syntax tree outlive the render, so they are not copied.
Value Evaluator::convert_string(std::string_view text) {
  return Value(runtime_.heap.make<StringObject>(StringObject::Borrowed{text}));
}

Value Evaluator::convert(const json::value& value) {
  const DepthGuard guard(runtime_);
  switch (value.kind()) {
    case json::kind::null:
      return Value();
    case json::kind::bool_:
      return Value(value.get_bool());
    case json::kind::int64:
      return Value(static_cast<int64_t>(value.get_int64()));
    case json::kind::uint64: {
      const uint64_t number = value.get_uint64();
      const bool fits = number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      return fits ? Value(static_cast<int64_t>(number)) : Value(static_cast<double>(number));
    }
    case json::kind::double_:
      return Value(value.get_double());
    case json::kind::string:
      return convert_string(std::string_view(value.get_string()));
    case json::kind::array: {
      std::vector<Value> items;
      items.reserve(value.get_array().size());
      for (const auto& item : value.get_array()) items.push_back(convert(item));
      return Value::list(runtime_.heap.make<ListObject>(std::move(items)));
    }
    case json::kind::object: {
      const auto dict = runtime_.heap.make<DictObject>();
      for (const auto& [key, item] : value.get_object()) {
        dict->set(runtime_.heap, convert_string(std::string_view(key)), convert(item));
      }
      return Value(dict);
    }
  }
  return Value();
}

void Evaluator::set_variable(NameId name, Value value) {
  if (scope_) {
    scope_->set(runtime_.heap, name, std::move(value));
  } else {
    resolved_[name] = true;
    root_[name] = std::move(value);
  }
}

void Evaluator::assign(const Target& target, Value value) {
  runtime_.line = target.line;
  switch (target.kind) {
    case Target::Kind::kName:
      return set_variable(target.name, std::move(value));
    case Target::Kind::kTuple:
      return unpack(target, value);
    case Target::Kind::kMember:
      break;
  }
  const Value& object = lookup(target.name);
  auto* space =
      object.is(Kind::kDynamic) ? dynamic_cast<NamespaceObject*>(&object.dynamic()) : nullptr;
  if (!space) runtime_.fail("cannot assign attribute on non-namespace object");
  space->members().set(runtime_.heap, convert_string(target.member), std::move(value));
}

void Evaluator::unpack(const Target& target, const Value& value) {
  if (!is_iterable(value)) {
    runtime_.fail("cannot unpack non-iterable " + std::string(type_name(value)) + " object");
  }
  std::vector<Value> items = collect(runtime_, value);
  if (items.size() != target.parts.size()) {
    runtime_.fail("cannot unpack " + std::to_string(items.size()) + " values into " +
                  std::to_string(target.parts.size()) + " variables");
  }
  for (size_t i = 0; i < items.size(); ++i) assign(target.parts[i], std::move(items[i]));
}

void Evaluator::emit(std::string_view text) {
  const size_t limit = runtime_.options().max_output_bytes;
  if (text.size() > limit || out_->size() > limit - text.size()) {
    throw Error(ErrorCode::kLimitExceeded, "the chat template was stopped: it prints more than " +
                                               std::to_string(limit) + " bytes");
  }
  runtime_.work(text.size());
  out_->append(text);
}

Evaluator::Flow Evaluator::run_body(const Body& body) {
  for (const auto& statement : body) {
    const Flow flow = run_statement(*statement);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::run_statement(const Statement& statement) {
  const DepthGuard guard(runtime_);
  runtime_.step();
  runtime_.line = statement.line;
  switch (statement.kind) {
    case StatementKind::kText:
      emit(static_cast<const Text&>(statement).text);
      return Flow::kNext;
    case StatementKind::kPrint:
      run_print(static_cast<const Print&>(statement));
      return Flow::kNext;
    case StatementKind::kIf:
      return run_if(static_cast<const If&>(statement));
    case StatementKind::kFor:
      return run_for(static_cast<const For&>(statement));
    case StatementKind::kSet: {
      const auto& set = static_cast<const Set&>(statement);
      assign(set.target, evaluate(*set.value));
      return Flow::kNext;
    }
    case StatementKind::kSetBlock:
      return run_set_block(static_cast<const SetBlock&>(statement));
    case StatementKind::kMacro: {
      const auto& macro = static_cast<const Macro&>(statement);
      const auto object = runtime_.heap.make<MacroObject>(*this, macro, scope_);
      set_variable(macro.name, Value(Ref<DynamicObject>(object)));
      return Flow::kNext;
    }
    case StatementKind::kCallBlock:
      return run_call_block(static_cast<const CallBlock&>(statement));
    case StatementKind::kFilterBlock:
      return run_filter_block(static_cast<const FilterBlock&>(statement));
    case StatementKind::kWith:
      return run_with(static_cast<const With&>(statement));
    case StatementKind::kScope:
      return run_scoped(static_cast<const Scoped&>(statement));
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kUnsupported:
      runtime_.fail(static_cast<const Unsupported&>(statement).reason);
  }
  return Flow::kNext;
}

void Evaluator::run_print(const Print& print) {
  for (const auto& expression : print.values) {
    const Value value = evaluate(*expression);
    emit(value.is_string() ? value.text() : std::string_view(to_text(runtime_, value)));
  }
}

Evaluator::Flow Evaluator::run_if(const If& statement) {
  for (const auto& branch : statement.branches) {
    if (truthy(runtime_, evaluate(*branch.condition))) return run_body(branch.body);
  }
  return run_body(statement.otherwise);
}

Evaluator::Flow Evaluator::run_for(const For& loop) {
  return run_loop(loop, evaluate(*loop.iterable), 0);
}

Evaluator::Flow Evaluator::run_loop(const For& loop, const Value& iterable, int64_t depth) {
  runtime_.line = loop.line;
  Ref<IteratorObject> items = iterate(runtime_, iterable);
  if (loop.condition) {
    items = runtime_.heap.make<FilteredItems>(*this, loop, std::move(items), scope_);
  }
  Ref<LoopObject> state;
  if (loop.uses_loop) {
    state = runtime_.heap.make<LoopObject>(*this, loop, items, scope_, depth);
  }
  bool completed = false;
  const Flow flow = run_iterations(loop, items.get(), state, completed);
  if (completed || loop.otherwise.empty()) return flow;
  const ScopeSwitch inner(*this, runtime_.heap.make<Scope>(scope_));
  return run_body(loop.otherwise);
}

/// `completed` becomes true once a round comes to its end: the else part runs where none does, be
/// it that there are no items or that all rounds end in `continue` or `break`.
Evaluator::Flow Evaluator::run_iterations(const For& loop, IteratorObject* items,
                                          const Ref<LoopObject>& state, bool& completed) {
  const Ref<Scope> outer = scope_;
  const ScopeSwitch restore(*this, outer);
  Ref<Scope> scope;
  Value item;
  for (;;) {
    runtime_.step();
    const bool more = state ? state->advance(runtime_, item) : items->next(runtime_, item);
    if (!more) return Flow::kNext;
    scope_ = outer;
    // A body that nothing keeps (no macro closed over it) is used again.
    if (scope && scope->references() == 1) {
      scope->clear();
    } else {
      scope = runtime_.heap.make<Scope>(outer);
    }
    scope_ = scope;
    if (state) scope->set(runtime_.heap, syntax_.loop, Value(Ref<DynamicObject>(state)));
    assign(loop.target, std::move(item));
    const Flow flow = run_body(loop.body);
    scope_ = outer;
    if (flow == Flow::kBreak) return Flow::kNext;
    completed = completed || flow == Flow::kNext;
  }
}

bool Evaluator::passes(const For& loop, const Ref<Scope>& scope, const Value& item) {
  const DepthGuard guard(runtime_);
  const ScopeSwitch inner(*this, runtime_.heap.make<Scope>(scope));
  assign(loop.target, item);
  return truthy(runtime_, evaluate(*loop.condition));
}

Value Evaluator::call_loop(const For& loop, const Ref<Scope>& scope, const Value& iterable,
                           int64_t depth) {
  const ScopeSwitch outer(*this, scope);
  Capture capture(*this);
  run_loop(loop, iterable, depth);
  return capture.take();
}

Evaluator::Flow Evaluator::run_set_block(const SetBlock& statement) {
  Value text;
  {
    const ScopeSwitch inner(*this, runtime_.heap.make<Scope>(scope_));
    Capture capture(*this);
    const Flow flow = run_body(statement.body);
    if (flow != Flow::kNext) return flow;
    text = capture.take();
  }
  if (statement.filter) {
    const Value outer = std::exchange(filter_input_, text);
    text = evaluate(*statement.filter);
    filter_input_ = outer;
  }
  assign(statement.target, std::move(text));
  return Flow::kNext;
}

Evaluator::Flow Evaluator::run_filter_block(const FilterBlock& statement) {
  Value text;
  Flow flow;
  {
    const ScopeSwitch inner(*this, runtime_.heap.make<Scope>(scope_));
    Capture capture(*this);
    flow = run_body(statement.body);
    if (flow != Flow::kNext) return flow;
    text = capture.take();
  }
  const Value outer = std::exchange(filter_input_, text);
  const Value filtered = evaluate(*statement.filter);
  filter_input_ = outer;
  emit(filtered.is_string() ? filtered.text() : std::string_view(to_text(runtime_, filtered)));
  return flow;
}

Evaluator::Flow Evaluator::run_call_block(const CallBlock& block) {
  const auto& expression = static_cast<const Call&>(*block.call);
  const Value callee = evaluate(*expression.callee);
  Arguments arguments;
  evaluate_arguments(expression.arguments, arguments);
  const auto caller = runtime_.heap.make<MacroObject>(*this, *block.caller, scope_);
  arguments.named.emplace_back("caller", Value(Ref<DynamicObject>(caller)));
  runtime_.line = block.line;
  const Value result = call(runtime_, callee, arguments);
  emit(result.is_string() ? result.text() : std::string_view(to_text(runtime_, result)));
  return Flow::kNext;
}

Evaluator::Flow Evaluator::run_with(const With& with) {
  const auto scope = runtime_.heap.make<Scope>(scope_);
  for (const auto& [target, expression] : with.values) {
    Value value = evaluate(*expression);  // in the outer scope: `b=a` means the outer a
    const ScopeSwitch inner(*this, scope);
    assign(target, std::move(value));
  }
  const ScopeSwitch inner(*this, scope);
  return run_body(with.body);
}

Evaluator::Flow Evaluator::run_scoped(const Scoped& scoped) {
  const auto scope = runtime_.heap.make<Scope>(scoped.from_root ? Ref<Scope>() : scope_);
  const ScopeSwitch inner(*this, scope);
  return run_body(scoped.body);
}

Value Evaluator::call_macro(const Macro& macro, const Ref<Scope>& closure, Arguments& arguments) {
  const auto scope = bind_parameters(macro, closure, arguments);
  const ScopeSwitch inner(*this, scope);
  for (const Parameter& parameter : macro.parameters) {
    if (scope->find(parameter.name)) continue;
    Value value = parameter.fallback ? evaluate(*parameter.fallback)
                                     : Value::undefined(Missing::kParameter, &name(parameter.name));
    scope->set(runtime_.heap, parameter.name, std::move(value));
  }
  Capture capture(*this);
  run_body(macro.body);
  return capture.take();
}

/// A scope with the parameters that the caller gave.
Ref<Scope> Evaluator::bind_parameters(const Macro& macro, const Ref<Scope>& closure,
                                      Arguments& arguments) {
  const auto scope = runtime_.heap.make<Scope>(closure);
  const size_t positional = std::min(arguments.positional.size(), macro.parameters.size());
  for (size_t i = 0; i < positional; ++i) {
    scope->set(runtime_.heap, macro.parameters[i].name, arguments.positional[i]);
  }
  std::vector<bool> taken(arguments.named.size());
  for (size_t i = positional; i < macro.parameters.size(); ++i) {
    const NameId id = macro.parameters[i].name;
    for (size_t k = 0; k < taken.size(); ++k) {
      runtime_.step();
      if (taken[k] || arguments.named[k].first != name(id)) continue;
      taken[k] = true;
      scope->set(runtime_.heap, id, arguments.named[k].second);
      break;
    }
  }
  bind_special_arguments(macro, *scope, arguments, taken);
  return scope;
}

/// `caller`, `kwargs` and `varargs`: what the parameters do not name, for bodies that ask for it.
void Evaluator::bind_special_arguments(const Macro& macro, Scope& scope, Arguments& arguments,
                                       const std::vector<bool>& taken) {
  const std::string& macro_name = name(macro.name);
  bool explicit_caller = false;
  for (const Parameter& parameter : macro.parameters) {
    explicit_caller = explicit_caller || parameter.name == syntax_.caller;
  }
  const bool binds_caller = macro.uses_caller && !explicit_caller;
  if (binds_caller) {
    scope.set(runtime_.heap, syntax_.caller,
              Value::undefined(Missing::kCaller, &name(syntax_.caller)));
  }
  const auto rest = runtime_.heap.make<DictObject>();
  for (size_t k = 0; k < taken.size(); ++k) {
    if (taken[k]) continue;
    auto& [key, value] = arguments.named[k];
    if (binds_caller && key == "caller") {
      scope.set(runtime_.heap, syntax_.caller, value);
    } else if (macro.uses_kwargs) {
      rest->set(runtime_.heap, runtime_.text(key), value);
    } else {
      runtime_.fail("macro '" + macro_name + "' takes no keyword argument '" + key + "'");
    }
  }
  if (macro.uses_kwargs) scope.set(runtime_.heap, syntax_.kwargs, Value(rest));
  const size_t expected = macro.parameters.size();
  if (macro.uses_varargs) {
    std::vector<Value> more;
    for (size_t i = expected; i < arguments.positional.size(); ++i) {
      more.push_back(arguments.positional[i]);
    }
    scope.set(runtime_.heap, syntax_.varargs, runtime_.tuple(std::move(more)));
  } else if (arguments.positional.size() > expected) {
    runtime_.fail("macro '" + macro_name + "' takes not more than " + std::to_string(expected) +
                  " argument(s)");
  }
}

}  // namespace omg::jinja
