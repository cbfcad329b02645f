// SPDX-License-Identifier: Apache-2.0
#include "text/template/text.h"

#include <algorithm>
#include <array>
#include <utf8proc.h>

#include "base/utf8.h"

namespace omg::jinja {
namespace {

utf8proc_category_t category(uint32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

/// Characters whose upper case is longer than one character (Unicode SpecialCasing.txt, the
/// unconditional ones of living scripts).
struct LongUpper {
  uint32_t code_point;
  std::string_view upper;
  std::string_view title;
};
constexpr std::array<LongUpper, 10> kLongUpper = {{
    {0x00df, "SS", "Ss"},
    {0x0149, "\xca\xbcN", "\xca\xbcN"},
    {0x01f0, "J\xcc\x8c", "J\xcc\x8c"},
    {0xfb00, "FF", "Ff"},
    {0xfb01, "FI", "Fi"},
    {0xfb02, "FL", "Fl"},
    {0xfb03, "FFI", "Ffi"},
    {0xfb04, "FFL", "Ffl"},
    {0xfb05, "ST", "St"},
    {0xfb06, "ST", "St"},
}};

const LongUpper* long_upper(uint32_t code_point) {
  const auto* found = std::find_if(kLongUpper.begin(), kLongUpper.end(), [&](const LongUpper& row) {
    return row.code_point == code_point;
  });
  return found == kLongUpper.end() ? nullptr : found;
}

bool is_letter(utf8proc_category_t kind) {
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

constexpr uint32_t kCapitalSigma = 0x3a3;
constexpr uint32_t kFinalSigma = 0x3c2;

bool is_cased(uint32_t code_point) {
  return is_upper(code_point) || is_lower(code_point) || is_title(code_point);
}

/// Greek sigma ends a word where a letter stands before it and none after it.
bool is_final_sigma(uint32_t previous, std::string_view rest) {
  return is_cased(previous) && (rest.empty() || !is_cased(decode_utf8(rest, 0).value));
}

/// Appends `text` in lower case; `previous` is the character before it.
void append_lower_text(std::string& out, std::string_view text, uint32_t previous) {
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    if (point.value == kCapitalSigma && is_final_sigma(previous, text.substr(walk.position()))) {
      append_utf8(out, kFinalSigma);
    } else {
      append_lower(out, point.value);
    }
    previous = point.value;
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 128; });
}

char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

char ascii_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

/// Start of the character that ends before `end`.
size_t previous_start(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xc0) == 0x80) --start;
  return start;
}

template <class Drops>
std::string_view strip_where(std::string_view text, Side side, Drops drops) {
  size_t begin = 0;
  size_t end = text.size();
  while (side != Side::kRight && begin < end) {
    const auto decoded = decode_utf8(text, begin);
    if (!drops(decoded.value)) break;
    begin += decoded.size;
  }
  while (side != Side::kLeft && begin < end) {
    const size_t start = previous_start(text, end);
    if (!drops(decode_utf8(text, start).value)) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

}  // namespace

bool CodePoints::next(CodePoint& out) {
  if (position_ >= text_.size()) return false;
  const auto decoded = decode_utf8(text_, position_);
  out = {decoded.value, text_.substr(position_, decoded.size)};
  position_ += decoded.size;
  return true;
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

size_t byte_offset(std::string_view text, size_t code_point) {
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if ((static_cast<uint8_t>(text[i]) & 0xc0) == 0x80) continue;
    if (code_point-- == 0) break;
  }
  return i;
}

bool is_space(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_line_break(uint32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_alphabetic(uint32_t code_point) {
  return is_letter(category(code_point));
}

bool is_decimal(uint32_t code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_ND;
}

bool is_digit(uint32_t c) {
  const bool superscript = c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 ||
                           (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089);
  const bool circled = (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247c) ||
                       (c >= 0x2488 && c <= 0x2490) || c == 0x24ea || (c >= 0x2776 && c <= 0x277e);
  return superscript || circled || is_decimal(c);
}

bool is_numeric(uint32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_alphanumeric(uint32_t code_point) {
  return is_alphabetic(code_point) || is_numeric(code_point);
}

bool is_upper(uint32_t code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_LU;
}

bool is_lower(uint32_t code_point) {
  // The two ordinal indicators are letters "other" with the property Lowercase.
  return category(code_point) == UTF8PROC_CATEGORY_LL || code_point == 0xaa || code_point == 0xba;
}

bool is_title(uint32_t code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_LT;
}

bool is_printable(uint32_t code_point) {
  if (code_point == ' ') return true;
  switch (category(code_point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_identifier_start(uint32_t code_point) {
  const auto kind = category(code_point);
  return code_point == '_' || is_letter(kind) || kind == UTF8PROC_CATEGORY_NL;
}

bool is_identifier_part(uint32_t code_point) {
  const auto kind = category(code_point);
  return is_identifier_start(code_point) || kind == UTF8PROC_CATEGORY_ND ||
         kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
         kind == UTF8PROC_CATEGORY_PC;
}

void append_upper(std::string& out, uint32_t code_point) {
  if (const LongUpper* row = long_upper(code_point)) {
    out += row->upper;
  } else {
    append_utf8(out, static_cast<uint32_t>(utf8proc_toupper(static_cast<int32_t>(code_point))));
  }
}

void append_lower(std::string& out, uint32_t code_point) {
  if (code_point == 0x130) {  // capital I with a dot: its lower case keeps the dot
    out += "i\xcc\x87";
  } else {
    append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<int32_t>(code_point))));
  }
}

void append_title(std::string& out, uint32_t code_point) {
  if (const LongUpper* row = long_upper(code_point)) {
    out += row->title;
  } else {
    append_utf8(out, static_cast<uint32_t>(utf8proc_totitle(static_cast<int32_t>(code_point))));
  }
}

std::string to_upper(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  if (is_ascii(text)) {
    for (const char c : text) result.push_back(ascii_upper(c));
    return result;
  }
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) append_upper(result, point.value);
  return result;
}

std::string to_lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  if (is_ascii(text)) {
    for (const char c : text) result.push_back(ascii_lower(c));
    return result;
  }
  append_lower_text(result, text, ' ');
  return result;
}

std::string capitalize(std::string_view text) {
  std::string result;
  if (text.empty()) return result;
  result.reserve(text.size());
  const auto first = decode_utf8(text, 0);
  append_title(result, first.value);
  append_lower_text(result, text.substr(first.size), first.value);
  return result;
}

std::string casefold(std::string_view text) {
  std::string result;
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    if (const LongUpper* row = long_upper(point.value)) {
      result += to_lower(row->upper);
    } else if (point.value == kFinalSigma) {
      append_utf8(result, 0x3c3);
    } else {
      append_lower(result, point.value);
    }
  }
  return result;
}

bool is_lower_text(std::string_view text) {
  bool any = false;
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    if (is_upper(point.value) || is_title(point.value)) return false;
    any = any || is_lower(point.value);
  }
  return any;
}

bool is_upper_text(std::string_view text) {
  bool any = false;
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    if (is_lower(point.value) || is_title(point.value)) return false;
    any = any || is_upper(point.value);
  }
  return any;
}

std::string_view strip(std::string_view text, Side side) {
  return strip_where(text, side, is_space);
}

std::string_view strip(std::string_view text, std::string_view characters, Side side) {
  std::vector<uint32_t> dropped;
  CodePoints walk(characters);
  CodePoint point;
  while (walk.next(point)) dropped.push_back(point.value);
  std::sort(dropped.begin(), dropped.end());
  return strip_where(text, side, [&](uint32_t code_point) {
    return std::binary_search(dropped.begin(), dropped.end(), code_point);
  });
}

void split_lines(std::string_view text, bool keep_ends, const PieceVisitor& visit) {
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const auto decoded = decode_utf8(text, i);
    size_t end = i + decoded.size;
    if (is_line_break(decoded.value)) {
      if (decoded.value == '\r' && end < text.size() && text[end] == '\n') ++end;
      visit(text.substr(start, (keep_ends ? end : i) - start));
      start = end;
    }
    i = end;
  }
  if (start < text.size()) visit(text.substr(start));
}

void split_words(std::string_view text, int64_t max_splits, const PieceVisitor& visit) {
  std::string_view rest = strip(text, Side::kLeft);
  for (int64_t count = 0; !rest.empty(); ++count) {
    if (count == max_splits) return visit(rest);
    size_t end = 0;
    while (end < rest.size()) {
      const auto decoded = decode_utf8(rest, end);
      if (is_space(decoded.value)) break;
      end += decoded.size;
    }
    visit(rest.substr(0, end));
    rest = strip(rest.substr(end), Side::kLeft);
  }
}

void split_words_right(std::string_view text, int64_t max_splits, const PieceVisitor& visit) {
  std::string_view rest = strip(text, Side::kRight);
  for (int64_t count = 0; !rest.empty(); ++count) {
    if (count == max_splits) return visit(rest);
    size_t start = rest.size();
    while (start > 0) {
      const size_t before = previous_start(rest, start);
      if (is_space(decode_utf8(rest, before).value)) break;
      start = before;
    }
    visit(rest.substr(start));
    rest = strip(rest.substr(0, start), Side::kRight);
  }
}

Searcher::Searcher(std::string_view needle, Direction direction)
    : needle_(needle), direction_(direction) {
  if (needle.size() <= kPlainLimit) return;
  std::vector<uint32_t> table(needle.size(), 0);
  for (size_t i = 1, matched = 0; i < needle.size(); ++i) {
    while (matched > 0 && at(i) != at(matched)) matched = table[matched - 1];
    if (at(i) == at(matched)) ++matched;
    table[i] = static_cast<uint32_t>(matched);
  }
  table_ = std::move(table);
}

bool Searcher::advance(char byte, size_t& matched) const {
  while (matched > 0 && byte != at(matched)) matched = table_[matched - 1];
  if (byte == at(matched)) ++matched;
  return matched == needle_.size();
}

size_t Searcher::find(std::string_view haystack, size_t from) const {
  if (table_.empty()) return haystack.find(needle_, from);
  size_t matched = 0;
  for (size_t i = from; i < haystack.size(); ++i) {
    if (advance(haystack[i], matched)) return i + 1 - needle_.size();
  }
  return npos;
}

size_t Searcher::rfind(std::string_view haystack, size_t end) const {
  haystack = haystack.substr(0, end);
  if (haystack.size() < needle_.size()) return npos;
  if (table_.empty()) return haystack.rfind(needle_);
  size_t matched = 0;
  for (size_t i = haystack.size(); i-- > 0;) {
    if (advance(haystack[i], matched)) return i;
  }
  return npos;
}

}  // namespace omg::jinja
