// SPDX-License-Identifier: Apache-2.0
//
// Arguments as nested tags (MiniMax M3), and the messages of gpt-oss (harmony).
#include <algorithm>

#include "text/tools/output_parser_impl.h"

namespace omg {
namespace {

constexpr size_t kMaxHeaderBytes = 512;

/// Members of an object written as PREFIX<key>value PREFIX</key>, to JSON.
class TagReader {
 public:
  TagReader(std::string_view text, std::string_view prefix, const ToolSchemas& schemas,
            std::string_view tool)
      : text_(text),
        open_(std::string(prefix) + "<"),
        close_(open_ + "/"),
        schemas_(schemas),
        tool_(tool) {}

  /// All of the text as one object. False where it is not of this form.
  bool object(std::string& json) {
    return members(json, /*is_array=*/false) && at_ == text_.size();
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_marker_space(text_[at_])) ++at_;
  }
  bool at(std::string_view marker) const { return text_.substr(at_).starts_with(marker); }
  bool at_open() const { return at(open_) && !at(close_); }

  bool name(std::string& name) {
    at_ += open_.size();
    const size_t end = text_.find('>', at_);
    if (end == std::string_view::npos || end == at_) return false;
    name = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }

  bool members(std::string& json, bool is_array) {
    if (++depth_ > JsonScanner::kMaxDepth) return false;
    json += is_array ? '[' : '{';
    bool first = true;
    for (skip_space(); at_open(); skip_space()) {
      std::string key;
      if (!name(key)) return false;
      if (!first) json += ", ";
      first = false;
      if (!is_array) json += quote_json(key) + ": ";
      if (!value(key, json)) return false;
    }
    json += is_array ? ']' : '}';
    --depth_;
    return true;
  }

  bool value(const std::string& key, std::string& json) {
    const size_t begin = at_;
    skip_space();
    if (at_open()) {
      if (!members(json, at(open_ + "item>"))) return false;
      skip_space();
    } else {
      at_ = std::min(text_.find(close_, begin), text_.size());
      // Only arguments themselves have a declared type.
      json += schemas_.typed(depth_ == 1 ? tool_ : "", key, text_.substr(begin, at_ - begin));
    }
    const std::string end = close_ + key + ">";
    if (!at(end)) return false;
    at_ += end.size();
    return true;
  }

  std::string_view text_;
  const std::string open_;
  const std::string close_;
  const ToolSchemas& schemas_;
  std::string_view tool_;
  size_t at_ = 0;
  size_t depth_ = 0;
};

/// The word behind `key`, up to white space or the next marker.
std::string word_behind(std::string_view text, std::string_view key) {
  const size_t begin = text.find(key);
  if (begin == std::string_view::npos) return "";
  const std::string_view rest = text.substr(begin + key.size());
  return std::string(rest.substr(0, rest.find_first_of(" \t\r\n<")));
}

}  // namespace

bool OutputParser::Impl::step_tags() {
  const std::string_view seen = view();
  const MarkerSet::Found found = tags_end_.find(seen, scan_, false);
  scan_ = found.position;
  if (found.index == MarkerSet::kNone) return false;
  const size_t after = found.position + found.length;
  TagReader reader(seen.substr(at_, found.position - at_), format_.tag_prefix, schemas_, name_);
  std::string arguments;
  if (!reader.object(arguments)) return abandon(after);
  begin_call(name_, id_);
  add_arguments(arguments);
  at_ = after;
  end_call(id_);
  closed_ = true;
  state_ = State::kAfterCall;
  return true;
}

/// Messages are <|start|>ROLE to=RECIPIENT<|channel|>CHANNEL<|message|>TEXT<|end|>, where
/// <|return|> and <|call|> end them, too.
/// Source: https://cookbook.openai.com/articles/openai-harmony
void OutputParser::Impl::set_up_harmony() {
  for (const char* begin : {"<|start|>", "<|channel|>"}) {
    for (Markers* markers : {&start_, &content_, &reasoning_}) {
      markers->add(begin, Action::kHeader);
    }
    after_call_.add(begin, Action::kHeader);
  }
  for (const char* end : {"<|end|>", "<|return|>", "<|call|>"}) {
    for (Markers* markers : {&start_, &content_, &reasoning_, &after_call_}) {
      markers->add(end, Action::kMessageEnd);
    }
  }
  message_ = MarkerSet({"<|message|>"});
}

bool OutputParser::Impl::step_header() {
  const std::string_view seen = view();
  const MarkerSet::Found found = message_.find(seen, scan_, false);
  scan_ = found.position;
  if (found.position - at_ > kMaxHeaderBytes) return abandon(at_ + kMaxHeaderBytes);
  if (found.index == MarkerSet::kNone) return false;
  const std::string_view header = seen.substr(at_, found.position - at_);
  std::string recipient = word_behind(header, "to=");
  const std::string channel = word_behind(header, "<|channel|>");
  at_ = found.position + found.length;
  if (recipient.starts_with("functions.")) recipient.erase(0, 10);
  if (!recipient.empty() && parse_calls_) {
    clear_call();
    name_ = recipient;
    enter_payload();
    return true;
  }
  state_ = channel == "analysis" && options_.parse_reasoning ? State::kReasoning : State::kContent;
  text_state_ = state_;
  drop_space_ = false;
  return true;
}

}  // namespace omg
