// SPDX-License-Identifier: Apache-2.0
//
// Evaluation of expressions.
#include "base/error.h"
#include "text/template/evaluator.h"
#include "text/template/markup.h"
#include "text/template/methods.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

/// Most arguments that `*` and `**` may bring to one call.
constexpr size_t kMaxArguments = 1000;

[[noreturn]] void fail_arguments(uint32_t line) {
  throw Error(ErrorCode::kLimitExceeded, "template line " + std::to_string(line) +
                                             ": a call has more than " +
                                             std::to_string(kMaxArguments) + " arguments");
}

}  // namespace

Value Evaluator::evaluate(const Expression& expression) {
  const DepthGuard guard(runtime_);
  runtime_.step();
  at(expression);
  switch (expression.kind) {
    case ExpressionKind::kLiteral:
      return evaluate_literal(static_cast<const Literal&>(expression));
    case ExpressionKind::kName:
      return lookup(static_cast<const Name&>(expression).id);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
      return evaluate_sequence(static_cast<const Sequence&>(expression));
    case ExpressionKind::kDict:
      return evaluate_dict(static_cast<const DictLiteral&>(expression));
    case ExpressionKind::kNot:
      return Value(!truthy(runtime_, evaluate(*static_cast<const Unary&>(expression).operand)));
    case ExpressionKind::kNegate:
      return negate(runtime_, evaluate(*static_cast<const Unary&>(expression).operand));
    case ExpressionKind::kPlus:
      return plus(runtime_, evaluate(*static_cast<const Unary&>(expression).operand));
    case ExpressionKind::kBinary:
      return evaluate_binary(static_cast<const Binary&>(expression));
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr:
      return evaluate_logic(static_cast<const Sequence&>(expression));
    case ExpressionKind::kCompare:
      return evaluate_compare(static_cast<const Compare&>(expression));
    case ExpressionKind::kConcatenate:
      return evaluate_concatenation(static_cast<const Sequence&>(expression));
    case ExpressionKind::kConditional:
      return evaluate_conditional(static_cast<const Conditional&>(expression));
    case ExpressionKind::kAttribute: {
      const auto& attribute = static_cast<const Attribute&>(expression);
      const Value object = evaluate(*attribute.object);
      at(expression);
      return get_attribute(runtime_, object, attribute.name);
    }
    case ExpressionKind::kItem:
      return evaluate_item(static_cast<const Item&>(expression));
    case ExpressionKind::kSlice:
      return evaluate_slice(static_cast<const Slice&>(expression));
    case ExpressionKind::kCall:
      return evaluate_call(static_cast<const Call&>(expression));
    case ExpressionKind::kFilter:
      return evaluate_filter(static_cast<const FilterCall&>(expression));
    case ExpressionKind::kTest:
      return evaluate_test(static_cast<const TestCall&>(expression));
  }
  return Value();
}

Value Evaluator::evaluate_literal(const Literal& literal) {
  switch (literal.type) {
    case LiteralKind::kNone:
      return Value();
    case LiteralKind::kBool:
      return Value(literal.integer != 0);
    case LiteralKind::kInt:
      return Value(literal.integer);
    case LiteralKind::kFloat:
      return Value(literal.real);
    case LiteralKind::kString:
      break;
  }
  Value& cached = literals_[literal.cache_slot];
  if (cached.is_none()) cached = convert_string(literal.text);
  return cached;
}

Value Evaluator::evaluate_sequence(const Sequence& sequence) {
  std::vector<Value> items;
  items.reserve(sequence.items.size());
  for (const auto& item : sequence.items) items.push_back(evaluate(*item));
  const bool list = sequence.kind == ExpressionKind::kList;
  return list ? runtime_.list(std::move(items)) : runtime_.tuple(std::move(items));
}

Value Evaluator::evaluate_dict(const DictLiteral& literal) {
  const auto dict = runtime_.heap.make<DictObject>();
  for (const auto& [key_expression, value_expression] : literal.entries) {
    Value key = evaluate(*key_expression);
    if (!is_hashable(key)) {
      runtime_.fail("unhashable type: '" + std::string(type_name(key)) + "'");
    }
    dict->set(runtime_.heap, std::move(key), evaluate(*value_expression));
  }
  return Value(dict);
}

Value Evaluator::evaluate_logic(const Sequence& sequence) {
  const bool stops_at = sequence.kind == ExpressionKind::kOr;
  for (size_t i = 0; i + 1 < sequence.items.size(); ++i) {
    Value value = evaluate(*sequence.items[i]);
    if (truthy(runtime_, value) == stops_at) return value;
  }
  return evaluate(*sequence.items.back());
}

/// A chain a + b + c + … leans to the left; it is walked down and then computed upwards, so that
/// its length does not count as depth.
Value Evaluator::evaluate_binary(const Binary& binary) {
  std::vector<const Binary*> chain = {&binary};
  while (chain.back()->left->kind == ExpressionKind::kBinary) {
    chain.push_back(static_cast<const Binary*>(chain.back()->left.get()));
  }
  Value result = evaluate(*chain.back()->left);
  for (size_t i = chain.size(); i-- > 0;) {
    const Value right = evaluate(*chain[i]->right);
    runtime_.step();
    at(*chain[i]);
    result = jinja::binary(runtime_, chain[i]->operation, result, right);
  }
  return result;
}

Value Evaluator::evaluate_compare(const Compare& comparison) {
  Value left = evaluate(*comparison.first);
  for (const auto& [operation, expression] : comparison.rest) {
    Value right = evaluate(*expression);
    at(comparison);
    if (!compare(runtime_, operation, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Evaluator::evaluate_concatenation(const Sequence& sequence) {
  TextBuilder out(runtime_);
  for (const auto& item : sequence.items) append_text(out, evaluate(*item));
  return out.take_value();
}

Value Evaluator::evaluate_conditional(const Conditional& conditional) {
  if (truthy(runtime_, evaluate(*conditional.condition))) return evaluate(*conditional.then);
  if (conditional.otherwise) return evaluate(*conditional.otherwise);
  return Value::undefined(Missing::kElseBranch);
}

Value Evaluator::evaluate_item(const Item& item) {
  const Value object = evaluate(*item.object);
  const Value key = evaluate(*item.key);
  at(item);
  const bool literal = item.key->kind == ExpressionKind::kLiteral && key.is_string();
  const std::string* name = literal ? &static_cast<const Literal&>(*item.key).text : nullptr;
  return get_item(runtime_, object, key, name);
}

Value Evaluator::evaluate_optional(const ExpressionPtr& expression) {
  return expression ? evaluate(*expression) : Value();
}

Value Evaluator::evaluate_slice(const Slice& expression) {
  const Value object = evaluate(*expression.object);
  const Value start = evaluate_optional(expression.start);
  const Value stop = evaluate_optional(expression.stop);
  const Value step = evaluate_optional(expression.step);
  at(expression);
  return slice(runtime_, object, start, stop, step);
}

Value Evaluator::evaluate_call(const Call& expression) {
  if (expression.callee->kind == ExpressionKind::kAttribute) {
    return evaluate_method_call(expression, static_cast<const Attribute&>(*expression.callee));
  }
  const Value callee = evaluate(*expression.callee);
  Arguments arguments;
  evaluate_arguments(expression.arguments, arguments);
  at(expression);
  return call(runtime_, callee, arguments);
}

/// `object.name(…)`: a method of a Python type is called without making an object of it first.
Value Evaluator::evaluate_method_call(const Call& expression, const Attribute& attribute) {
  const Value object = evaluate(*attribute.object);
  at(attribute);
  const Method* method = object.is(Kind::kDynamic) ? nullptr : find_method(object, attribute.name);
  Value callee;
  if (!method) callee = get_attribute(runtime_, object, attribute.name);
  Arguments arguments;
  evaluate_arguments(expression.arguments, arguments);
  at(expression);
  return method ? call_method(runtime_, *method, object, arguments)
                : call(runtime_, callee, arguments);
}

void Evaluator::evaluate_arguments(const CallArguments& expressions, Arguments& arguments) {
  arguments.positional.reserve(expressions.positional.size());
  for (const auto& argument : expressions.positional) {
    arguments.positional.push_back(evaluate(*argument));
  }
  for (const auto& [name, argument] : expressions.named) {
    arguments.named.emplace_back(name, evaluate(*argument));
  }
  if (expressions.more_positional) {
    for (Value& value : collect(runtime_, evaluate(*expressions.more_positional))) {
      if (arguments.positional.size() >= kMaxArguments) fail_arguments(runtime_.line);
      arguments.positional.push_back(std::move(value));
    }
  }
  if (!expressions.more_named) return;
  const Value mapping = evaluate(*expressions.more_named);
  if (!mapping.is(Kind::kDict)) runtime_.fail("argument after ** must be a mapping");
  for (const auto& [key, value] : mapping.dict().entries()) {
    if (!key.is_string()) runtime_.fail("keywords must be strings");
    if (arguments.named.size() >= kMaxArguments) fail_arguments(runtime_.line);
    runtime_.work(key.text().size());
    arguments.named.emplace_back(std::string(key.text()), value);
  }
}

Value Evaluator::evaluate_filter(const FilterCall& expression) {
  const Value input = expression.input ? evaluate(*expression.input) : filter_input_;
  at(expression);
  if (!expression.filter) runtime_.fail("no filter named '" + expression.name + "'");
  Arguments arguments;
  evaluate_arguments(expression.arguments, arguments);
  at(expression);
  return expression.filter(runtime_, input, arguments);
}

Value Evaluator::evaluate_test(const TestCall& expression) {
  const Value input = evaluate(*expression.input);
  at(expression);
  if (!expression.test) runtime_.fail("no test named '" + expression.name + "'");
  Arguments arguments;
  evaluate_arguments(expression.arguments, arguments);
  at(expression);
  return Value(expression.test(runtime_, input, arguments));
}

}  // namespace omg::jinja
