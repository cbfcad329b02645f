// SPDX-License-Identifier: Apache-2.0
//
// GBNF, the grammar notation of llama.cpp (grammars/README.md there), into expressions.
#pragma once

#include <string_view>

#include "text/grammar/expressions.h"

namespace omg::grammar {

/// Fills `expressions` with the rules of `text`; the root is the rule "root". Errors as
/// Grammar::from_gbnf.
void parse_gbnf(std::string_view text, Expressions& expressions);

}  // namespace omg::grammar
