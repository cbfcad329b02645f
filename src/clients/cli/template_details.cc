// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/template_details.h"

#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"
#include "clients/cli/text_source.h"
#include "text/tools/output_parser.h"
#include "text/tools/probe.h"

namespace omg::cli {
namespace {

const char* yes_or_no(bool value) {
  return value ? "yes" : "no";
}

/// A text as one line, with its line breaks as \\n.
std::string in_quotes(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  return text.empty() ? "—" : printable(line);
}

std::string system_text(const TemplateCapabilities& can) {
  if (can.system != Support::kYes) return "put before the user's first";
  return can.system_anywhere ? "yes, anywhere" : "yes, as the first";
}

std::string thinking_text(const TemplateCapabilities& can) {
  if (!can.thinking) return "cannot be switched";
  std::string text =
      can.thinking->on_by_default ? "on unless switched off" : "off unless asked for";
  if (can.thinking->off.empty()) text = "always on";
  if (can.thinking->levels.empty()) return text;
  text += "; levels:";
  for (const auto& [level, variables] : can.thinking->levels) text += " " + level;
  return text;
}

void add_tools(const TemplateDetails& details, Sections& sections) {
  const TemplateCapabilities& can = details.capabilities;
  sections.begin("Tools");
  sections.add("declared", yes_or_no(can.tools));
  sections.add("earlier calls", yes_or_no(can.calls));
  sections.add("several in a turn", yes_or_no(can.parallel_calls));
  sections.add("results", yes_or_no(can.tool_results));
  if (can.calls) sections.add("arguments as", std::string(argument_form_name(can.arguments)));
  sections.add("calls look like", in_quotes(describe(details.format)));
}

}  // namespace

TemplateDetails read_template_details(const std::string& path) {
  const TemplateSource found = read_template_source(path);
  TemplateDetails details;
  details.source = found.source;
  details.default_name = found.default_name;
  const ChatTemplate chat_template = ChatTemplate::parse(found.source);
  details.capabilities = probe_capabilities(chat_template, {found.bos, found.eos});
  details.format = probe_tool_format(chat_template, {found.bos, found.eos});
  details.opens_reasoning = opens_reasoning(details.format, details.capabilities.generation_prompt);
  return details;
}

json::object details_to_json(const TemplateDetails& details) {
  json::object object = capabilities_to_json(details.capabilities);
  object["default_template"] = nullptr;
  if (!details.default_name.empty()) object["default_template"] = details.default_name;
  object["prompt_opens_reasoning"] = details.opens_reasoning;
  object["reasoning"] = nullptr;
  if (details.format.has_reasoning()) {
    object["reasoning"] = {{"begin", details.format.reasoning_begin},
                           {"end", details.format.reasoning_end}};
  }
  object["calls"] = nullptr;
  if (details.format.has_calls()) {
    object["calls"] = {{"syntax", call_syntax_name(details.format.syntax)},
                       {"look_like", describe(details.format)}};
  }
  return object;
}

std::string details_to_text(const TemplateDetails& details, const Terminal& terminal) {
  const TemplateCapabilities& can = details.capabilities;
  Sections sections;
  if (!can.failure.empty()) {
    sections.begin("Template");
    sections.add("cannot be used", printable(can.failure));
    return sections.to_string(terminal);
  }
  sections.begin("Messages");
  sections.add("system message", system_text(can));
  sections.add("roles must alternate", yes_or_no(can.must_alternate));
  sections.add("content", !can.content_string ? "parts"
                          : can.content_parts ? "text or parts"
                                              : "text");
  sections.add("prompt ends with", in_quotes(can.generation_prompt));
  add_tools(details, sections);
  sections.begin("Thinking");
  sections.add("switch", thinking_text(can));
  const ToolFormat& format = details.format;
  sections.add("looks like", format.has_reasoning() ? in_quotes(format.reasoning_begin) + " … " +
                                                          in_quotes(format.reasoning_end)
                                                    : "—");
  if (format.has_reasoning()) {
    sections.add("opened by the prompt", yes_or_no(details.opens_reasoning));
    sections.add("of earlier turns", can.keeps_reasoning ? "kept" : "dropped");
  }
  return sections.to_string(terminal);
}

}  // namespace omg::cli
