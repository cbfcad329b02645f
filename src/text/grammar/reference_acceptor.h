// SPDX-License-Identifier: Apache-2.0
//
// For tests: the same question as Machine answers, answered by trying everything. Walks the
// expressions themselves, without an automaton, stacks or caches.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "text/grammar/expressions.h"

namespace omg::grammar::testing {

struct Verdict {
  bool viable;    // some text that begins so belongs to the language
  bool complete;  // the text itself does
};

/// For grammars in which every part can be completed: then a text is viable exactly if some way of
/// reading it is still going on where it ends.
class ReferenceAcceptor {
 public:
  explicit ReferenceAcceptor(const Expressions& expressions) : e_(expressions) {}

  Verdict judge(const std::string& text) {
    text_ = text;
    known_.clear();
    went_on_ = false;
    const Ends ends = rule_ends(e_.root(), 0);
    const bool complete = ends.contains(text_.size());
    return {complete || went_on_, complete};
  }

 private:
  using Ends = std::set<size_t>;

  Ends rule_ends(RuleId rule, size_t begin) { return ends_of(*e_.body(rule), begin); }

  const Ends& ends_of(ExprId expression, size_t begin) {
    const auto key = std::pair(expression, begin);
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    Ends ends = find_ends(e_.node(expression), begin);
    return known_[key] = std::move(ends);
  }

  Ends find_ends(const Node& node, size_t begin) {
    const auto children = e_.children(node);
    switch (node.kind) {
      case NodeKind::kNothing:
        return {};
      case NodeKind::kLiteral:
        return literal_ends(e_.text(node), begin);
      case NodeKind::kClass:
        return class_ends(e_.characters(node), begin);
      case NodeKind::kByteRange: {
        if (begin == text_.size()) {
          went_on_ = true;
          return {};
        }
        const auto byte = static_cast<uint8_t>(text_[begin]);
        return node.min <= byte && byte <= node.max ? Ends{begin + 1} : Ends{};
      }
      case NodeKind::kSequence: {
        Ends ends = {begin};
        for (const ExprId child : children) ends = after(ends, child);
        return ends;
      }
      case NodeKind::kAlternatives: {
        Ends ends;
        for (const ExprId child : children) ends.merge(Ends(ends_of(child, begin)));
        return ends;
      }
      case NodeKind::kRepeat:
        return repeat_ends(children[0], node.min, node.max, begin);
      case NodeKind::kRule:
        return rule_ends(node.first, begin);
      case NodeKind::kList:
        return list_ends(children, begin);
    }
    return {};
  }

  Ends after(const Ends& begins, ExprId expression) {
    Ends ends;
    for (const size_t begin : begins) ends.merge(Ends(ends_of(expression, begin)));
    return ends;
  }

  Ends literal_ends(std::string_view literal, size_t begin) {
    const std::string_view rest = std::string_view(text_).substr(begin);
    if (rest.size() < literal.size()) {
      if (literal.starts_with(rest)) went_on_ = true;
      return {};
    }
    return rest.starts_with(literal) ? Ends{begin + literal.size()} : Ends{};
  }

  Ends class_ends(const CodePointSet& set, size_t begin) {
    const std::string_view rest = std::string_view(text_).substr(begin);
    if (rest.empty()) {
      went_on_ = true;
      return {};
    }
    const DecodedCodePoint decoded = decode_utf8(rest, 0);
    if (decoded.valid) {
      return set.contains(decoded.value) ? Ends{begin + decoded.size} : Ends{};
    }
    if (incomplete_utf8_suffix(rest) == rest.size() && may_become(set, rest)) went_on_ = true;
    return {};
  }

  static bool may_become(const CodePointSet& set, std::string_view bytes) {
    const auto lead = static_cast<uint8_t>(bytes[0]);
    const uint32_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    uint32_t low = lead & (0x7fu >> size), high = low;
    for (uint32_t i = 1; i < size; ++i) {
      const bool known = i < bytes.size();
      const uint32_t bits = known ? static_cast<uint8_t>(bytes[i]) & 0x3f : 0;
      low = low << 6 | bits;
      high = high << 6 | (known ? bits : 0x3f);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    low = std::max(low, kSmallest[size]);
    return low <= high && !set.intersected({{low, high}}).empty();
  }

  Ends repeat_ends(ExprId child, uint32_t min, uint32_t max, size_t begin) {
    Ends now = {begin}, ends;
    for (uint32_t count = 0;; ++count) {
      if (count >= min) {
        const size_t before = ends.size();
        ends.insert(now.begin(), now.end());
        if (count > min && ends.size() == before) return ends;
      }
      if (count == max || now.empty()) return ends;
      now = after(now, child);
    }
  }

  Ends list_ends(std::span<const ExprId> children, size_t begin) {
    Ends fresh = {begin}, going;  // nothing has come yet; something has
    for (size_t i = 2; i < children.size(); i += 2) {
      Ends next = after(fresh, children[i]);
      next.merge(after(after(going, children[0]), children[i]));
      if (children[i + 1] != 0) {
        fresh.clear();
        going = std::move(next);
      } else {
        going.merge(next);
      }
    }
    if (children[1] != kNoExpr) {
      Ends next = after(fresh, children[1]);
      while (true) {
        next.merge(after(after(going, children[0]), children[1]));
        const size_t before = going.size();
        going.insert(next.begin(), next.end());
        if (going.size() == before) break;
      }
    }
    going.merge(fresh);
    return going;
  }

  const Expressions& e_;
  std::string text_;
  std::map<std::pair<ExprId, size_t>, Ends> known_;
  bool went_on_ = false;
};

}  // namespace omg::grammar::testing
