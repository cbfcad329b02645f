// SPDX-License-Identifier: Apache-2.0
//
// The two ways in which Python formats strings: "%s" % values and "{}".format(values).
// Source: Python library reference, "printf-style String Formatting" and "Format String Syntax".
#include <charconv>
#include <limits>

#include "base/utf8.h"
#include "text/template/number_text.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

struct Conversion {
  bool left = false;
  bool plus = false;
  bool space = false;
  bool alternate = false;
  bool zero = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

/// Formats one template with the values right of `%`.
class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, std::string_view format, const Value& value)
      : runtime_(runtime), out_(runtime), format_(format), value_(value) {}

  Value run() {
    while (at_ < format_.size()) {
      const size_t percent = format_.find('%', at_);
      out_.append(format_.substr(at_, percent - at_));
      if (percent == format_.npos) break;
      at_ = percent + 1;
      convert();
    }
    const bool is_tuple = value_.is(Kind::kTuple);
    const bool all_used = is_tuple ? used_ >= value_.items().size() : used_ > 0;
    if (!all_used && !value_.is(Kind::kDict) && !value_.is(Kind::kList)) {
      runtime_.fail("not all arguments converted during string formatting");
    }
    return out_.take_value();
  }

 private:
  char peek() {
    if (at_ >= format_.size()) runtime_.fail("incomplete format");
    return format_[at_];
  }

  Value next_argument() {
    if (mapped_) return *std::exchange(mapped_, nullptr);
    if (value_.is(Kind::kTuple)) {
      if (used_ >= value_.items().size()) runtime_.fail("not enough arguments for format string");
      return value_.items()[used_++];
    }
    if (used_++ > 0) runtime_.fail("not enough arguments for format string");
    return value_;
  }

  int64_t number_or_star() {
    if (peek() == '*') {
      ++at_;
      const Value value = next_argument();
      if (!value.is_integral()) runtime_.fail("* wants an int");
      constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
      if (value.as_int() < -kMost || value.as_int() > kMost) runtime_.fail("width too big");
      return value.as_int();
    }
    int64_t number = 0;
    while (peek() >= '0' && peek() <= '9') {
      number = number * 10 + (format_[at_++] - '0');
      if (number > std::numeric_limits<int32_t>::max()) runtime_.fail("width too big");
    }
    return number;
  }

  void read_key() {
    const size_t start = ++at_;
    int depth = 1;
    while (depth > 0) {
      const char c = peek();
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      ++at_;
    }
    if (!value_.is(Kind::kDict)) runtime_.fail("format requires a mapping");
    const std::string_view key = format_.substr(start, at_ - 1 - start);
    mapped_ = value_.dict().find(key);
    if (!mapped_) runtime_.fail("key '" + std::string(key) + "' is not in the mapping");
    used_ = 1;
  }

  void convert() {
    Conversion conversion;
    if (peek() == '(') read_key();
    for (;; ++at_) {
      const char c = peek();
      if (c == '-') {
        conversion.left = true;
      } else if (c == '+') {
        conversion.plus = true;
      } else if (c == ' ') {
        conversion.space = true;
      } else if (c == '#') {
        conversion.alternate = true;
      } else if (c == '0') {
        conversion.zero = true;
      } else {
        break;
      }
    }
    conversion.width = number_or_star();
    if (conversion.width < 0) {
      conversion.left = true;
      conversion.width = -conversion.width;
    }
    if (peek() == '.') {
      ++at_;
      conversion.precision = std::max<int64_t>(number_or_star(), 0);
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++at_;
    conversion.type = peek();
    ++at_;
    emit(conversion);
  }

  void emit(const Conversion& conversion) {
    switch (conversion.type) {
      case '%':
        return out_.append('%');
      case 's':
        return emit_text(conversion, to_text(runtime_, next_argument()));
      case 'r':
      case 'a':
        return emit_text(conversion, repr(runtime_, next_argument()));
      case 'c':
        return emit_character(conversion);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return emit_number(conversion);
      default:
        runtime_.fail(std::string("unsupported format character '") + conversion.type + "'");
    }
  }

  void emit_text(const Conversion& conversion, std::string_view text) {
    if (conversion.precision >= 0) {
      text = text.substr(0, byte_offset(text, static_cast<size_t>(conversion.precision)));
    }
    const size_t size = count_code_points(text);
    const auto width = static_cast<size_t>(conversion.width);
    const size_t padding = width > size ? width - size : 0;
    if (!conversion.left) out_.append(padding, " ");
    out_.append(text);
    if (conversion.left) out_.append(padding, " ");
  }

  void emit_character(const Conversion& conversion) {
    const Value value = next_argument();
    std::string text;
    if (value.is_integral() && value.as_int() >= 0 && value.as_int() <= 0x10ffff) {
      append_utf8(text, static_cast<uint32_t>(value.as_int()));
    } else if (value.is_string() && value.string().length() == 1) {
      text = std::string(value.text());
    } else {
      runtime_.fail("%c requires int or char");
    }
    emit_text(conversion, text);
  }

  /// Numbers have the same options as in format(), so they go through it.
  void emit_number(const Conversion& conversion) {
    Value value = next_argument();
    if (value.is_undefined()) runtime_.fail_undefined(value);
    if (!value.is_number()) {
      runtime_.fail(std::string("%") + conversion.type + " format: a number is required, not " +
                    std::string(type_name(value)));
    }
    const bool integral =
        std::string_view("diuxXo").find(conversion.type) != std::string_view::npos;
    if (integral && value.is(Kind::kFloat)) {
      if (conversion.type == 'x' || conversion.type == 'X' || conversion.type == 'o') {
        runtime_.fail("an integer is required, not float");
      }
      if (!(std::abs(value.as_double()) < 9.2e18)) runtime_.fail("float too large for an integer");
      value = Value(static_cast<int64_t>(value.as_double()));
    }
    std::string specification;
    if (conversion.left) {
      specification += '<';
    } else if (conversion.zero) {
      specification.append("0=");
    } else {
      specification += '>';
    }
    if (conversion.plus || conversion.space) specification += conversion.plus ? '+' : ' ';
    if (conversion.alternate) specification += '#';
    specification += std::to_string(conversion.width);
    if (!integral && conversion.precision >= 0) {
      specification += '.';
      specification += std::to_string(conversion.precision);
    }
    const bool decimal =
        integral && conversion.type != 'x' && conversion.type != 'X' && conversion.type != 'o';
    specification += decimal ? 'd' : conversion.type;
    append_formatted(out_, value, specification);
  }

  Runtime& runtime_;
  TextBuilder out_;
  std::string_view format_;
  const Value& value_;
  size_t at_ = 0;
  size_t used_ = 0;
  const Value* mapped_ = nullptr;
};

/// Formats one template with the arguments of str.format.
class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const Arguments& arguments)
      : runtime_(runtime), arguments_(arguments) {}

  /// `depth` counts replacement fields inside of format specifications, which Python allows once.
  void run(TextBuilder& out, std::string_view format, int depth = 0) {
    if (depth > 1) runtime_.fail("max string recursion exceeded in a format");
    for (size_t at = 0; at < format.size();) {
      const size_t brace = format.find_first_of("{}", at);
      out.append(format.substr(at, brace - at));
      if (brace == format.npos) return;
      const char c = format[brace];
      at = brace + 1;
      if (at < format.size() && format[at] == c) {
        out.append(c);
        ++at;
      } else if (c == '}') {
        runtime_.fail("single '}' encountered in format string");
      } else {
        const size_t end = field_end(format, at);
        replace_field(out, format.substr(at, end - at), depth);
        at = end + 1;
      }
    }
  }

 private:
  size_t field_end(std::string_view format, size_t at) {
    int open = 1;
    for (size_t i = at; i < format.size(); ++i) {
      open += format[i] == '{' ? 1 : format[i] == '}' ? -1 : 0;
      if (open == 0) return i;
    }
    runtime_.fail("expected '}' before end of string");
  }

  void replace_field(TextBuilder& out, std::string_view field, int depth) {
    const size_t name_end = find_name_end(field);
    Value value = find_value(field.substr(0, name_end));
    std::string_view rest = field.substr(name_end);
    if (!rest.empty() && rest[0] == '!') {
      const char conversion = rest.size() > 1 ? rest[1] : 0;
      if (conversion != 's' && conversion != 'r' && conversion != 'a') {
        runtime_.fail("unknown conversion specifier in a format string");
      }
      value = runtime_.text(conversion == 's' ? to_text(runtime_, value) : repr(runtime_, value));
      rest.remove_prefix(2);
    }
    if (!rest.empty() && rest[0] != ':') runtime_.fail("expected ':' in a replacement field");
    TextBuilder specification(runtime_);
    if (!rest.empty()) run(specification, rest.substr(1), depth + 1);
    append_formatted(out, value, specification.view());
  }

  /// End of "name.attribute[key]": keys may hold any character.
  static size_t find_name_end(std::string_view field) {
    bool in_key = false;
    for (size_t i = 0; i < field.size(); ++i) {
      if (field[i] == '[') in_key = true;
      if (field[i] == ']') in_key = false;
      if (!in_key && (field[i] == '!' || field[i] == ':')) return i;
    }
    return field.size();
  }

  Value find_value(std::string_view name) {
    size_t end = name.find_first_of(".[");
    if (end == name.npos) end = name.size();
    Value value = first_value(name.substr(0, end));
    std::string_view rest = name.substr(end);
    while (!rest.empty()) {
      const bool key = rest[0] == '[';
      rest.remove_prefix(1);
      size_t stop = key ? rest.find(']') : rest.find_first_of(".[");
      if (key && stop == rest.npos) runtime_.fail("missing ']' in format string");
      if (stop == rest.npos) stop = rest.size();
      const std::string_view part = rest.substr(0, stop);
      int64_t index = 0;
      if (key && read_index(part, index)) {
        value = get_item(runtime_, value, Value(index));
      } else {
        value = get_item(runtime_, value, runtime_.text(part));
      }
      rest.remove_prefix(stop + (key ? 1 : 0));
      if (key && !rest.empty() && rest[0] != '.' && rest[0] != '[') {
        runtime_.fail("only '.' or '[' may follow ']' in a format field");
      }
    }
    return value;
  }

  static bool read_index(std::string_view text, int64_t& index) {
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), index);
    return status == std::errc() && end == text.data() + text.size() && index >= 0;
  }

  Value first_value(std::string_view name) {
    int64_t index = 0;
    if (name.empty()) {
      index = next_++;
    } else if (!read_index(name, index)) {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      runtime_.fail("format() misses argument '" + std::string(name) + "'");
    }
    if (index >= static_cast<int64_t>(arguments_.positional.size())) {
      runtime_.fail("replacement index " + std::to_string(index) +
                    " out of range for positional arguments");
    }
    return arguments_.positional[static_cast<size_t>(index)];
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  int64_t next_ = 0;
};

}  // namespace

Value percent_format(Runtime& runtime, std::string_view format, const Value& value) {
  runtime.work(format.size());
  return PercentFormatter(runtime, format, value).run();
}

Value brace_format(Runtime& runtime, std::string_view format, const Arguments& arguments) {
  runtime.work(format.size());
  TextBuilder out(runtime);
  BraceFormatter(runtime, arguments).run(out, format);
  return out.take_value();
}

}  // namespace omg::jinja
