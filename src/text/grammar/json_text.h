// SPDX-License-Identifier: Apache-2.0
//
// The pieces that JSON texts are made of, as expressions: strings, numbers in a range, white space,
// any value. Everything that could go on for ever without saying anything (white space, digits) is
// bounded.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/grammar/expressions.h"

namespace omg::grammar {

/// One character of `set` inside a JSON string: as it is, or escaped in its shortest form where RFC
/// 8259 wants it.
ExprId json_characters(Expressions& expressions, const CodePointSet& set);

/// `text` as a JSON string in quotes, in its shortest form.
std::string json_quoted(std::string_view text);

/// A number without exponent. `digits` have no leading zeros ("0" for zero), `fraction` no trailing
/// ones.
struct Decimal {
  bool negative = false;
  std::string digits = "0", fraction;

  bool is_zero() const { return digits == "0" && fraction.empty(); }
};

/// Order of the values: negative, 0 or positive.
int compare(const Decimal& a, const Decimal& b);

struct Bound {
  Decimal value;
  bool inclusive = true;
};

struct NumberRange {
  std::optional<Bound> low, high;
  bool integer = false;
  /// At most that many digits after the point.
  uint32_t fraction_digits = 17;
};

/// All numbers of the range, written without exponent and without "-0"; nothing if there is none.
ExprId number_in_range(Expressions& expressions, const NumberRange& range);
/// Integers that `divisor` (1 to 1000) divides, of either sign or not negative ones, or positive.
ExprId multiples(Expressions& expressions, uint32_t divisor, bool negative, bool zero);

/// Makes rules when they are first needed.
class JsonText {
 public:
  explicit JsonText(Expressions& expressions) : expressions_(expressions) {}

  /// Nothing, a space, or a line feed and some indentation.
  ExprId space();
  /// A colon and perhaps a space.
  ExprId colon();
  /// A comma and white space.
  ExprId comma();
  /// Any character in a JSON string, escaped in any way that stands for a character.
  ExprId character();
  ExprId string(uint32_t min = 0, uint32_t max = kUnbounded);
  /// A string whose text between the quotes is `content`.
  ExprId string_of(ExprId content);
  ExprId number();
  ExprId any_value();
  ExprId any_object();
  ExprId any_array();
  /// '{' or '[', white space where it may stand, and their ends.
  ExprId braces(ExprId members, bool may_be_empty);
  ExprId brackets(ExprId elements, bool may_be_empty);
  /// min to max times `element` with commas; not for min = 0.
  ExprId separated(ExprId element, uint32_t min, uint32_t max);

 private:
  ExprId enclosed(std::string_view open, ExprId content, std::string_view close, bool may_be_empty);
  template <typename Body>
  ExprId once(std::optional<RuleId>& rule, const char* name, Body body);

  Expressions& expressions_;
  std::optional<RuleId> space_, character_, string_, number_, value_, object_, array_;
};

}  // namespace omg::grammar
