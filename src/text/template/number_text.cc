// SPDX-License-Identifier: Apache-2.0
//
// Numbers and the format specifications of Python's format().
// Source: Python library reference, "Format Specification Mini-Language".
#include "text/template/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

/// Width and precision that a template may ask for; far above any real one.
constexpr int64_t kMaxPrecision = 1000;

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// The base that a prefix such as "0x" names; 0 where there is none.
int prefix_base(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1]) {
    case 'x':
    case 'X':
      return 16;
    case 'o':
    case 'O':
      return 8;
    case 'b':
    case 'B':
      return 2;
    default:
      return 0;
  }
}

struct FormatSpecification {
  std::string_view fill = " ";
  char align = 0;
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  size_t width = 0;
  char grouping = 0;
  int precision = -1;
  char type = 0;
};

bool is_align(char c) {
  return c == '<' || c == '>' || c == '=' || c == '^';
}

size_t read_number(Runtime& runtime, std::string_view text, size_t& at) {
  size_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + static_cast<size_t>(text[at++] - '0');
    if (value > std::numeric_limits<int32_t>::max()) runtime.fail("number too large in a format");
  }
  return value;
}

FormatSpecification parse_specification(Runtime& runtime, std::string_view text) {
  FormatSpecification spec;
  size_t at = 0;
  if (!text.empty()) {
    const size_t first = decode_utf8(text, 0).size;
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto take = [&](std::string_view accepted, char& target) {
    if (at < text.size() && accepted.find(text[at]) != text.npos) target = text[at++];
  };
  char flag = 0;
  take("+- ", spec.sign);
  take("#", flag);
  spec.alternate = flag != 0;
  flag = 0;
  take("0", flag);
  spec.zero = flag != 0;
  spec.width = read_number(runtime, text, at);
  take(",_", spec.grouping);
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (at >= text.size() || text[at] < '0' || text[at] > '9') {
      runtime.fail("format specifier misses its precision");
    }
    spec.precision = static_cast<int>(read_number(runtime, text, at));
  }
  take("bcdeEfFgGnosxX%", spec.type);
  if (at != text.size()) {
    runtime.fail("invalid format specifier '" + std::string(text) + "'");
  }
  if (spec.zero && !spec.align) {
    spec.align = '=';
    spec.fill = "0";
  }
  return spec;
}

/// Appends `prefix` (a sign, "0x") and `body` padded to the width.
void append_padded(TextBuilder& out, const FormatSpecification& spec, std::string_view prefix,
                   std::string_view body, char default_align) {
  const char align = spec.align ? spec.align : default_align;
  const size_t size = count_code_points(prefix) + count_code_points(body);
  const size_t padding = spec.width > size ? spec.width - size : 0;
  size_t left = 0;
  if (align == '>') left = padding;
  if (align == '^') left = padding / 2;
  out.append(left, spec.fill);
  out.append(prefix);
  if (align == '=') out.append(padding, spec.fill);
  out.append(body);
  if (align != '=') out.append(padding - left, spec.fill);
}

/// Puts a separator between groups of digits of the integer part.
std::string group_digits(std::string_view digits, char separator, size_t group) {
  const size_t integer =
      std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  std::string result;
  for (size_t i = 0; i < integer; ++i) {
    if (i > 0 && (integer - i) % group == 0) result.push_back(separator);
    result.push_back(digits[i]);
  }
  return result.append(digits.substr(integer));
}

std::string sign_text(bool negative, char style) {
  if (negative) return "-";
  return style == '-' ? "" : std::string(1, style);
}

std::string printed(double value, char type, int precision, bool alternate) {
  std::string format = alternate ? "%#.*" : "%.*";
  format.push_back(type);
  const int size = std::snprintf(nullptr, 0, format.c_str(), precision, value);
  std::string text(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), format.c_str(), precision, value);
  text.pop_back();
  return text;
}

void append_real(TextBuilder& out, double value, const FormatSpecification& spec) {
  Runtime& runtime = out.runtime();
  if (spec.precision > kMaxPrecision) runtime.fail("precision too large in a format");
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::fabs(value);
  std::string body;
  if (std::isnan(value) || std::isinf(value)) {
    body = std::isnan(value) ? "nan" : "inf";
    if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') body = to_upper(body);
  } else if (spec.type == 0 && spec.precision < 0) {
    body = float_text(magnitude);
  } else if (spec.type == 0) {
    // As 'g', with at least one digit after the point.
    body = printed(magnitude, 'g', std::max(spec.precision, 1), false);
    if (body.find_first_of(".e") == body.npos) body += ".0";
  } else if (spec.type == '%') {
    body = printed(magnitude * 100, 'f', spec.precision < 0 ? 6 : spec.precision, spec.alternate);
    body.push_back('%');
  } else {
    const char type = spec.type == 'n' ? 'g' : spec.type;
    body = printed(magnitude, type, spec.precision < 0 ? 6 : spec.precision, spec.alternate);
  }
  if (spec.grouping) body = group_digits(body, spec.grouping, 3);
  append_padded(out, spec, sign_text(negative, spec.sign), body, '>');
}

void append_integer(TextBuilder& out, int64_t value, const FormatSpecification& spec) {
  Runtime& runtime = out.runtime();
  if (spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos) {
    return append_real(out, static_cast<double>(value), spec);
  }
  if (spec.precision >= 0) runtime.fail("precision is not allowed in an integer format");
  if (spec.type == 's') runtime.fail("unknown format code 's' for an int");
  if (spec.type == 'c') {
    if (value < 0 || value > 0x10ffff) runtime.fail("%c needs a code point");
    std::string body;
    append_utf8(body, static_cast<uint32_t>(value));
    return append_padded(out, spec, "", body, '<');
  }
  unsigned base = 10;
  if (spec.type == 'b') base = 2;
  if (spec.type == 'o') base = 8;
  if (spec.type == 'x' || spec.type == 'X') base = 16;
  std::string body = integer_digits(value, base, spec.type == 'X');
  const bool negative = body[0] == '-';
  if (negative) body.erase(0, 1);
  if (spec.grouping) body = group_digits(body, spec.grouping, base == 10 ? 3 : 4);
  std::string prefix = sign_text(negative, spec.sign);
  if (spec.alternate && base != 10) prefix += std::string("0") + spec.type;
  append_padded(out, spec, prefix, body, '>');
}

void append_string(TextBuilder& out, std::string_view text, const FormatSpecification& spec) {
  if (spec.type != 0 && spec.type != 's') {
    out.runtime().fail(std::string("unknown format code '") + spec.type + "' for a str");
  }
  if (spec.align == '=') out.runtime().fail("'=' alignment is not allowed for a str");
  if (spec.precision >= 0) {
    text = text.substr(0, byte_offset(text, static_cast<size_t>(spec.precision)));
  }
  append_padded(out, spec, "", text, '<');
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits = text.data() + e + 1;
  std::from_chars(digits + (*digits == '+'), text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string result(buffer, static_cast<size_t>(fixed - buffer));
  if (result.find('.') == result.npos) result += ".0";
  return result;
}

std::string integer_digits(int64_t value, unsigned base, bool upper) {
  char buffer[66];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, static_cast<int>(base)).ptr;
  std::string result(buffer, static_cast<size_t>(end - buffer));
  return upper ? to_upper(result) : result;
}

std::optional<int64_t> parse_integer(Runtime& runtime, std::string_view text, int base) {
  text = strip(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const int prefixed = prefix_base(text);
  bool after_digit = false;
  if (prefixed && (base == 0 || base == prefixed)) {
    base = prefixed;
    text.remove_prefix(2);
    after_digit = true;  // "0x_ff" is a number
  }
  if (base == 0) base = 10;
  if (text.empty() || text.back() == '_') return std::nullopt;
  __extension__ __int128 value = 0;
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    if (digit_value(c) >= base) return std::nullopt;
    after_digit = true;
    value = value * base + (negative ? -digit_value(c) : digit_value(c));
    if (value > std::numeric_limits<int64_t>::max() ||
        value < std::numeric_limits<int64_t>::min()) {
      runtime.fail("integer overflow: the number does not fit 64 bits");
    }
  }
  return static_cast<int64_t>(value);
}

std::optional<double> parse_float(std::string_view text) {
  text = strip(text);
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return at < text.size() && digit_value(text[at]) < 10; };
    if (text[i] == '_' && i > 0 && digit(i - 1) && digit(i + 1)) continue;
    plain.push_back(text[i]);
  }
  std::string_view rest = plain;
  if (!rest.empty() && rest[0] == '+') rest.remove_prefix(1);
  const bool doubled = rest.size() != plain.size() && !rest.empty() && rest[0] == '-';
  if (rest.empty() || doubled || rest.find('(') != rest.npos) return std::nullopt;
  double value = 0;
  const auto [end, status] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size()) return std::nullopt;
  if (status == std::errc::result_out_of_range) {
    return std::strtod(std::string(rest).c_str(), nullptr);  // infinity or zero
  }
  if (status != std::errc()) return std::nullopt;
  return value;
}

void append_formatted(TextBuilder& out, const Value& value, std::string_view specification) {
  Runtime& runtime = out.runtime();
  if (specification.empty()) return append_text(out, value);
  const FormatSpecification spec = parse_specification(runtime, specification);
  switch (value.kind()) {
    case Kind::kBool:
      // format(True, "5") is the text of a bool, format(True, "5d") that of an int.
      if (spec.type == 0) return append_padded(out, spec, "", value.as_bool() ? "1" : "0", '>');
      return append_integer(out, value.as_int(), spec);
    case Kind::kInt:
      return append_integer(out, value.as_int(), spec);
    case Kind::kFloat:
      return append_real(out, value.as_double(), spec);
    case Kind::kString:
      return append_string(out, value.text(), spec);
    default:
      runtime.fail("unsupported format string passed to " + std::string(type_name(value)) +
                   ".__format__");
  }
}

}  // namespace omg::jinja
