// SPDX-License-Identifier: Apache-2.0
#include "text/template/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

constexpr std::array<std::string_view, 27> kOperators = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
    "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "!"};

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (is_ascii_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) read_text();
    push(TokenKind::kEnd, at_);
    return std::move(tokens_);
  }

 private:
  enum class Tag : uint8_t { kNone, kVariable, kBlock, kComment, kRaw };

  struct Opening {
    Tag tag = Tag::kNone;
    size_t start = 0;  // where the tag begins
    size_t end = 0;    // where its content begins
    char sign = 0;     // '-', '+' or none
  };

  [[noreturn]] void fail(size_t offset, const std::string& why) {
    locate(offset);
    fail_parse(line_, column_, why);
  }

  /// Sets line_ and column_ to an offset at or behind the last one.
  void locate(size_t offset) {
    if (offset < located_) {
      line_ = 1;
      located_ = line_start_ = 0;
    }
    for (; located_ < offset; ++located_) {
      if (source_[located_] != '\n') continue;
      ++line_;
      line_start_ = located_ + 1;
    }
    const std::string_view before = source_.substr(line_start_, offset - line_start_);
    // A line longer than this has columns in bytes: counting characters anew for each of its tags
    // would take quadratic time.
    constexpr size_t kLongLine = 4096;
    column_ = 1 + static_cast<uint32_t>(before.size() > kLongLine ? before.size()
                                                                  : count_code_points(before));
  }

  Token& push(TokenKind kind, size_t offset) {
    locate(offset);
    Token token;
    token.kind = kind;
    token.line = line_;
    token.column = column_;
    tokens_.push_back(std::move(token));
    return tokens_.back();
  }

  void push_text(size_t start, std::string_view text) {
    if (!text.empty()) push(TokenKind::kText, start).text = std::string(text);
  }

  bool starts_with(size_t at, std::string_view text) const {
    return source_.substr(at, text.size()) == text;
  }

  size_t skip_space(size_t at) const {
    return at + (source_.size() - at - strip(source_.substr(at), Side::kLeft).size());
  }

  Opening find_opening(size_t from) const {
    for (size_t at = source_.find('{', from); at != source_.npos; at = source_.find('{', at + 1)) {
      const char second = at + 1 < source_.size() ? source_[at + 1] : 0;
      if (second != '{' && second != '%' && second != '#') continue;
      Opening opening;
      opening.start = at;
      opening.end = at + 2;
      opening.tag = second == '{' ? Tag::kVariable : second == '%' ? Tag::kBlock : Tag::kComment;
      if (starts_with(at + 2, "-") || starts_with(at + 2, "+")) {
        opening.sign = source_[at + 2];
        ++opening.end;
      }
      if (opening.tag == Tag::kBlock) {
        if (const auto end = raw_begin(opening.end)) {
          opening.tag = Tag::kRaw;
          opening.end = *end;
        }
      }
      return opening;
    }
    return {};
  }

  /// End of "raw %}" behind "{%".
  std::optional<size_t> raw_begin(size_t at) const {
    at = skip_space(at);
    if (!starts_with(at, "raw")) return std::nullopt;
    at = skip_space(at + 3);
    if (starts_with(at, "%}")) return at + 2;
    if (starts_with(at, "-%}")) return skip_space(at + 3);
    return std::nullopt;
  }

  /// What remains of the text before a tag.
  std::string_view trim_before(std::string_view text, char sign, bool strips_indent) const {
    if (sign == '-') return strip(text, Side::kRight);
    if (sign == '+' || !strips_indent) return text;
    const size_t line = text.rfind('\n') + 1;  // 0 where the text has no line break
    if (line == 0 && !line_starting_) return text;
    if (line == text.size() || !strip(text.substr(line)).empty()) return text;
    return text.substr(0, line);
  }

  void read_text() {
    const size_t start = at_;
    const Opening opening = find_opening(at_);
    if (opening.tag == Tag::kNone) {
      push_text(start, source_.substr(start));
      at_ = source_.size();
      return;
    }
    const std::string_view before = source_.substr(start, opening.start - start);
    push_text(start, trim_before(before, opening.sign, opening.tag != Tag::kVariable));
    at_ = opening.end;
    line_starting_ = source_[at_ - 1] == '\n';
    // A comment or raw block that opens at the very end counts as closed.
    const bool at_end = at_ == source_.size();
    if (at_end && (opening.tag == Tag::kComment || opening.tag == Tag::kRaw)) return;
    switch (opening.tag) {
      case Tag::kComment:
        return read_comment(opening);
      case Tag::kRaw:
        return read_raw(opening);
      default:
        return read_tag(opening);
    }
  }

  /// Moves past the end of a block-like tag whose closing sign stands at `at`; `end` is "%}" or
  /// "#}". False where no such end stands there.
  bool close(size_t at, std::string_view end) {
    if (starts_with(at, end)) {
      at_ = at + 2;
      if (starts_with(at_, "\n")) ++at_;  // trim_blocks
    } else if (starts_with(at, "-") && starts_with(at + 1, end)) {
      at_ = skip_space(at + 3);
    } else if (starts_with(at, "+") && starts_with(at + 1, end)) {
      at_ = at + 3;
    } else {
      return false;
    }
    line_starting_ = source_[at_ - 1] == '\n';
    return true;
  }

  void read_comment(const Opening& opening) {
    const size_t end = source_.find("#}", opening.end);
    if (end == source_.npos) fail(opening.start, "missing end of comment tag");
    const char sign = end > opening.end ? source_[end - 1] : 0;
    close(sign == '-' || sign == '+' ? end - 1 : end, "#}");
  }

  void read_raw(const Opening& opening) {
    for (size_t at = source_.find("{%", opening.end); at != source_.npos;
         at = source_.find("{%", at + 2)) {
      size_t name = at + 2;
      char sign = 0;
      if (starts_with(name, "-") || starts_with(name, "+")) sign = source_[name++];
      name = skip_space(name);
      if (!starts_with(name, "endraw")) continue;
      if (!close(skip_space(name + 6), "%}")) continue;
      const std::string_view text = source_.substr(opening.end, at - opening.end);
      const bool starting = std::exchange(line_starting_, source_[opening.end - 1] == '\n');
      push_text(opening.end, trim_before(text, sign, true));
      line_starting_ = starting;
      return;
    }
    fail(opening.start, "missing end of raw directive");
  }

  void read_tag(const Opening& opening) {
    const bool variable = opening.tag == Tag::kVariable;
    push(variable ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, opening.start);
    open_.clear();
    for (;;) {
      if (at_ >= source_.size()) fail(opening.start, "this tag is never closed");
      if (open_.empty() && read_tag_end(variable)) return;
      read_token();
    }
  }

  bool read_tag_end(bool variable) {
    const size_t start = at_;
    if (!variable) {
      if (!close(at_, "%}")) return false;
      push(TokenKind::kBlockEnd, start);
      return true;
    }
    if (starts_with(at_, "}}")) {
      at_ += 2;
    } else if (starts_with(at_, "-}}")) {
      at_ = skip_space(at_ + 3);
    } else {
      return false;
    }
    line_starting_ = source_[at_ - 1] == '\n';
    push(TokenKind::kVariableEnd, start);
    return true;
  }

  void read_token() {
    const auto decoded = decode_utf8(source_, at_);
    if (is_space(decoded.value)) {
      at_ += decoded.size;
    } else if (is_ascii_digit(source_[at_])) {
      read_number();
    } else if (decoded.value == '\'' || decoded.value == '"') {
      read_string();
    } else if (is_identifier_start(decoded.value)) {
      read_name();
    } else {
      read_operator();
    }
  }

  void read_name() {
    const size_t start = at_;
    while (at_ < source_.size()) {
      const auto decoded = decode_utf8(source_, at_);
      if (!is_identifier_part(decoded.value)) break;
      at_ += decoded.size;
    }
    push(TokenKind::kName, start).text = std::string(source_.substr(start, at_ - start));
  }

  /// End of digits that may have single underscores between them.
  size_t digits_end(size_t at, unsigned base) const {
    const auto is_digit_at = [&](size_t i) {
      const int value = i < source_.size() ? hex_value(source_[i]) : -1;
      return value >= 0 && static_cast<unsigned>(value) < base;
    };
    while (is_digit_at(at) || (starts_with(at, "_") && is_digit_at(at + 1))) ++at;
    return at;
  }

  void read_number() {
    const size_t start = at_;
    const bool after_dot = start > 0 && source_[start - 1] == '.';
    size_t end = digits_end(start, 10);
    bool real = false;
    if (!after_dot) {  // "a.0.1" are two subscripts
      if (starts_with(end, ".") && digits_end(end + 1, 10) > end + 1 && source_[end + 1] != '_') {
        end = digits_end(end + 1, 10);
        real = true;
      }
      if (starts_with(end, "e") || starts_with(end, "E")) {
        size_t exponent = end + 1;
        if (starts_with(exponent, "+") || starts_with(exponent, "-")) ++exponent;
        const size_t exponent_end = digits_end(exponent, 10);
        if (exponent_end > exponent && source_[exponent] != '_') {
          end = exponent_end;
          real = true;
        }
      }
    }
    if (real) {
      push_real(start, end);
    } else {
      push_integer(start);
    }
  }

  std::string without_underscores(size_t start, size_t end) const {
    std::string text(source_.substr(start, end - start));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    return text;
  }

  void push_real(size_t start, size_t end) {
    const std::string text = without_underscores(start, end);
    Token& token = push(TokenKind::kFloat, start);
    const auto status = std::from_chars(text.data(), text.data() + text.size(), token.real).ec;
    if (status == std::errc::result_out_of_range) {
      token.real = text.find("e-") == text.npos && text.find("E-") == text.npos
                       ? std::numeric_limits<double>::infinity()
                       : 0.0;
    }
    at_ = end;
  }

  void push_integer(size_t start) {
    unsigned base = 10;
    size_t digits = start;
    const char marker = start + 1 < source_.size() ? source_[start + 1] : 0;
    if (source_[start] == '0') {
      if (marker == 'x' || marker == 'X') base = 16;
      if (marker == 'o' || marker == 'O') base = 8;
      if (marker == 'b' || marker == 'B') base = 2;
      if (base != 10 && digits_end(start + 2, base) > start + 2) {
        digits = start + 2;
      } else {
        base = 10;
      }
    }
    at_ = digits_end(digits, base);
    const std::string text = without_underscores(digits, at_);
    // "007" is not one number: zeros stand alone.
    if (base == 10 && text.size() > 1 && text[0] == '0' &&
        text.find_first_not_of('0') != text.npos) {
      fail(start, "an integer must not begin with 0");
    }
    Token& token = push(TokenKind::kInteger, start);
    const auto status = std::from_chars(text.data(), text.data() + text.size(), token.integer,
                                        static_cast<int>(base));
    if (status.ec != std::errc()) fail(start, "integer too large for 64 bits");
  }

  void read_string() {
    const size_t start = at_;
    const char quote = source_[at_++];
    std::string value;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\') {
        read_escape(value);
      } else {
        value.push_back(source_[at_++]);
      }
    }
    if (at_ >= source_.size()) fail(start, "this string is never closed");
    ++at_;
    push(TokenKind::kString, start).text = std::move(value);
  }

  void read_escape(std::string& value) {
    const size_t start = at_++;
    if (at_ >= source_.size()) return;
    const char c = source_[at_++];
    constexpr std::string_view kFrom = "\\'\"abfnrtv";
    constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    if (c == '\n') return;  // a line break behind a backslash joins the lines
    if (const size_t known = kFrom.find(c); known != kFrom.npos) {
      value.push_back(kTo[known]);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      read_hex_escape(value, start, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else if (c >= '0' && c <= '7') {
      uint32_t code_point = static_cast<uint32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
           ++i) {
        code_point = code_point * 8 + static_cast<uint32_t>(source_[at_++] - '0');
      }
      append_utf8(value, code_point);
    } else if (c == 'N') {
      fail(start, "characters cannot be named here; write \\u and the number");
    } else {
      value.push_back('\\');
      value.push_back(c);
    }
  }

  void read_hex_escape(std::string& value, size_t start, int digits) {
    uint32_t code_point = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = at_ < source_.size() ? hex_value(source_[at_]) : -1;
      if (digit < 0) fail(start, "truncated escape");
      code_point = code_point * 16 + static_cast<uint32_t>(digit);
      ++at_;
    }
    if (code_point > 0x10ffff) fail(start, "escape beyond the last character of Unicode");
    // UTF-8 has no halves of surrogate pairs; Python could not print them either.
    const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
    append_utf8(value, surrogate ? 0xfffd : code_point);
  }

  void read_operator() {
    const auto found = std::find_if(kOperators.begin(), kOperators.end(),
                                    [&](std::string_view text) { return starts_with(at_, text); });
    if (found == kOperators.end() || *found == "!") {
      const auto decoded = decode_utf8(source_, at_);
      fail(at_, "unexpected character '" + std::string(source_.substr(at_, decoded.size)) + "'");
    }
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') {
      open_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (open_.empty()) fail(at_, std::string("unexpected '") + c + "'");
      if (open_.back() != c) {
        fail(at_, std::string("unexpected '") + c + "', expected '" + open_.back() + "'");
      }
      open_.pop_back();
    }
    push(TokenKind::kOperator, at_).text = std::string(*found);
    at_ += found->size();
  }

  std::string_view source_;
  size_t at_ = 0;
  bool line_starting_ = true;
  std::string open_;  // closing brackets that are still to come
  std::vector<Token> tokens_;
  size_t located_ = 0;
  size_t line_start_ = 0;
  uint32_t line_ = 1;
  uint32_t column_ = 1;
};

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result.push_back(source[i]);
    } else {
      result.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

void fail_parse(uint32_t line, uint32_t column, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "template line " + std::to_string(line) + ", column " +
                                               std::to_string(column) + ": " + why);
}

}  // namespace omg::jinja
