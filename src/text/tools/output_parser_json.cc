// SPDX-License-Identifier: Apache-2.0
//
// Calls that are JSON altogether, and JSON arguments behind a name.
#include "base/error.h"
#include "text/tools/output_parser_impl.h"

namespace omg {
namespace {

/// Text of a JSON string, given with its quotes. Raw control characters are let through.
std::string decode_string(std::string_view quoted) {
  std::string escaped;
  for (const char c : quoted) {
    if (static_cast<unsigned char>(c) < 0x20) {
      append_control_escape(escaped, c);
    } else {
      escaped += c;
    }
  }
  try {
    const json::value value = parse_json("[" + escaped + "]", "string");
    return std::string(std::string_view(value.get_array().at(0).get_string()));
  } catch (const Error&) {
    return "";  // no UTF-8, or half a surrogate pair
  }
}

}  // namespace

bool OutputParser::Impl::step_json_calls() {
  const size_t end = view().size();
  while (at_ < end) {
    const JsonScanner::Status status = scanner_.push(buffer_[at_]);
    if (status == JsonScanner::Status::kError || !on_json_call(buffer_[at_])) {
      show_json_arguments();
      return abandon(at_);
    }
    ++at_;
    if (level_ == kCallIsDone) end_json_call();
    if (status == JsonScanner::Status::kDone) {
      if (!found_call_) return abandon(at_);
      state_ = State::kAfterCall;
      return true;
    }
  }
  show_json_arguments();
  return false;
}

/// Passes on what has come of the arguments, once the name is known.
void OutputParser::Impl::show_json_arguments() {
  if (!begun_) return;
  add_arguments(early_arguments_);
  early_arguments_.clear();
}

void OutputParser::Impl::end_json_call() {
  if (!has_arguments_) early_arguments_ = "{}";
  if (!begun_) begin_call(name_, id_);
  show_json_arguments();
  end_call(id_);
  clear_call();
  found_call_ = true;
}

/// One byte that the scanner has accepted. False where it makes this no call.
bool OutputParser::Impl::on_json_call(char byte) {
  using Event = JsonScanner::Event;
  const size_t depth = scanner_.depth();
  const Event event = scanner_.event();
  if (arguments_depth_ > 0) {
    if (static_cast<unsigned char>(byte) < 0x20 && scanner_.in_string()) {
      append_control_escape(early_arguments_, byte);
    } else {
      early_arguments_ += byte;
    }
    if (event == Event::kContainerEnd && depth < arguments_depth_) arguments_depth_ = 0;
    return true;
  }
  switch (event) {
    case Event::kArrayBegin:
      if (level_ == 0 && depth == 1 && !is_bare_) {
        is_array_ = true;
        return true;
      }
      return level_ > 0 && !(depth == level_ + 1 && is_arguments_key());
    case Event::kObjectBegin:
      return on_json_object_begin();
    case Event::kKeyBegin:
    case Event::kStringBegin:
      token_ = at_;
      return level_ > 0;
    case Event::kKeyEnd:
      return depth != level_ || on_json_key_end();
    case Event::kStringEnd:
      return depth != level_ || on_json_string_end();
    case Event::kScalarBegin:
      if (level_ == 0) return false;
      if (depth != level_ || !is_arguments_key()) return true;
      has_arguments_ = true;
      early_arguments_ = "{}";
      return byte == 'n';  // null: no arguments
    case Event::kContainerEnd:
      return on_json_container_end();
    case Event::kNone:
      return true;
  }
  return true;
}

bool OutputParser::Impl::is_arguments_key() const {
  if (format_.name_key.empty()) return true;
  return key_ == format_.arguments_key || key_ == "arguments" || key_ == "parameters";
}

bool OutputParser::Impl::on_json_object_begin() {
  const size_t depth = scanner_.depth();
  if (level_ == 0) {
    if (depth != (is_array_ ? 2u : 1u)) return false;
    level_ = depth;
    return true;
  }
  if (depth != level_ + 1) return true;
  if (is_arguments_key()) {
    if (has_arguments_) return false;
    has_arguments_ = true;
    arguments_depth_ = depth;
    early_arguments_.assign(1, '{');
    if (has_name_) begin_call(name_, id_);
  } else if (key_ == "function" && wrappers_ == 0) {
    ++wrappers_;
    level_ = depth;
  }
  return true;
}

bool OutputParser::Impl::on_json_key_end() {
  key_ = decode_string(std::string_view(buffer_).substr(token_, at_ + 1 - token_));
  if (format_.name_key.empty()) {
    if (has_name_ || key_.empty()) return false;
    name_ = key_;
    has_name_ = true;
    return true;
  }
  // A call that nothing marks must look like nothing else.
  return !is_bare_ || key_ == format_.name_key || key_ == "name" || is_arguments_key() ||
         key_ == "id" || key_ == "type" || key_ == "function";
}

bool OutputParser::Impl::on_json_string_end() {
  const bool is_name = key_ == format_.name_key || key_ == "name";
  const bool is_id = key_ == format_.id_key || key_ == "id";
  if (!is_name && !is_id && !is_arguments_key()) return true;
  const std::string text =
      decode_string(std::string_view(buffer_).substr(token_, at_ + 1 - token_));
  if (is_name) {
    if (has_name_ || text.empty()) return false;
    if (is_bare_ && !schemas_.empty() && !schemas_.declares(text)) return false;
    name_ = text;
    has_name_ = true;
    if (has_arguments_) begin_call(name_, id_);
  } else if (is_arguments_key()) {
    // JSON in a string: it is the arguments only if it is an object.
    const std::string_view trimmed = trim_space(text);
    if (has_arguments_ || !trimmed.starts_with('{') || !is_json(trimmed)) return false;
    has_arguments_ = true;
    early_arguments_ = trimmed;
  } else {
    id_ = text;
  }
  return true;
}

bool OutputParser::Impl::on_json_container_end() {
  const size_t depth = scanner_.depth();
  if (level_ == 0 || depth >= level_) return true;
  if (wrappers_ > 0) {
    --wrappers_;
    --level_;
    return true;
  }
  // Without arguments it may be anything, unless a marker says that it is a call.
  if (!has_name_ || (is_bare_ && !has_arguments_)) return false;
  level_ = kCallIsDone;
  return true;
}

bool OutputParser::Impl::step_arguments() {
  const size_t end = view().size();
  if (!begun_) {
    const size_t first = std::min(skip_space(at_), end);
    if (first == end) return false;
    if (buffer_[first] != '{') {
      // No arguments at all, and the call's end.
      const MarkerSet::Found found = closers_.set.match_at(view(), first, false);
      if (found.position == first && found.index == MarkerSet::kNone) return false;
      if (found.index == MarkerSet::kNone) return abandon(first);
      begin_call(name_, id_);
      add_arguments("{}");
      at_ = first + found.length;
      end_call(id_);
      closed_ = true;
      state_ = State::kAfterCall;
      return true;
    }
    at_ = first;
    begin_call(name_, id_);
  }
  std::string text;
  while (at_ < end) {
    const char byte = buffer_[at_];
    const JsonScanner::Status status = scanner_.push(byte);
    if (status == JsonScanner::Status::kError) {
      add_arguments(text);
      return abandon(at_);
    }
    if (static_cast<unsigned char>(byte) < 0x20 && scanner_.in_string()) {
      append_control_escape(text, byte);
    } else {
      text += byte;
    }
    ++at_;
    if (status == JsonScanner::Status::kDone) {
      add_arguments(text);
      end_call(id_);
      state_ = State::kAfterCall;
      return true;
    }
  }
  add_arguments(text);
  return false;
}

}  // namespace omg
