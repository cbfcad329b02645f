// SPDX-License-Identifier: Apache-2.0
//
// A model's text as it comes, taken apart into the answer, the reasoning before it and tool calls.
// What a format cannot explain comes out as text: parsing never fails and loses nothing.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tools/tool_format.h"

namespace omg {

struct OutputEvent {
  enum class Kind {
    kContent,        // text: more of the answer
    kReasoning,      // text: more of the reasoning
    kCallBegin,      // name, and id if it stands before the arguments
    kCallArguments,  // text: more of the arguments, which are one JSON object in the end
    kCallEnd,        // id, if the format has one
    /// The call was none after all. The text that it stood in follows as content; what was
    /// reported of the call is to be forgotten.
    kCallAbandoned,
  };
  Kind kind;
  std::string text;
  std::string name;
  std::string id;
  size_t call = 0;  // number of the call in this answer, from 0
};
using OutputEvents = std::vector<OutputEvent>;

struct OutputParserOptions {
  /// Tools of the request, as in the OpenAI API. They give untyped arguments their types. Where a
  /// format marks calls by nothing but their JSON, only declared names count, if there are any.
  json::array tools;
  /// Without tools in a request nothing is a call.
  bool parse_calls = true;
  bool parse_reasoning = true;
  /// The prompt has opened the reasoning already; see opens_reasoning().
  bool starts_in_reasoning = false;
  /// A longer call is text. Bounds the memory, with what stands round it.
  size_t max_call_bytes = 8u << 20;
};

/// True when what follows `prompt` begins inside the reasoning.
bool opens_reasoning(const ToolFormat& format, std::string_view prompt);

/// For one answer; not thread-safe. The events do not depend on how the text is cut, but for how
/// often kContent, kReasoning and kCallArguments come for the same text. Time is linear in the
/// text. Held back is only what may yet become a marker, and white space next to one.
class OutputParser {
 public:
  OutputParser(const ToolFormat& format, const OutputParserOptions& options);
  OutputParser(OutputParser&&) noexcept;
  OutputParser& operator=(OutputParser&&) noexcept;
  ~OutputParser();

  /// Takes more text and appends what became certain.
  void feed(std::string_view text, OutputEvents& events);
  /// The text is complete: appends what was held back.
  void finish(OutputEvents& events);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// A whole answer, put together from events.
struct ParsedCall {
  std::string name;
  std::string arguments;  // JSON object
  std::string id;
};
struct ParsedOutput {
  std::string content;
  std::string reasoning;
  std::vector<ParsedCall> calls;

  void add(const OutputEvent& event);
};
ParsedOutput parse_output(const ToolFormat& format, const OutputParserOptions& options,
                          std::string_view text);

}  // namespace omg
