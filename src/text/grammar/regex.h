// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions into expressions: the syntax that Python, JavaScript and PCRE agree on.
#pragma once

#include <string>
#include <string_view>

#include "text/grammar/expressions.h"

namespace omg::grammar {

struct RegexOptions {
  /// The match may stand anywhere in the text unless anchored (JSON Schema's `pattern`); else the
  /// text matches as a whole.
  bool search = false;
  /// The text stands in a JSON string: characters that must be escaped there are.
  bool in_json_string = false;
  /// Stands in errors.
  std::string what = "the pattern";
};

/// Errors as Grammar::from_regex.
ExprId parse_regex(std::string_view pattern, Expressions& expressions, const RegexOptions& options);

}  // namespace omg::grammar
