// SPDX-License-Identifier: Apache-2.0
//
// Argument values that models write in other notations than JSON, turned into JSON text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace omg {

/// `text` as a JSON string. Bytes that are no UTF-8 become U+FFFD.
std::string quote_json(std::string_view text);

/// Appends the escape that a control character (below U+0020) has in a JSON string.
void append_control_escape(std::string& json, char control);

/// True where `text` is one JSON value and nothing else but white space.
bool is_json(std::string_view text);

/// In Python's notation a quote ends a string only before this. Models, and templates, write
/// 'it's' without a backslash.
bool may_follow_string(char c);

struct LooseSyntax {
  /// Quotes of strings that have no escapes; where empty, strings are Python's: '…' or "…" with
  /// backslashes.
  std::string quote;
  bool bare_keys = false;  // {key: 1}
};

/// Reads one value (Python's literals, or what LooseSyntax says) at text[position] and appends it
/// as JSON; position moves past it. False where it does not parse; `json` is then of no use.
bool read_loose_value(std::string_view text, const LooseSyntax& syntax, size_t& position,
                      std::string& json);

/// `f(a=1, b='x')` at text[position], as in Python. Arguments become a JSON object. False where it
/// does not parse.
bool read_python_call(std::string_view text, size_t& position, std::string& name,
                      std::string& arguments);

/// What the request's tools declare of their arguments.
class ToolSchemas {
 public:
  ToolSchemas() = default;
  /// Tools as in the OpenAI API; what is not of that form is passed over.
  explicit ToolSchemas(const json::array& tools);

  bool empty() const { return tools_.empty(); }
  bool declares(std::string_view tool) const { return tools_.find(tool) != tools_.end(); }
  /// JSON for a value that the format writes without quotes or type. Declared types decide: a
  /// string stays one even if it looks like a number. Of undeclared ones, what is JSON (or a
  /// Python literal) but no string is taken as that.
  std::string typed(std::string_view tool, std::string_view key, std::string_view raw) const;

 private:
  using Types = uint32_t;  // bits of Type; 0: anything
  std::map<std::string, std::map<std::string, Types, std::less<>>, std::less<>> tools_;
};

}  // namespace omg
