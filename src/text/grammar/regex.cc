// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/regex.h"

#include <optional>

#include "text/grammar/json_text.h"
#include "text/grammar/text_reader.h"

namespace omg::grammar {
namespace {

/// White space as some dialects know it. \s is ASCII, but what must not be white space is none of
/// these: a text that is let through matches in every dialect.
const CodePointSet& any_white_space() {
  static const CodePointSet set = {{'\t', '\r'},     {0x1c, 0x20},     {0x85, 0x85},
                                   {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
                                   {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
                                   {0x3000, 0x3000}, {0xfeff, 0xfeff}};
  return set;
}

CodePointSet class_of_letter(char letter) {
  switch (letter) {
    case 'd':
      return {{'0', '9'}};
    case 'w':
      return {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}};
    default:  // 's'
      return {{'\t', '\r'}, {' ', ' '}};
  }
}

class RegexParser {
 public:
  RegexParser(std::string_view pattern, Expressions& expressions, const RegexOptions& options)
      : reader_(pattern, options.what, expressions.limits().max_text_bytes),
        expressions_(expressions),
        options_(options) {}

  ExprId parse() {
    std::vector<ExprId> alternatives;
    do {
      const bool begins = take_begin();
      std::vector<ExprId> parts = parse_sequence(0);
      const bool ends = take_end();
      if (options_.search && !begins) parts.insert(parts.begin(), anything());
      if (options_.search && !ends) parts.push_back(anything());
      alternatives.push_back(expressions_.sequence(std::move(parts)));
    } while (reader_.take("|"));
    if (reader_.peek() == ')') reader_.fail("there is a ')' without its '('");
    if (!reader_.at_end()) refuse("an anchor in the middle");
    return expressions_.alternatives(std::move(alternatives));
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    reader_.fail(what + " is not supported", ErrorCode::kUnsupported);
  }

  ExprId characters(CodePointSet set) {
    return options_.in_json_string ? json_characters(expressions_, set)
                                   : expressions_.one_of(std::move(set));
  }

  ExprId anything() { return expressions_.repeat(characters(CodePointSet::all()), 0, kUnbounded); }

  bool take_begin() {
    bool taken = false;
    while (reader_.take("^") || reader_.take("\\A")) taken = true;
    return taken;
  }
  bool take_end() {
    bool taken = false;
    while (reader_.take("$") || reader_.take("\\Z") || reader_.take("\\z")) taken = true;
    return taken;
  }
  bool at_anchor() const {
    return reader_.peek() == '^' || reader_.peek() == '$' || reader_.starts_with("\\A") ||
           reader_.starts_with("\\Z") || reader_.starts_with("\\z");
  }

  std::vector<ExprId> parse_sequence(uint32_t depth) {
    std::vector<ExprId> parts;
    while (!reader_.at_end() && reader_.peek() != '|' && reader_.peek() != ')' && !at_anchor()) {
      const ExprId part = parse_part(depth);
      parts.push_back(parse_repetition(part));
    }
    return parts;
  }

  ExprId parse_part(uint32_t depth) {
    switch (reader_.peek()) {
      case '(':
        return parse_group(depth);
      case '[':
        return characters(parse_class());
      case '.':
        reader_.skip(1);
        return characters(
            CodePointSet{{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}}.negated());
      case '\\':
        return characters(parse_escape(false));
      case '*':
      case '+':
      case '?':
        reader_.fail("there is nothing to repeat");
      default: {
        const uint32_t character = reader_.character();
        return characters({{character, character}});
      }
    }
  }

  ExprId parse_group(uint32_t depth) {
    if (depth > expressions_.limits().max_nesting) {
      reader_.fail("groups nest too deeply", ErrorCode::kLimitExceeded);
    }
    reader_.skip(1);
    if (reader_.peek() == '?') parse_group_kind();
    std::vector<ExprId> alternatives;
    do {
      alternatives.push_back(expressions_.sequence(parse_sequence(depth + 1)));
    } while (reader_.take("|"));
    if (at_anchor()) refuse("an anchor inside a group");
    if (!reader_.take(")")) reader_.fail("a '(' has no ')'");
    return expressions_.alternatives(std::move(alternatives));
  }

  void parse_group_kind() {
    if (reader_.take("?:")) return;
    if (reader_.starts_with("?=") || reader_.starts_with("?!")) refuse("look-ahead");
    if (reader_.starts_with("?<=") || reader_.starts_with("?<!")) refuse("look-behind");
    if (reader_.starts_with("?P=")) refuse("a back-reference");
    if (reader_.take("?<") || reader_.take("?P<")) {
      while (!reader_.take(">")) {
        if (reader_.at_end()) reader_.fail("the name of a group has no end");
        reader_.character();
      }
      return;
    }
    refuse("a group that begins with '(?" + std::string(1, reader_.peek(1)) + "'");
  }

  /// "{2}", "{2,}", "{2,5}" or "{,5}"; any other brace stands for itself.
  bool at_count() const {
    if (reader_.peek() != '{') return false;
    size_t i = 1;
    size_t digits = 0;
    bool comma = false;
    for (;; ++i) {
      const char c = reader_.peek(i);
      if (c >= '0' && c <= '9') {
        ++digits;
      } else if (c == ',' && !comma) {
        comma = true;
      } else {
        return c == '}' && digits > 0;
      }
    }
  }

  ExprId parse_repetition(ExprId part) {
    ExprId repeated;
    if (reader_.take("*")) {
      repeated = expressions_.repeat(part, 0, kUnbounded);
    } else if (reader_.take("+")) {
      repeated = expressions_.repeat(part, 1, kUnbounded);
    } else if (reader_.take("?")) {
      repeated = expressions_.optional(part);
    } else if (at_count()) {
      reader_.skip(1);
      const uint32_t min = reader_.peek() == ',' ? 0 : reader_.number();
      uint32_t max = min;
      if (reader_.take(",")) max = reader_.peek() == '}' ? kUnbounded : reader_.number();
      reader_.skip(1);
      if (min > max) reader_.fail("a repetition's first number is larger than its second");
      repeated = expressions_.repeat(part, min, max);
    } else {
      return part;
    }
    if (reader_.take("?")) return repeated;  // a lazy one matches the same texts
    if (reader_.peek() == '+') refuse("a possessive repetition");
    if (reader_.peek() == '*' || at_count()) reader_.fail("a repetition is repeated");
    return repeated;
  }

  CodePointSet parse_class() {
    reader_.skip(1);
    const bool negated = reader_.take("^");
    if (reader_.peek() == ']') reader_.fail("a class is empty; write \\] for a bracket");
    CodePointSet set;
    while (!reader_.take("]")) {
      if (reader_.at_end()) reader_.fail("a class of characters has no end");
      if (reader_.starts_with("[:")) refuse("a POSIX class");
      if (negated && reader_.starts_with("\\s")) set.add(any_white_space());
      const std::optional<uint32_t> first = parse_class_part(set);
      if (!first) continue;
      uint32_t last = *first;
      if (reader_.peek() == '-' && reader_.peek(1) != ']' && reader_.peek(1) != '\0') {
        reader_.skip(1);
        const std::optional<uint32_t> end = parse_class_part(set);
        if (!end) reader_.fail("a range ends in a class");
        last = *end;
        if (last < *first) reader_.fail("a range in a class runs backwards");
      }
      set.add(*first, last);
    }
    return negated ? set.negated() : set;
  }

  /// One character, or nothing after adding a class such as \d to `set`.
  std::optional<uint32_t> parse_class_part(CodePointSet& set) {
    if (reader_.peek() != '\\') return reader_.character();
    const CodePointSet escaped = parse_escape(true);
    const auto& ranges = escaped.ranges();
    if (ranges.size() == 1 && ranges[0].first == ranges[0].last) return ranges[0].first;
    set.add(escaped);
    return std::nullopt;
  }

  CodePointSet parse_escape(bool in_class) {
    reader_.skip(1);
    if (reader_.at_end()) reader_.fail("it ends in an escape");
    const uint32_t escape = reader_.character();
    const auto one = [](uint32_t c) { return CodePointSet{{c, c}}; };
    switch (escape) {
      case 'd':
      case 'w':
      case 's':
        return class_of_letter(static_cast<char>(escape));
      case 'S':
        return any_white_space().negated();
      case 'D':
      case 'W':
        return class_of_letter(static_cast<char>(escape - 'A' + 'a')).negated();
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'x':
        return one(reader_.hexadecimal(2));
      case 'u':
        return one(parse_unicode());
      case 'b':
        if (in_class) return one('\b');
        refuse("a word border (\\b)");
      case 'B':
        refuse("a word border (\\B)");
      case 'p':
      case 'P':
        refuse("a Unicode property (\\p)");
      case 'k':
        refuse("a back-reference");
      default:
        break;
    }
    if (escape >= '1' && escape <= '9') refuse("a back-reference");
    const bool letter = (escape >= 'a' && escape <= 'z') || (escape >= 'A' && escape <= 'Z');
    if (letter) refuse("the escape '\\" + std::string(1, static_cast<char>(escape)) + "'");
    return one(escape);
  }

  uint32_t parse_unicode() {
    uint32_t value = 0;
    if (reader_.take("{")) {
      int digits = 0;
      while (!reader_.take("}")) {
        if (++digits > 6) reader_.fail("an escape has too many digits");
        value = value << 4 | reader_.hexadecimal(1);
      }
    } else {
      value = reader_.hexadecimal(4);
      if (value >= 0xd800 && value <= 0xdbff && reader_.take("\\u")) {
        const uint32_t low = reader_.hexadecimal(4);
        if (low < 0xdc00 || low > 0xdfff) reader_.fail("an escape is half a surrogate pair");
        return 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
      }
    }
    if (value > kLastCodePoint || (value >= 0xd800 && value <= 0xdfff)) {
      reader_.fail("the escape is no Unicode character");
    }
    return value;
  }

  TextReader reader_;
  Expressions& expressions_;
  const RegexOptions& options_;
};

}  // namespace

ExprId parse_regex(std::string_view pattern, Expressions& expressions,
                   const RegexOptions& options) {
  return RegexParser(pattern, expressions, options).parse();
}

}  // namespace omg::grammar
