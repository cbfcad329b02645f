// SPDX-License-Identifier: Apache-2.0
//
// How a model writes tool calls and reasoning, as data: the markers round them and the syntax of
// the arguments. Found out from the model's chat template (probe.h), used by the parser
// (output_parser.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// What a call looks like after its head.
enum class CallSyntax {
  kNone,       // the model calls no tools, or its template does not show how
  kJson,       // {"name": "f", "arguments": {…}}, or an array of such objects
  kNamedJson,  // the name, then {…} with the arguments
  kPairs,      // the name, then each argument as key and value between markers
  kTags,       // the name, then each argument as <key>value</key>, nested for objects and arrays
  kLoose,      // the name, then {key:value,…} whose strings have quotes of their own
  kPython,     // [f(key=value, …), …]
  kHarmony,    // gpt-oss: channels and recipients
};
std::string_view call_syntax_name(CallSyntax syntax);

/// Markers never begin or end with white space: the parser takes white space round them as it
/// comes. Empty ones do not exist in the format.
struct ToolFormat {
  std::string reasoning_begin, reasoning_end;
  /// Round the answer proper, where the format marks it.
  std::string content_begin, content_end;
  /// White space that the format puts before the answer, taken away exactly ("assistant: Hi").
  std::string content_lead;

  CallSyntax syntax = CallSyntax::kNone;
  /// Round all calls of a turn.
  std::string section_begin, section_end;
  /// What stands before the arguments of each call, and for kJson and kPython before the payload.
  /// kNameMark stands for the name, kIdMark for the id.
  std::string call_head;
  /// After each call.
  std::string call_end;
  /// Other beginnings of a call that this format's models use.
  std::vector<std::string> other_heads;
  /// What the prompt ends with that belongs to a call or to content_begin (">>>").
  std::string prompt_tail;

  // kJson. Empty name_key: the name itself is the key, {"f": {…}}.
  std::string name_key, arguments_key, id_key;
  // Names that come as "functions.f:0": the whole is the id.
  std::string name_prefix;
  bool name_has_index = false;
  // kPairs: key_begin KEY key_end VALUE value_end. `flag_begin` true|false `key_end` says whether
  // the value is a string, where the format says it.
  std::string key_begin, key_end, flag_begin, value_end;
  bool value_on_own_line = false;  // a line break on each side of it is not the value's
  bool has_cdata = false;          // strings may come as <![CDATA[…]]>
  // kTags: this stands before each "<".
  std::string tag_prefix;
  // kLoose: what strings have for quotes.
  std::string quote;

  bool has_reasoning() const { return !reasoning_end.empty(); }
  bool has_calls() const { return syntax != CallSyntax::kNone; }
};

inline constexpr char kNameMark = '\x01';
inline constexpr char kIdMark = '\x02';

/// All markers of a format, without marks for names and ids in them.
std::vector<std::string> marker_texts(const ToolFormat& format);

/// One line for people, e.g. `name and JSON arguments: <|tool_call_begin|>NAME…`.
std::string describe(const ToolFormat& format);

}  // namespace omg
