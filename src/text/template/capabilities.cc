// SPDX-License-Identifier: Apache-2.0
#include "text/template/capabilities.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace omg {
namespace {

using Text = std::optional<std::string>;

// Words that stand in no template. Ids have nine letters and digits, as Mistral's templates insist.
constexpr std::string_view kSystem = "Quzsystem";
constexpr std::string_view kUser = "Quzuser";
constexpr std::string_view kAnswer = "Quzanswer";
constexpr std::string_view kMore = "Quzmore";
constexpr std::string_view kThought = "Quzthought";
constexpr std::string_view kResult = "Quzresult";
constexpr std::string_view kNames[] = {"quzfirst", "quzsecond"};
constexpr std::string_view kIds[] = {"quzidaaa1", "quzidbbb2"};

constexpr std::array<std::string_view, 6> kLevels = {"minimal", "low",   "medium",
                                                     "high",    "xhigh", "max"};
constexpr std::array<const char*, 3> kReasoningFields = {"reasoning_content", "reasoning",
                                                         "thinking"};

/// Variables by which published templates let thinking be switched.
struct Candidate {
  const char* variable;
  json::value on, off;
};
std::vector<Candidate> candidates() {
  return {{"enable_thinking", true, false},
          {"thinking", true, false},
          {"thinking_mode", "enabled", "disabled"},
          {"thinking_mode", "on", "off"},
          {"thinking_budget", -1, 0},
          {"reasoning_effort", "high", "no_think"},
          {"reasoning_effort", "high", "none"},
          {"reasoning", true, false},
          {"enable_reasoning", true, false},
          {"think", true, false}};
}

template <typename Content>
json::object message(std::string_view role, const Content& content) {
  return {{"role", role}, {"content", json::value(content)}};
}

bool contains(const Text& text, std::string_view word) {
  return text && text->find(word) != std::string::npos;
}

/// What `text` has behind its common beginning with `other`; never from inside a tag.
std::string behind_common(const std::string& text, const std::string& other) {
  size_t same = 0;
  while (same < text.size() && same < other.size() && text[same] == other[same]) ++same;
  if (same == text.size()) return "";
  const size_t open = text.rfind('<', same);
  if (open < same && text.find('>', open) >= same) same = open;
  return text.substr(same);
}

/// Whether a template's text has a word as a string of its own.
bool is_quoted_in(std::string_view source, std::string_view word) {
  for (size_t at = 0; (at = source.find(word, at)) != std::string_view::npos; ++at) {
    const size_t end = at + word.size();
    if (at == 0 || end == source.size() || source[at - 1] != source[end]) continue;
    if (source[end] == '\'' || source[end] == '"') return true;
  }
  return false;
}

class Prober {
 public:
  Prober(const ChatTemplate& chat_template, const CapabilityOptions& options)
      : template_(chat_template), options_(options) {}

  TemplateCapabilities run() {
    if (!probe_user()) return std::move(found_);
    probe_roles();
    probe_content();
    probe_tools();
    probe_thinking();
    probe_reasoning();
    return std::move(found_);
  }

 private:
  struct Extras {
    bool tools = false;
    bool generation_prompt = false;
    json::object variables = {};
  };
  // Where a template wants its content in parts, all messages here are.
  Text render(json::array messages, const Extras& extras);
  Text render(json::array messages) { return render(std::move(messages), Extras{}); }
  bool probe_user();
  void probe_roles();
  void probe_content();
  void probe_tools();
  void probe_arguments();
  void probe_thinking();
  void probe_levels(ThinkingSwitch& found);
  void probe_reasoning();
  json::object call_turn(size_t calls, bool as_string, const json::value& content) const;

  const ChatTemplate& template_;
  const CapabilityOptions& options_;
  TemplateCapabilities found_;
  bool wrap_parts_ = false;
  std::string last_error_;
};

json::object tool(std::string_view name) {
  const json::object text{{"type", "string"}, {"description", "a text"}};
  const json::object parameters{
      {"type", "object"}, {"properties", {{"quzkey", text}}}, {"required", json::array{"quzkey"}}};
  const json::object function{
      {"name", name}, {"description", "does something"}, {"parameters", parameters}};
  return {{"type", "function"}, {"function", function}};
}

Text Prober::render(json::array messages, const Extras& extras) {
  if (wrap_parts_) {
    for (json::value& each : messages) {
      json::value& content = each.get_object()["content"];
      if (!content.is_string()) continue;
      content = json::array{json::object{{"type", "text"}, {"text", content}}};
    }
  }
  json::object context{{"messages", std::move(messages)}};
  if (extras.tools) {
    context["tools"] = json::array{tool(kNames[0]), tool(kNames[1])};
  } else if (found_.absent_is_none) {
    context["tools"] = nullptr;
  }
  if (found_.absent_is_none) context["documents"] = nullptr;
  context["add_generation_prompt"] = extras.generation_prompt;
  context["bos_token"] = options_.bos_token;
  context["eos_token"] = options_.eos_token;
  for (const auto& variable : extras.variables) context[variable.key()] = variable.value();
  RenderOptions limits;
  limits.max_output_bytes = 1u << 20;
  limits.max_memory_bytes = 16u << 20;
  limits.max_steps = 300'000;
  limits.now = std::chrono::sys_seconds{std::chrono::seconds{1'769'860'800}};
  try {
    return template_.render(context, limits);
  } catch (const Error& error) {
    last_error_ = error.what();
    return std::nullopt;
  }
}

/// Finds a form in which a lone user's message can be rendered at all.
bool Prober::probe_user() {
  Extras prompt;
  prompt.generation_prompt = true;
  for (const bool parts : {false, true}) {
    for (const bool absent_is_none : {true, false}) {
      wrap_parts_ = parts;
      found_.absent_is_none = absent_is_none;
      const Text with = render({message("user", kUser)}, prompt);
      if (!contains(with, kUser)) continue;
      const Text without = render({message("user", kUser)});
      if (without) found_.generation_prompt = behind_common(*with, *without);
      found_.content_string = !parts;
      found_.content_parts = parts;
      return true;
    }
  }
  found_.failure = last_error_.empty() ? "the user's message is not in the prompt" : last_error_;
  return false;
}

void Prober::probe_roles() {
  const json::object user = message("user", kUser);
  const json::object answer = message("assistant", kAnswer);
  const Text system = render({message("system", kSystem), user});
  found_.system = !system                     ? Support::kRefused
                  : contains(system, kSystem) ? Support::kYes
                                              : Support::kNo;
  found_.system_anywhere =
      contains(render({user, answer, message("system", kSystem), user}), kSystem);
  found_.developer = contains(render({message("developer", kSystem), user}), kSystem);
  const Text twice = render({user, message("user", kMore)});
  found_.must_alternate = !contains(twice, kUser) || !contains(twice, kMore);
}

void Prober::probe_content() {
  if (found_.content_parts) return;
  const json::array parts{json::object{{"type", "text"}, {"text", kUser}},
                          json::object{{"type", "text"}, {"text", kMore}}};
  const Text text = render({message("user", parts)});
  // A list written out as Python or JSON would write it is no rendering of its text.
  found_.content_parts = contains(text, kUser) && contains(text, kMore) &&
                         !contains(text, "'text'") && !contains(text, "\"text\"");
}

json::object Prober::call_turn(size_t calls, bool as_string, const json::value& content) const {
  json::object turn = message("assistant", content);
  json::array list;
  for (size_t i = 0; i < calls; ++i) {
    json::value arguments = json::object{{"quzkey", "quzvalue"}};
    if (as_string) arguments = json::serialize(arguments);
    const json::object function{{"name", kNames[i]}, {"arguments", arguments}};
    list.push_back(json::object{{"id", kIds[i]}, {"type", "function"}, {"function", function}});
  }
  turn["tool_calls"] = std::move(list);
  return turn;
}

void Prober::probe_tools() {
  const json::object user = message("user", kUser);
  Extras tools;
  tools.tools = true;
  const Text declared = render({user}, tools);
  found_.tools = contains(declared, kNames[0]) && contains(declared, "quzkey");
  probe_arguments();
  if (!found_.calls) return;
  const bool as_string = found_.arguments == ArgumentForm::kString;
  const Text null_content = render({user, call_turn(1, as_string, nullptr)}, tools);
  const Text empty_content = render({user, call_turn(1, as_string, "")}, tools);
  found_.empty_content = contains(empty_content, "quzvalue");
  // "None" is what Python makes of it.
  found_.null_content =
      contains(null_content, "quzvalue") &&
      (found_.empty_content ? null_content == empty_content : !contains(null_content, "None"));
  const json::value content = found_.empty_content ? json::value("") : json::value(nullptr);
  const Text two = render({user, call_turn(2, as_string, content)}, tools);
  found_.parallel_calls =
      two && two->find("quzvalue", two->find("quzvalue") + 1) != std::string::npos;
  json::object result = message("tool", kResult);
  result["tool_call_id"] = kIds[0];
  result["name"] = kNames[0];
  found_.tool_results =
      contains(render({user, call_turn(1, as_string, content), result}, tools), kResult);
}

/// Whether earlier calls are rendered, and from what form of their arguments.
void Prober::probe_arguments() {
  Extras tools;
  tools.tools = true;
  bool renders[2] = {false, false};
  for (const bool as_string : {false, true}) {
    for (const json::value& content :
         {json::value(""), json::value(nullptr), json::value(kAnswer)}) {
      const Text text = render({message("user", kUser), call_turn(1, as_string, content)}, tools);
      if (!contains(text, "quzvalue")) continue;
      // JSON in a string is escaped where the template writes it as one; an object put together
      // with text comes out in Python's notation.
      renders[as_string] = !contains(text, "\\\"quzkey") && !contains(text, "{'quzkey'");
      found_.calls = true;
      break;
    }
  }
  if (renders[0] != renders[1]) {
    found_.arguments = renders[1] ? ArgumentForm::kString : ArgumentForm::kObject;
  } else if (!renders[0]) {
    found_.arguments = ArgumentForm::kObject;
  }
}

void Prober::probe_thinking() {
  const json::array messages{message("user", kUser)};
  Extras extras;
  extras.generation_prompt = true;
  const Text by_default = render(messages, extras);
  ThinkingSwitch found;
  for (const Candidate& candidate : candidates()) {
    if (template_.source().find(candidate.variable) == std::string::npos) continue;
    extras.variables = {{candidate.variable, candidate.on}};
    const Text on = render(messages, extras);
    extras.variables = {{candidate.variable, candidate.off}};
    const Text off = render(messages, extras);
    if (!on || !off || on == off) continue;
    // A word that the template does not know is written out or taken for another.
    if (candidate.off.is_string()) {
      extras.variables = {{candidate.variable, "quznonsense"}};
      const Text other = render(messages, extras);
      if (off == other || contains(other, "quznonsense")) continue;
    }
    found.on = {{candidate.variable, candidate.on}};
    found.off = {{candidate.variable, candidate.off}};
    found.on_by_default = by_default != off;
    break;
  }
  probe_levels(found);
  if (!found.on.empty() || !found.levels.empty()) found_.thinking = std::move(found);
}

void Prober::probe_levels(ThinkingSwitch& found) {
  if (template_.source().find("reasoning_effort") == std::string::npos) return;
  Extras extras;
  extras.generation_prompt = true;
  std::vector<Text> texts;
  for (const std::string_view level : kLevels) {
    extras.variables = found.on;
    extras.variables["reasoning_effort"] = level;
    const Text text = render({message("user", kUser)}, extras);
    // The three usual ones, and others where they mean something of their own.
    const bool is_usual = level == "low" || level == "medium" || level == "high";
    const bool is_named = is_quoted_in(template_.source(), level);
    if (!text || (!is_usual && !is_named)) continue;
    texts.push_back(text);
    found.levels.emplace_back(level, extras.variables);
  }
  // Where they all give the same prompt there is no choice.
  if (std::all_of(texts.begin(), texts.end(), [&](const Text& t) { return t == texts[0]; })) {
    found.levels.clear();
    return;
  }
  // Levels without a switch: it cannot be off.
  if (found.on.empty()) found.on_by_default = true;
}

void Prober::probe_reasoning() {
  const json::object user = message("user", kUser);
  const bool as_string = found_.arguments == ArgumentForm::kString;
  for (const char* field : kReasoningFields) {
    json::object plain = message("assistant", kAnswer);
    plain[field] = kThought;
    json::object call = call_turn(1, as_string, "");
    if (!found_.empty_content) call["content"] = nullptr;
    call[field] = kThought;
    Extras tools;
    tools.tools = true;
    if (found_.thinking) tools.variables = found_.thinking->on;
    if (!contains(render({user, plain}, tools), kThought) &&
        !contains(render({user, call}, tools), kThought)) {
      continue;
    }
    found_.reasoning_field = field;
    found_.keeps_reasoning = contains(render({user, plain, message("user", kMore)}), kThought);
    return;
  }
}

}  // namespace

std::string_view support_name(Support support) {
  switch (support) {
    case Support::kNo:
      return "no";
    case Support::kRefused:
      return "refused";
    case Support::kYes:
      return "yes";
  }
  return "";
}

std::string_view argument_form_name(ArgumentForm form) {
  switch (form) {
    case ArgumentForm::kObject:
      return "object";
    case ArgumentForm::kString:
      return "string";
    case ArgumentForm::kEither:
      return "either";
  }
  return "";
}

TemplateCapabilities probe_capabilities(const ChatTemplate& chat_template,
                                        const CapabilityOptions& options) {
  return Prober(chat_template, options).run();
}

json::object thinking_variables(const TemplateCapabilities& capabilities, std::string_view value) {
  const bool is_level = std::find(kLevels.begin(), kLevels.end(), value) != kLevels.end();
  if (!is_level && value != "true" && value != "false") {
    throw Error(ErrorCode::kInvalidArgument, "thinking cannot be '" + std::string(value) +
                                                 "': it is true, false, low, medium or high");
  }
  const std::string refused = "thinking cannot be set to '" + std::string(value) + "': ";
  if (!capabilities.thinking) {
    throw Error(ErrorCode::kUnsupported,
                refused + "the model's chat template has no switch for it");
  }
  const ThinkingSwitch& thinking = *capabilities.thinking;
  if (value == "false") {
    if (!thinking.off.empty()) return thinking.off;
    throw Error(ErrorCode::kUnsupported, refused + "this model cannot answer without");
  }
  for (const auto& [level, variables] : thinking.levels) {
    if (level == value) return variables;
  }
  // Where there are no levels, any of them means yes; where there is no switch, yes is the rule.
  if (!is_level || thinking.levels.empty()) return thinking.on;
  std::string known;
  for (const auto& [level, variables] : thinking.levels) {
    known += (known.empty() ? "" : ", ") + level;
  }
  throw Error(ErrorCode::kUnsupported, refused + "the model's chat template knows " + known);
}

json::object capabilities_to_json(const TemplateCapabilities& found) {
  json::object object;
  if (!found.failure.empty()) {
    object["failure"] = found.failure;
    return object;
  }
  object["absent_is_none"] = found.absent_is_none;
  object["system"] = support_name(found.system);
  object["system_anywhere"] = found.system_anywhere;
  object["developer"] = found.developer;
  object["must_alternate"] = found.must_alternate;
  object["content_string"] = found.content_string;
  object["content_parts"] = found.content_parts;
  object["tools"] = found.tools;
  object["tool_calls"] = found.calls;
  object["parallel_tool_calls"] = found.parallel_calls;
  object["tool_results"] = found.tool_results;
  object["arguments"] = argument_form_name(found.arguments);
  object["null_content"] = found.null_content;
  object["empty_content"] = found.empty_content;
  object["thinking"] = nullptr;
  if (found.thinking) {
    json::array levels;
    for (const auto& [level, variables] : found.thinking->levels) levels.emplace_back(level);
    object["thinking"] = {{"on", found.thinking->on},
                          {"off", found.thinking->off},
                          {"levels", levels},
                          {"on_by_default", found.thinking->on_by_default}};
  }
  object["reasoning_field"] = found.reasoning_field;
  object["keeps_reasoning"] = found.keeps_reasoning;
  object["generation_prompt"] = found.generation_prompt;
  return object;
}

}  // namespace omg
