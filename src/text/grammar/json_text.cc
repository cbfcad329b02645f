// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_text.h"

#include <array>

#include "base/utf8.h"

namespace omg::grammar {
namespace {

/// What RFC 8259 lets stand in a string as it is.
const CodePointSet& unescaped() {
  static const CodePointSet set = CodePointSet{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}.negated();
  return set;
}

std::string escape_of(uint32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    default: {
      static constexpr char kDigits[] = "0123456789abcdef";
      return std::string("\\u00") + kDigits[c >> 4] + kDigits[c & 15];
    }
  }
}

}  // namespace

ExprId json_characters(Expressions& expressions, const CodePointSet& set) {
  std::vector<ExprId> choices;
  const CodePointSet plain = set.intersected(unescaped());
  if (!plain.empty()) choices.push_back(expressions.one_of(plain));
  std::vector<std::string> escapes;
  for (uint32_t c = 0; c < 0x80; ++c) {
    if (set.contains(c) && !unescaped().contains(c)) escapes.push_back(escape_of(c));
  }
  if (!escapes.empty()) choices.push_back(expressions.one_of_texts(std::move(escapes)));
  return expressions.alternatives(std::move(choices));
}

std::string json_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint decoded = decode_utf8(text, i);
    if (unescaped().contains(decoded.value)) {
      append_utf8(quoted, decoded.value);
    } else {
      quoted += escape_of(decoded.value);
    }
    i += decoded.size;
  }
  return quoted + '"';
}

template <typename Body>
ExprId JsonText::once(std::optional<RuleId>& rule, const char* name, Body body) {
  if (!rule) {
    rule = expressions_.declare(name);  // first, for bodies that refer to it
    expressions_.define(*rule, body());
  }
  return expressions_.rule(*rule);
}

ExprId JsonText::space() {
  return once(space_, "white space", [this] {
    Expressions& e = expressions_;
    const ExprId indentation =
        e.alternatives({e.repeat(e.literal(" "), 0, 40), e.repeat(e.literal("\t"), 1, 10)});
    return e.alternatives({e.empty(), e.literal(" "), e.sequence({e.literal("\n"), indentation})});
  });
}

ExprId JsonText::colon() {
  return expressions_.sequence(
      {expressions_.literal(":"), expressions_.optional(expressions_.literal(" "))});
}

ExprId JsonText::comma() {
  return expressions_.sequence({expressions_.literal(","), space()});
}

ExprId JsonText::character() {
  return once(character_, "a character of a string", [this] {
    Expressions& e = expressions_;
    const ExprId hex = e.one_of({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
    const ExprId d = e.one_of({{'d', 'd'}, {'D', 'D'}});
    const auto hexes = [&](uint32_t count) { return e.repeat(hex, count, count); };
    // Surrogates come in pairs or not at all: a half could not become UTF-8.
    const ExprId unit = e.alternatives(
        {e.sequence(
             {e.one_of({{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}}), hexes(3)}),
         e.sequence({d, e.one_of({{'0', '7'}}), hexes(2)}),
         e.sequence({d, e.one_of({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hexes(2), e.literal("\\u"),
                     d, e.one_of({{'c', 'f'}, {'C', 'F'}}), hexes(2)})});
    const ExprId simple = e.one_of({{'"', '"'},
                                    {'\\', '\\'},
                                    {'/', '/'},
                                    {'b', 'b'},
                                    {'f', 'f'},
                                    {'n', 'n'},
                                    {'r', 'r'},
                                    {'t', 't'}});
    const ExprId escaped = e.alternatives({simple, e.sequence({e.literal("u"), unit})});
    return e.alternatives({e.one_of(unescaped()), e.sequence({e.literal("\\"), escaped})});
  });
}

ExprId JsonText::string(uint32_t min, uint32_t max) {
  if (min == 0 && max == kUnbounded) {
    return once(string_, "a string",
                [this] { return string_of(expressions_.repeat(character(), 0, kUnbounded)); });
  }
  return string_of(expressions_.repeat(character(), min, max));
}

ExprId JsonText::string_of(ExprId content) {
  return expressions_.sequence({expressions_.literal("\""), content, expressions_.literal("\"")});
}

ExprId JsonText::number() {
  return once(number_, "a number", [this] {
    Expressions& e = expressions_;
    const ExprId digit = e.one_of({{'0', '9'}});
    const ExprId sign = e.one_of({{'+', '+'}, {'-', '-'}});
    return e.sequence({e.optional(e.literal("-")),
                       e.alternatives({e.literal("0"), e.sequence({e.one_of({{'1', '9'}}),
                                                                   e.repeat(digit, 0, 19)})}),
                       e.optional(e.sequence({e.literal("."), e.repeat(digit, 1, 20)})),
                       e.optional(e.sequence({e.one_of({{'e', 'e'}, {'E', 'E'}}), e.optional(sign),
                                              e.repeat(digit, 1, 2)}))});
  });
}

ExprId JsonText::any_value() {
  return once(value_, "any value", [this] {
    Expressions& e = expressions_;
    return e.alternatives({any_object(), any_array(), string(), number(), e.literal("true"),
                           e.literal("false"), e.literal("null")});
  });
}

ExprId JsonText::any_object() {
  return once(object_, "any object", [this] {
    const ExprId member = expressions_.sequence({string(), colon(), any_value()});
    return braces(separated(member, 1, kUnbounded), true);
  });
}

ExprId JsonText::any_array() {
  return once(array_, "any array",
              [this] { return brackets(separated(any_value(), 1, kUnbounded), true); });
}

ExprId JsonText::braces(ExprId members, bool may_be_empty) {
  return enclosed("{", members, "}", may_be_empty);
}

ExprId JsonText::brackets(ExprId elements, bool may_be_empty) {
  return enclosed("[", elements, "]", may_be_empty);
}

ExprId JsonText::enclosed(std::string_view open, ExprId content, std::string_view close,
                          bool may_be_empty) {
  ExprId inside = expressions_.sequence({space(), content});
  if (may_be_empty) inside = expressions_.optional(inside);
  return expressions_.sequence(
      {expressions_.literal(open), inside, space(), expressions_.literal(close)});
}

ExprId JsonText::separated(ExprId element, uint32_t min, uint32_t max) {
  const ExprId next = expressions_.sequence({comma(), element});
  return expressions_.sequence(
      {element, expressions_.repeat(next, min - 1, max == kUnbounded ? max : max - 1)});
}

}  // namespace omg::grammar
