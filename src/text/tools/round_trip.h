// SPDX-License-Identifier: Apache-2.0
//
// Round trips: an assistant's turn with known calls and reasoning is rendered by a template, what
// the model would have written is cut out of it, and the parser that was probed from the same
// template must give back what went in, wherever the text is cut.
#pragma once

#include <algorithm>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/template/chat_template.h"
#include "text/tools/output_parser.h"
#include "text/tools/probe.h"
#include "text/tools/tag_text.h"
#include "text/tools/test_support.h"

namespace omg::testing {

inline constexpr std::string_view kTools = R"([
  {"type": "function", "function": {"name": "get_weather", "description": "Weather",
    "parameters": {"type": "object", "properties": {
      "city": {"type": "string", "description": "City"}, "note": {"type": "string",
      "description": "Note"}, "n": {"type": "integer", "description": "N"},
      "f": {"type": "number", "description": "F"}, "flag": {"type": "boolean",
      "description": "B"}, "o": {"type": "object", "description": "O"},
      "list": {"type": "array", "description": "L"}}, "required": ["city"]}}},
  {"type": "function", "function": {"name": "find-town_2", "description": "Town",
    "parameters": {"type": "object", "properties": {
      "city": {"type": "string", "description": "City"}}, "required": []}}}
])";

struct Call {
  std::string name;
  std::string arguments;
};
struct Turn {
  std::string name;
  std::string content;
  std::string reasoning;
  std::vector<Call> calls;
};

inline std::vector<Turn> turns() {
  const Call plain{"get_weather", R"({"city": "Zürich", "n": 5, "f": -1.5e3, "flag": true})"};
  const Call nested{"get_weather",
                    R"({"o": {"x": [1, true, {"y": "z"}], "k-k": "it's"}, "list": ["a", "b c"]})"};
  const Call empty{"find-town_2", "{}"};
  const Call text{"get_weather",
                  R"({"city": "say \"hi\" it's\nline two\n\n  three \\ back\ttab",)"
                  R"( "note": "日本🙂 <b>&amp;</b> </p> {\"x\": [1]} [y] (z) =, :"})"};
  const Call markup{"get_weather",
                    R"x({"city": "<tool_call>{\"name\": \"f\"}</tool_call> <think> </think>",)x"
                    R"x( "note": "</parameter> [TOOL_CALLS] </arg_value> <function=g>"})x"};
  const Call typed{"get_weather", R"({"city": "42", "note": "true", "n": 0, "flag": false})"};
  return {{"content", "Just an answer.", "", {}},
          {"reasoning", "An answer.", "Let me think.\nTwice.", {}},
          {"one", "", "", {plain}},
          {"two", "", "", {plain, empty}},
          {"nested", "", "", {nested}},
          {"empty", "", "", {empty}},
          {"text", "", "", {text}},
          {"markup", "", "", {markup}},
          {"typed", "", "", {typed}},
          {"content+call", "I will look.", "", {plain}},
          {"reasoning+two", "", "Look it up.", {plain, text}},
          {"all", "I will look.", "Look it up.", {typed, nested}}};
}

inline json::object message_of(const Turn& turn, bool string_arguments, bool null_content) {
  json::object message{{"role", "assistant"}, {"content", turn.content}};
  if (turn.content.empty() && null_content) message["content"] = nullptr;
  if (!turn.reasoning.empty()) {
    for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
      message[key] = turn.reasoning;
    }
  }
  json::array calls;
  for (const Call& call : turn.calls) {
    json::value arguments = parse_json(call.arguments, "arguments");
    if (string_arguments) arguments = call.arguments;
    calls.push_back({{"id", "call0000" + std::to_string(calls.size())},
                     {"type", "function"},
                     {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  return message;
}

inline std::optional<std::string> render(const ChatTemplate& chat_template,
                                         const json::array& messages, bool generation_prompt) {
  json::object context{{"messages", messages},    {"tools", parse_json(kTools, "tools")},
                       {"documents", nullptr},    {"add_generation_prompt", generation_prompt},
                       {"bos_token", "<s>"},      {"eos_token", "</s>"},
                       {"enable_thinking", true}, {"thinking", true}};
  for (const bool documents_are_none : {true, false}) {
    if (!documents_are_none) context.erase("documents");
    try {
      return chat_template.render(context);
    } catch (const Error&) {
      // Such a conversation is refused, or its form.
    }
  }
  return std::nullopt;
}

/// What the model would have written, and what stands before it.
struct Written {
  std::string prompt;
  std::string text;
  std::string full_prompt;  // with all that a prompt ends with
};

inline const json::object kUser{{"role", "user"}, {"content", "What is the weather?"}};

inline std::string common_end(const std::string& a, const std::string& b) {
  const auto left = split_exactly(a);
  const auto right = split_exactly(b);
  size_t bytes = 0;
  for (size_t i = 1; i <= left.size() && i <= right.size(); ++i) {
    if (left[left.size() - i] != right[right.size() - i]) break;
    bytes += left[left.size() - i].size();
  }
  return a.substr(a.size() - bytes);
}

inline std::optional<Written> write_turn(const ChatTemplate& chat_template, const Turn& turn) {
  const auto prompt = render(chat_template, {kUser}, true);
  if (!prompt) return std::nullopt;
  const std::string needle = turn.calls.empty() ? turn.content : turn.calls.back().name;
  std::optional<std::string> full;
  for (const bool null_content : {false, true}) {
    for (const bool as_string : {false, true}) {
      full = render(chat_template, {kUser, message_of(turn, as_string, null_content)}, false);
      // A template that drops the call, or writes its arguments as one string, wants the other.
      if (full && full->rfind(needle) != std::string::npos &&
          full->find("\"{") == std::string::npos) {
        break;
      }
      full.reset();
    }
    if (full) break;
  }
  if (!full) return std::nullopt;
  size_t same = 0;
  while (same < prompt->size() && same < full->size() && (*prompt)[same] == (*full)[same]) ++same;
  // Not in the middle of a marker.
  const size_t open = full->rfind('<', same == 0 ? 0 : same - 1);
  if (same < prompt->size() && open != std::string::npos && full->find('>', open) >= same) {
    same = open;
  }
  std::string text = full->substr(same);
  const std::string answer = "Quzanswer";
  const auto plain =
      render(chat_template, {kUser, {{"role", "assistant"}, {"content", answer}}}, false);
  if (plain) {
    std::string end = plain->substr(plain->rfind(answer) + answer.size());
    if (!text.ends_with(end)) end = common_end(text, end);
    text.resize(text.size() - end.size());
  }
  return Written{full->substr(0, same), text, *prompt};
}

inline std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \n") - begin + 1);
}

/// "" where all came back; else what did not.
inline std::string compare(const Turn& turn, const Written& written, const ParsedOutput& output) {
  const bool shows_content = written.text.find(turn.content) != std::string::npos;
  const std::string content = shows_content ? turn.content : "";
  if (trimmed(output.content) != content) return "content: '" + output.content + "'";
  const bool shows_reasoning = written.text.find(turn.reasoning) != std::string::npos;
  const std::string reasoning = shows_reasoning ? turn.reasoning : "";
  if (output.reasoning != reasoning) return "reasoning: '" + output.reasoning + "'";
  std::vector<Call> calls;
  size_t at = 0;
  for (const Call& call : turn.calls) {
    const size_t found = written.text.find(call.name, at);
    if (found == std::string::npos) continue;  // a template that shows the first call only
    calls.push_back(call);
    at = found + call.name.size();
  }
  if (output.calls.size() != calls.size()) {
    return std::to_string(output.calls.size()) + " calls";
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    if (output.calls[i].name != calls[i].name) return "name: " + output.calls[i].name;
    if (parse_json(output.calls[i].arguments, "arguments") !=
        parse_json(calls[i].arguments, "arguments")) {
      return "arguments: " + output.calls[i].arguments;
    }
  }
  return "";
}

/// "ok"; "-" where the template cannot write the turn; "?" where it writes an answer into reasoning
/// that it has opened; else "BAD", and the test has failed.
inline std::string check_turn(const ChatTemplate& chat_template, const ToolFormat& format,
                              const Turn& turn) {
  const auto written = write_turn(chat_template, turn);
  if (!written) return "-";
  SCOPED_TRACE(turn.name + ": " + written->text);
  OutputParserOptions options;
  options.tools = parse_json(kTools, "tools").as_array();
  options.starts_in_reasoning = opens_reasoning(format, written->prompt);
  const auto has = [&](const std::string& text) {
    return written->text.find(text) != std::string::npos;
  };
  if (!options.starts_in_reasoning && !turn.reasoning.empty() && has(turn.reasoning) &&
      !has(format.reasoning_begin)) {
    // The prompt ends with what opens the reasoning, and the turn does not show it.
    options.starts_in_reasoning = opens_reasoning(format, written->full_prompt);
  }
  if (options.starts_in_reasoning && !has(format.reasoning_end)) return "?";
  const ParsedOutput output = parse_output(format, options, written->text);
  const std::string difference = compare(turn, *written, output);
  EXPECT_EQ(difference, "");
  check_all_cuts(format, options, written->text);
  return difference.empty() ? "ok" : "BAD";
}

}  // namespace omg::testing
