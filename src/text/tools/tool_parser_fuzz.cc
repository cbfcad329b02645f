// SPDX-License-Identifier: Apache-2.0
//
// Fuzzer: any text as a model's output, in the format of an example template or in one made of the
// input itself, cut anywhere. However it is cut the events must be the same, calls' arguments must
// be JSON objects, and nothing may be shown twice.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/tools/event_log.h"
#include "text/tools/example_templates.h"
#include "text/tools/probe.h"
#include "text/tools/values.h"

namespace {

using omg::OutputEvent;
using omg::ToolFormat;

constexpr std::string_view kTools = R"([{"type": "function", "function": {"name": "f",
  "parameters": {"properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]},
  "c": {"anyOf": [{"type": "object"}, {"const": 1}]}}}}}])";

std::vector<ToolFormat> example_formats() {
  std::vector<ToolFormat> formats;
  for (const omg::testing::ExampleTemplate& example : omg::testing::kExampleTemplates) {
    formats.push_back(omg::probe_tool_format(omg::ChatTemplate::parse(example.source)));
  }
  return formats;
}

/// Takes bytes up to a line feed.
std::string take_line(std::string_view& input) {
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string line(input.substr(0, std::min<size_t>(end, 40)));
  input.remove_prefix(std::min(end + 1, input.size()));
  return line;
}

/// A format whose fields are lines of the input.
ToolFormat made_format(std::string_view& input, uint8_t kind) {
  ToolFormat format;
  format.syntax = static_cast<omg::CallSyntax>(kind % 8);
  for (std::string* field :
       {&format.reasoning_begin, &format.reasoning_end, &format.content_begin, &format.content_end,
        &format.section_begin, &format.section_end, &format.call_head, &format.call_end,
        &format.key_begin, &format.key_end, &format.value_end, &format.tag_prefix, &format.quote,
        &format.prompt_tail, &format.name_prefix}) {
    *field = take_line(input);
  }
  format.name_key = "name";
  format.arguments_key = "arguments";
  format.name_has_index = (kind & 16) != 0;
  format.value_on_own_line = (kind & 32) != 0;
  format.has_cdata = (kind & 64) != 0;
  if ((kind & 128) != 0) format.flag_begin = " s=";
  return format;
}

void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

void check_calls(const omg::OutputEvents& events, size_t text_bytes) {
  omg::ParsedOutput output;
  for (const OutputEvent& event : events) output.add(event);
  for (const omg::ParsedCall& call : output.calls) {
    require(!call.name.empty(), "a call without a name");
    // Bytes of the model's that are no UTF-8 are passed on in JSON, as in the rest of the text.
    const bool is_object = omg::is_json(call.arguments) || call.arguments.starts_with('{');
    require(is_object, "arguments: " + call.arguments);
  }
  require(output.content.size() + output.reasoning.size() <= text_bytes, "more than there was");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<ToolFormat> formats = example_formats();
  static const omg::json::array tools = omg::parse_json(kTools, "tools").as_array();
  if (size < 4 || size > 4096) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 4, size - 4);
  const ToolFormat format =
      data[0] < 192 ? formats[data[0] % formats.size()] : made_format(input, data[1]);
  omg::OutputParserOptions options;
  if ((data[2] & 1) != 0) options.tools = tools;
  options.starts_in_reasoning = (data[2] & 2) != 0;
  options.parse_calls = (data[2] & 4) == 0;
  options.parse_reasoning = (data[2] & 8) == 0;
  if ((data[2] & 16) != 0) options.max_call_bytes = 1;  // raised to the least there may be

  omg::OutputParser parser(format, options);
  omg::OutputEvents events;
  parser.feed(input, events);
  parser.finish(events);
  check_calls(events, input.size());
  const std::string whole = omg::event_log(events);
  for (const auto& [first, step] : {std::pair<size_t, size_t>{0, 1}, {data[3], 1 + data[1] % 16}}) {
    const std::string cut = omg::log_of_cuts(format, options, input, first, step);
    require(cut == whole, "cut:" + cut + "\nwhole:" + whole);
  }
  return 0;
}
