// SPDX-License-Identifier: Apache-2.0
#include "text/tools/known_formats.h"

#include <algorithm>

namespace omg {
namespace {

struct KnownReasoning {
  std::string_view begin, end;
};
constexpr KnownReasoning kReasonings[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<seed:think>", "</seed:think>"},
    {"<|inner_prefix|>", "<|inner_suffix|>"},
    {"<|think_start|>", "<|think_end|>"},
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"},
};

/// `needle` in a template tells that its model writes `head` before the payload.
struct KnownCalls {
  std::string_view needle;
  CallSyntax syntax;
  std::string_view head, end;
  std::string_view section_begin = "", section_end = "";
  std::string_view name_prefix = "";  // such names have an index, too: "functions.f:0"
};
constexpr KnownCalls kCalls[] = {
    {"<|tool_calls_section_begin|>", CallSyntax::kNamedJson,
     "<|tool_call_begin|>\x01<|tool_call_argument_begin|>", "<|tool_call_end|>",
     "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "functions."},
    {"function<｜tool▁sep｜>", CallSyntax::kNamedJson,
     "<｜tool▁call▁begin｜>function<｜tool▁sep｜>\x01 ```json", "```<｜tool▁call▁end｜>",
     "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"},
    {"<｜tool▁calls▁begin｜>", CallSyntax::kNamedJson, "<｜tool▁call▁begin｜>\x01<｜tool▁sep｜>",
     "<｜tool▁call▁end｜>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"},
    {"<|tool_call_start|>", CallSyntax::kPython, "<|tool_call_start|>", "<|tool_call_end|>"},
    {"<|tool_list_start|>", CallSyntax::kPython, "<|tool_call_start|>", "<|tool_call_end|>"},
    {"List of tools: [", CallSyntax::kPython, "<|tool_call_start|>", "<|tool_call_end|>"},
    {"<tool_call>", CallSyntax::kJson, "<tool_call>", "</tool_call>"},
    {"<|/tool_call|>", CallSyntax::kJson, "<|tool_call|>", "<|/tool_call|>"},
    {"<|tool_call|>", CallSyntax::kJson, "<|tool_call|>", ""},
    {"<|START_ACTION|>", CallSyntax::kJson, "<|START_ACTION|>", "<|END_ACTION|>"},
    {"[TOOL_CALLS]", CallSyntax::kJson, "[TOOL_CALLS]", ""},
    {"<TOOLCALL>", CallSyntax::kJson, "<TOOLCALL>", "</TOOLCALL>"},
    {"<tool_calls>", CallSyntax::kJson, "<tool_calls>", "</tool_calls>"},
    {"<function_call>", CallSyntax::kJson, "<function_call>", "</function_call>"},
    {"<functioncall>", CallSyntax::kJson, "<functioncall>", "</functioncall>"},
    {"functools[", CallSyntax::kJson, "functools", ""},
    {"<function=", CallSyntax::kNamedJson, "<function=\x01>", "</function>"},
    {"Action:\n```json", CallSyntax::kJson, "Action:\n```json", "```"},
    {"<|python_tag|>", CallSyntax::kJson, "", ""},
};

bool contains(std::string_view text, std::string_view needle) {
  return text.find(needle) != std::string_view::npos;
}

}  // namespace

std::optional<ToolFormat> known_whole_format(std::string_view source) {
  if (!contains(source, "<|channel|>") || !contains(source, "<|message|>") ||
      !contains(source, "<|start|>")) {
    return std::nullopt;
  }
  ToolFormat format;
  format.syntax = CallSyntax::kHarmony;
  format.reasoning_begin = "<|channel|>analysis<|message|>";
  format.reasoning_end = "<|end|>";
  return format;
}

void add_known_reasoning(std::string_view source, ToolFormat& format) {
  if (!format.has_reasoning()) {
    for (const KnownReasoning& known : kReasonings) {
      // A tag that only tells of earlier turns is in the text with its end.
      if (!contains(source, known.end)) continue;
      format.reasoning_begin = known.begin;
      format.reasoning_end = known.end;
      break;
    }
  }
}

void add_known_calls(std::string_view source, ToolFormat& format) {
  if (format.content_begin.empty() && contains(source, "<response></response>")) {
    format.content_begin = "<response>";
    format.content_end = "</response>";
  }
  if (!format.has_calls()) {
    for (const KnownCalls& known : kCalls) {
      if (!contains(source, known.needle)) continue;
      format.syntax = known.syntax;
      format.call_head = known.head;
      format.call_end = known.end;
      format.section_begin = known.section_begin;
      format.section_end = known.section_end;
      format.name_prefix = known.name_prefix;
      format.name_has_index = !known.name_prefix.empty();
      format.name_key = "name";
      format.arguments_key = "arguments";
      break;
    }
  }
  if (format.syntax == CallSyntax::kJson && format.call_head != "<|python_tag|>" &&
      contains(source, "<|python_tag|>")) {
    format.other_heads.push_back("<|python_tag|>");
  }
}

}  // namespace omg
