// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/automaton.h"

#include <algorithm>
#include <bitset>
#include <tuple>

#include "base/error.h"
#include "text/grammar/automaton_analysis.h"

namespace omg::grammar {

/// Builds states from the end of each rule backwards: every state knows what follows it, so that
/// lists and optional parts share their continuations instead of copying them.
class AutomatonBuilder {
 public:
  AutomatonBuilder(const Expressions& expressions, Automaton& automaton)
      : expressions_(expressions), automaton_(automaton) {}

  void build() {
    add({StateKind::kAccept});  // kFinalState
    for (RuleId rule = 0; rule < expressions_.rule_count(); ++rule) {
      const auto body = expressions_.body(rule);
      if (!body) {
        throw Error(ErrorCode::kInvalidArgument, "the rule '" + expressions_.name(rule) +
                                                     "' is used but not defined; define it");
      }
      rules_.push_back({*body, 0, 0, expressions_.name(rule)});
    }
    call_of(expressions_.root(), 1, 1);
    for (size_t rule = 0; rule < rules_.size(); ++rule) {  // grows on the way
      const StateId accept = add({StateKind::kAccept});
      rules_[rule].accept = accept;
      const StateId start = from(rules_[rule].body, accept);
      rules_[rule].start = start;
      automaton_.states_[accept].begin = start;
    }
    for (Call& call : automaton_.calls_) call.start = rules_[call.rule].start;
    find_byte_classes();
    analyse(rules_, automaton_.states_, automaton_.edges_, automaton_.splits_, automaton_.calls_);
  }

 private:
  /// A class or a text this short is copied rather than counted, up to that many times.
  static constexpr uint32_t kCopies = 8;

  StateId add(State state) {
    if (automaton_.states_.size() >= expressions_.limits().max_states) {
      throw Error(ErrorCode::kLimitExceeded, "the grammar is too large: more than " +
                                                 std::to_string(expressions_.limits().max_states) +
                                                 " states; make it smaller");
    }
    automaton_.states_.push_back(state);
    return static_cast<StateId>(automaton_.states_.size() - 1);
  }

  StateId add_bytes(std::span<const Edge> edges) {
    const auto begin = static_cast<uint32_t>(automaton_.edges_.size());
    automaton_.edges_.insert(automaton_.edges_.end(), edges.begin(), edges.end());
    return add({StateKind::kBytes, false, begin, static_cast<uint32_t>(edges.size())});
  }

  StateId add_split(std::span<const StateId> targets) {
    const auto begin = static_cast<uint32_t>(automaton_.splits_.size());
    automaton_.splits_.insert(automaton_.splits_.end(), targets.begin(), targets.end());
    return add({StateKind::kSplit, false, begin, static_cast<uint32_t>(targets.size())});
  }

  StateId add_split(StateId a, StateId b) { return add_split(std::array<StateId, 2>{a, b}); }

  /// The first target of a split that was made before it.
  void set_first_target(StateId split, StateId target) {
    automaton_.splits_[automaton_.states_[split].begin] = target;
  }

  uint32_t call_of(uint32_t rule, uint32_t min, uint32_t max) {
    const auto [entry, is_new] =
        call_ids_.try_emplace({rule, min, max}, static_cast<uint32_t>(automaton_.calls_.size()));
    if (is_new) automaton_.calls_.push_back({rule, min, max});
    return entry->second;
  }

  StateId add_call(uint32_t rule, uint32_t min, uint32_t max, StateId next) {
    return add({StateKind::kCall, false, call_of(rule, min, max), next});
  }

  /// The state from which `expression` and then `next` is matched.
  StateId from(ExprId expression, StateId next) {
    const Node& node = expressions_.node(expression);
    const auto children = expressions_.children(node);
    switch (node.kind) {
      case NodeKind::kNothing:
        return add({StateKind::kBytes});
      case NodeKind::kLiteral:
        return from_literal(expressions_.text(node), next);
      case NodeKind::kClass:
        return from_class(expressions_.characters(node), next);
      case NodeKind::kByteRange:
        return add_bytes(std::array<Edge, 1>{
            Edge{next, static_cast<uint8_t>(node.min), static_cast<uint8_t>(node.max)}});
      case NodeKind::kSequence:
        for (size_t i = children.size(); i-- > 0;) next = from(children[i], next);
        return next;
      case NodeKind::kAlternatives: {
        std::vector<StateId> starts;
        for (const ExprId child : children) starts.push_back(from(child, next));
        return add_split(starts);
      }
      case NodeKind::kRepeat:
        return from_repeat(children[0], node.min, node.max, next);
      case NodeKind::kRule: {
        const ExprId body = rules_[node.first].body;
        return is_small(body) ? from(body, next) : add_call(node.first, 1, 1, next);
      }
      case NodeKind::kList:
        return from_list(children, next);
    }
    return next;
  }

  bool is_small(ExprId expression) const {
    const Node& node = expressions_.node(expression);
    return node.kind == NodeKind::kClass || (node.kind == NodeKind::kLiteral && node.count <= 8);
  }

  StateId from_literal(std::string_view text, StateId next) {
    for (size_t i = text.size(); i-- > 0;) {
      const auto byte = static_cast<uint8_t>(text[i]);
      next = add_bytes(std::array<Edge, 1>{Edge{next, byte, byte}});
    }
    return next;
  }

  StateId from_class(const CodePointSet& characters, StateId next) {
    std::vector<ByteSequence> sequences;
    for (const CodePointRange& range : characters.ranges()) {
      append_byte_sequences(range, sequences);
    }
    std::map<std::tuple<uint8_t, uint8_t, StateId>, StateId> ends;  // shared by sequences
    std::vector<Edge> edges;
    for (const ByteSequence& sequence : sequences) {
      StateId target = next;
      for (uint32_t i = sequence.size; i-- > 1;) {
        StateId& end = ends[{sequence.first[i], sequence.last[i], target}];
        if (end == 0) {
          end = add_bytes(std::array<Edge, 1>{Edge{target, sequence.first[i], sequence.last[i]}});
        }
        target = end;
      }
      edges.push_back({target, sequence.first[0], sequence.last[0]});
    }
    return add_bytes(edges);
  }

  StateId from_repeat(ExprId child, uint32_t min, uint32_t max, StateId next) {
    if (max == kUnbounded && min <= 1) {
      const StateId loop = add_split(next, next);
      const StateId start = from(child, loop);
      set_first_target(loop, start);
      return min == 0 ? loop : start;
    }
    if (min == 0 && max == 1) return add_split(from(child, next), next);
    if (max <= kCopies && is_small(child)) {
      StateId start = next;
      for (uint32_t i = max; i > 0; --i) {
        start = from(child, start);
        if (i > min) start = add_split(start, next);
      }
      return start;
    }
    return add_call(rule_of(child), min, max, next);
  }

  /// The rule whose body is `expression`, new if there is none.
  uint32_t rule_of(ExprId expression) {
    const Node& node = expressions_.node(expression);
    if (node.kind == NodeKind::kRule) return node.first;
    const auto [entry, is_new] =
        bodies_.try_emplace(expression, static_cast<uint32_t>(rules_.size()));
    if (is_new) rules_.push_back({expression, 0, 0, "a repeated part"});
    return entry->second;
  }

  StateId from_list(std::span<const ExprId> children, StateId next) {
    const ExprId separator = children[0], extra = children[1];
    StateId head = next, tail = next;  // nothing has come yet, or something has
    if (extra != kNoExpr) {
      tail = add_split(next, next);
      const StateId start = from(extra, tail);
      set_first_target(tail, from(separator, start));
      head = add_split(start, next);
    }
    for (size_t i = children.size(); i > 2; i -= 2) {
      const bool required = children[i - 1] != 0;
      const StateId start = from(children[i - 2], tail);
      const StateId separated = from(separator, start);
      tail = required ? separated : add_split(separated, tail);
      head = required ? start : add_split(start, head);
    }
    return head;
  }

  void find_byte_classes() {
    std::bitset<257> begins;
    begins.set(0);
    for (const Edge& edge : automaton_.edges_) {
      begins.set(edge.first);
      begins.set(edge.last + size_t{1});
    }
    for (uint32_t byte = 0; byte < 256; ++byte) {
      if (begins.test(byte)) automaton_.class_example_.push_back(static_cast<uint8_t>(byte));
      automaton_.class_of_[byte] = static_cast<uint8_t>(automaton_.class_example_.size() - 1);
    }
  }

  const Expressions& expressions_;
  Automaton& automaton_;
  std::vector<RuleStates> rules_;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, uint32_t> call_ids_;
  std::map<ExprId, uint32_t> bodies_;
};

Automaton::Automaton(const Expressions& expressions) {
  AutomatonBuilder(expressions, *this).build();
}

}  // namespace omg::grammar
