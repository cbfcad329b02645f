// SPDX-License-Identifier: Apache-2.0
//
// Methods of strings. Source: Python library reference, "String Methods".
#include <algorithm>
#include <array>

#include "text/template/methods.h"
#include "text/template/number_text.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

using Text = std::string_view;

/// Case mapping may make text longer (up to three times for exotic letters), so room is asked for
/// before it runs.
Value mapped(Runtime& runtime, const Value& self, std::string (*mapping)(Text)) {
  runtime.heap.require(2 * self.text().size());
  // Measured: 1 ns a byte for ASCII, 10 for others.
  runtime.work(self.string().is_ascii() ? self.text().size() : 32 * self.text().size());
  return runtime.text(mapping(self.text()));
}

void expect_none(Runtime& runtime, Text name, const Arguments& arguments) {
  const BoundArguments bound(runtime, name, arguments, {});
}

template <std::string (*kMapping)(Text)>
Value text_map(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "case mapping", arguments);
  return mapped(runtime, self, kMapping);
}

std::string swap_case(Text text) {
  std::string result;
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    if (is_upper(point.value)) {
      append_lower(result, point.value);
    } else {
      append_upper(result, point.value);
    }
  }
  return result;
}

/// str.title: the first letter of each run of letters.
std::string title_case(Text text) {
  std::string result;
  bool in_word = false;
  CodePoints walk(text);
  CodePoint point;
  while (walk.next(point)) {
    if (in_word) {
      append_lower(result, point.value);
    } else {
      append_title(result, point.value);
    }
    in_word = is_upper(point.value) || is_lower(point.value) || is_title(point.value);
  }
  return result;
}

template <Side kSide>
Value text_strip(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "strip", arguments, {"chars"});
  const bool all_space = !bound.has(0) || bound[0].is_none();
  const Text stripped =
      all_space ? strip(self.text(), kSide) : strip(self.text(), bound.text(0, ""), kSide);
  if (stripped.size() == self.text().size()) return self;
  runtime.work(self.text().size());
  return runtime.text(stripped);
}

Value text_split(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "split", arguments, {"sep", "maxsplit"});
  const Text text = self.text();
  const int64_t limit = bound.integer(1, -1);
  ListBuilder pieces(runtime);
  const auto push = [&](Text piece) { pieces.push(runtime.text(piece)); };
  runtime.work(2 * text.size());
  if (!bound.has(0) || bound[0].is_none()) {
    split_words(text, limit, push);
    return pieces.take_list();
  }
  const Text separator = bound.text(0, "");
  if (separator.empty()) runtime.fail("empty separator");
  runtime.heap.require(4 * separator.size());
  const Searcher searcher(separator);
  runtime.work(searcher.cost(text.size()));
  size_t start = 0;
  for (int64_t count = 0; count != limit; ++count) {
    const size_t end = searcher.find(text, start);
    if (end == Searcher::npos) break;
    push(text.substr(start, end - start));
    start = end + separator.size();
  }
  push(text.substr(start));
  return pieces.take_list();
}

Value text_rsplit(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "rsplit", arguments, {"sep", "maxsplit"});
  const Text text = self.text();
  const int64_t limit = bound.integer(1, -1);
  ListBuilder pieces(runtime);
  const auto push = [&](Text piece) { pieces.push(runtime.text(piece)); };
  runtime.work(2 * text.size());
  if (!bound.has(0) || bound[0].is_none()) {
    split_words_right(text, limit, push);
  } else {
    const Text separator = bound.text(0, "");
    if (separator.empty()) runtime.fail("empty separator");
    runtime.heap.require(4 * separator.size());
    const Searcher searcher(separator, Direction::kBackward);
    runtime.work(searcher.cost(text.size()));
    size_t end = text.size();
    for (int64_t count = 0; count != limit; ++count) {
      const size_t start = searcher.rfind(text, end);
      if (start == Searcher::npos) break;
      push(text.substr(start + separator.size(), end - start - separator.size()));
      end = start;
    }
    push(text.substr(0, end));
  }
  std::reverse(pieces.items().begin(), pieces.items().end());
  return pieces.take_list();
}

Value text_splitlines(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "splitlines", arguments, {"keepends"});
  ListBuilder lines(runtime);
  runtime.work(2 * self.text().size());
  split_lines(self.text(), bound.truth(0, false),
              [&](Text line) { lines.push(runtime.text(line)); });
  return lines.take_list();
}

template <Direction kDirection>
Value text_partition(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "partition", arguments, {"sep"}, 1);
  const Text text = self.text();
  const Text separator = bound.text(0, "");
  if (separator.empty()) runtime.fail("empty separator");
  runtime.heap.require(4 * separator.size());
  const Searcher searcher(separator, kDirection);
  runtime.work(searcher.cost(text.size()));
  const bool forward = kDirection == Direction::kForward;
  const size_t found = forward ? searcher.find(text) : searcher.rfind(text);
  if (found == Searcher::npos) {
    const Value empty = runtime.text("");
    return forward ? runtime.tuple({self, empty, empty}) : runtime.tuple({empty, empty, self});
  }
  return runtime.tuple({runtime.text(text.substr(0, found)), bound[0],
                        runtime.text(text.substr(found + separator.size()))});
}

/// A part of the text named by code point bounds, as find(), count() and startswith() take them.
struct Part {
  Text text;
  int64_t start = 0;  // in code points
  bool valid = true;  // false where the bounds lie outside
};

Part bounded_part(Runtime& runtime, const Value& self, const BoundArguments& bound) {
  if (!bound.has(1) && !bound.has(2)) return {self.text()};
  const int64_t size = length(runtime, self);
  int64_t start = bound.integer_or_none(1, 0);
  int64_t stop = bound.integer_or_none(2, size);
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (stop < 0) stop = std::max<int64_t>(stop + size, 0);
  stop = std::min(stop, size);
  if (start > stop) return {Text(), start, false};
  runtime.work(self.text().size());
  const size_t from = byte_offset(self.text(), static_cast<size_t>(start));
  const Text rest = self.text().substr(from);
  return {rest.substr(0, byte_offset(rest, static_cast<size_t>(stop - start))), start};
}

/// Position in code points, or -1.
template <Direction kDirection>
int64_t position(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "find", arguments, {"sub", "start", "end"}, 1);
  const Part part = bounded_part(runtime, self, bound);
  const Text needle = bound.text(0, "");
  if (!part.valid) return -1;
  runtime.heap.require(4 * needle.size());
  const Searcher searcher(needle, kDirection);
  runtime.work(searcher.cost(part.text.size()));
  const size_t found =
      kDirection == Direction::kForward ? searcher.find(part.text) : searcher.rfind(part.text);
  if (found == Searcher::npos) return -1;
  return part.start + static_cast<int64_t>(count_code_points(part.text.substr(0, found)));
}

template <Direction kDirection>
Value text_find(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return Value(position<kDirection>(runtime, self, arguments));
}

template <Direction kDirection>
Value text_index(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const int64_t found = position<kDirection>(runtime, self, arguments);
  if (found < 0) runtime.fail("substring not found");
  return Value(found);
}

Value text_count(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "count", arguments, {"sub", "start", "end"}, 1);
  const Part part = bounded_part(runtime, self, bound);
  const Text needle = bound.text(0, "");
  if (!part.valid) return Value(int64_t{0});
  runtime.work(part.text.size());
  if (needle.empty()) return Value(static_cast<int64_t>(count_code_points(part.text)) + 1);
  runtime.heap.require(4 * needle.size());
  const Searcher searcher(needle);
  runtime.work(searcher.cost(part.text.size()));
  int64_t count = 0;
  for (size_t at = 0; (at = searcher.find(part.text, at)) != Searcher::npos; at += needle.size()) {
    ++count;
  }
  return Value(count);
}

bool has_affix(Text text, Text affix, Side side) {
  if (affix.size() > text.size()) return false;
  return side == Side::kLeft ? text.substr(0, affix.size()) == affix
                             : text.substr(text.size() - affix.size()) == affix;
}

template <Side kSide>
Value text_affix(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Text name = kSide == Side::kLeft ? "startswith" : "endswith";
  const BoundArguments bound(runtime, name, arguments, {"affix", "start", "end"}, 1);
  const Part part = bounded_part(runtime, self, bound);
  const auto matches = [&](const Value& affix) {
    if (!affix.is_string()) {
      runtime.fail(std::string(name) + " first arg must be str or a tuple of str, not " +
                   std::string(type_name(affix)));
    }
    runtime.work(affix.text().size());
    return part.valid && has_affix(part.text, affix.text(), kSide);
  };
  if (!bound[0].is(Kind::kTuple)) return Value(matches(bound[0]));
  const auto& affixes = bound[0].items();
  return Value(std::any_of(affixes.begin(), affixes.end(), matches));
}

template <Side kSide>
Value text_remove_affix(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "removeprefix", arguments, {"affix"}, 1);
  const Text affix = bound.text(0, "");
  if (affix.empty() || !has_affix(self.text(), affix, kSide)) return self;
  Text rest = self.text();
  if (kSide == Side::kLeft) {
    rest.remove_prefix(affix.size());
  } else {
    rest.remove_suffix(affix.size());
  }
  return runtime.text(rest);
}

Value text_replace(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "replace", arguments, {"old", "new", "count"}, 2);
  return replace_text(runtime, self, bound.text(0, ""), bound.text(1, ""), bound.integer(2, -1));
}

Value text_join(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "join", arguments, {"iterable"}, 1);
  TextBuilder out(runtime);
  const auto items = iterate(runtime, bound[0]);
  Value item;
  for (bool first = true; items->next(runtime, item); first = false) {
    if (!item.is_string()) {
      runtime.fail("join() expected str instances, " + std::string(type_name(item)) + " found");
    }
    if (!first) out.append(self.text());
    out.append(item.text());
  }
  return out.take_value();
}

template <char kAlign>
Value text_align(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "center", arguments, {"width", "fillchar"}, 1);
  const Text fill = bound.text(1, " ");
  if (count_code_points(fill) != 1) {
    runtime.fail("the fill character must be exactly one character long");
  }
  const int64_t size = length(runtime, self);
  if (bound.integer(0, 0) <= size) return self;
  const int64_t padding = bound.integer(0, 0) - size;
  int64_t left = kAlign == '>' ? padding : 0;
  // Python puts the odd character to the left where the width is odd.
  if (kAlign == '^') left = padding / 2 + (padding & bound.integer(0, 0) & 1);
  TextBuilder out(runtime);
  out.append(static_cast<size_t>(left), fill);
  out.append(self.text());
  out.append(static_cast<size_t>(padding - left), fill);
  return out.take_value();
}

Value text_zfill(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "zfill", arguments, {"width"}, 1);
  const int64_t size = length(runtime, self);
  if (bound.integer(0, 0) <= size) return self;
  const int64_t padding = bound.integer(0, 0) - size;
  Text text = self.text();
  TextBuilder out(runtime);
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    out.append(text[0]);
    text.remove_prefix(1);
  }
  out.append(static_cast<size_t>(padding), "0");
  out.append(text);
  return out.take_value();
}

Value text_expandtabs(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "expandtabs", arguments, {"tabsize"});
  const int64_t size = bound.integer(0, 8);
  TextBuilder out(runtime);
  int64_t column = 0;
  CodePoints walk(self.text());
  CodePoint point;
  while (walk.next(point)) {
    if (point.value == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      out.append(static_cast<size_t>(spaces), " ");
      column += spaces;
    } else {
      out.append(point.bytes);
      column = point.value == '\n' || point.value == '\r' ? 0 : column + 1;
    }
  }
  return out.take_value();
}

Value text_format(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return brace_format(runtime, self.text(), arguments);
}

Value text_format_map(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(runtime, "format_map", arguments, {"mapping"}, 1);
  if (!bound[0].is(Kind::kDict)) runtime.fail("format_map() needs a mapping");
  Arguments named;
  for (const auto& [key, value] : bound[0].dict().entries()) {
    if (key.is_string()) named.named.emplace_back(std::string(key.text()), value);
  }
  return brace_format(runtime, self.text(), named);
}

/// Whether there is a character and all of them are of a class.
template <bool (*kIs)(uint32_t)>
Value text_all(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "is…", arguments);
  runtime.work(4 * self.text().size());
  CodePoints walk(self.text());
  CodePoint point;
  while (walk.next(point)) {
    if (!kIs(point.value)) return Value(false);
  }
  return Value(!self.text().empty());
}

Value text_isprintable(Runtime& runtime, const Value& self, const Arguments& arguments) {
  if (self.text().empty()) return Value(true);
  return text_all<is_printable>(runtime, self, arguments);
}

Value text_isascii(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "isascii", arguments);
  return Value(self.string().is_ascii());
}

Value text_islower(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "islower", arguments);
  runtime.work(4 * self.text().size());
  return Value(is_lower_text(self.text()));
}

Value text_isupper(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "isupper", arguments);
  runtime.work(4 * self.text().size());
  return Value(is_upper_text(self.text()));
}

Value text_istitle(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "istitle", arguments);
  runtime.work(4 * self.text().size());
  bool in_word = false;
  bool any = false;
  CodePoints walk(self.text());
  CodePoint point;
  while (walk.next(point)) {
    const bool upper = is_upper(point.value) || is_title(point.value);
    const bool lower = is_lower(point.value);
    if ((upper && in_word) || (lower && !in_word)) return Value(false);
    in_word = upper || lower;
    any = any || in_word;
  }
  return Value(any);
}

Value text_isidentifier(Runtime& runtime, const Value& self, const Arguments& arguments) {
  expect_none(runtime, "isidentifier", arguments);
  CodePoints walk(self.text());
  CodePoint point;
  for (bool first = true; walk.next(point); first = false) {
    const bool fits = first ? is_identifier_start(point.value) : is_identifier_part(point.value);
    if (!fits) return Value(false);
  }
  return Value(!self.text().empty());
}

/// In the order of their names, for the binary search.
constexpr std::array<Method, 44> kMethods = {{
    {"capitalize", text_map<capitalize>},
    {"casefold", text_map<casefold>},
    {"center", text_align<'^'>},
    {"count", text_count},
    {"endswith", text_affix<Side::kRight>},
    {"expandtabs", text_expandtabs},
    {"find", text_find<Direction::kForward>},
    {"format", text_format},
    {"format_map", text_format_map},
    {"index", text_index<Direction::kForward>},
    {"isalnum", text_all<is_alphanumeric>},
    {"isalpha", text_all<is_alphabetic>},
    {"isascii", text_isascii},
    {"isdecimal", text_all<is_decimal>},
    {"isdigit", text_all<is_digit>},
    {"isidentifier", text_isidentifier},
    {"islower", text_islower},
    {"isnumeric", text_all<is_numeric>},
    {"isprintable", text_isprintable},
    {"isspace", text_all<is_space>},
    {"istitle", text_istitle},
    {"isupper", text_isupper},
    {"join", text_join},
    {"ljust", text_align<'<'>},
    {"lower", text_map<to_lower>},
    {"lstrip", text_strip<Side::kLeft>},
    {"partition", text_partition<Direction::kForward>},
    {"removeprefix", text_remove_affix<Side::kLeft>},
    {"removesuffix", text_remove_affix<Side::kRight>},
    {"replace", text_replace},
    {"rfind", text_find<Direction::kBackward>},
    {"rindex", text_index<Direction::kBackward>},
    {"rjust", text_align<'>'>},
    {"rpartition", text_partition<Direction::kBackward>},
    {"rsplit", text_rsplit},
    {"rstrip", text_strip<Side::kRight>},
    {"split", text_split},
    {"splitlines", text_splitlines},
    {"startswith", text_affix<Side::kLeft>},
    {"strip", text_strip<Side::kBoth>},
    {"swapcase", text_map<swap_case>},
    {"title", text_map<title_case>},
    {"upper", text_map<to_upper>},
    {"zfill", text_zfill},
}};

}  // namespace

Value replace_text(Runtime& runtime, const Value& self, Text old, Text with, int64_t limit) {
  const Text text = self.text();
  runtime.work(text.size());
  TextBuilder out(runtime);
  if (old.empty()) {  // between all characters, and at both ends
    CodePoints walk(text);
    CodePoint point;
    for (int64_t count = 0;; ++count) {
      if (limit < 0 || count < limit) out.append(with);
      runtime.step();
      if (!walk.next(point)) return out.take_value();
      out.append(point.bytes);
    }
  }
  runtime.heap.require(4 * old.size());
  const Searcher searcher(old);
  runtime.work(searcher.cost(text.size()));
  size_t start = 0;
  for (int64_t count = 0; count != limit; ++count) {
    const size_t found = searcher.find(text, start);
    if (found == Searcher::npos) break;
    if (count > 0) runtime.step();
    out.append(text.substr(start, found - start));
    out.append(with);
    start = found + old.size();
  }
  if (start == 0) return self;
  out.append(text.substr(start));
  return out.take_value();
}

const Method* find_text_method(Text name) {
  const auto* found =
      std::lower_bound(kMethods.begin(), kMethods.end(), name,
                       [](const Method& method, Text wanted) { return method.name < wanted; });
  return found != kMethods.end() && found->name == name ? found : nullptr;
}

}  // namespace omg::jinja
