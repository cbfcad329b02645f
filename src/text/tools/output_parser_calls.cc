// SPDX-License-Identifier: Apache-2.0
//
// Calls that are not JSON altogether: their heads, and arguments as pairs, tags, or in Python's and
// Gemma's notations.
#include <algorithm>

#include "text/tools/output_parser_impl.h"

namespace omg {
namespace {

constexpr size_t kMaxNameBytes = 256;
constexpr std::string_view kCdata = "<![CDATA[";

bool is_name_byte(char c) {
  constexpr std::string_view kNotInNames = "<>{}()[]\"'`,;=|\\";
  return static_cast<unsigned char>(c) > ' ' && kNotInNames.find(c) == std::string_view::npos;
}

/// One line break off each end.
std::string_view strip_line_breaks(std::string_view text) {
  if (text.starts_with("\r\n")) text.remove_prefix(1);
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

void OutputParser::Impl::clear_call() {
  name_.clear();
  id_.clear();
  key_.clear();
  early_arguments_.clear();
  has_name_ = has_arguments_ = false;
  level_ = wrappers_ = arguments_depth_ = 0;
  pairs_ = 0;
}

void OutputParser::Impl::enter_head(size_t head) {
  clear_call();
  head_ = head;
  part_ = 1;
  is_bare_ = false;
  state_ = State::kHead;
}

/// What comes after the head.
void OutputParser::Impl::enter_payload() {
  closed_ = false;
  scan_ = at_;
  scanner_ = {};
  switch (format_.syntax) {
    case CallSyntax::kJson:
      clear_call();
      is_array_ = found_call_ = false;
      state_ = State::kJsonCalls;
      break;
    case CallSyntax::kPairs:
      state_ = State::kPairs;
      break;
    case CallSyntax::kTags:
      state_ = State::kTags;
      break;
    case CallSyntax::kLoose:
      depth_ = 0;
      open_quote_.clear();
      state_ = State::kLoose;
      break;
    case CallSyntax::kPython:
      in_list_ = false;
      depth_ = 0;
      open_quote_.clear();
      state_ = State::kPython;
      break;
    default:
      state_ = State::kArguments;
  }
}

bool OutputParser::Impl::step_head() {
  const std::vector<Head::Part>& parts = heads_[head_].parts;
  if (part_ == parts.size()) {
    const bool has_own_name =
        format_.syntax == CallSyntax::kJson || format_.syntax == CallSyntax::kPython;
    if (name_.empty() && !has_own_name) return abandon(at_);
    enter_payload();
    return true;
  }
  const Head::Part& part = parts[part_];
  const std::string_view seen = view();
  const size_t first = std::min(skip_space(at_), seen.size());
  if (part.kind == 0) {
    const MarkerMatch match = match_marker(part.text, seen.substr(first), false);
    if (match.match == Match::kPartial) return false;
    if (match.match == Match::kNo) return abandon(first);
    at_ = first + match.length;
    ++part_;
    return true;
  }
  const char stop =
      part_ + 1 < parts.size() && parts[part_ + 1].kind == 0 ? parts[part_ + 1].text[0] : '\0';
  size_t end = first;
  while (end < seen.size() && end - first <= kMaxNameBytes && seen[end] != stop &&
         is_name_byte(seen[end])) {
    ++end;
  }
  if (end - first > kMaxNameBytes) return abandon(end);
  if (end == seen.size()) return false;
  if (end == first) return abandon(end);
  const std::string word(seen.substr(first, end - first));
  at_ = end;
  ++part_;
  if (part.kind == kIdMark) {
    id_ = word;
    return true;
  }
  name_ = word;
  if (parts[0].text + word == format_.content_begin) {
    state_ = State::kContent;
    drop_space_ = true;
    return true;
  }
  if (!format_.name_prefix.empty() && name_.starts_with(format_.name_prefix)) {
    name_.erase(0, format_.name_prefix.size());
  }
  if (format_.name_has_index) {
    id_ = word;
    const size_t colon = name_.rfind(':');
    if (colon != std::string::npos && colon > 0) name_.resize(colon);
  }
  return true;
}

bool OutputParser::Impl::step_pairs() {
  const std::string_view seen = view();
  const size_t first = std::min(skip_space(at_), seen.size());
  const MarkerSet::Found key = key_begin_.match_at(seen, first, false);
  const MarkerSet::Found end = closers_.set.match_at(seen, first, false);
  const bool is_key = key.index != MarkerSet::kNone;
  const bool is_end = end.index != MarkerSet::kNone;
  if (is_key || is_end) {
    if (!begun_) begin_call(name_, id_);
    at_ = first + (is_key ? key.length : end.length);
    if (is_key) {
      scan_ = at_;
      state_ = State::kPairKey;
      return true;
    }
    add_arguments(pairs_ == 0 ? "{}" : "}");
    end_call(id_);
    closed_ = true;
    state_ = State::kAfterCall;
    return true;
  }
  const bool may_match = first == seen.size() || key.position == first || end.position == first;
  return may_match ? false : abandon(first);
}

bool OutputParser::Impl::step_pair_key() {
  const std::string_view seen = view();
  const MarkerSet::Found found = key_end_.find(seen, at_, false);
  if (found.position - at_ > kMaxNameBytes) return abandon(at_ + kMaxNameBytes);
  if (found.index == MarkerSet::kNone) return false;
  key_ = std::string(trim_space(seen.substr(at_, found.position - at_)));
  at_ = found.position + found.length;
  scan_ = at_;
  state_ = format_.flag_begin.empty() ? State::kPairValue : State::kPairFlag;
  return true;
}

bool OutputParser::Impl::step_pair_flag() {
  for (const bool is_string : {true, false}) {
    const std::string text = (is_string ? "true" : "false") + format_.key_end;
    const MarkerMatch match = match_marker(text, view().substr(at_), false);
    if (match.match == Match::kPartial) return false;
    if (match.match == Match::kNo) continue;
    value_is_string_ = is_string;
    at_ += match.length;
    scan_ = at_;
    state_ = State::kPairValue;
    return true;
  }
  return abandon(at_);
}

/// A value may hold text that looks like its end: what follows tells.
bool OutputParser::Impl::ends_value(size_t after, bool& needs_more) const {
  const std::string_view seen = view();
  size_t next = after;
  while (next < seen.size() && next - after < kMaxMarkerSpace && is_marker_space(seen[next])) {
    ++next;
  }
  const MarkerSet::Found key = key_begin_.match_at(seen, next, false);
  const MarkerSet::Found end = closers_.set.match_at(seen, next, false);
  if (key.index != MarkerSet::kNone || end.index != MarkerSet::kNone) return true;
  needs_more = next == seen.size() || key.position == next || end.position == next;
  return false;
}

bool OutputParser::Impl::step_pair_value() {
  for (;;) {
    const MarkerSet::Found found = value_end_.find(view(), scan_, false);
    scan_ = found.position;
    if (found.index == MarkerSet::kNone) return false;
    bool needs_more = false;
    const std::string_view value = view().substr(at_, found.position - at_);
    const bool is_open = format_.has_cdata && value.starts_with(kCdata) && !value.ends_with("]]>");
    if (!is_open && ends_value(found.position + found.length, needs_more)) {
      add_pair(value);
      at_ = found.position + found.length;
      state_ = State::kPairs;
      return true;
    }
    if (needs_more) return false;
    ++scan_;
  }
}

void OutputParser::Impl::add_pair(std::string_view raw) {
  if (format_.value_on_own_line) raw = strip_line_breaks(raw);
  std::string pair = pairs_ == 0 ? "{" : ", ";
  pair += quote_json(key_) + ": ";
  if (format_.has_cdata && raw.starts_with(kCdata) && raw.ends_with("]]>")) {
    raw.remove_prefix(kCdata.size());
    raw.remove_suffix(3);
    pair += quote_json(raw);
  } else if (format_.flag_begin.empty()) {
    pair += schemas_.typed(name_, key_, raw);
  } else {
    pair += !value_is_string_ && is_json(raw) ? std::string(trim_space(raw)) : quote_json(raw);
  }
  add_arguments(pair);
  ++pairs_;
}

/// Moves scan_ past one bracketed text, in which `quote` (or Python's quotes, where it is empty)
/// hides brackets. True once it is closed.
bool OutputParser::Impl::scan_brackets(std::string_view quote) {
  const std::string_view seen = view();
  while (scan_ < seen.size()) {
    const char c = seen[scan_];
    if (!open_quote_.empty()) {
      if (quote.empty() && c == '\\') {
        if (scan_ + 1 == seen.size()) return false;
        ++scan_;
      } else if (quote.empty() && c == open_quote_[0]) {
        const size_t next = std::min(skip_space(scan_ + 1), seen.size());
        if (next == seen.size()) return false;
        if (may_follow_string(seen[next])) open_quote_.clear();
      } else if (!quote.empty()) {
        const MarkerMatch match = match_marker(open_quote_, seen.substr(scan_), false);
        if (match.match == Match::kPartial) return false;
        if (match.match == Match::kFull) {
          scan_ += match.length - 1;
          open_quote_.clear();
        }
      }
    } else if (quote.empty() && (c == '"' || c == '\'')) {
      open_quote_ = c;
    } else if (!quote.empty() && c == quote[0]) {
      const MarkerMatch match = match_marker(quote, seen.substr(scan_), false);
      if (match.match == Match::kPartial) return false;
      if (match.match == Match::kFull) {
        scan_ += match.length - 1;
        open_quote_ = quote;
      }
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth_;
    } else if (c == ')' || c == ']' || c == '}') {
      if (depth_ > 0) --depth_;
      if (depth_ == 0) {
        ++scan_;
        return true;
      }
    }
    ++scan_;
  }
  return false;
}

bool OutputParser::Impl::step_loose() {
  const std::string_view seen = view();
  if (scan_ == at_) {
    const size_t first = std::min(skip_space(at_), seen.size());
    if (first == seen.size()) return false;
    if (seen[first] != '{') return abandon(first);
    at_ = scan_ = first;
  }
  if (!scan_brackets(format_.quote)) return false;
  const LooseSyntax syntax{format_.quote, /*bare_keys=*/true};
  size_t end = 0;
  std::string arguments;
  const std::string_view text = seen.substr(at_, scan_ - at_);
  if (!read_loose_value(text, syntax, end, arguments) || end != text.size()) {
    return abandon(scan_);
  }
  begin_call(name_, id_);
  add_arguments(arguments);
  at_ = scan_;
  end_call(id_);
  state_ = State::kAfterCall;
  return true;
}

bool OutputParser::Impl::step_python() {
  const std::string_view seen = view();
  if (scan_ == at_) {
    size_t first = std::min(skip_space(at_), seen.size());
    if (first == seen.size()) return false;
    const bool has_call = calls_in_list_ > 0;
    if (!in_list_ && seen[first] == '[') {
      in_list_ = true;
      calls_in_list_ = 0;
      at_ = scan_ = first + 1;
      return true;
    }
    if (in_list_ && seen[first] == ']') {
      if (!has_call) return abandon(first);
      at_ = raw_start_ = first + 1;
      state_ = State::kAfterCall;
      return true;
    }
    if (in_list_ && has_call) {
      if (seen[first] != ',') return abandon(first);
      first = std::min(skip_space(first + 1), seen.size());
      if (first == seen.size()) return false;
    }
    size_t end = first;
    while (end < seen.size() && end - first <= kMaxNameBytes && is_name_byte(seen[end])) ++end;
    if (end == seen.size() && end - first <= kMaxNameBytes) return false;
    if (end == first || seen[end] != '(') return abandon(end);
    at_ = first;
    scan_ = end;
  }
  if (!scan_brackets("")) return false;
  std::string name;
  std::string arguments;
  size_t end = 0;
  const std::string_view text = seen.substr(at_, scan_ - at_);
  if (!read_python_call(text, end, name, arguments) || end != text.size()) return abandon(scan_);
  begin_call(name, "");
  add_arguments(arguments);
  at_ = scan_;
  end_call();
  ++calls_in_list_;
  if (!in_list_) state_ = State::kAfterCall;
  return true;
}

}  // namespace omg
