// SPDX-License-Identifier: Apache-2.0
//
// Strings that `safe` and `escape` give: MarkupSafe's Markup. It prints as it is, but escapes what
// is joined with it, which templates that use `safe` run into: '"' after `'x'|safe +` is "&#34;".
// Source: MarkupSafe 2.1, https://markupsafe.palletsprojects.com/en/2.1.x/escaping/
#pragma once

#include "text/template/methods.h"
#include "text/template/runtime.h"
#include "text/template/value.h"

namespace omg::jinja {

/// Appends `text` with &, <, >, ' and " as HTML writes them.
void append_escaped(TextBuilder& out, std::string_view text);

/// As markup: a string is escaped, unless it is markup already; other values stay.
Value escape_string(Runtime& runtime, const Value& value);

/// Calls a method. One of markup escapes the strings it is given, and gives markup.
Value call_method(Runtime& runtime, const Method& method, const Value& self,
                  const Arguments& arguments);

/// text % value for markup.
Value format_markup(Runtime& runtime, std::string_view text, const Value& value);

/// `result` of an operation that keeps `input`'s being markup.
inline Value keep_markup(const Value& input, Value result) {
  return input.is_markup() && result.is_string() ? result.as_markup() : result;
}

}  // namespace omg::jinja
