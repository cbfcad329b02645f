// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions of Oniguruma's dialect, written in PCRE2's. What means the same in both goes
// through; classes, which nest and intersect in the one and not in the other, are taken apart.
// What could mean something else in PCRE2 is refused rather than passed on: "(*...)" above all,
// which would switch off its limits.
#include <array>
#include <cctype>
#include <utility>

#include "text/tokenizer/huggingface/pattern.h"
#include "text/tokenizer/huggingface/scripts.h"

namespace omg::huggingface {
namespace {

constexpr std::string_view kWhitespace =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc})";
constexpr std::string_view kHexDigits = "0-9A-Fa-f";
constexpr size_t kMaxDepth = 32;

/// Long names of general categories, which PCRE2 does not know.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kCategories = {{
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"nonspacingmark", "Mn"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"punctuation", "P"},
    {"punct", "P"},
    {"symbol", "S"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"other", "C"},
    {"control", "Cc"},
    {"alpha", "Alphabetic"},
}};

class Translator {
 public:
  explicit Translator(std::string_view source) : source_(source) {}

  std::string run() {
    while (!at_end()) step();
    return out_;
  }

 private:
  /// A class: an intersection of operands, each a list of items or a class of its own.
  struct Class {
    bool negated = false;
    std::string items;
    std::vector<std::string> further;  // look-aheads, one per further operand
  };

  [[noreturn]] static void refuse(const std::string& what) { throw what; }
  bool at_end() const { return at_ >= source_.size(); }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  bool take(std::string_view text) {
    if (source_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }

  void step();
  void group();
  void interval();
  void escape();
  std::string property(bool negated);
  std::string code_point(char kind);
  Class read_class(size_t depth);
  static std::string write_class(const Class& parsed);
  std::string class_escape();

  std::string_view source_;
  size_t at_ = 0;
  std::string out_;
};

void Translator::step() {
  switch (peek()) {
    case '\\':
      return escape();
    case '[':
      out_ += write_class(read_class(0));
      return;
    case '(':
      return group();
    case '{':
      return interval();
    default:
      out_ += source_[at_++];
  }
}

void Translator::group() {
  if (take("(*")) refuse("'(*'");
  for (const std::string_view plain : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
    if (!take(plain)) continue;
    out_ += plain;
    return;
  }
  if (take("(?#")) {
    while (!at_end() && peek() != ')') ++at_;
    ++at_;
    return;
  }
  if (!take("(?")) {
    out_ += source_[at_++];
    return;
  }
  if (peek() == '<' && (std::isalpha(static_cast<unsigned char>(peek(1))) || peek(1) == '_')) {
    out_ += "(?";
    return;  // a name; its characters mean nothing outside
  }
  out_ += "(?";
  while (!at_end() && peek() != ')' && peek() != ':') {
    const char option = source_[at_++];
    if (option != 'i' && option != 'x' && option != 'm' && option != 's' && option != '-')
      refuse(std::string("'(?") + option + "'");
    out_ += option == 'm' ? 's' : option;  // Ruby's "multi-line" is that '.' takes newlines
  }
  if (at_end()) refuse("an open group");
  out_ += source_[at_++];
}

void Translator::interval() {
  // {n}, {n,}, {n,m} or {,m}; anything else is literal in both dialects.
  size_t end = at_ + 1;
  while (end < source_.size() &&
         (std::isdigit(static_cast<unsigned char>(source_[end])) || source_[end] == ',')) {
    ++end;
  }
  const std::string_view inside = source_.substr(at_ + 1, end - at_ - 1);
  if (end >= source_.size() || source_[end] != '}' || inside.empty() || inside == ",") {
    out_ += "\\{";
    ++at_;
    return;
  }
  if (end + 1 < source_.size() && source_[end + 1] == '+') refuse("'+' after an interval");
  out_ += inside[0] == ',' ? "{0" : "{";
  out_.append(inside).append("}");
  at_ = end + 1;
}

std::string Translator::property(bool negated) {
  if (peek() != '{') refuse("'\\p' without a name");
  const size_t end = source_.find('}', at_);
  if (end == std::string_view::npos) refuse("'\\p{' without an end");
  std::string_view name = source_.substr(at_ + 1, end - at_ - 1);
  at_ = end + 1;
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  std::string plain;
  for (const char c : name) {
    if (c != '_' && c != ' ' && c != '-')
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  std::string written(name);
  if (plain == "any") written = "Any";
  for (const auto& [known, category] : kCategories) {
    if (plain == known) written = category;
  }
  // Of a bare name PCRE2 takes the script's extensions: "。" would be Han.
  if (is_script(plain)) written.insert(0, "sc:");
  return (negated ? "\\P{" : "\\p{") + written + "}";
}

std::string Translator::code_point(char kind) {
  const auto digits = [&](size_t most) {
    std::string taken;
    while (taken.size() < most && std::isxdigit(static_cast<unsigned char>(peek())))
      taken += source_[at_++];
    return taken;
  };
  std::string value;
  if (kind == 'x' && take("{")) {
    value = digits(8);
    if (!take("}")) refuse("'\\x{' without an end");
  } else {
    value = digits(kind == 'u' ? 4 : 2);
    if (kind == 'u' && value.size() != 4) refuse("'\\u' without four digits");
    if (kind == 'x' && value.size() == 2 && value[0] >= '8') refuse("a byte as '\\x" + value + "'");
  }
  if (value.empty()) refuse(std::string("'\\") + kind + "' without digits");
  return "\\x{" + value + "}";
}

void Translator::escape() {
  ++at_;
  if (at_end()) refuse("a '\\' at the end");
  const char c = source_[at_++];
  const auto word_border = [](bool inverted) {
    const std::string in = std::string("[").append(kWord).append("]");
    return inverted ? "(?:(?<=" + in + ")(?=" + in + ")|(?<!" + in + ")(?!" + in + "))"
                    : "(?:(?<=" + in + ")(?!" + in + ")|(?<!" + in + ")(?=" + in + "))";
  };
  switch (c) {
    case 's':
    case 'S':
      out_.append(c == 's' ? "[" : "[^").append(kWhitespace).append("]");
      return;
    case 'w':
    case 'W':
      out_.append(c == 'w' ? "[" : "[^").append(kWord).append("]");
      return;
    case 'h':
    case 'H':
      out_.append(c == 'h' ? "[" : "[^").append(kHexDigits).append("]");
      return;
    case 'b':
    case 'B':
      out_ += word_border(c == 'B');
      return;
    default:
      break;
  }
  --at_;
  if (std::string_view("AzZGR").find(c) != std::string_view::npos) {
    out_.append({'\\', c});
    ++at_;
    return;
  }
  out_ += class_escape();
}

/// The escapes that mean the same inside a class and outside; `at_` is after the backslash.
std::string Translator::class_escape() {
  const char c = source_[at_++];
  switch (c) {
    case 'd':
      return "\\p{Nd}";
    case 'D':
      return "\\P{Nd}";
    case 'p':
    case 'P':
      return property(c == 'P');
    case 'x':
    case 'u':
      return code_point(c);
    case 'v':
      return "\\x{0B}";
    case 'n':
    case 't':
    case 'r':
    case 'f':
    case 'a':
    case 'e':
      return {'\\', c};
    default:
      break;
  }
  if (std::isalnum(static_cast<unsigned char>(c))) refuse(std::string("'\\") + c + "'");
  if (static_cast<unsigned char>(c) >= 0x80) return {c};
  return {'\\', c};
}

std::string Translator::write_class(const Class& parsed) {
  const std::string body =
      std::string(parsed.negated ? "[^" : "[").append(parsed.items).append("]");
  if (parsed.further.empty()) return body;
  std::string all;
  for (const std::string& operand : parsed.further) all += operand;
  all += "[" + parsed.items + "]";
  return parsed.negated ? "(?:(?!" + all + ")\\p{Any})" : "(?:" + all + ")";
}

/// At a '['; ends after its ']'.
Translator::Class Translator::read_class(size_t depth) {
  if (depth > kMaxDepth) refuse("classes more than 32 deep");
  ++at_;
  Class parsed;
  parsed.negated = take("^");
  std::vector<std::string> operands(1);  // items, or a look-ahead of a class of its own
  std::vector<bool> is_nested(1, false);
  for (bool first = true;; first = false) {
    if (at_end()) refuse("a class without an end");
    if (peek() == ']' && !first) break;
    if (take("&&")) {
      operands.emplace_back();
      is_nested.push_back(false);
      continue;
    }
    std::string& items = operands.back();
    if (is_nested.back()) refuse("a class beside another in an intersection");
    if (take("[:")) {
      const size_t end = source_.find(":]", at_);
      if (end == std::string_view::npos) refuse("'[:' without an end");
      items.append("[:").append(source_.substr(at_, end - at_)).append(":]");
      at_ = end + 2;
    } else if (peek() == '[') {
      const Class inner = read_class(depth + 1);
      if (!inner.negated && inner.further.empty()) {
        items += inner.items;
      } else if (items.empty()) {
        items = write_class(inner);
        is_nested.back() = true;
      } else {
        refuse("a negated class inside a class");
      }
    } else if (peek() == '\\') {
      ++at_;
      if (at_end()) refuse("a '\\' at the end");
      if (take("s")) {
        items += kWhitespace;
      } else if (take("S")) {
        items += "\\S";  // takes U+180E for white space, which it was before Unicode 6.3
      } else if (take("w")) {
        items += kWord;
      } else if (take("h")) {
        items += kHexDigits;
      } else if (take("b")) {
        items += "\\x{08}";
      } else {
        items += class_escape();
      }
    } else if (peek() == ']' || peek() == '^') {
      items.append({'\\', source_[at_++]});
    } else {
      items += source_[at_++];
    }
  }
  ++at_;
  for (size_t i = 0; i + 1 < operands.size(); ++i) {
    if (operands[i].empty()) refuse("an empty operand of '&&'");
    std::string& ahead = parsed.further.emplace_back("(?=");
    ahead.append(is_nested[i] ? "" : "[").append(operands[i]).append(is_nested[i] ? ")" : "])");
  }
  if (operands.back().empty()) refuse("an empty class");
  if (is_nested.back()) {
    // The last operand consumes the character: any will do once the look-aheads have agreed.
    parsed.further.push_back("(?=" + operands.back() + ")");
    parsed.items = "\\p{Any}";
  } else {
    parsed.items = operands.back();
  }
  return parsed;
}

}  // namespace

std::string translate_expression(std::string_view expression) {
  return Translator(expression).run();
}

}  // namespace omg::huggingface
