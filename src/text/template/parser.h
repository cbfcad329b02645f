// SPDX-License-Identifier: Apache-2.0
//
// Builds the syntax tree of a template: one function per rule of Jinja's grammar.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/template/ast.h"
#include "text/template/lexer.h"

namespace omg::jinja {

class Parser {
 public:
  /// Longest template that is parsed; the longest published one has 60 KB.
  static constexpr size_t kMaxSource = 1u << 20;

  /// Throws Error(kInvalidArgument) "template line L, column C: why".
  static Syntax parse(std::string_view source);

 private:
  // Nested expressions and statements; Python refuses 100 nested blocks and 200 brackets.
  static constexpr uint32_t kMaxNesting = 200;
  // Levels of a tree, which chains such as a + b + c + … deepen without nesting.
  static constexpr uint32_t kMaxTreeDepth = 4000;

  class Nesting;

  explicit Parser(Syntax& syntax);

  // parser.cc: the token stream
  const Token& peek(size_t ahead = 0) const;
  const Token& advance() { return tokens_[at_++]; }
  [[noreturn]] void fail(const Token& token, const std::string& why) const;
  bool at_operator(std::string_view text) const;
  bool at_name(std::string_view text, size_t ahead = 0) const;
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  const Token& expect_name();
  void expect_kind(TokenKind kind, std::string_view what);
  NameId intern(std::string_view name);
  NameId use(std::string_view name);
  void fail_if_unknown(size_t since) const;
  void forget_unknown(size_t since) { unknown_.resize(since); }

  // parser.cc: statements
  using EndTags = std::initializer_list<std::string_view>;
  Body parse_body(EndTags end_tags);
  Body parse_block_body(EndTags end_tags);
  bool at_end_tag(EndTags end_tags) const;
  StatementPtr parse_statement();
  StatementPtr parse_print();
  StatementPtr parse_block_statement(const std::string& tag);
  StatementPtr parse_if();
  StatementPtr parse_for();
  StatementPtr parse_set();
  StatementPtr parse_macro();
  StatementPtr parse_call_block();
  StatementPtr parse_filter_block();
  StatementPtr parse_with();
  StatementPtr parse_jump(StatementKind kind);
  StatementPtr parse_scoped(std::string_view end_tag);
  StatementPtr parse_named_block();
  StatementPtr parse_autoescape();
  StatementPtr parse_loading();
  void parse_signature(Macro& macro);
  void parse_macro_body(Macro& macro, std::string_view end_tag);
  Target parse_target(bool with_members, std::string_view end_name = "");
  Target parse_single_target(bool with_members);

  // parser_expressions.cc
  ExpressionPtr parse_expression(bool with_conditional = true);
  ExpressionPtr parse_tuple(bool with_conditional, std::string_view end_name = "",
                            bool in_parentheses = false);
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter = true);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name_or_constant();
  ExpressionPtr parse_string();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr object);
  ExpressionPtr parse_dot(ExpressionPtr object);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  ExpressionPtr parse_subscript_key();
  ExpressionPtr parse_call(ExpressionPtr callee);
  CallArguments parse_arguments();
  ExpressionPtr parse_filters_and_tests(ExpressionPtr value);
  ExpressionPtr parse_filter(ExpressionPtr input);
  ExpressionPtr parse_test(ExpressionPtr input);
  std::string parse_dotted_name();
  ExpressionPtr make_binary(BinaryOperator operation, ExpressionPtr left, ExpressionPtr right,
                            uint32_t line);
  /// Notes that `node` stands above `child` (which may be null).
  void place_above(Expression& node, const ExpressionPtr& child);
  void place_above(Expression& node, const CallArguments& arguments);
  bool at_tuple_end(std::string_view end_name) const;

  Syntax& syntax_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  uint32_t nesting_ = 0;
  uint32_t loops_ = 0;
  // Filters and tests that nobody knows. Inside of a branch they are an error only if it runs.
  std::vector<size_t> unknown_;
  std::vector<std::string> blocks_;
  std::unordered_map<std::string, NameId> ids_;
  std::vector<uint32_t> uses_;  // how often each name has been read
};

/// One level of nesting while it lives.
class Parser::Nesting {
 public:
  explicit Nesting(Parser& parser) : parser_(parser) {
    if (parser_.nesting_ >= kMaxNesting) parser_.fail(parser_.peek(), "nested too deeply");
    ++parser_.nesting_;
  }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  ~Nesting() { --parser_.nesting_; }

 private:
  Parser& parser_;
};

}  // namespace omg::jinja
