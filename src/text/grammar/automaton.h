// SPDX-License-Identifier: Apache-2.0
//
// A recursive transition network over bytes: for each rule a nondeterministic automaton whose edges
// are bytes, and states that call other rules. Counted repetition is a call too ("min to max times
// rule R"), so that x{0,1000000} costs one copy of x. Everything that makes matching endless or
// hopeless is found here: left recursion is refused, and parts that can never finish are marked, so
// that a text which the matcher follows can always be completed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "text/grammar/expressions.h"

namespace omg::grammar {

using StateId = uint32_t;

/// The state after the whole text. It has no edges and belongs to no rule.
inline constexpr StateId kFinalState = 0;

struct Edge {
  StateId target;
  uint8_t first, last;
};

enum class StateKind : uint8_t {
  kBytes,   // edges [begin, begin + count)
  kSplit,   // continues in each of splits [begin, begin + count) without a byte
  kCall,    // call `begin`, then state `count`
  kAccept,  // the rule is complete; `begin` is its first state
};

struct State {
  StateKind kind;
  bool productive = false;  // some text leads from here to the end of the rule
  uint32_t begin = 0, count = 0;
};

/// "`rule`, min to max times." Calls of equal content are one.
struct Call {
  uint32_t rule;
  uint32_t min, max;  // max may be kUnbounded
  StateId start = 0;  // of the rule
  uint32_t rank = 0;  // smaller than that of any call its rule makes before a byte
  bool nullable = false;
  bool productive = false;
};

/// Immutable after construction.
class Automaton {
 public:
  /// Error(kInvalidArgument) for left recursion or a language without texts, naming the rules;
  /// Error(kLimitExceeded) beyond limits.max_states.
  explicit Automaton(const Expressions& expressions);

  const State& state(StateId id) const { return states_[id]; }
  std::span<const Edge> edges(const State& state) const {
    return std::span(edges_).subspan(state.begin, state.count);
  }
  std::span<const StateId> splits(const State& state) const {
    return std::span(splits_).subspan(state.begin, state.count);
  }
  const Call& call(uint32_t id) const { return calls_[id]; }
  uint32_t root_call() const { return 0; }
  size_t state_count() const { return states_.size(); }

  /// Bytes of one class are never told apart.
  uint32_t class_of(uint8_t byte) const { return class_of_[byte]; }
  uint32_t class_count() const { return static_cast<uint32_t>(class_example_.size()); }
  uint8_t class_example(uint32_t byte_class) const { return class_example_[byte_class]; }

 private:
  friend class AutomatonBuilder;

  std::vector<State> states_;
  std::vector<Edge> edges_;
  std::vector<StateId> splits_;
  std::vector<Call> calls_;
  std::array<uint8_t, 256> class_of_ = {};
  std::vector<uint8_t> class_example_;
};

}  // namespace omg::grammar
