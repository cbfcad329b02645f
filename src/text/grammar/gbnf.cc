// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/gbnf.h"

#include <unordered_map>

#include "base/utf8.h"
#include "text/grammar/text_reader.h"

namespace omg::grammar {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class GbnfParser {
 public:
  GbnfParser(std::string_view text, Expressions& expressions)
      : reader_(text, "the grammar", expressions.limits().max_text_bytes),
        expressions_(expressions) {}

  void parse() {
    skip_space(true);
    while (!reader_.at_end()) parse_rule();
    const auto root = rules_.find("root");
    if (root == rules_.end()) reader_.fail("there is no rule 'root'; name the first rule so");
    expressions_.set_root(root->second);
  }

 private:
  using Alternatives = std::vector<std::vector<ExprId>>;

  void skip_space(bool over_lines) {
    while (true) {
      const char c = reader_.peek();
      if (c == '#') {
        while (!reader_.at_end() && reader_.peek() != '\n' && reader_.peek() != '\r') {
          reader_.skip(1);
        }
      } else if (c == ' ' || c == '\t' || (over_lines && (c == '\n' || c == '\r'))) {
        reader_.skip(1);
      } else {
        return;
      }
    }
  }

  std::string parse_name() {
    const size_t begin = reader_.position();
    while (is_name_character(reader_.peek())) reader_.skip(1);
    return std::string(reader_.from(begin));
  }

  RuleId rule_of(const std::string& name) {
    const auto [entry, is_new] = rules_.try_emplace(name, 0);
    if (is_new) entry->second = expressions_.declare(name);
    return entry->second;
  }

  void parse_rule() {
    const std::string name = parse_name();
    if (name.empty()) reader_.fail("expected the name of a rule");
    skip_space(false);
    if (!reader_.take("::=")) reader_.fail("expected '::=' after '" + name + "'");
    const RuleId rule = rule_of(name);
    if (expressions_.body(rule)) reader_.fail("the rule '" + name + "' is defined twice");
    skip_space(true);
    define(rule, parse_alternatives(0));
    if (!reader_.at_end() && reader_.peek() != '\n' && reader_.peek() != '\r') {
      reader_.fail("expected the end of the rule '" + name + "'");
    }
    skip_space(true);
  }

  /// "r ::= r x | y" is "r ::= y x*": the one kind of left recursion that people write.
  void define(RuleId rule, const Alternatives& alternatives) {
    std::vector<ExprId> begins, repeated;
    for (std::vector<ExprId> alternative : alternatives) {
      const bool recursive = !alternative.empty() && is_rule(alternative[0], rule);
      if (recursive) alternative.erase(alternative.begin());
      if (recursive && alternative.empty()) continue;  // "r ::= r" says nothing
      (recursive ? repeated : begins).push_back(expressions_.sequence(std::move(alternative)));
    }
    ExprId body = expressions_.alternatives(std::move(begins));
    if (!repeated.empty()) {
      const ExprId more = expressions_.alternatives(std::move(repeated));
      body = expressions_.sequence({body, expressions_.repeat(more, 0, kUnbounded)});
    }
    expressions_.define(rule, body);
  }

  bool is_rule(ExprId expression, RuleId rule) const {
    const Node& node = expressions_.node(expression);
    return node.kind == NodeKind::kRule && node.first == rule;
  }

  Alternatives parse_alternatives(uint32_t depth) {
    if (depth > expressions_.limits().max_nesting) {
      reader_.fail("groups nest too deeply", ErrorCode::kLimitExceeded);
    }
    Alternatives alternatives;
    do {
      if (!alternatives.empty()) skip_space(true);
      alternatives.push_back(parse_sequence(depth));
    } while (reader_.take("|"));
    return alternatives;
  }

  std::vector<ExprId> parse_sequence(uint32_t depth) {
    std::vector<ExprId> parts;
    while (true) {
      const char c = reader_.peek();
      if (c == '"') {
        parts.push_back(parse_literal());
      } else if (c == '[') {
        parts.push_back(parse_class());
      } else if (is_name_character(c)) {
        parts.push_back(expressions_.rule(rule_of(parse_name())));
      } else if (c == '(') {
        parts.push_back(parse_group(depth));
      } else if (c == '.') {
        reader_.skip(1);
        parts.push_back(expressions_.one_of(CodePointSet::all()));
      } else if (c == '*' || c == '+' || c == '?' || c == '{') {
        if (parts.empty()) reader_.fail("there is nothing to repeat");
        parts.back() = parse_repetition(parts.back());
      } else if (c == '<' || c == '!') {
        reader_.fail("references to tokens (<...>) are not supported; write the text in quotes",
                     ErrorCode::kUnsupported);
      } else {
        return parts;
      }
      skip_space(depth > 0);
    }
  }

  ExprId parse_group(uint32_t depth) {
    reader_.skip(1);
    skip_space(true);
    std::vector<ExprId> choices;
    for (std::vector<ExprId>& parts : parse_alternatives(depth + 1)) {
      choices.push_back(expressions_.sequence(std::move(parts)));
    }
    if (!reader_.take(")")) reader_.fail("expected ')'");
    return expressions_.alternatives(std::move(choices));
  }

  ExprId parse_repetition(ExprId part) {
    if (reader_.take("*")) return expressions_.repeat(part, 0, kUnbounded);
    if (reader_.take("+")) return expressions_.repeat(part, 1, kUnbounded);
    if (reader_.take("?")) return expressions_.optional(part);
    reader_.skip(1);  // '{'
    skip_space(true);
    const uint32_t min = reader_.number();
    uint32_t max = min;
    skip_space(true);
    if (reader_.take(",")) {
      skip_space(true);
      max = reader_.peek() == '}' ? kUnbounded : reader_.number();
      skip_space(true);
    }
    if (!reader_.take("}")) reader_.fail("expected '}' after the numbers of a repetition");
    if (min > max) reader_.fail("the repetition's first number is larger than its second");
    return expressions_.repeat(part, min, max);
  }

  uint32_t parse_character() {
    if (!reader_.take("\\")) return reader_.character();
    const char escape = reader_.peek();
    if (reader_.at_end()) reader_.fail("it ends in an escape");
    reader_.skip(1);
    switch (escape) {
      case 'x':
        return reader_.hexadecimal(2);
      case 'u':
        return checked(reader_.hexadecimal(4));
      case 'U':
        return checked(reader_.hexadecimal(8));
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '^':
      case '-':
        return static_cast<uint8_t>(escape);
      default:
        reader_.fail("there is no escape '\\" + std::string(1, escape) + "'");
    }
  }

  uint32_t checked(uint32_t code_point) const {
    if (code_point > kLastCodePoint || (code_point >= 0xd800 && code_point <= 0xdfff)) {
      reader_.fail("the escape is no Unicode character");
    }
    return code_point;
  }

  ExprId parse_literal() {
    reader_.skip(1);
    std::string text;
    while (!reader_.take("\"")) {
      if (reader_.at_end()) reader_.fail("a text in quotes has no end");
      append_utf8(text, parse_character());
    }
    return expressions_.literal(text);
  }

  ExprId parse_class() {
    reader_.skip(1);
    const bool negated = reader_.take("^");
    CodePointSet characters;
    while (!reader_.take("]")) {
      if (reader_.at_end()) reader_.fail("a class of characters has no end");
      const uint32_t first = parse_character();
      uint32_t last = first;
      if (reader_.peek() == '-' && reader_.peek(1) != ']') {
        reader_.skip(1);
        last = parse_character();
        if (last < first) reader_.fail("a range in a class runs backwards");
      }
      characters.add(first, last);
    }
    return expressions_.one_of(negated ? characters.negated() : characters);
  }

  TextReader reader_;
  Expressions& expressions_;
  std::unordered_map<std::string, RuleId> rules_;
};

}  // namespace

void parse_gbnf(std::string_view text, Expressions& expressions) {
  GbnfParser(text, expressions).parse();
}

}  // namespace omg::grammar
