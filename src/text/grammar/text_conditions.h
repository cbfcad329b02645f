// SPDX-License-Identifier: Apache-2.0
//
// Strings that satisfy several conditions at once (a pattern and a length; a name that matches one
// pattern and not another), which expressions cannot say: the conditions' automata are run side by
// side over all texts, and what comes of it is written down as rules, one a combination of states.
#pragma once

#include <span>
#include <string>

#include "text/grammar/expressions.h"

namespace omg::grammar {

struct TextCondition {
  std::string pattern;  // a regular expression
  bool search = false;  // RegexOptions::search
  bool negated = false;
  std::string what = "the pattern";  // RegexOptions::what
};

/// The inside of JSON strings of `min` to `max` (kUnbounded: any number of) characters that satisfy
/// all conditions. Error(kLimitExceeded) if that takes too many rules.
ExprId json_text_with(Expressions& expressions, std::span<const TextCondition> conditions,
                      uint32_t min, uint32_t max);

/// Whether a text satisfies a condition.
bool satisfies(std::string_view text, const TextCondition& condition, const GrammarLimits& limits);

/// A regular expression for exactly this text.
std::string quoted_pattern(std::string_view text);

}  // namespace omg::grammar
