// SPDX-License-Identifier: Apache-2.0
//
// The syntax tree of a template. Names are numbers into Program::names, so that the evaluator
// looks variables up by comparing integers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/template/filters.h"
#include "text/template/operations.h"

namespace omg::jinja {

using NameId = uint32_t;

enum class ExpressionKind : uint8_t {
  kLiteral,
  kName,
  kList,
  kTuple,
  kDict,
  kNot,
  kNegate,
  kPlus,
  kBinary,
  kAnd,
  kOr,
  kCompare,
  kConcatenate,
  kConditional,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
};

struct Expression {
  Expression(ExpressionKind its_kind, uint32_t its_line) : kind(its_kind), line(its_line) {}
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;
  virtual ~Expression() = default;

  const ExpressionKind kind;
  /// Levels below this node, which bound every recursion over the tree.
  uint16_t depth = 0;
  const uint32_t line;
};
using ExpressionPtr = std::unique_ptr<Expression>;

enum class LiteralKind : uint8_t { kNone, kBool, kInt, kFloat, kString };

struct Literal final : Expression {
  explicit Literal(uint32_t its_line) : Expression(ExpressionKind::kLiteral, its_line) {}
  LiteralKind type = LiteralKind::kNone;
  int64_t integer = 0;  // also of a bool
  double real = 0;
  std::string text;
  /// Where a render keeps the string's value, so that it is made once.
  uint32_t cache_slot = 0;
};

struct Name final : Expression {
  Name(uint32_t its_line, NameId its_id)
      : Expression(ExpressionKind::kName, its_line), id(its_id) {}
  const NameId id;
};

/// List, tuple, `and`, `or` and `~`.
struct Sequence final : Expression {
  using Expression::Expression;
  std::vector<ExpressionPtr> items;
};

struct DictLiteral final : Expression {
  explicit DictLiteral(uint32_t its_line) : Expression(ExpressionKind::kDict, its_line) {}
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};

/// `not x`, `-x`, `+x`.
struct Unary final : Expression {
  using Expression::Expression;
  ExpressionPtr operand;
};

struct Binary final : Expression {
  Binary(uint32_t its_line, BinaryOperator its_operation)
      : Expression(ExpressionKind::kBinary, its_line), operation(its_operation) {}
  const BinaryOperator operation;
  ExpressionPtr left;
  ExpressionPtr right;
};

/// `a < b <= c`.
struct Compare final : Expression {
  explicit Compare(uint32_t its_line) : Expression(ExpressionKind::kCompare, its_line) {}
  ExpressionPtr first;
  std::vector<std::pair<Comparison, ExpressionPtr>> rest;
};

struct Conditional final : Expression {
  explicit Conditional(uint32_t its_line) : Expression(ExpressionKind::kConditional, its_line) {}
  ExpressionPtr condition;
  ExpressionPtr then;
  ExpressionPtr otherwise;  // may be null
};

struct Attribute final : Expression {
  explicit Attribute(uint32_t its_line) : Expression(ExpressionKind::kAttribute, its_line) {}
  ExpressionPtr object;
  std::string name;
};

struct Item final : Expression {
  explicit Item(uint32_t its_line) : Expression(ExpressionKind::kItem, its_line) {}
  ExpressionPtr object;
  ExpressionPtr key;
};

struct Slice final : Expression {
  explicit Slice(uint32_t its_line) : Expression(ExpressionKind::kSlice, its_line) {}
  ExpressionPtr object;
  ExpressionPtr start;  // each may be null
  ExpressionPtr stop;
  ExpressionPtr step;
};

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional;  // *x
  ExpressionPtr more_named;       // **x
};

struct Call final : Expression {
  explicit Call(uint32_t its_line) : Expression(ExpressionKind::kCall, its_line) {}
  ExpressionPtr callee;
  CallArguments arguments;
};

struct FilterCall final : Expression {
  explicit FilterCall(uint32_t its_line) : Expression(ExpressionKind::kFilter, its_line) {}
  ExpressionPtr input;  // null in a filter block, where the input is the block's text
  std::string name;
  Filter filter = nullptr;  // null where nobody knows the name: an error if it is ever reached
  CallArguments arguments;
};

struct TestCall final : Expression {
  explicit TestCall(uint32_t its_line) : Expression(ExpressionKind::kTest, its_line) {}
  ExpressionPtr input;
  std::string name;
  Test test = nullptr;  // null as in FilterCall
  CallArguments arguments;
};

enum class StatementKind : uint8_t {
  kText,
  kPrint,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kScope,
  kBreak,
  kContinue,
  kUnsupported,
};

struct Statement {
  Statement(StatementKind its_kind, uint32_t its_line) : kind(its_kind), line(its_line) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  virtual ~Statement() = default;

  const StatementKind kind;
  const uint32_t line;
};
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;

struct Text final : Statement {
  Text(uint32_t its_line, std::string its_text)
      : Statement(StatementKind::kText, its_line), text(std::move(its_text)) {}
  const std::string text;
};

struct Print final : Statement {
  explicit Print(uint32_t its_line) : Statement(StatementKind::kPrint, its_line) {}
  std::vector<ExpressionPtr> values;
};

struct If final : Statement {
  explicit If(uint32_t its_line) : Statement(StatementKind::kIf, its_line) {}
  struct Branch {
    ExpressionPtr condition;
    Body body;
  };
  std::vector<Branch> branches;  // if, elif, …
  Body otherwise;
};

/// What an assignment names: a variable, a member of a namespace, or a tuple of targets.
struct Target {
  enum class Kind : uint8_t { kName, kMember, kTuple };
  Kind kind = Kind::kName;
  NameId name = 0;
  std::string member;
  std::vector<Target> parts;
  uint32_t line = 1;
};

struct For final : Statement {
  explicit For(uint32_t its_line) : Statement(StatementKind::kFor, its_line) {}
  Target target;
  ExpressionPtr iterable;
  ExpressionPtr condition;  // may be null
  Body body;
  Body otherwise;
  bool recursive = false;
  bool uses_loop = false;  // whether anything in the loop names `loop`
};

struct Set final : Statement {
  explicit Set(uint32_t its_line) : Statement(StatementKind::kSet, its_line) {}
  Target target;
  ExpressionPtr value;
};

struct SetBlock final : Statement {
  explicit SetBlock(uint32_t its_line) : Statement(StatementKind::kSetBlock, its_line) {}
  Target target;
  ExpressionPtr filter;  // null or a FilterCall
  Body body;
};

struct Parameter {
  NameId name = 0;
  ExpressionPtr fallback;  // may be null
};

/// A macro, or the body of a call block, which is the macro `caller`.
struct Macro final : Statement {
  explicit Macro(uint32_t its_line) : Statement(StatementKind::kMacro, its_line) {}
  NameId name = 0;
  std::vector<Parameter> parameters;
  Body body;
  // Which of the special names the body uses.
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct CallBlock final : Statement {
  explicit CallBlock(uint32_t its_line) : Statement(StatementKind::kCallBlock, its_line) {}
  ExpressionPtr call;  // a Call
  std::unique_ptr<Macro> caller;
};

struct FilterBlock final : Statement {
  explicit FilterBlock(uint32_t its_line) : Statement(StatementKind::kFilterBlock, its_line) {}
  ExpressionPtr filter;
  Body body;
};

struct With final : Statement {
  explicit With(uint32_t its_line) : Statement(StatementKind::kWith, its_line) {}
  std::vector<std::pair<Target, ExpressionPtr>> values;
  Body body;
};

/// A body with variables of its own: `generation`, `block`, `autoescape`.
struct Scoped final : Statement {
  explicit Scoped(uint32_t its_line) : Statement(StatementKind::kScope, its_line) {}
  Body body;
  bool from_root = false;  // a `block` sees the template's variables only
};

/// A statement that parses but can only fail, such as an include: there is nothing to load from.
struct Unsupported final : Statement {
  Unsupported(uint32_t its_line, std::string its_reason)
      : Statement(StatementKind::kUnsupported, its_line), reason(std::move(its_reason)) {}
  const std::string reason;
};

struct Jump final : Statement {
  using Statement::Statement;
};

struct Syntax {
  std::string source;
  std::vector<std::string> names;
  uint32_t string_literals = 0;
  NameId loop = 0;
  NameId caller = 0;
  NameId varargs = 0;
  NameId kwargs = 0;
  Body body;
};

}  // namespace omg::jinja
