// SPDX-License-Identifier: Apache-2.0
#include "text/tools/output_parser.h"

#include <algorithm>

#include "text/tools/output_parser_impl.h"
#include "text/tools/tag_text.h"

namespace omg {

void OutputParser::Impl::Markers::add(const std::string& text, Action action, size_t head) {
  if (trim_space(text).empty()) return;
  if (std::find(texts.begin(), texts.end(), text) != texts.end()) return;
  texts.push_back(text);
  actions.push_back(action);
  heads.push_back(head);
}

OutputParser::Impl::Impl(const ToolFormat& format, const OutputParserOptions& options)
    : format_(format),
      options_(options),
      schemas_(options.tools),
      parse_calls_(options.parse_calls && format.has_calls()),
      max_call_bytes_(std::max(options.max_call_bytes, kLeastCallBytes)) {
  set_up_markers();
  if (format_.syntax == CallSyntax::kHarmony) set_up_harmony();
  for (Markers* markers : {&start_, &content_, &reasoning_, &after_call_, &closers_}) {
    markers->build();
  }
  value_end_ = MarkerSet({format_.value_end});
  key_begin_ = MarkerSet({format_.key_begin});
  key_end_ = MarkerSet({format_.flag_begin.empty() ? format_.key_end : format_.flag_begin});
  tags_end_ = MarkerSet({format_.call_end});
  buffer_ = format_.prompt_tail;
  virtual_ = buffer_.size();
  if (options_.starts_in_reasoning && options_.parse_reasoning && format_.has_reasoning()) {
    state_ = State::kReasoning;
    drop_space_ = true;
  }
}

void OutputParser::Impl::set_up_markers() {
  if (parse_calls_ && format_.syntax != CallSyntax::kHarmony) {
    std::vector<std::string> heads = format_.other_heads;
    heads.insert(heads.begin(), format_.call_head);
    for (const std::string& text : heads) {
      Head head;
      size_t begin = 0;
      for (size_t i = 0; i <= text.size(); ++i) {
        const bool is_mark = i < text.size() && (text[i] == kNameMark || text[i] == kIdMark);
        if (!is_mark && i < text.size()) continue;
        const std::string literal(trim_space(text.substr(begin, i - begin)));
        // The first part is what the head is found by, so it is there even if empty.
        if (!literal.empty() || head.parts.empty()) head.parts.push_back({0, literal});
        if (is_mark) head.parts.push_back({text[i], ""});
        begin = i + 1;
      }
      if (head.parts[0].text.empty() && format_.syntax == CallSyntax::kJson) has_bare_json_ = true;
      heads_.push_back(std::move(head));
    }
    for (const std::string& end : {format_.call_end, format_.section_end}) {
      for (const std::string& token : split_tags(end)) closers_.add(token, Action::kCloser);
    }
  }
  if (options_.parse_reasoning) {
    start_.add(format_.reasoning_begin, Action::kReasoningBegin);
    start_.add(format_.reasoning_end, Action::kReasoningEnd);
    reasoning_.add(format_.reasoning_end, Action::kReasoningEnd);
    add_triggers(reasoning_, /*only_control=*/true);
  }
  if (!content_begins_like_call()) start_.add(format_.content_begin, Action::kContentBegin);
  add_triggers(start_);
  add_triggers(content_);
  content_.add(format_.content_end, Action::kContentEnd);
  after_call_ = closers_;
  add_triggers(after_call_);
}

/// ">>>all" among ">>>NAME": the name tells them apart, see step_head().
bool OutputParser::Impl::content_begins_like_call() const {
  if (heads_.empty() || heads_[0].parts[0].text.empty()) return false;
  return heads_[0].parts.size() > 1 && heads_[0].parts[1].kind == kNameMark &&
         format_.content_begin.starts_with(heads_[0].parts[0].text);
}

/// Markers that begin a call or a section of calls.
void OutputParser::Impl::add_triggers(Markers& markers, bool only_control) const {
  const auto is_wanted = [&](const std::string& text) {
    return !only_control || looks_like_control_token(text);
  };
  if (heads_.empty()) return;
  if (is_wanted(format_.section_begin)) markers.add(format_.section_begin, Action::kSection);
  for (size_t i = 0; i < heads_.size(); ++i) {
    const std::string& text = heads_[i].parts[0].text;
    if (is_wanted(text)) markers.add(text, Action::kHead, i);
  }
}

void OutputParser::Impl::feed(std::string_view text, OutputEvents& events) {
  events_ = &events;
  buffer_.append(text);
  run();
}

void OutputParser::Impl::finish(OutputEvents& events) {
  events_ = &events;
  final_ = true;
  run();
}

void OutputParser::Impl::run() {
  while (step()) {
  }
  compact();
  events_ = nullptr;
}

bool OutputParser::Impl::step() {
  switch (state_) {
    case State::kStart:
      return step_start();
    case State::kContent:
    case State::kReasoning:
      return step_text();
    case State::kAfterCall:
      return step_after_call();
    default:
      break;
  }
  if (step_in_call()) return true;
  if (!in_call()) return true;
  const bool is_full = buffer_.size() - raw_start_ >= max_call_bytes_;
  if (!final_ && !is_full) return false;
  return abandon(view().size());
}

bool OutputParser::Impl::step_in_call() {
  switch (state_) {
    case State::kHead:
      return step_head();
    case State::kJsonCalls:
      return step_json_calls();
    case State::kArguments:
      return step_arguments();
    case State::kPairs:
      return step_pairs();
    case State::kPairKey:
      return step_pair_key();
    case State::kPairFlag:
      return step_pair_flag();
    case State::kPairValue:
      return step_pair_value();
    case State::kLoose:
      return step_loose();
    case State::kTags:
      return step_tags();
    case State::kPython:
      return step_python();
    default:
      return step_header();
  }
}

std::string_view OutputParser::Impl::view() const {
  const size_t most = std::max(at_, raw_start_ + max_call_bytes_);
  return std::string_view(buffer_).substr(0, std::min(buffer_.size(), most));
}

/// First place from `from` on that is no white space. Text that comes byte by byte must not have
/// all of it looked at again each time.
size_t OutputParser::Impl::skip_space(size_t from) {
  const size_t begin = from;
  if (begin == space_begin_) from = std::max(from, space_end_);
  while (from < buffer_.size() && is_marker_space(buffer_[from])) ++from;
  space_begin_ = begin;
  space_end_ = from;
  return from;
}

/// A new part of the answer: reasoning, calls or text may follow.
void OutputParser::Impl::begin_message(bool drop_space) {
  state_ = State::kStart;
  drop_space_ = drop_space;
}

bool OutputParser::Impl::step_start() {
  const size_t first = skip_space(at_);
  if (first == buffer_.size()) {
    if (!final_) return false;
    if (!drop_space_) show(OutputEvent::Kind::kContent, at_, first);
    at_ = first;
    return false;
  }
  const MarkerSet::Found found = start_.set.match_at(buffer_, first, final_);
  if (found.position == first && found.index == MarkerSet::kNone) return false;
  text_state_ = State::kContent;
  raw_start_ = drop_space_ ? first : at_;
  if (found.index != MarkerSet::kNone) return act(start_, found);
  if (has_bare_json_ && buffer_[first] == '{') {
    at_ = first;
    is_bare_ = true;
    enter_payload();
    return true;
  }
  if (format_.syntax == CallSyntax::kHarmony && buffer_[first] == 't') {
    // "to=functions.f<|channel|>…": the prompt ended with the message's role.
    const MarkerMatch to = match_marker("to=", std::string_view(buffer_).substr(first), final_);
    if (to.match == Match::kPartial) return false;
    if (to.match == Match::kFull) {
      at_ = first;
      scan_ = at_;
      state_ = State::kHeader;
      return true;
    }
  }
  if (drop_space_) at_ = first;
  if (std::string_view(buffer_).substr(at_).starts_with(format_.content_lead)) {
    at_ += format_.content_lead.size();
  }
  state_ = State::kContent;
  drop_space_ = false;
  return true;
}

bool OutputParser::Impl::step_text() {
  const bool is_content = state_ == State::kContent;
  const Markers& markers = is_content ? content_ : reasoning_;
  const auto kind = is_content ? OutputEvent::Kind::kContent : OutputEvent::Kind::kReasoning;
  if (drop_space_) {
    at_ = skip_space(at_);
    if (at_ == buffer_.size()) return false;
    drop_space_ = false;
  }
  const MarkerSet::Found found = markers.set.find(buffer_, at_, final_);
  // White space before a marker belongs to it. Where no marker can come, none is held back.
  size_t end = found.position;
  if (!markers.set.empty()) {
    while (end > at_ && found.position - end < kMaxMarkerSpace &&
           is_marker_space(buffer_[end - 1])) {
      --end;
    }
  }
  if (found.index == MarkerSet::kNone) {
    if (final_) end = buffer_.size();
    show(kind, at_, end);
    at_ = end;
    return false;
  }
  const bool keeps_space = markers.actions[found.index] == Action::kContentEnd;
  if (keeps_space) end = found.position;
  show(kind, at_, end);
  raw_start_ = end;
  text_state_ = state_;
  return act(markers, found);
}

bool OutputParser::Impl::act(const Markers& markers, const MarkerSet::Found& found) {
  at_ = found.position + found.length;
  switch (markers.actions[found.index]) {
    case Action::kReasoningBegin:
      state_ = State::kReasoning;
      drop_space_ = true;
      break;
    case Action::kReasoningEnd:
    case Action::kContentEnd:
    case Action::kMessageEnd:
      begin_message(/*drop_space=*/true);
      break;
    case Action::kContentBegin:
      state_ = State::kContent;
      drop_space_ = true;
      break;
    case Action::kSection:
      state_ = State::kAfterCall;
      section_is_new_ = true;
      break;
    case Action::kHead:
      enter_head(markers.heads[found.index]);
      break;
    case Action::kCloser:
      closed_ = true;
      section_is_new_ = false;
      break;
    case Action::kHeader:
      at_ = found.position;
      scan_ = at_ + found.length;
      state_ = State::kHeader;
      break;
  }
  return true;
}

bool OutputParser::Impl::step_after_call() {
  const size_t first = skip_space(at_);
  const MarkerSet::Found found = after_call_.set.match_at(buffer_, first, final_);
  const bool is_partial = found.position == first && found.index == MarkerSet::kNone;
  if (first == buffer_.size() || is_partial) {
    if (!final_) return false;
    if (section_is_new_) return abandon(first);
    at_ = first;
    return false;
  }
  if (found.index != MarkerSet::kNone) {
    if (!section_is_new_) raw_start_ = first;
    return act(after_call_, found);
  }
  if (section_is_new_) return abandon(first);
  if (format_.syntax == CallSyntax::kJson && !closed_) {
    // Another call between the same markers, or none: "{…}; {…}".
    const bool is_separator = buffer_[first] == ',' || buffer_[first] == ';';
    const size_t next = is_separator ? skip_space(first + 1) : first;
    if (next == buffer_.size() && !final_) return false;
    if (next < buffer_.size() && buffer_[next] == '{') {
      raw_start_ = first;
      at_ = next;
      enter_payload();
      return true;
    }
  }
  at_ = first;
  begin_message(/*drop_space=*/true);
  return true;
}

/// The text up to `fail` is shown as what it would have been without the call.
bool OutputParser::Impl::abandon(size_t fail) {
  if (begun_) {
    OutputEvent event{OutputEvent::Kind::kCallAbandoned, "", name_, "", calls_};
    events_->push_back(std::move(event));
    begun_ = false;
  }
  const bool is_reasoning = text_state_ == State::kReasoning;
  show(is_reasoning ? OutputEvent::Kind::kReasoning : OutputEvent::Kind::kContent, raw_start_,
       fail);
  at_ = fail;
  state_ = text_state_;
  drop_space_ = false;
  section_is_new_ = false;
  return true;
}

void OutputParser::Impl::begin_call(std::string name, std::string id) {
  events_->push_back({OutputEvent::Kind::kCallBegin, "", std::move(name), std::move(id), calls_});
  begun_ = true;
}

void OutputParser::Impl::add_arguments(std::string_view text) {
  show_text(OutputEvent::Kind::kCallArguments, text);
}

void OutputParser::Impl::end_call(std::string id) {
  events_->push_back({OutputEvent::Kind::kCallEnd, "", "", std::move(id), calls_});
  begun_ = false;
  ++calls_;
  raw_start_ = at_;
  section_is_new_ = false;
  closed_ = false;
  text_state_ = State::kContent;
}

void OutputParser::Impl::show(OutputEvent::Kind kind, size_t from, size_t to) {
  from = std::max(from, virtual_);
  if (from < to) show_text(kind, std::string_view(buffer_).substr(from, to - from));
}

void OutputParser::Impl::show_text(OutputEvent::Kind kind, std::string_view text) {
  if (text.empty()) return;
  if (!events_->empty() && events_->back().kind == kind && events_->back().call == calls_) {
    events_->back().text += text;
    return;
  }
  events_->push_back({kind, std::string(text), "", "", calls_});
}

/// Forgets what is done with, once that is most of the buffer.
void OutputParser::Impl::compact() {
  const bool holds_raw = in_call() || section_is_new_;
  const size_t done = holds_raw ? std::min(raw_start_, at_) : at_;
  if (done < 4096 || done < buffer_.size() / 2) return;
  buffer_.erase(0, done);
  space_begin_ = space_end_ = 0;
  at_ -= done;
  raw_start_ -= std::min(raw_start_, done);
  scan_ -= std::min(scan_, done);
  token_ -= std::min(token_, done);
  virtual_ -= std::min(virtual_, done);
}

bool opens_reasoning(const ToolFormat& format, std::string_view prompt) {
  if (!format.has_reasoning() || format.reasoning_begin.empty()) return false;
  return trim_space(prompt).ends_with(format.reasoning_begin);
}

OutputParser::OutputParser(const ToolFormat& format, const OutputParserOptions& options)
    : impl_(std::make_unique<Impl>(format, options)) {}
OutputParser::OutputParser(OutputParser&&) noexcept = default;
OutputParser& OutputParser::operator=(OutputParser&&) noexcept = default;
OutputParser::~OutputParser() = default;

void OutputParser::feed(std::string_view text, OutputEvents& events) {
  impl_->feed(text, events);
}

void OutputParser::finish(OutputEvents& events) {
  impl_->finish(events);
}

void ParsedOutput::add(const OutputEvent& event) {
  switch (event.kind) {
    case OutputEvent::Kind::kContent:
      content += event.text;
      break;
    case OutputEvent::Kind::kReasoning:
      reasoning += event.text;
      break;
    case OutputEvent::Kind::kCallBegin:
      calls.push_back({event.name, "", event.id});
      break;
    case OutputEvent::Kind::kCallArguments:
      calls.back().arguments += event.text;
      break;
    case OutputEvent::Kind::kCallEnd:
      if (!event.id.empty()) calls.back().id = event.id;
      break;
    case OutputEvent::Kind::kCallAbandoned:
      calls.pop_back();
      break;
  }
}

ParsedOutput parse_output(const ToolFormat& format, const OutputParserOptions& options,
                          std::string_view text) {
  OutputParser parser(format, options);
  OutputEvents events;
  parser.feed(text, events);
  parser.finish(events);
  ParsedOutput output;
  for (const OutputEvent& event : events) output.add(event);
  return output;
}

}  // namespace omg
