// SPDX-License-Identifier: Apache-2.0
//
// Tables come from utf8proc. Its own decomposition orders combining marks by insertion, quadratic
// on a long run of them, so only its tables and its composition are used here.
#include "text/tokenizer/huggingface/unicode.h"

#include <algorithm>
#include <array>
#include <utf8proc.h>
#include <vector>

namespace omg::huggingface {
namespace {

utf8proc_category_t category(uint32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

/// Characters that stand at a border of NFC: they are their own composed form, are no combining
/// marks, and never join with what precedes them. Far from all there are, but most of what texts
/// are made of: Latin, Cyrillic, kana, Han, Hangul, emoji.
bool is_composed_border(uint32_t c) {
  return c < 0x300 || (c >= 0x400 && c <= 0x482) || (c >= 0x2010 && c <= 0x2027) ||
         (c >= 0x3003 && c <= 0x3029) || (c >= 0x3041 && c <= 0x3096) ||
         (c >= 0x30A1 && c <= 0x30FA) || (c >= 0x4E00 && c <= 0x9FFF) ||
         (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xFF01 && c <= 0xFF5E) ||
         (c >= 0x1F300 && c <= 0x1FAFF);
}

utf8proc_option_t options_of(NormalForm form) {
  int options = UTF8PROC_STABLE;
  const bool composes = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  options |= composes ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::kNfkc || form == NormalForm::kNfkd) options |= UTF8PROC_COMPAT;
  return static_cast<utf8proc_option_t>(options);
}

int combining_class(int32_t code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

/// Canonical ordering: stable, within each run of characters of a class other than 0.
void order_marks(std::vector<int32_t>& points) {
  std::vector<uint64_t> run;  // class, place and character of each, so that none are equal
  for (size_t i = 0; i < points.size(); ++i) {
    run.clear();
    for (size_t end = i; end < points.size() && combining_class(points[end]) != 0; ++end) {
      run.push_back(static_cast<uint64_t>(combining_class(points[end])) << 56 |
                    uint64_t{end - i} << 21 | static_cast<uint32_t>(points[end]));
    }
    if (run.size() > 1) std::sort(run.begin(), run.end());
    for (size_t k = 0; k < run.size(); ++k) points[i + k] = static_cast<int32_t>(run[k] & 0x1FFFFF);
    i += run.size();  // what ended the run needs no order
  }
}

/// Works on runs between bytes that are no characters.
class Normalization {
 public:
  Normalization(NormalForm form, std::string& out) : form_(form), out_(out) {}

  void add(uint32_t code_point) {
    // A compatibility decomposition has at most 18 characters (U+FDFA).
    std::array<utf8proc_int32_t, 32> parts;
    int last_boundary = 0;
    auto options = options_of(form_);
    options = static_cast<utf8proc_option_t>(options & ~UTF8PROC_COMPOSE);
    options = static_cast<utf8proc_option_t>(options | UTF8PROC_DECOMPOSE);
    const auto count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(code_point), parts.data(),
        static_cast<utf8proc_ssize_t>(parts.size()), options, &last_boundary);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
      points_.push_back(static_cast<int32_t>(code_point));
    } else {
      points_.insert(points_.end(), parts.begin(), parts.begin() + count);
    }
  }

  void flush() {
    if (points_.empty()) return;
    order_marks(points_);
    auto count = static_cast<utf8proc_ssize_t>(points_.size());
    if (form_ == NormalForm::kNfc || form_ == NormalForm::kNfkc)
      count = utf8proc_normalize_utf32(points_.data(), count, options_of(form_));
    for (utf8proc_ssize_t i = 0; i < count; ++i)
      append_utf8(out_, static_cast<uint32_t>(points_[static_cast<size_t>(i)]));
    points_.clear();
  }

 private:
  const NormalForm form_;
  std::string& out_;
  std::vector<int32_t> points_;
};

/// Characters that nothing before them can change or join with.
bool is_border(uint32_t code_point, NormalForm form) {
  return form == NormalForm::kNfc ? is_composed_border(code_point) : code_point < 0x80;
}

/// Where the work begins: at the last border before the first character that is none, which may
/// join with it. Bytes that are no characters are borders too.
size_t unchanged_prefix(std::string_view text, NormalForm form) {
  size_t border = 0;
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    if (point.valid && !is_border(point.value, form)) return border;
    border = i;
    i += point.size;
  }
  return text.size();
}

}  // namespace

bool is_white_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_numeric(uint32_t code_point) {
  const auto kind = category(code_point);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(uint32_t code_point) {
  const auto kind = category(code_point);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool is_mark(uint32_t code_point) {
  const auto kind = category(code_point);
  return kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
}

bool is_nonspacing_mark(uint32_t code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_MN;
}

bool is_other(uint32_t code_point) {
  const auto kind = category(code_point);
  return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_CO;
}

bool is_ascii_punctuation(uint32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool is_word_character(uint32_t c) {
  if (c < 0x80)
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  if (c == 0x200C || c == 0x200D) return true;  // Join_Control
  const auto kind = category(c);
  // Alphabetic adds to letters, marks and letter numbers only the circled letters.
  return (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) || is_mark(c) ||
         kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_PC || (c >= 0x24B6 && c <= 0x24E9) ||
         (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
         (c >= 0x1F170 && c <= 0x1F189);
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

std::string normalize(std::string_view text, NormalForm form) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  Normalization work(form, out);
  while (!text.empty()) {
    const size_t unchanged = unchanged_prefix(text, form);
    out += text.substr(0, unchanged);
    text.remove_prefix(unchanged);
    size_t end = 0;  // of a border and all that may join with it
    while (end < text.size()) {
      const DecodedCodePoint point = decode_utf8(text, end);
      if (!point.valid || (end > 0 && is_border(point.value, form))) break;
      work.add(point.value);
      end += point.size;
    }
    work.flush();
    if (end == 0 && !text.empty()) out += text[end++];  // a byte that is no character
    text.remove_prefix(end);
  }
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](const DecodedCodePoint& point, std::string_view bytes) {
    if (point.value < 0x80) {
      const char c = bytes[0];
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    } else if (!point.valid) {
      out += bytes;
    } else if (point.value == 0x130) {
      out += "i\xCC\x87";  // the one character whose lower case is two
    } else {
      append_utf8(
          out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value))));
    }
  });
  return out;
}

}  // namespace omg::huggingface
