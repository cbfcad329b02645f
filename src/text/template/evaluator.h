// SPDX-License-Identifier: Apache-2.0
//
// Runs the syntax tree of a template: one Evaluator is one render.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/template/ast.h"
#include "text/template/runtime.h"

namespace omg::jinja {

/// Variables of a loop body, macro call, with block, … The template's own level has no Scope.
class Scope final : public Object {
 public:
  explicit Scope(Ref<Scope> parent) : parent_(std::move(parent)) {}
  const Value* find(NameId name) const {
    for (const auto& [id, value] : variables_) {
      if (id == name) return &value;
    }
    return nullptr;
  }
  void set(Heap& heap, NameId name, Value value);
  void clear() { variables_.clear(); }
  Scope* parent() const { return parent_.get(); }

 protected:
  void drop_references() override {
    variables_.clear();
    parent_ = {};
  }

 private:
  Ref<Scope> parent_;
  std::vector<std::pair<NameId, Value>> variables_;
};

class LoopObject;

class Evaluator {
 public:
  Evaluator(const Syntax& syntax, const json::object& context, const RenderOptions& options);

  std::string run();

  // For macros and loops, which call back.
  Value call_macro(const Macro& macro, const Ref<Scope>& closure, Arguments& arguments);
  Value call_loop(const For& loop, const Ref<Scope>& scope, const Value& iterable, int64_t depth);
  /// Whether the item of a filtered loop passes its condition.
  bool passes(const For& loop, const Ref<Scope>& scope, const Value& item);
  const std::string& name(NameId id) const { return syntax_.names[id]; }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  class ScopeSwitch;
  class Capture;

  // evaluator.cc: variables and statements
  const Value& lookup(NameId name);
  const Value& lookup_root(NameId name);
  Value convert(const json::value& value);
  Value convert_string(std::string_view text);
  void set_variable(NameId name, Value value);
  void assign(const Target& target, Value value);
  void unpack(const Target& target, const Value& value);
  void emit(std::string_view text);
  Flow run_body(const Body& body);
  Flow run_statement(const Statement& statement);
  void run_print(const Print& print);
  Flow run_if(const If& statement);
  Flow run_for(const For& loop);
  Flow run_loop(const For& loop, const Value& iterable, int64_t depth);
  Flow run_iterations(const For& loop, IteratorObject* items, const Ref<LoopObject>& state,
                      bool& completed);
  Flow run_set_block(const SetBlock& statement);
  Flow run_filter_block(const FilterBlock& statement);
  Flow run_call_block(const CallBlock& block);
  Flow run_with(const With& with);
  Flow run_scoped(const Scoped& scoped);
  Ref<Scope> bind_parameters(const Macro& macro, const Ref<Scope>& closure, Arguments& arguments);
  void bind_special_arguments(const Macro& macro, Scope& scope, Arguments& arguments,
                              const std::vector<bool>& taken);

  // evaluator_expressions.cc
  Value evaluate(const Expression& expression);
  Value evaluate_literal(const Literal& literal);
  Value evaluate_sequence(const Sequence& sequence);
  Value evaluate_dict(const DictLiteral& dict);
  Value evaluate_logic(const Sequence& sequence);
  Value evaluate_binary(const Binary& binary);
  Value evaluate_compare(const Compare& compare);
  Value evaluate_concatenation(const Sequence& sequence);
  Value evaluate_conditional(const Conditional& conditional);
  Value evaluate_item(const Item& item);
  Value evaluate_slice(const Slice& slice);
  Value evaluate_call(const Call& call);
  Value evaluate_method_call(const Call& call, const Attribute& attribute);
  Value evaluate_filter(const FilterCall& filter);
  Value evaluate_test(const TestCall& test);
  Value evaluate_optional(const ExpressionPtr& expression);
  void evaluate_arguments(const CallArguments& expressions, Arguments& arguments);
  void at(const Expression& expression) { runtime_.line = expression.line; }

  const Syntax& syntax_;
  const json::object& context_;
  Runtime runtime_;  // owns the heap, so it comes before everything that holds values
  std::vector<Value> root_;
  std::vector<bool> resolved_;
  std::vector<Value> literals_;
  Ref<Scope> scope_;
  Value filter_input_;
  TextBuilder output_;
  TextBuilder* out_ = &output_;
};

/// Keeps a scope current while it lives.
class Evaluator::ScopeSwitch {
 public:
  ScopeSwitch(Evaluator& evaluator, Ref<Scope> scope)
      : evaluator_(evaluator), outer_(std::exchange(evaluator.scope_, std::move(scope))) {}
  ScopeSwitch(const ScopeSwitch&) = delete;
  ScopeSwitch& operator=(const ScopeSwitch&) = delete;
  ~ScopeSwitch() { evaluator_.scope_ = std::move(outer_); }

 private:
  Evaluator& evaluator_;
  Ref<Scope> outer_;
};

/// Collects what is printed while it lives.
class Evaluator::Capture {
 public:
  explicit Capture(Evaluator& evaluator)
      : evaluator_(evaluator),
        text_(evaluator.runtime_),
        outer_(std::exchange(evaluator.out_, &text_)) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() { evaluator_.out_ = outer_; }
  Value take() { return text_.take_value(); }

 private:
  Evaluator& evaluator_;
  TextBuilder text_;
  TextBuilder* outer_;
};

}  // namespace omg::jinja
