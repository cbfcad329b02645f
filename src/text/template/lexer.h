// SPDX-License-Identifier: Apache-2.0
//
// Splits a template into text and the tokens of its tags, and applies the whitespace control that
// transformers sets (trim_blocks, lstrip_blocks) as well as the signs in tags ("{%-", "+%}").
// Source: Jinja 3.1 template designer documentation, "Whitespace Control".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omg::jinja {

enum class TokenKind : uint8_t {
  kText,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  uint32_t line = 1;
  uint32_t column = 1;
  /// The text, the name, the string's value or the operator.
  std::string text;
  int64_t integer = 0;
  double real = 0;
};

/// The template's source as Jinja reads it: "\n" ends lines, one at the very end is dropped.
std::string normalize_source(std::string_view source);

/// Tokens of a normalised source, with a kEnd token last. Throws Error(kInvalidArgument)
/// "template line L, column C: why".
std::vector<Token> tokenize(std::string_view source);

/// Throws the error of a template that does not parse.
[[noreturn]] void fail_parse(uint32_t line, uint32_t column, const std::string& why);

}  // namespace omg::jinja
