// SPDX-License-Identifier: Apache-2.0
//
// The small language that GBNF, regular expressions and JSON Schemas are translated to: rules whose
// right sides are trees of literals, character classes, sequences, alternatives, repetitions and
// lists. Nodes lie in one arena and may be shared by several parents.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar/code_points.h"
#include "text/grammar/grammar.h"

namespace omg::grammar {

using ExprId = uint32_t;
using RuleId = uint32_t;

inline constexpr uint32_t kUnbounded = UINT32_MAX;
inline constexpr ExprId kNoExpr = UINT32_MAX;

enum class NodeKind : uint8_t {
  kNothing,       // matches no text at all
  kLiteral,       // these bytes; no bytes are the empty text
  kClass,         // one character of a set
  kByteRange,     // one byte from min to max
  kSequence,      // its children, one after the other
  kAlternatives,  // any one of its children
  kRepeat,        // its child min to max times
  kRule,          // what a rule says
  kList,          // see Expressions::list
};

struct Node {
  NodeKind kind;
  uint32_t first = 0;  // kLiteral: offset; kClass: index; kRule: rule; others: index of children
  uint32_t count = 0;  // bytes or children
  uint32_t min = 0, max = 0;
  uint32_t depth = 0;  // of the tree below it
};

struct ListItem {
  ExprId item;
  bool required;
};

class Expressions {
 public:
  explicit Expressions(const GrammarLimits& limits) : limits_(limits) {}

  // Builders. Error(kLimitExceeded) beyond the limits.
  ExprId nothing();
  ExprId empty() { return literal(""); }
  ExprId literal(std::string_view bytes);
  ExprId one_of(CodePointSet characters);
  /// One byte; for parts of characters.
  ExprId byte_range(uint8_t first, uint8_t last);
  ExprId sequence(std::vector<ExprId> children);
  ExprId alternatives(std::vector<ExprId> children);
  /// `max` may be kUnbounded; min > max matches nothing.
  ExprId repeat(ExprId child, uint32_t min, uint32_t max);
  ExprId optional(ExprId child) { return repeat(child, 0, 1); }
  /// Items in this order, optional ones may be missing, then any number of `extra` (kNoExpr: none);
  /// `separator` between those that are there. Its automaton is linear in the number of items.
  ExprId list(ExprId separator, std::span<const ListItem> items, ExprId extra);
  /// One of these texts, sharing their beginnings: as wide as an enum may be.
  ExprId one_of_texts(std::vector<std::string> texts);
  ExprId rule(RuleId rule);

  RuleId declare(std::string name);
  void define(RuleId rule, ExprId body) { rules_[rule].body = body; }
  void set_root(RuleId rule) { root_ = rule; }

  // Readers.
  const Node& node(ExprId id) const { return nodes_[id]; }
  /// None for leaves, whose `first` means something else.
  std::span<const ExprId> children(const Node& node) const {
    const bool leaf = node.kind < NodeKind::kSequence || node.kind == NodeKind::kRule;
    return leaf ? std::span<const ExprId>{} : std::span(children_).subspan(node.first, node.count);
  }
  std::string_view text(const Node& node) const {
    return std::string_view(texts_).substr(node.first, node.count);
  }
  const CodePointSet& characters(const Node& node) const { return classes_[node.first]; }
  size_t rule_count() const { return rules_.size(); }
  const std::string& name(RuleId rule) const { return rules_[rule].name; }
  std::optional<ExprId> body(RuleId rule) const { return rules_[rule].body; }
  RuleId root() const { return root_; }
  const GrammarLimits& limits() const { return limits_; }

 private:
  struct Rule {
    std::string name;
    std::optional<ExprId> body;
  };

  ExprId add(Node node);
  ExprId add(NodeKind kind, std::span<const ExprId> children);
  ExprId texts_from(std::span<const std::string> texts, size_t position, uint32_t depth);

  GrammarLimits limits_;
  std::vector<Node> nodes_;
  std::vector<ExprId> children_;
  std::string texts_;
  std::vector<CodePointSet> classes_;
  std::vector<Rule> rules_;
  RuleId root_ = 0;
};

}  // namespace omg::grammar
