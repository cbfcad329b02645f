// SPDX-License-Identifier: Apache-2.0
#include "text/tools/probe.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "text/tools/json_scanner.h"
#include "text/tools/known_formats.h"
#include "text/tools/marker.h"
#include "text/tools/tag_text.h"
#include "text/tools/values.h"

namespace omg {
namespace {

// Words that no template and no other word contains. Ids have nine letters and digits, which is
// what Mistral's templates insist on.
constexpr std::string_view kUser = "Quzuser";
constexpr std::string_view kAnswer = "Quzanswer";
constexpr std::string_view kThought = "Quzthought";
constexpr std::string_view kNames[] = {"quzfirst", "quzsecond"};
constexpr std::string_view kIds[] = {"quzidaaa1", "quzidbbb2"};
constexpr std::string_view kKeys[] = {"quzkeya", "quzkeyb", "quzkeyc"};
constexpr std::string_view kValues[] = {"quzvalue", "4711"};

json::object tool(std::string_view name) {
  json::object properties;
  properties[kKeys[0]] = {{"type", "string"}, {"description", "a text"}};
  properties[kKeys[1]] = {{"type", "integer"}, {"description", "a number"}};
  properties[kKeys[2]] = {{"type", "string"}, {"description", "a text"}};
  const json::object parameters = {
      {"type", "object"}, {"properties", properties}, {"required", json::array{kKeys[0]}}};
  return {{"type", "function"},
          {"function",
           {{"name", name}, {"description", "does something"}, {"parameters", parameters}}}};
}

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] =
      std::mismatch(a.begin(), a.begin() + std::min(a.size(), b.size()), b.begin());
  return static_cast<size_t>(end - a.begin());
}

/// `length`, or less where it would cut a tag of `text`.
size_t before_cut_tag(std::string_view text, size_t length) {
  const std::string_view prefix = text.substr(0, length);
  for (const auto& [open, close] : {std::pair('<', '>'), std::pair('[', ']')}) {
    const size_t begin = prefix.rfind(open);
    if (begin == std::string_view::npos) continue;
    if (prefix.find(close, begin) != std::string_view::npos) continue;
    const size_t end = text.find(close, begin);
    if (end != std::string_view::npos && end - begin < 64) return begin;
  }
  return length;
}

/// Common end of two texts, in whole tags and words.
std::string common_tail(std::string_view a, std::string_view b) {
  const auto left = split_exactly(a);
  const auto right = split_exactly(b);
  size_t count = 0;
  size_t bytes = 0;
  while (count < left.size() && count < right.size() &&
         left[left.size() - 1 - count] == right[right.size() - 1 - count]) {
    bytes += left[left.size() - 1 - count].size();
    ++count;
  }
  return std::string(a.substr(a.size() - bytes));
}

std::string common_head(std::string_view a, std::string_view b) {
  const auto left = split_exactly(a);
  const auto right = split_exactly(b);
  size_t bytes = 0;
  for (size_t i = 0; i < left.size() && i < right.size() && left[i] == right[i]; ++i) {
    bytes += left[i].size();
  }
  return std::string(a.substr(0, bytes));
}

std::string replace_all(std::string_view text, std::string_view from, char to) {
  std::string out;
  for (size_t at = 0;;) {
    const size_t found = text.find(from, at);
    out.append(text.substr(at, found - at));
    if (found == std::string_view::npos) return out;
    out += to;
    at = found + from.size();
  }
}

/// Length of the JSON document at text[position]; 0 where there is none.
size_t json_length(std::string_view text, size_t position) {
  JsonScanner scanner;
  for (size_t at = position; at < text.size(); ++at) {
    const JsonScanner::Status status = scanner.push(text[at]);
    if (status == JsonScanner::Status::kError) return 0;
    if (status == JsonScanner::Status::kDone) return at + 1 - position;
  }
  return 0;
}

using Text = std::optional<std::string>;

/// What a rendered conversation has behind the user's message; nothing where it shows none.
Text behind_user(const Text& text) {
  const size_t user = text ? text->find(kUser) : std::string::npos;
  if (user == std::string::npos) return std::nullopt;
  return text->substr(user + kUser.size());
}

/// How the assistant's turn is given to the template.
struct TurnForm {
  bool string_arguments = false;
  json::value content = "";
};

class Prober {
 public:
  Prober(const ChatTemplate& chat_template, const ProbeOptions& options)
      : template_(chat_template), options_(options) {}

  ToolFormat run() {
    if (const auto known = known_whole_format(template_.source())) return *known;
    render_basics();
    probe_reasoning();
    add_known_reasoning(template_.source(), format_);
    probe_content();
    probe_calls();
    add_known_calls(template_.source(), format_);
    return std::move(format_);
  }

 private:
  Text render(json::array messages, bool generation_prompt, bool think) const;
  json::object turn(const TurnForm& form, size_t calls, bool thinks, bool with_arguments) const;
  Text render_turn(const json::object& message, bool think) const;
  void render_basics();
  void probe_reasoning();
  bool read_reasoning(const json::object& message, bool think);
  void probe_content();
  void probe_calls();
  bool read_calls(const TurnForm& form);
  size_t enclosing_object(const std::string& text, size_t inside, size_t& length) const;
  bool read_json_payload(const std::string& one, const std::string& two, size_t name);
  bool read_named(const std::string& one, const std::string& two, size_t name);
  bool read_python(const std::string& one, size_t name);
  bool read_braces(const std::string& one, size_t name_end, size_t key, size_t& payload,
                   size_t& payload_end);
  bool read_pairs(const std::string& one, size_t name_end, size_t key, size_t& payload,
                  size_t& payload_end);
  void set_markers(const std::string& before, const std::string& between, const std::string& after);
  std::string without_reasoning(std::string_view text) const;
  std::string without_turn_end(std::string_view text) const;
  std::string body_before(const std::string& text, size_t end) const;

  const ChatTemplate& template_;
  const ProbeOptions& options_;
  ToolFormat format_;
  bool documents_are_none_ = true;        // else they are not defined
  std::string prompt_, thinking_prompt_;  // up to the assistant's turn
  Text answered_;                         // with a plain answer
  size_t header_ = 0;                     // where the assistant's turn begins, behind its role
  std::string turn_end_;                  // what follows a plain answer
};

Text Prober::render(json::array messages, bool generation_prompt, bool think) const {
  json::object context;
  context["messages"] = std::move(messages);
  context["tools"] = json::array{tool(kNames[0]), tool(kNames[1])};
  if (documents_are_none_) context["documents"] = nullptr;
  context["add_generation_prompt"] = generation_prompt;
  context["bos_token"] = options_.bos_token;
  context["eos_token"] = options_.eos_token;
  if (think) {
    context["enable_thinking"] = true;
    context["thinking"] = true;
  }
  RenderOptions limits;
  limits.max_output_bytes = 1u << 20;
  limits.max_memory_bytes = 16u << 20;
  limits.max_steps = 300'000;
  limits.now = std::chrono::sys_seconds{std::chrono::seconds{1'769'860'800}};
  try {
    return template_.render(context, limits);
  } catch (const Error&) {
    return std::nullopt;  // the template refuses such a conversation
  }
}

json::object Prober::turn(const TurnForm& form, size_t calls, bool thinks,
                          bool with_arguments) const {
  json::object message{{"role", "assistant"}, {"content", form.content}};
  if (thinks) {
    for (const char* key : {"reasoning_content", "reasoning", "thinking"}) message[key] = kThought;
  }
  json::array list;
  for (size_t i = 0; i < calls; ++i) {
    json::value arguments = json::object();
    if (with_arguments) {
      arguments = {{kKeys[0], kValues[0]}, {kKeys[1], 4711}, {kKeys[2], kValues[0]}};
    }
    if (form.string_arguments) arguments = json::serialize(arguments);
    list.push_back({{"id", kIds[i]},
                    {"type", "function"},
                    {"function", {{"name", kNames[i]}, {"arguments", arguments}}}});
  }
  if (calls > 0) message["tool_calls"] = std::move(list);
  return message;
}

Text Prober::render_turn(const json::object& message, bool think) const {
  return behind_user(render({{{"role", "user"}, {"content", kUser}}, message}, false, think));
}

/// Where the assistant's turn begins: as far as prompts and turns of all kinds agree.
void Prober::render_basics() {
  const json::object user{{"role", "user"}, {"content", kUser}};
  const json::object answer{{"role", "assistant"}, {"content", kAnswer}};
  documents_are_none_ = render({user}, true, false).has_value();
  prompt_ = behind_user(render({user}, true, false)).value_or("");
  thinking_prompt_ = behind_user(render({user}, true, true)).value_or(prompt_);
  answered_ = render_turn(answer, false);
  const std::vector<Text> turns = {answered_,
                                   behind_user(render({user, answer, user}, false, false)),
                                   render_turn(turn({}, 1, false, true), false)};
  const auto agree_until = [](const std::string& a, const std::string& b) {
    const size_t same = common_prefix(a, b);
    return std::min(before_cut_tag(a, same), before_cut_tag(b, same));
  };
  header_ = agree_until(prompt_, thinking_prompt_);
  for (const Text& text : turns) {
    if (text) header_ = std::min(header_, agree_until(prompt_, *text));
  }
  if (!answered_) return;
  // Where a prompt has more before the assistant's role than turns have, its end tells.
  size_t same = answered_->size();
  for (const Text& text : turns) {
    if (text) same = std::min(same, agree_until(*answered_, *text));
  }
  if (same > header_) {
    const std::string_view rest =
        trim_space(std::string_view(*answered_).substr(header_, same - header_));
    if (!rest.empty() && trim_space(prompt_).ends_with(rest)) header_ = same;
  }
  const size_t at = answered_->rfind(kAnswer);
  if (at != std::string::npos) turn_end_ = answered_->substr(at + kAnswer.size());
}

/// `text` up to `end`, without the header of the assistant's turn.
std::string Prober::body_before(const std::string& text, size_t end) const {
  const size_t begin = std::min(header_, end);
  return text.substr(begin, end - begin);
}

void Prober::probe_reasoning() {
  const TurnForm plain{false, json::value(kAnswer)};
  for (const bool think : {false, true}) {
    if (read_reasoning(turn(plain, 0, true, false), think)) return;
  }
  for (const bool think : {false, true}) {
    for (const TurnForm& form : {TurnForm{false, ""}, TurnForm{true, ""}}) {
      if (read_reasoning(turn(form, 1, true, true), think)) return;
    }
  }
}

bool Prober::read_reasoning(const json::object& message, bool think) {
  const Text text = render_turn(message, think);
  if (!text) return false;
  const size_t thought = text->rfind(kThought);
  if (thought == std::string::npos) return false;
  const size_t after = thought + kThought.size();
  size_t answer = text->find(kAnswer, after);
  const bool has_answer = answer != std::string::npos;
  if (!has_answer) answer = text->size();
  // Behind the reasoning, less what marks the answer itself.
  const std::vector<std::string> behind = split_tags(text->substr(after, answer - after));
  if (behind.empty()) return false;
  std::string begin(trim_space(body_before(*text, thought)));
  if (begin.empty()) {
    // The prompt opens it: with words of its own, or with a tag that all turns have.
    begin = trim_space(
        std::string_view(thinking_prompt_).substr(std::min(header_, thinking_prompt_.size())));
    const std::vector<std::string> tags = split_tags(std::string_view(*text).substr(0, thought));
    if (begin.find(behind[0]) != std::string::npos) begin.clear();
    if (begin.empty() && !tags.empty()) begin = tags.back();
  }
  format_.reasoning_begin = begin;
  format_.reasoning_end = behind[0];
  if (!has_answer) return true;
  // "<|end|><|begin|>assistant<|content|>": all but what a plain answer begins with, too.
  const std::string gap(trim_space(text->substr(after, answer - after)));
  const size_t plain = answered_ ? answered_->rfind(kAnswer) : std::string::npos;
  if (plain == std::string::npos) return true;
  std::string lead = body_before(*answered_, plain);
  if (lead.find(format_.reasoning_end) != std::string::npos) return true;
  lead = std::string(trim_space(lead));
  std::string end = gap;
  if (!lead.empty() && end.ends_with(lead)) end.resize(end.size() - lead.size());
  format_.reasoning_end = std::string(trim_space(end));
  return true;
}

/// `text` from behind the last reasoning in it, which may be empty.
std::string Prober::without_reasoning(std::string_view text) const {
  const size_t end =
      format_.reasoning_end.empty() ? std::string_view::npos : text.rfind(format_.reasoning_end);
  if (end == std::string_view::npos) return std::string(text);
  return std::string(text.substr(end + format_.reasoning_end.size()));
}

void Prober::probe_content() {
  if (!answered_) return;
  const size_t answer = answered_->rfind(kAnswer);
  if (answer == std::string::npos) return;
  const std::string before = body_before(*answered_, answer);
  const std::string lead = without_reasoning(before);
  format_.content_begin = std::string(trim_space(lead));
  if (format_.content_begin.size() > kMaxMarkerBytes ||
      format_.content_begin == format_.reasoning_begin) {
    format_.content_begin.clear();
  }
  if (format_.content_begin.empty()) {
    if (trim_space(before).empty()) format_.content_lead = lead;
    return;
  }
  const std::vector<std::string> behind = split_tags(turn_end_);
  if (!behind.empty() && behind[0].size() > 1) format_.content_end = behind[0];
}

void Prober::probe_calls() {
  for (const json::value& content : {json::value(""), json::value(nullptr), json::value(kAnswer)}) {
    for (const bool as_string : {false, true}) {
      if (read_calls({as_string, content})) return;
    }
  }
}

bool Prober::read_calls(const TurnForm& form) {
  for (const bool think : {false, true}) {
    const Text one = render_turn(turn(form, 1, false, true), think);
    if (!one) continue;
    const size_t name = one->rfind(kNames[0]);
    // With its arguments: not in a list of tools.
    if (name == std::string::npos || one->find(kValues[0], name) == std::string::npos) continue;
    const std::string two = render_turn(turn(form, 2, false, true), think).value_or("");
    const ToolFormat before = format_;
    if (read_json_payload(*one, two, name)) return true;
    format_ = before;
    if (read_named(*one, two, name)) return true;
    format_ = before;
  }
  return false;
}

std::string Prober::without_turn_end(std::string_view text) const {
  const std::string tail = text.ends_with(turn_end_) ? turn_end_ : common_tail(text, turn_end_);
  return std::string(text.substr(0, text.size() - tail.size()));
}

/// What stands before, between and after calls, to section and call.
void Prober::set_markers(const std::string& before, const std::string& between,
                         const std::string& after) {
  const std::string end = without_turn_end(after);
  std::string head = common_tail(before, between);
  if (trim_space(head).empty()) {
    head = without_reasoning(body_before(before, before.size()));
    format_.call_end = end;
  } else {
    const std::string rest = between.substr(0, between.size() - head.size());
    const std::string own_end = common_head(end, rest);
    format_.call_end = own_end;
    format_.section_end = std::string(trim_space(end.substr(own_end.size())));
    const size_t head_at = before.size() - head.size();
    format_.section_begin = without_reasoning(body_before(before, head_at));
    if (head_at < header_) {  // the prompt ends inside of the head
      format_.prompt_tail = prompt_.substr(head_at, header_ - head_at);
      if (trim_space(format_.prompt_tail).empty()) format_.prompt_tail.clear();
      if (!format_.content_begin.empty()) {
        format_.content_begin = format_.prompt_tail + format_.content_begin;
      }
    }
  }
  // An answer in the same turn stands before the section.
  for (std::string* marker : {&head, &format_.section_begin}) {
    const size_t answer = marker->rfind(kAnswer);
    if (answer != std::string::npos) marker->erase(0, answer + kAnswer.size());
    *marker = std::string(trim_space(*marker));
  }
  format_.call_head = head;
  format_.call_end = std::string(trim_space(format_.call_end));
}

/// Where the outermost JSON object begins that holds text[inside]; npos where none does.
size_t Prober::enclosing_object(const std::string& text, size_t inside, size_t& length) const {
  size_t found = std::string::npos;
  size_t begin = inside;
  for (int i = 0; i < 4 && begin > 0; ++i) {
    begin = text.rfind('{', begin - 1);
    if (begin == std::string::npos) break;
    const size_t whole = json_length(text, begin);
    if (whole <= inside - begin) continue;
    found = begin;
    length = whole;
  }
  return found;
}

bool Prober::read_json_payload(const std::string& one, const std::string& two, size_t name) {
  size_t length = 0;
  size_t begin = enclosing_object(one, name, length);
  if (begin == std::string::npos) return false;
  const json::value payload = parse_json(std::string_view(one).substr(begin, length), "payload");
  for (const auto& member : payload.get_object()) {
    const json::value& value = member.value();
    const std::string text = json::serialize(value);
    if (value.is_string() && std::string_view(value.get_string()) == kNames[0]) {
      format_.name_key = member.key();
    } else if (value.is_string() && std::string_view(value.get_string()) == kIds[0]) {
      format_.id_key = member.key();
    } else if (text.find(kValues[0]) != std::string::npos) {
      format_.arguments_key = member.key();
    }
  }
  if (format_.arguments_key == kNames[0]) {
    format_.arguments_key.clear();  // {"f": {…}}
  } else if (format_.arguments_key == "function" && format_.name_key.empty()) {
    format_.name_key = "name";  // as in the OpenAI API
    format_.arguments_key = "arguments";
  } else if (format_.arguments_key.empty() || format_.name_key.empty()) {
    return false;
  }
  size_t end = begin + length;
  std::string between;
  const size_t second = two.rfind(kNames[1]);
  const bool same = two.compare(0, end, one, 0, end) == 0;
  if (second != std::string::npos && second > end && same) {
    const size_t next = enclosing_object(two, second, length);
    if (next != std::string::npos && next > end) between = two.substr(end, next - end);
  }
  const size_t open = one.find_last_not_of(" \t\r\n", begin - 1);
  const size_t whole = open != std::string::npos && one[open] == '[' ? json_length(one, open) : 0;
  if (whole > 0) {  // all calls in one array
    begin = open;
    end = open + whole;
    between.clear();
  }
  format_.syntax = CallSyntax::kJson;
  set_markers(one.substr(0, begin), between, one.substr(end));
  return true;
}

bool Prober::read_named(const std::string& one, const std::string& two, size_t name) {
  const size_t name_end = name + kNames[0].size();
  const size_t key = one.find(kKeys[0], name_end);
  if (key == std::string::npos) return false;
  if (one[name_end] == '(') return read_python(one, name);
  size_t payload = 0;      // where arguments begin
  size_t payload_end = 0;  // and end
  if (!read_braces(one, name_end, key, payload, payload_end) &&
      !read_pairs(one, name_end, key, payload, payload_end)) {
    return false;
  }
  const auto mark_ids = [](std::string text) {
    for (const std::string_view id : kIds) text = replace_all(text, id, kIdMark);
    return text;
  };
  std::string between;
  const size_t second = two.rfind(kNames[1]);
  if (second != std::string::npos && second > payload_end &&
      two.compare(0, payload_end, one, 0, payload_end) == 0) {
    between = two.substr(payload_end, second - payload_end);
  }
  // Some templates close the section behind the second call only.
  std::string after = one.substr(payload_end);
  if (!between.empty() && format_.syntax == CallSyntax::kNamedJson) {
    const size_t brace = two.find('{', second);
    const size_t length = brace == std::string::npos ? 0 : json_length(two, brace);
    if (length > 0) after = two.substr(brace + length);
  }
  set_markers(mark_ids(one.substr(0, name)), mark_ids(between), after);
  std::string& head = format_.call_head;
  if (head.empty()) return false;
  const std::vector<std::string> tags = split_tags(head);
  if (tags.size() > 1 && tags.back().ends_with('.')) {  // "functions."
    format_.name_prefix = tags.back();
    head.resize(head.size() - tags.back().size());
  }
  std::string tail = mark_ids(one.substr(name_end, payload - name_end));
  if (tail.starts_with(":0")) {
    format_.name_has_index = true;
    tail.erase(0, 2);
  }
  head += kNameMark;
  head += trim_space(tail);
  return true;
}

bool Prober::read_python(const std::string& one, size_t name) {
  size_t end = name;
  std::string read_name;
  std::string arguments;
  if (!read_python_call(one, end, read_name, arguments)) return false;
  size_t begin = name;
  if (begin > 0 && one[begin - 1] == '[' && end < one.size() && one[end] == ']') {
    --begin;
    ++end;
  }
  format_.syntax = CallSyntax::kPython;
  set_markers(one.substr(0, begin), "", one.substr(end));
  return true;
}

/// {…} behind the name: JSON, or with quotes of its own.
bool Prober::read_braces(const std::string& one, size_t name_end, size_t key, size_t& payload,
                         size_t& payload_end) {
  payload = one.find('{', name_end);
  if (payload == std::string::npos || payload > key) return false;
  if (const size_t length = json_length(one, payload); length > key - payload) {
    format_.syntax = CallSyntax::kNamedJson;
    payload_end = payload + length;
    return true;
  }
  const size_t colon = key + kKeys[0].size();
  const size_t value = one.find(kValues[0], key);
  if (value == std::string::npos || one[colon] != ':') return false;
  const LooseSyntax syntax{one.substr(colon + 1, value - colon - 1), /*bare_keys=*/true};
  std::string json;
  payload_end = payload;
  if (!read_loose_value(one, syntax, payload_end, json)) return false;
  format_.syntax = CallSyntax::kLoose;
  format_.quote = syntax.quote;
  return true;
}

/// Keys and values between markers.
bool Prober::read_pairs(const std::string& one, size_t name_end, size_t key, size_t& payload,
                        size_t& payload_end) {
  const size_t key_end = key + kKeys[0].size();
  const size_t value = one.find(kValues[0], key_end);
  const size_t value_end = value + kValues[0].size();
  if (value == std::string::npos || value - key_end > kMaxMarkerBytes) return false;
  // The last of the three arguments ends the payload.
  const size_t last_key = one.find(kKeys[2], value_end);
  const size_t last_value =
      last_key == std::string::npos ? last_key : one.find(kValues[0], last_key);
  if (last_value == std::string::npos) return false;
  const size_t last_end = last_value + kValues[0].size();
  if (const size_t close = one.find("</" + std::string(kKeys[0]) + ">", value_end);
      close < last_key) {
    format_.syntax = CallSyntax::kTags;
    format_.tag_prefix = one.substr(value_end, close - value_end);
    payload = key - 1 - format_.tag_prefix.size();
    const std::string end = format_.tag_prefix + "</" + std::string(kKeys[2]) + ">";
    payload_end = last_end + end.size();
    return payload >= name_end && one.substr(last_end, end.size()) == end;
  }
  const size_t next_key = one.find(kKeys[1], value_end);
  const size_t next_value =
      next_key == std::string::npos ? next_key : one.find(kValues[1], next_key);
  if (next_value == std::string::npos) return false;
  const std::string behind_value = one.substr(value_end, next_key - value_end);
  const std::string behind_name = one.substr(name_end, key - name_end);
  const std::string key_begin = common_tail(behind_name, behind_value);
  if (trim_space(key_begin).empty()) return false;
  format_.syntax = CallSyntax::kPairs;
  format_.has_cdata = template_.source().find("<![CDATA[") != std::string::npos;
  format_.key_begin = std::string(trim_space(key_begin));
  const std::string end = behind_value.substr(0, behind_value.size() - key_begin.size());
  format_.value_end = std::string(trim_space(end));
  const std::string to_text = one.substr(key_end, value - key_end);
  const size_t next_key_end = next_key + kKeys[1].size();
  const std::string to_number = one.substr(next_key_end, next_value - next_key_end);
  format_.value_on_own_line = to_text.ends_with('\n') && end.starts_with('\n');
  format_.key_end = std::string(trim_space(to_text));
  if (const size_t flag = to_text.find("true"); to_text != to_number && flag != std::string::npos) {
    format_.flag_begin = to_text.substr(0, flag);
    format_.key_end = std::string(trim_space(to_text.substr(flag + 4)));
  }
  if (format_.key_end.empty() || format_.value_end.empty()) return false;
  payload = name_end + behind_name.size() - key_begin.size();
  const MarkerMatch close = match_marker(end, std::string_view(one).substr(last_end), true);
  payload_end = last_end + close.length;
  return close.match == Match::kFull;
}

}  // namespace

ToolFormat probe_tool_format(const ChatTemplate& chat_template, const ProbeOptions& options) {
  return Prober(chat_template, options).run();
}

}  // namespace omg
