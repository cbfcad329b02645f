// SPDX-License-Identifier: Apache-2.0
#include "text/tools/tool_format.h"

#include <algorithm>

namespace omg {
namespace {

/// For people: line breaks and marks in words.
std::string readable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == kNameMark) {
      out += "NAME";
    } else if (c == kIdMark) {
      out += "ID";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string arguments_of(const ToolFormat& format) {
  switch (format.syntax) {
    case CallSyntax::kNone:
      return "";
    case CallSyntax::kJson:
      if (format.name_key.empty()) return "{NAME: {…}}";
      return "{\"" + format.name_key + "\": NAME, \"" + format.arguments_key + "\": {…}}";
    case CallSyntax::kNamedJson:
      return "{…}";
    case CallSyntax::kPairs:
      return format.key_begin + "KEY" + format.flag_begin + (format.flag_begin.empty() ? "" : "…") +
             format.key_end + "VALUE" + format.value_end;
    case CallSyntax::kTags:
      return format.tag_prefix + "<KEY>VALUE" + format.tag_prefix + "</KEY>";
    case CallSyntax::kLoose:
      return "{KEY:" + format.quote + "VALUE" + format.quote + "}";
    case CallSyntax::kPython:
      return "[NAME(KEY=VALUE)]";
    case CallSyntax::kHarmony:
      return "<|channel|>commentary to=functions.NAME<|message|>{…}<|call|>";
  }
  return "";
}

}  // namespace

std::string_view call_syntax_name(CallSyntax syntax) {
  switch (syntax) {
    case CallSyntax::kNone:
      return "none";
    case CallSyntax::kJson:
      return "json";
    case CallSyntax::kNamedJson:
      return "named_json";
    case CallSyntax::kPairs:
      return "pairs";
    case CallSyntax::kTags:
      return "tags";
    case CallSyntax::kLoose:
      return "loose";
    case CallSyntax::kPython:
      return "python";
    case CallSyntax::kHarmony:
      return "harmony";
  }
  return "";
}

std::vector<std::string> marker_texts(const ToolFormat& format) {
  std::vector<std::string> texts;
  const auto add = [&](std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find_first_of("\x01\x02", at), text.size());
      if (end > at) texts.emplace_back(text.substr(at, end - at));
      at = end + 1;
    }
  };
  for (const std::string* text :
       {&format.reasoning_begin, &format.reasoning_end, &format.content_begin, &format.content_end,
        &format.section_begin, &format.section_end, &format.call_head, &format.call_end,
        &format.key_begin, &format.key_end, &format.flag_begin, &format.value_end,
        &format.tag_prefix, &format.quote}) {
    add(*text);
  }
  for (const std::string& head : format.other_heads) add(head);
  if (format.syntax == CallSyntax::kHarmony) {
    for (const char* token : {"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>",
                              "<|call|>", "<|return|>"}) {
      add(token);
    }
  }
  return texts;
}

std::string describe(const ToolFormat& format) {
  return readable(format.section_begin + format.call_head + arguments_of(format) + format.call_end +
                  format.section_end);
}

}  // namespace omg
