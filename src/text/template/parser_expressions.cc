// SPDX-License-Identifier: Apache-2.0
//
// The expressions. From loosest to tightest: `x if y else z`, or, and, not, comparisons, + and -,
// ~, * / // %, **, unary + and -, then postfixes, filters and tests.
#include <algorithm>

#include "text/template/parser.h"

namespace omg::jinja {

void Parser::place_above(Expression& node, const ExpressionPtr& child) {
  if (!child) return;
  if (child->depth + 1u > kMaxTreeDepth) fail(peek(), "this expression is too long");
  node.depth = std::max(node.depth, static_cast<uint16_t>(child->depth + 1));
}

void Parser::place_above(Expression& node, const CallArguments& arguments) {
  for (const auto& argument : arguments.positional) place_above(node, argument);
  for (const auto& [name, argument] : arguments.named) place_above(node, argument);
  place_above(node, arguments.more_positional);
  place_above(node, arguments.more_named);
}

ExpressionPtr Parser::make_binary(BinaryOperator operation, ExpressionPtr left, ExpressionPtr right,
                                  uint32_t line) {
  auto node = std::make_unique<Binary>(line, operation);
  place_above(*node, left);
  place_above(*node, right);
  node->left = std::move(left);
  node->right = std::move(right);
  return node;
}

bool Parser::at_tuple_end(std::string_view end_name) const {
  const TokenKind kind = peek().kind;
  return kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || at_operator(")") ||
         (!end_name.empty() && at_name(end_name));
}

/// One expression, or several with commas between them, which make a tuple.
ExpressionPtr Parser::parse_tuple(bool with_conditional, std::string_view end_name,
                                  bool in_parentheses) {
  auto tuple = std::make_unique<Sequence>(ExpressionKind::kTuple, peek().line);
  bool is_tuple = false;
  while (!at_tuple_end(end_name)) {
    tuple->items.push_back(parse_expression(with_conditional));
    place_above(*tuple, tuple->items.back());
    if (!skip_operator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return tuple;
  if (!tuple->items.empty()) return std::move(tuple->items[0]);
  if (!in_parentheses) fail(peek(), "expected an expression");
  return tuple;
}

ExpressionPtr Parser::parse_expression(bool with_conditional) {
  const Nesting nesting(*this);
  if (!with_conditional) return parse_or();
  const size_t unknown = unknown_.size();
  ExpressionPtr value = parse_or();
  while (at_name("if")) {
    auto node = std::make_unique<Conditional>(advance().line);
    node->then = std::move(value);
    node->condition = parse_or();
    if (skip_name("else")) node->otherwise = parse_expression();
    place_above(*node, node->then);
    place_above(*node, node->condition);
    place_above(*node, node->otherwise);
    forget_unknown(unknown);
    value = std::move(node);
  }
  return value;
}

ExpressionPtr Parser::parse_or() {
  ExpressionPtr first = parse_and();
  if (!at_name("or")) return first;
  auto node = std::make_unique<Sequence>(ExpressionKind::kOr, peek().line);
  node->items.push_back(std::move(first));
  while (skip_name("or")) node->items.push_back(parse_and());
  for (const auto& item : node->items) place_above(*node, item);
  return node;
}

ExpressionPtr Parser::parse_and() {
  ExpressionPtr first = parse_not();
  if (!at_name("and")) return first;
  auto node = std::make_unique<Sequence>(ExpressionKind::kAnd, peek().line);
  node->items.push_back(std::move(first));
  while (skip_name("and")) node->items.push_back(parse_not());
  for (const auto& item : node->items) place_above(*node, item);
  return node;
}

ExpressionPtr Parser::parse_not() {
  if (!at_name("not")) return parse_compare();
  const Nesting nesting(*this);
  auto node = std::make_unique<Unary>(ExpressionKind::kNot, advance().line);
  node->operand = parse_not();
  place_above(*node, node->operand);
  return node;
}

ExpressionPtr Parser::parse_compare() {
  constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
      {"==", Comparison::kEqual},  {"!=", Comparison::kNotEqual},
      {"<", Comparison::kLess},    {"<=", Comparison::kLessEqual},
      {">", Comparison::kGreater}, {">=", Comparison::kGreaterEqual},
  };
  ExpressionPtr first = parse_sum();
  std::unique_ptr<Compare> node;
  for (;;) {
    Comparison comparison = Comparison::kIn;
    const auto* found = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                     [&](const auto& row) { return at_operator(row.first); });
    if (found != std::end(kComparisons)) {
      comparison = found->second;
      ++at_;
    } else if (at_name("not") && at_name("in", 1)) {
      comparison = Comparison::kNotIn;
      at_ += 2;
    } else if (!skip_name("in")) {
      break;
    }
    if (!node) {
      node = std::make_unique<Compare>(peek().line);
      place_above(*node, first);
      node->first = std::move(first);
    }
    node->rest.emplace_back(comparison, parse_sum());
    place_above(*node, node->rest.back().second);
  }
  if (node) return node;
  return first;
}

ExpressionPtr Parser::parse_sum() {
  ExpressionPtr left = parse_concatenation();
  while (at_operator("+") || at_operator("-")) {
    const Token& token = advance();
    const auto operation = token.text == "+" ? BinaryOperator::kAdd : BinaryOperator::kSubtract;
    left = make_binary(operation, std::move(left), parse_concatenation(), token.line);
  }
  return left;
}

ExpressionPtr Parser::parse_concatenation() {
  ExpressionPtr first = parse_product();
  if (!at_operator("~")) return first;
  auto node = std::make_unique<Sequence>(ExpressionKind::kConcatenate, peek().line);
  node->items.push_back(std::move(first));
  while (skip_operator("~")) node->items.push_back(parse_product());
  for (const auto& item : node->items) place_above(*node, item);
  return node;
}

ExpressionPtr Parser::parse_product() {
  constexpr std::pair<std::string_view, BinaryOperator> kProducts[] = {
      {"*", BinaryOperator::kMultiply},
      {"/", BinaryOperator::kDivide},
      {"//", BinaryOperator::kFloorDivide},
      {"%", BinaryOperator::kModulo},
  };
  ExpressionPtr left = parse_power();
  for (;;) {
    const auto* found = std::find_if(std::begin(kProducts), std::end(kProducts),
                                     [&](const auto& row) { return at_operator(row.first); });
    if (found == std::end(kProducts)) return left;
    const uint32_t line = advance().line;
    left = make_binary(found->second, std::move(left), parse_power(), line);
  }
}

ExpressionPtr Parser::parse_power() {
  ExpressionPtr left = parse_unary();
  while (at_operator("**")) {  // from left to right, unlike Python
    const uint32_t line = advance().line;
    left = make_binary(BinaryOperator::kPower, std::move(left), parse_unary(), line);
  }
  return left;
}

ExpressionPtr Parser::parse_unary(bool with_filter) {
  const Nesting nesting(*this);
  ExpressionPtr value;
  if (at_operator("-") || at_operator("+")) {
    const Token& token = advance();
    const auto kind = token.text == "-" ? ExpressionKind::kNegate : ExpressionKind::kPlus;
    auto node = std::make_unique<Unary>(kind, token.line);
    node->operand = parse_unary(false);
    place_above(*node, node->operand);
    value = std::move(node);
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filter ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr Parser::parse_primary() {
  const Token& token = peek();
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name_or_constant();
    case TokenKind::kString:
      return parse_string();
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      auto literal = std::make_unique<Literal>(token.line);
      const bool integer = token.kind == TokenKind::kInteger;
      literal->type = integer ? LiteralKind::kInt : LiteralKind::kFloat;
      literal->integer = token.integer;
      literal->real = token.real;
      ++at_;
      return literal;
    }
    default:
      break;
  }
  if (skip_operator("(")) {
    ExpressionPtr value = parse_tuple(true, "", true);
    expect_operator(")");
    return value;
  }
  if (at_operator("[")) return parse_list();
  if (at_operator("{")) return parse_dict();
  const bool has_text = token.kind == TokenKind::kOperator;
  fail(token, has_text ? "unexpected '" + token.text + "'" : "expected an expression");
}

ExpressionPtr Parser::parse_name_or_constant() {
  const Token& token = advance();
  auto literal = std::make_unique<Literal>(token.line);
  if (token.text == "none" || token.text == "None") return literal;
  const bool is_true = token.text == "true" || token.text == "True";
  if (!is_true && token.text != "false" && token.text != "False") {
    return std::make_unique<Name>(token.line, use(token.text));
  }
  literal->type = LiteralKind::kBool;
  literal->integer = is_true;
  return literal;
}

ExpressionPtr Parser::parse_string() {
  auto literal = std::make_unique<Literal>(peek().line);
  literal->type = LiteralKind::kString;
  literal->cache_slot = syntax_.string_literals++;
  while (peek().kind == TokenKind::kString) literal->text += advance().text;
  return literal;
}

ExpressionPtr Parser::parse_list() {
  auto list = std::make_unique<Sequence>(ExpressionKind::kList, advance().line);
  while (!at_operator("]")) {
    list->items.push_back(parse_expression());
    place_above(*list, list->items.back());
    if (!skip_operator(",")) break;
  }
  expect_operator("]");
  return list;
}

ExpressionPtr Parser::parse_dict() {
  auto dict = std::make_unique<DictLiteral>(advance().line);
  while (!at_operator("}")) {
    ExpressionPtr key = parse_expression();
    expect_operator(":");
    ExpressionPtr value = parse_expression();
    place_above(*dict, key);
    place_above(*dict, value);
    dict->entries.emplace_back(std::move(key), std::move(value));
    if (!skip_operator(",")) break;
  }
  expect_operator("}");
  return dict;
}

ExpressionPtr Parser::parse_postfix(ExpressionPtr object) {
  for (;;) {
    if (skip_operator(".")) {
      object = parse_dot(std::move(object));
    } else if (at_operator("[")) {
      object = parse_subscript(std::move(object));
    } else if (at_operator("(")) {
      object = parse_call(std::move(object));
    } else {
      return object;
    }
  }
}

ExpressionPtr Parser::parse_dot(ExpressionPtr object) {
  const Token& token = advance();
  if (token.kind == TokenKind::kName) {
    auto node = std::make_unique<Attribute>(token.line);
    place_above(*node, object);
    node->object = std::move(object);
    node->name = token.text;
    return node;
  }
  if (token.kind != TokenKind::kInteger) fail(token, "expected a name or a number behind '.'");
  auto node = std::make_unique<Item>(token.line);
  auto key = std::make_unique<Literal>(token.line);
  key->type = LiteralKind::kInt;
  key->integer = token.integer;
  place_above(*node, object);
  node->object = std::move(object);
  node->key = std::move(key);
  return node;
}

ExpressionPtr Parser::parse_subscript(ExpressionPtr object) {
  const Token& bracket = advance();
  std::vector<ExpressionPtr> keys;
  while (!at_operator("]")) {
    if (!keys.empty()) expect_operator(",");
    keys.push_back(parse_subscript_key());
  }
  ++at_;
  if (keys.size() == 1 && keys[0]->kind == ExpressionKind::kSlice) {
    auto& slice = static_cast<Slice&>(*keys[0]);
    place_above(slice, object);
    slice.object = std::move(object);
    return std::move(keys[0]);
  }
  auto node = std::make_unique<Item>(bracket.line);
  if (keys.size() == 1) {
    node->key = std::move(keys[0]);
  } else {
    auto tuple = std::make_unique<Sequence>(ExpressionKind::kTuple, bracket.line);
    for (auto& key : keys) {
      if (key->kind == ExpressionKind::kSlice) fail(bracket, "a slice stands alone");
      place_above(*tuple, key);
      tuple->items.push_back(std::move(key));
    }
    node->key = std::move(tuple);
  }
  place_above(*node, object);
  place_above(*node, node->key);
  node->object = std::move(object);
  return node;
}

/// A key, or a slice whose object is still to be set.
ExpressionPtr Parser::parse_subscript_key() {
  const uint32_t line = peek().line;
  ExpressionPtr start;
  if (!at_operator(":")) {
    start = parse_expression();
    if (!at_operator(":")) return start;
  }
  ++at_;
  const auto at_end = [&] { return at_operator(":") || at_operator("]") || at_operator(","); };
  auto slice = std::make_unique<Slice>(line);
  if (!at_end()) slice->stop = parse_expression();
  if (skip_operator(":") && !at_end()) slice->step = parse_expression();
  slice->start = std::move(start);
  place_above(*slice, slice->start);
  place_above(*slice, slice->stop);
  place_above(*slice, slice->step);
  return slice;
}

ExpressionPtr Parser::parse_call(ExpressionPtr callee) {
  auto call = std::make_unique<Call>(peek().line);
  call->arguments = parse_arguments();
  place_above(*call, callee);
  place_above(*call, call->arguments);
  call->callee = std::move(callee);
  return call;
}

CallArguments Parser::parse_arguments() {
  expect_operator("(");
  CallArguments arguments;
  while (!at_operator(")")) {
    const Token& token = peek();
    if (skip_operator("*")) {
      if (arguments.more_positional || arguments.more_named) fail(token, "misplaced '*'");
      arguments.more_positional = parse_expression();
    } else if (skip_operator("**")) {
      if (arguments.more_named) fail(token, "misplaced '**'");
      arguments.more_named = parse_expression();
    } else if (token.kind == TokenKind::kName && peek(1).kind == TokenKind::kOperator &&
               peek(1).text == "=") {
      if (arguments.more_named) fail(token, "a named argument follows '**'");
      at_ += 2;
      for (const auto& [name, value] : arguments.named) {
        if (name == token.text) fail(token, "argument '" + name + "' is given twice");
      }
      arguments.named.emplace_back(token.text, parse_expression());
    } else {
      if (!arguments.named.empty() || arguments.more_positional || arguments.more_named) {
        fail(token, "a positional argument follows others");
      }
      arguments.positional.push_back(parse_expression());
    }
    if (!skip_operator(",")) break;
  }
  expect_operator(")");
  return arguments;
}

ExpressionPtr Parser::parse_filters_and_tests(ExpressionPtr value) {
  for (;;) {
    if (skip_operator("|")) {
      value = parse_filter(std::move(value));
    } else if (skip_name("is")) {
      value = parse_test(std::move(value));
    } else if (at_operator("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

std::string Parser::parse_dotted_name() {
  std::string name = expect_name().text;
  while (skip_operator(".")) name += "." + expect_name().text;
  return name;
}

ExpressionPtr Parser::parse_filter(ExpressionPtr input) {
  const size_t start = at_;
  auto node = std::make_unique<FilterCall>(peek().line);
  node->name = parse_dotted_name();
  node->filter = find_filter(node->name);
  if (!node->filter) unknown_.push_back(start);
  if (at_operator("(")) node->arguments = parse_arguments();
  place_above(*node, input);
  place_above(*node, node->arguments);
  node->input = std::move(input);
  return node;
}

ExpressionPtr Parser::parse_test(ExpressionPtr input) {
  const bool negated = skip_name("not");
  const size_t start = at_;
  auto node = std::make_unique<TestCall>(peek().line);
  node->name = parse_dotted_name();
  node->test = find_test(node->name);
  if (!node->test) unknown_.push_back(start);
  const TokenKind kind = peek().kind;
  const bool ends = at_name("else") || at_name("or") || at_name("and");
  const bool operand = kind == TokenKind::kName || kind == TokenKind::kString ||
                       kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                       at_operator("[") || at_operator("{");
  if (at_operator("(")) {
    node->arguments = parse_arguments();
  } else if (operand && !ends) {
    if (at_name("is")) fail(peek(), "tests cannot be chained with 'is'");
    node->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  place_above(*node, input);
  place_above(*node, node->arguments);
  node->input = std::move(input);
  if (!negated) return node;
  auto inverted = std::make_unique<Unary>(ExpressionKind::kNot, node->line);
  inverted->operand = std::move(node);
  place_above(*inverted, inverted->operand);
  return inverted;
}

}  // namespace omg::jinja
