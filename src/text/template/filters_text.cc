// SPDX-License-Identifier: Apache-2.0
//
// Filters that make text.
#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "text/template/filters.h"
#include "text/template/markup.h"
#include "text/template/methods.h"
#include "text/template/number_text.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

/// The input as a string and a filter's method of the same name called on it.
template <const char* kMethod>
Value through_method(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return find_text_method(kMethod)->call(runtime, as_string(runtime, input), arguments);
}
constexpr char kUpper[] = "upper";
constexpr char kLower[] = "lower";
constexpr char kCapitalize[] = "capitalize";

std::string_view require_text(Runtime& runtime, std::string_view filter, const Value& input) {
  if (input.is_undefined()) runtime.fail_undefined(input);
  if (!input.is_string()) {
    runtime.fail(std::string(filter) + " needs a string, not " + std::string(type_name(input)));
  }
  return input.text();
}

Value filter_string(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "string", arguments, {});
  return as_string(runtime, input);
}

Value filter_trim(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "trim", arguments, {"chars"});
  Arguments positional;
  if (bound.has(0)) positional.positional.push_back(bound[0]);
  return find_text_method("strip")->call(runtime, as_string(runtime, input), positional);
}

Value filter_center(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "center", arguments, {"width"});
  const Arguments width{{Value(bound.integer(0, 80))}, {}};
  return find_text_method("center")->call(runtime, as_string(runtime, input), width);
}

Value filter_replace(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "replace", arguments, {"old", "new", "count"}, 2);
  const Value old = as_string(runtime, bound[0]);
  const Value with = as_string(runtime, bound[1]);
  return replace_text(runtime, as_string(runtime, input).as_plain(), old.text(), with.text(),
                      bound.integer_or_none(2, -1));
}

Value filter_format(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    runtime.fail("format cannot handle positional and keyword arguments at the same time");
  }
  const Value text = as_string(runtime, input);
  if (arguments.named.empty()) {
    const Value tuple = runtime.tuple(arguments.positional);
    return text.is_markup() ? format_markup(runtime, text.text(), tuple)
                            : percent_format(runtime, text.text(), tuple);
  }
  const auto dict = runtime.heap.make<DictObject>();
  for (const auto& [key, value] : arguments.named) {
    dict->set(runtime.heap, runtime.text(key), value);
  }
  return text.is_markup() ? format_markup(runtime, text.text(), Value(dict))
                          : percent_format(runtime, text.text(), Value(dict));
}

bool begins_word(uint32_t c) {
  return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
}

/// Unlike str.title: words begin behind spaces, hyphens and opening brackets only.
Value filter_title(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "title", arguments, {});
  const Value text = as_string(runtime, input);
  runtime.heap.require(2 * text.text().size());
  runtime.work(4 * text.text().size());
  std::string result;
  bool at_start = true;
  CodePoints walk(text.text());
  CodePoint point;
  while (walk.next(point)) {
    if (at_start) {
      append_upper(result, point.value);
    } else {
      append_lower(result, point.value);
    }
    at_start = begins_word(point.value);
  }
  return runtime.text(std::move(result));
}

Value filter_escape(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "escape", arguments, {});
  return escape_string(runtime, as_string(runtime, input));
}

Value filter_forceescape(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "forceescape", arguments, {});
  return escape_string(runtime, as_string(runtime, input).as_plain());
}

Value filter_safe(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "safe", arguments, {});
  return as_string(runtime, input).as_markup();
}

/// A filter whose result is markup where its input is.
template <Filter kFilter>
Value keeping_markup(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return keep_markup(input, kFilter(runtime, input, arguments));
}

Value filter_xmlattr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "xmlattr", arguments, {"autospace"});
  if (!input.is(Kind::kDict)) runtime.fail("xmlattr needs a mapping");
  TextBuilder out(runtime);
  for (const auto& [key, value] : input.dict().entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    const std::string name(require_text(runtime, "an attribute name", key));
    if (name.find_first_of(" \t\n\r\f\v/>=") != name.npos) {
      runtime.fail("invalid character in attribute name: " + name);
    }
    if (out.size() > 0 || bound.truth(0, true)) out.append(' ');
    append_escaped(out, name);
    out.append("=\"");
    append_escaped(out, as_string(runtime, value).text());
    out.append('"');
  }
  return out.take_value();
}

/// A character reference at the start of `text`, e.g. "&amp;"; 0 where there is none.
size_t read_reference(std::string_view text, uint32_t& code_point) {
  constexpr std::pair<std::string_view, uint32_t> kNamed[] = {
      {"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},
      {"&quot;", '"'}, {"&apos;", '\''}, {"&nbsp;", 0xa0},
  };
  for (const auto& [name, value] : kNamed) {
    if (text.substr(0, name.size()) != name) continue;
    code_point = value;
    return name.size();
  }
  if (text.substr(0, 2) != "&#") return 0;
  const bool hexadecimal = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
  const uint32_t base = hexadecimal ? 16 : 10;
  size_t at = hexadecimal ? 3 : 2;
  const size_t digits = at;
  code_point = 0;
  for (; at < text.size() && at - digits < 8; ++at) {
    const char c = text[at];
    uint32_t digit = 99;
    if (c >= '0' && c <= '9') digit = static_cast<uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A') + 10;
    if (digit >= base) break;
    code_point = code_point * base + digit;
  }
  const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
  if (at == digits || code_point > 0x10ffff || surrogate) return 0;
  return at < text.size() && text[at] == ';' ? at + 1 : at;
}

/// Without what stands between `open` and `close`.
void append_without(TextBuilder& out, std::string_view text, std::string_view open,
                    std::string_view close) {
  for (size_t at = 0;;) {
    const size_t start = text.find(open, at);
    const size_t end = start == text.npos ? text.npos : text.find(close, start);
    out.append(text.substr(at, end == text.npos ? text.npos : start - at));
    if (end == text.npos) return;
    at = end + close.size();
  }
}

Value filter_striptags(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "striptags", arguments, {});
  const Value source = as_string(runtime, input);
  runtime.work(4 * source.text().size());
  TextBuilder no_comments(runtime);
  append_without(no_comments, source.text(), "<!--", "-->");
  TextBuilder no_tags(runtime);
  append_without(no_tags, no_comments.view(), "<", ">");
  TextBuilder words(runtime);
  split_words(no_tags.view(), -1, [&](std::string_view word) {
    if (words.size() > 0) words.append(' ');
    words.append(word);
  });
  TextBuilder out(runtime);
  const std::string_view text = words.view();
  for (size_t at = 0; at < text.size();) {
    uint32_t code_point = 0;
    const size_t used = text[at] == '&' ? read_reference(text.substr(at), code_point) : 0;
    if (used > 0) {
      out.append_code_point(code_point);
      at += used;
    } else {
      out.append(text[at++]);
    }
  }
  return out.take_value();
}

Value filter_indent(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "indent", arguments, {"width", "first", "blank"});
  const std::string_view text = require_text(runtime, "indent", input);
  const bool named = bound.has(0) && bound[0].is_string();
  const int64_t width = named ? 0 : bound.integer(0, 4);
  TextBuilder indentation(runtime);
  if (named) {
    indentation.append(bound[0].text());
  } else if (width > 0) {
    indentation.append(static_cast<size_t>(width), " ");
  }
  const bool blank = bound.truth(2, false);
  TextBuilder out(runtime);
  if (bound.truth(1, false)) out.append(indentation.view());
  bool first = true;
  // The extra line break makes a last empty line count, as in Jinja.
  const std::string lines = std::string(text) + "\n";
  split_lines(lines, false, [&](std::string_view line) {
    runtime.step();
    if (!first) {
      out.append('\n');
      if (blank || !line.empty()) out.append(indentation.view());
    }
    first = false;
    out.append(line);
  });
  return out.take_value();
}

Value filter_truncate(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "truncate", arguments,
                             {"length", "killwords", "end", "leeway"});
  const std::string_view text = require_text(runtime, "truncate", input);
  const int64_t limit = bound.integer(0, 255);
  const std::string_view end = bound.text(2, "...");
  const auto end_size = static_cast<int64_t>(count_code_points(end));
  const int64_t leeway = bound.integer_or_none(3, 5);
  if (limit < end_size) runtime.fail("truncate expects a length of at least that of its end");
  if (leeway < 0) runtime.fail("truncate expects a leeway of at least 0");
  const int64_t size = length(runtime, input);
  if (size <= leeway || size - leeway <= limit) return input;
  std::string_view kept = text.substr(0, byte_offset(text, static_cast<size_t>(limit - end_size)));
  if (!bound.truth(1, false)) {
    const size_t space = kept.rfind(' ');
    if (space != kept.npos) kept = kept.substr(0, space);
  }
  TextBuilder out(runtime);
  out.append(kept);
  out.append(end);
  return out.take_value();
}

Value filter_wordcount(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "wordcount", arguments, {});
  const Value text = as_string(runtime, input);
  runtime.work(4 * text.text().size());
  int64_t count = 0;
  bool in_word = false;
  CodePoints walk(text.text());
  CodePoint point;
  while (walk.next(point)) {
    const bool part = point.value == '_' || is_alphanumeric(point.value);
    count += part && !in_word;
    in_word = part;
  }
  return Value(count);
}

/// Lays words out in lines of at most `width` characters, one paragraph at a time.
class Wrapper {
 public:
  Wrapper(Runtime& runtime, size_t width, bool breaks_words, bool breaks_hyphens,
          std::string_view line_break)
      : runtime_(runtime),
        out_(runtime),
        width_(width),
        breaks_words_(breaks_words),
        breaks_hyphens_(breaks_hyphens),
        line_break_(line_break) {}

  void paragraph(std::string_view text) {
    if (!first_) out_.append(line_break_);
    first_ = false;
    column_ = 0;
    pending_space_ = {};
    for (size_t at = 0; at < text.size();) {
      runtime_.step();
      const size_t end = chunk_end(text, at);
      chunk(text.substr(at, end - at));
      at = end;
    }
  }
  Value take() { return out_.take_value(); }

 private:
  /// End of a run of spaces, or of a word or its part up to a hyphen.
  size_t chunk_end(std::string_view text, size_t at) const {
    const bool space = is_space(decode_utf8(text, at).value);
    bool letter_before = false;
    while (at < text.size()) {
      const auto decoded = decode_utf8(text, at);
      if (is_space(decoded.value) != space) break;
      at += decoded.size;
      const bool letter_after = at < text.size() && is_alphabetic(decode_utf8(text, at).value);
      if (breaks_hyphens_ && decoded.value == '-' && letter_before && letter_after) break;
      letter_before = is_alphabetic(decoded.value);
    }
    return at;
  }

  void chunk(std::string_view text) {
    if (is_space(decode_utf8(text, 0).value)) {
      pending_space_ = text;
      return;
    }
    size_t size = count_code_points(text);
    const size_t spaces = count_code_points(pending_space_);
    if (column_ > 0 && column_ + spaces + size > width_) {
      // A word too long for any line begins in what is left of this one.
      const bool splits = size > width_ && breaks_words_ && column_ + spaces < width_;
      if (!splits) break_line();
    }
    if (column_ > 0) {
      out_.append(pending_space_);
      column_ += spaces;
    }
    pending_space_ = {};
    while (breaks_words_ && column_ + size > width_) {
      const size_t room = byte_offset(text, width_ - column_);
      out_.append(text.substr(0, room));
      text.remove_prefix(room);
      size = count_code_points(text);
      break_line();
    }
    out_.append(text);
    column_ += size;
  }

  void break_line() {
    out_.append(line_break_);
    column_ = 0;
    pending_space_ = {};
  }

  Runtime& runtime_;
  TextBuilder out_;
  size_t width_;
  bool breaks_words_;
  bool breaks_hyphens_;
  std::string_view line_break_;
  bool first_ = true;
  size_t column_ = 0;
  std::string_view pending_space_;
};

Value filter_wordwrap(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "wordwrap", arguments,
                             {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const std::string_view text = require_text(runtime, "wordwrap", input);
  const int64_t width = bound.integer(0, 79);
  if (width <= 0) runtime.fail("wordwrap needs a positive width");
  const bool has_break = bound.has(2) && !bound[2].is_none();
  Wrapper wrapper(runtime, static_cast<size_t>(width), bound.truth(1, true), bound.truth(3, true),
                  has_break ? bound.text(2, "") : "\n");
  split_lines(text, false, [&](std::string_view line) { wrapper.paragraph(line); });
  return wrapper.take();
}

void append_quoted(TextBuilder& out, std::string_view text, bool query) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  out.runtime().work(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !query);
    if (plain) {
      out.append(c);
    } else if (c == ' ' && query) {
      out.append('+');
    } else {
      out.append('%');
      out.append(kHex[static_cast<uint8_t>(c) >> 4]);
      out.append(kHex[static_cast<uint8_t>(c) & 15]);
    }
  }
}

Value filter_urlencode(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "urlencode", arguments, {});
  TextBuilder out(runtime);
  if (input.is_string() || !is_iterable(input)) {
    append_quoted(out, as_string(runtime, input).text(), false);
    return out.take_value();
  }
  const auto pairs = runtime.heap.make<DictObject>();
  merge_mapping(runtime, *pairs, input);
  for (const auto& [key, value] : pairs->entries()) {
    if (out.size() > 0) out.append('&');
    append_quoted(out, as_string(runtime, key).text(), true);
    out.append('=');
    append_quoted(out, as_string(runtime, value).text(), true);
  }
  return out.take_value();
}

/// What transformers puts in the place of Jinja's own filter: json.dumps without HTML escapes.
Value filter_tojson(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound(runtime, "tojson", arguments,
                             {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.truth(0, false);
  style.sort_keys = bound.truth(3, false);
  if (bound.has(1) && !bound[1].is_none()) {
    style.item_separator.assign(1, ',');
    if (bound[1].is_string()) {
      style.indent = std::string(bound[1].text());
    } else {
      const int64_t width = std::max<int64_t>(bound.integer(1, 0), 0);
      checked_text_size(runtime, static_cast<size_t>(width), 1);
      style.indent = std::string(static_cast<size_t>(width), ' ');
    }
  }
  if (bound.has(2) && !bound[2].is_none()) {
    const std::vector<Value> separators = collect(runtime, bound[2]);
    if (separators.size() != 2) runtime.fail("tojson needs two separators");
    style.item_separator = std::string(require_text(runtime, "a separator", separators[0]));
    style.key_separator = std::string(require_text(runtime, "a separator", separators[1]));
  }
  TextBuilder out(runtime);
  append_json(out, input, style);
  return out.take_value();
}

struct Row {
  std::string_view name;
  Filter filter;
};

constexpr std::array<Row, 21> kFilters = {{
    {"capitalize", keeping_markup<through_method<kCapitalize>>},
    {"center", keeping_markup<filter_center>},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"forceescape", filter_forceescape},
    {"format", filter_format},
    {"indent", keeping_markup<filter_indent>},
    {"lower", keeping_markup<through_method<kLower>>},
    {"replace", filter_replace},
    {"safe", filter_safe},
    {"string", filter_string},
    {"striptags", filter_striptags},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", keeping_markup<filter_trim>},
    {"truncate", keeping_markup<filter_truncate>},
    {"upper", keeping_markup<through_method<kUpper>>},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
    {"wordwrap", filter_wordwrap},
    {"xmlattr", filter_xmlattr},
}};

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto* found = std::find_if(kFilters.begin(), kFilters.end(),
                                   [&](const Row& row) { return row.name == name; });
  return found == kFilters.end() ? nullptr : found->filter;
}

Filter find_filter(std::string_view name) {
  if (const Filter filter = find_text_filter(name)) return filter;
  if (const Filter filter = find_sequence_filter(name)) return filter;
  return find_number_filter(name);
}

}  // namespace omg::jinja
