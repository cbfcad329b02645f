// SPDX-License-Identifier: Apache-2.0
//
// What must be known of a network before it may be matched: which states can finish, which rules
// match the empty text, and in which order rules that begin at one position depend on each other.
#pragma once

#include <string>
#include <vector>

#include "text/grammar/automaton.h"

namespace omg::grammar {

struct RuleStates {
  ExprId body;
  StateId start, accept;
  std::string name;
};

/// Fills in State::productive and Call::nullable, productive and rank; calls of rules that match
/// the empty text may be left out, so their `min` becomes 0. Error(kInvalidArgument) for left
/// recursion and for a root (the first call) without texts. Linear in the size of the network.
void analyse(const std::vector<RuleStates>& rules, std::vector<State>& states,
             const std::vector<Edge>& edges, const std::vector<StateId>& splits,
             std::vector<Call>& calls);

}  // namespace omg::grammar
