// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/automaton_analysis.h"

#include <algorithm>

#include "base/error.h"

namespace omg::grammar {
namespace {

struct Network {
  const std::vector<RuleStates>& rules;
  const std::vector<State>& states;
  const std::vector<Edge>& edges;
  const std::vector<StateId>& splits;
  const std::vector<Call>& calls;

  /// Calls `visit` with each state that `id` may continue in, whatever stands between.
  template <typename Visit>
  void for_successors(StateId id, Visit visit) const {
    const State& state = states[id];
    switch (state.kind) {
      case StateKind::kBytes:
        for (uint32_t i = 0; i < state.count; ++i) visit(edges[state.begin + i].target);
        break;
      case StateKind::kSplit:
        for (uint32_t i = 0; i < state.count; ++i) visit(splits[state.begin + i]);
        break;
      case StateKind::kCall:
        visit(state.count);
        break;
      case StateKind::kAccept:
        break;
    }
  }
};

/// States from which their rule's end is reached; with `by_bytes`, over bytes too. Spreads
/// backwards from the ends: a call passes when its rule's start has been reached, or when it may be
/// left out.
class Spread {
 public:
  Spread(const Network& network, bool by_bytes)
      : network_(network), by_bytes_(by_bytes), marked_(network.states.size()) {
    index_predecessors();
    for (StateId id = 0; id < network.states.size(); ++id) {
      if (network.states[id].kind == StateKind::kAccept) mark(id);
    }
    while (!pending_.empty()) {
      const StateId id = pending_.back();
      pending_.pop_back();
      for (uint32_t i = first_[id]; i < first_[id + 1]; ++i) consider(predecessors_[i]);
      for (const uint32_t rule : starts_[id]) {
        for (const StateId caller : callers_[rule]) consider(caller);
      }
    }
  }

  bool operator[](StateId id) const { return marked_[id]; }

 private:
  void index_predecessors() {
    const size_t count = network_.states.size();
    first_.assign(count + 1, 0);
    callers_.resize(network_.rules.size());
    starts_.resize(count);
    for (uint32_t rule = 0; rule < network_.rules.size(); ++rule) {
      starts_[network_.rules[rule].start].push_back(rule);
    }
    for (StateId id = 0; id < count; ++id) {
      network_.for_successors(id, [&](StateId next) { ++first_[next + 1]; });
      const State& state = network_.states[id];
      if (state.kind == StateKind::kCall) {
        callers_[network_.calls[state.begin].rule].push_back(id);
      }
    }
    for (size_t i = 0; i < count; ++i) first_[i + 1] += first_[i];
    predecessors_.resize(first_[count]);
    std::vector<uint32_t> next_free(first_.begin(), first_.end() - 1);
    for (StateId id = 0; id < count; ++id) {
      network_.for_successors(id, [&](StateId next) { predecessors_[next_free[next]++] = id; });
    }
  }

  void consider(StateId id) {
    if (marked_[id]) return;
    const State& state = network_.states[id];
    bool passes = state.kind == StateKind::kSplit || by_bytes_;
    if (state.kind == StateKind::kCall) {
      const Call& call = network_.calls[state.begin];
      passes = marked_[state.count] && (call.min == 0 || marked_[network_.rules[call.rule].start]);
    }
    if (passes) mark(id);
  }

  void mark(StateId id) {
    marked_[id] = true;
    pending_.push_back(id);
  }

  const Network& network_;
  const bool by_bytes_;
  std::vector<bool> marked_;
  std::vector<StateId> pending_;
  std::vector<uint32_t> first_, predecessors_;  // of state i: [first_[i], first_[i + 1])
  std::vector<std::vector<StateId>> callers_;   // by rule
  std::vector<std::vector<uint32_t>> starts_;   // rules that start in a state
};

/// Orders rules so that each comes before those it may call before it has matched a byte.
class Ranking {
 public:
  explicit Ranking(const Network& network)
      : network_(network), seen_(network.states.size()), visits_(network.rules.size()) {
    // Depth first, without recursion: clients write chains of rules as long as they like.
    for (uint32_t rule = 0; rule < network.rules.size(); ++rule) {
      if (visits_[rule] == Visit::kNone) enter(rule);
      while (!path_.empty()) go_on();
    }
  }

  uint32_t rank(uint32_t rule) const {
    return static_cast<uint32_t>(visits_.size()) - finished_[rule];
  }

 private:
  enum class Visit : uint8_t { kNone, kOpen, kDone };
  struct Step {
    uint32_t rule;
    std::vector<uint32_t> calls;
  };

  void enter(uint32_t rule) {
    visits_[rule] = Visit::kOpen;
    path_.push_back({rule, first_calls(rule)});
  }

  void go_on() {
    Step& step = path_.back();
    if (step.calls.empty()) {
      visits_[step.rule] = Visit::kDone;
      finished_.resize(visits_.size());
      finished_[step.rule] = ++finished_count_;
      path_.pop_back();
      return;
    }
    const uint32_t next = step.calls.back();
    step.calls.pop_back();
    if (visits_[next] == Visit::kOpen) refuse(next);
    if (visits_[next] == Visit::kNone) enter(next);
  }

  [[noreturn]] void refuse(uint32_t rule) const {
    const auto begin = std::find_if(path_.begin(), path_.end(),
                                    [&](const Step& step) { return step.rule == rule; });
    std::string names;
    size_t shown = 0;
    for (auto step = begin; step != path_.end() && shown < 8; ++step, ++shown) {
      names += "'" + network_.rules[step->rule].name + "' -> ";
    }
    throw Error(
        ErrorCode::kInvalidArgument,
        "the grammar is left-recursive: " + names + "'" + network_.rules[rule].name +
            "' begins with itself; write the repetition with * or +, or recurse at the end");
  }

  /// A state belongs to one rule, so all rules together look at each state once.
  std::vector<uint32_t> first_calls(uint32_t rule) {
    std::vector<uint32_t> found;
    std::vector<StateId> pending = {network_.rules[rule].start};
    while (!pending.empty()) {
      const StateId id = pending.back();
      pending.pop_back();
      if (seen_[id] || !network_.states[id].productive) continue;
      seen_[id] = true;
      const State& state = network_.states[id];
      if (state.kind == StateKind::kSplit) {
        network_.for_successors(id, [&](StateId next) { pending.push_back(next); });
      } else if (state.kind == StateKind::kCall) {
        const Call& call = network_.calls[state.begin];
        if (call.productive) found.push_back(call.rule);
        if (call.nullable) pending.push_back(state.count);
      }
    }
    return found;
  }

  const Network& network_;
  std::vector<bool> seen_;
  std::vector<Visit> visits_;
  std::vector<Step> path_;
  std::vector<uint32_t> finished_;
  uint32_t finished_count_ = 0;
};

}  // namespace

void analyse(const std::vector<RuleStates>& rules, std::vector<State>& states,
             const std::vector<Edge>& edges, const std::vector<StateId>& splits,
             std::vector<Call>& calls) {
  const Network network{rules, states, edges, splits, calls};
  {
    const Spread productive(network, true);
    for (StateId id = 0; id < states.size(); ++id) states[id].productive = productive[id];
  }
  const Spread nullable(network, false);
  for (Call& call : calls) {
    call.productive = states[call.start].productive;
    if (nullable[call.start]) call.min = 0;
    call.nullable = call.min == 0;
  }
  const Ranking ranking(network);
  for (Call& call : calls) call.rank = ranking.rank(call.rule);
  if (!calls[0].productive) {
    throw Error(ErrorCode::kInvalidArgument,
                "the grammar matches no text at all: every way through '" +
                    rules[calls[0].rule].name + "' is endless or impossible; give it an end");
  }
}

}  // namespace omg::grammar
