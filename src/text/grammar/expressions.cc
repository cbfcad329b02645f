// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/expressions.h"

#include <algorithm>

#include "base/error.h"

namespace omg::grammar {
namespace {

/// Deeper shared beginnings of enum texts are not looked for; the recursion's bound.
constexpr uint32_t kMaxTextDepth = 500;
/// Trees are walked by recursion: "x****..." must not exhaust the stack.
constexpr uint32_t kMaxDepth = 2000;

}  // namespace

ExprId Expressions::add(Node node) {
  if (nodes_.size() >= limits_.max_nodes || children_.size() >= 4 * limits_.max_nodes ||
      texts_.size() > limits_.max_text_bytes * 4) {
    throw Error(ErrorCode::kLimitExceeded, "the grammar is too large: more than " +
                                               std::to_string(limits_.max_nodes) +
                                               " parts; make it smaller");
  }
  if (node.depth > kMaxDepth) {
    throw Error(ErrorCode::kLimitExceeded,
                "the grammar nests too deeply: more than " + std::to_string(kMaxDepth) + " levels");
  }
  nodes_.push_back(node);
  return static_cast<ExprId>(nodes_.size() - 1);
}

ExprId Expressions::add(NodeKind kind, std::span<const ExprId> children) {
  const auto first = static_cast<uint32_t>(children_.size());
  Node node{kind, first, static_cast<uint32_t>(children.size())};
  for (const ExprId child : children) {
    // A list's children are not all expressions; list() sees to its own depth.
    if (kind != NodeKind::kList) node.depth = std::max(node.depth, nodes_[child].depth + 1);
  }
  children_.insert(children_.end(), children.begin(), children.end());
  return add(node);
}

ExprId Expressions::nothing() {
  return add(Node{NodeKind::kNothing});
}

ExprId Expressions::literal(std::string_view bytes) {
  const auto first = static_cast<uint32_t>(texts_.size());
  texts_ += bytes;
  return add(Node{NodeKind::kLiteral, first, static_cast<uint32_t>(bytes.size())});
}

ExprId Expressions::one_of(CodePointSet characters) {
  if (characters.empty()) return nothing();
  classes_.push_back(std::move(characters));
  return add(Node{NodeKind::kClass, static_cast<uint32_t>(classes_.size() - 1)});
}

ExprId Expressions::byte_range(uint8_t first, uint8_t last) {
  Node node{NodeKind::kByteRange};
  node.min = first;
  node.max = last;
  return add(node);
}

ExprId Expressions::sequence(std::vector<ExprId> children) {
  if (children.size() == 1) return children[0];
  return children.empty() ? empty() : add(NodeKind::kSequence, children);
}

ExprId Expressions::alternatives(std::vector<ExprId> children) {
  if (children.size() == 1) return children[0];
  return children.empty() ? nothing() : add(NodeKind::kAlternatives, children);
}

ExprId Expressions::repeat(ExprId child, uint32_t min, uint32_t max) {
  if (min > max) return nothing();
  if (max == 0) return empty();
  if (min == 1 && max == 1) return child;
  const ExprId id = add(NodeKind::kRepeat, std::span(&child, 1));
  nodes_[id].min = min;
  nodes_[id].max = max;
  return id;
}

ExprId Expressions::list(ExprId separator, std::span<const ListItem> items, ExprId extra) {
  std::vector<ExprId> children = {separator, extra};
  for (const ListItem& item : items) {
    children.push_back(item.item);
    children.push_back(item.required ? 1 : 0);
  }
  uint32_t depth = nodes_[separator].depth;
  if (extra != kNoExpr) depth = std::max(depth, nodes_[extra].depth);
  for (const ListItem& item : items) depth = std::max(depth, nodes_[item.item].depth);
  const ExprId id = add(NodeKind::kList, children);
  nodes_[id].depth = depth + 1;
  return id;
}

ExprId Expressions::rule(RuleId rule) {
  return add(Node{NodeKind::kRule, rule});
}

RuleId Expressions::declare(std::string name) {
  if (rules_.size() >= limits_.max_nodes) {
    throw Error(ErrorCode::kLimitExceeded, "the grammar has too many rules; make it smaller");
  }
  rules_.push_back({std::move(name), std::nullopt});
  return static_cast<RuleId>(rules_.size() - 1);
}

ExprId Expressions::one_of_texts(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts_from(texts, 0, 0);
}

ExprId Expressions::texts_from(std::span<const std::string> texts, size_t position,
                               uint32_t depth) {
  if (texts.size() == 1 || depth == kMaxTextDepth) {
    std::vector<ExprId> rest;
    for (const std::string& text : texts) {
      rest.push_back(literal(std::string_view(text).substr(position)));
    }
    return alternatives(std::move(rest));
  }
  std::vector<ExprId> branches;
  for (size_t begin = 0; begin < texts.size();) {
    if (texts[begin].size() == position) {  // sorted first, and there is only one
      branches.push_back(empty());
      ++begin;
      continue;
    }
    size_t end = begin + 1;
    while (end < texts.size() && texts[end][position] == texts[begin][position]) ++end;
    const std::string& first = texts[begin];
    const std::string& last = texts[end - 1];
    size_t common = position + 1;
    while (common < first.size() && common < last.size() && first[common] == last[common]) ++common;
    const ExprId shared = literal(std::string_view(first).substr(position, common - position));
    branches.push_back(
        sequence({shared, texts_from(texts.subspan(begin, end - begin), common, depth + 1)}));
    begin = end;
  }
  return alternatives(std::move(branches));
}

}  // namespace omg::grammar
