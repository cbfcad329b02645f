// SPDX-License-Identifier: Apache-2.0
//
// Grammars of calls against what they are about: all that a template writes of a call must belong
// to its format's grammar, and the parser must read all that the grammar lets through.
#include "runtimes/native/call_grammar.h"

#include <gtest/gtest.h>
#include <random>

#include "runtimes/native/test_support.h"
#include "text/grammar/matcher.h"
#include "text/tools/example_templates.h"
#include "text/tools/probe.h"
#include "text/tools/round_trip.h"

namespace omg::testing {
namespace {

constexpr uint32_t kEnd = 256;

std::shared_ptr<const GrammarVocabulary> byte_vocabulary() {
  std::vector<GrammarVocabulary::Token> tokens(kEnd + 1);
  for (uint32_t i = 0; i < kEnd; ++i) tokens[i].bytes = std::string(1, static_cast<char>(i));
  tokens[kEnd].use = TokenUse::kEnd;
  return std::make_shared<const GrammarVocabulary>(tokens);
}

GrammarState start(const ToolFormat& format, const json::array& tools, const ToolUse& use) {
  auto expressions = std::make_unique<grammar::Expressions>(GrammarLimits{});
  const grammar::ExprId body = call_expression(format, tools, use, *expressions);
  const grammar::RuleId root = expressions->declare("call");
  expressions->define(root, body);
  expressions->set_root(root);
  static const auto vocabulary = byte_vocabulary();
  return GrammarState(
      std::make_shared<GrammarMatcher>(Grammar(std::move(expressions)), vocabulary));
}

ToolFormat format_of(const ExampleTemplate& example) {
  return probe_tool_format(ChatTemplate::parse(example.source));
}

TEST(CallGrammar, WhatTemplatesWriteBelongsToIt) {
  const json::array tools = parse_json(kTools, "tools").get_array();
  size_t checked = 0;
  for (const ExampleTemplate& example : kExampleTemplates) {
    const ChatTemplate chat_template = ChatTemplate::parse(example.source);
    const ToolFormat format = format_of(example);
    if (!has_call_grammar(format)) {
      expect_error(ErrorCode::kUnsupported, "'none'", [&] { start(format, tools, {}); });
      continue;
    }
    if (format.syntax == CallSyntax::kTags) {  // which do not say what an object's members are
      expect_error(ErrorCode::kUnsupported, "nested tags", [&] { start(format, tools, {}); });
      continue;
    }
    const GrammarState fresh = start(format, tools, {});
    for (const Turn& turn : turns()) {
      const bool calls_alone =
          !turn.calls.empty() && turn.content.empty() && turn.reasoning.empty();
      const bool has_markup = turn.name == "markup" || turn.name == "text";
      if (!calls_alone || (has_markup && format.syntax != CallSyntax::kNamedJson)) continue;
      if (turn.name == "nested") continue;  // it has not what the schema requires
      if (turn.calls.size() > 1 && format.call_head.empty()) continue;
      const auto written = write_turn(chat_template, turn);
      if (!written || written->text.find(turn.calls[0].name) == std::string::npos) continue;
      GrammarState state = fresh;
      std::string text = format.prompt_tail + written->text;
      // Between the prompt and the call, and behind it.
      while (!text.empty() && (text[0] == '\n' || text[0] == ' ')) text.erase(0, 1);
      while (!text.empty() && text.back() == '\n') text.pop_back();
      if (!state.accept_text(text)) {
        ADD_FAILURE() << example.name << ", " << turn.name << ": " << text;
      }
      EXPECT_TRUE(state.is_complete()) << example.name << ", " << turn.name << ": " << text;
      ++checked;
    }
  }
  EXPECT_GT(checked, 60u);
}

constexpr std::string_view kOwnTools = R"([
  {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object",
    "properties": {"city": {"type": "string"}, "flag": {"type": "boolean"}, "n": {"type":
      "integer"}, "unit": {"enum": ["metric", "imperial"]}, "where": {"type": "object",
      "properties": {"x": {"type": "number"}, "note": {"type": "string"}}, "required": ["x"],
      "additionalProperties": false}, "words": {"type": "array", "items": {"type": "string"}}},
    "required": ["city", "n"]}}},
  {"type": "function", "function": {"name": "stop-it"}}])";

/// Writes a text of the grammar: often what would close something, else anything that may come.
std::string write(GrammarState state, const std::vector<std::string>& closers,
                  std::mt19937& random) {
  std::string text;
  std::vector<uint32_t> bits((kEnd + 32) / 32);
  while (text.size() < 20000) {
    if (state.is_complete() && (text.size() > 500 || random() % 3 == 0)) return text;
    if (!state.fill_mask(bits)) return text;
    const auto may = [&](uint32_t token) { return (bits[token / 32] >> (token % 32) & 1) != 0; };
    std::vector<uint32_t> allowed;
    std::vector<uint32_t> closing;
    for (uint32_t token = 0; token < kEnd; ++token) {
      if (may(token)) allowed.push_back(token);
    }
    size_t longest = 0;  // of what is there already of a closer
    for (const std::string& closer : closers) {
      for (size_t i = longest; i < closer.size(); ++i) {
        const auto next = static_cast<unsigned char>(closer[i]);
        if (!text.ends_with(closer.substr(0, i)) || !may(next)) continue;
        if (i > longest) closing.clear();
        longest = i;
        closing.push_back(next);
      }
    }
    if (allowed.empty()) return text;  // only the end is left
    const auto& choices =
        !closing.empty() && (text.size() > 500 || random() % 4 != 0) ? closing : allowed;
    const uint32_t token = choices[random() % choices.size()];
    EXPECT_TRUE(state.accept(token));
    text += static_cast<char>(token);
  }
  ADD_FAILURE() << "no end: " << text.substr(0, 500);
  return text;
}

TEST(CallGrammar, TheParserReadsAllThatItLetsThrough) {
  const json::array tools = parse_json(kOwnTools, "tools").get_array();
  std::mt19937 random(1);
  for (const ExampleTemplate& example : kExampleTemplates) {
    const ToolFormat format = format_of(example);
    if (!has_call_grammar(format)) continue;
    OutputParserOptions options;
    options.tools = tools;
    for (const bool parallel : {true, false}) {
      ToolUse use;
      use.parallel = parallel;
      const GrammarState fresh = start(format, tools, use);
      std::vector<std::string> closers = marker_texts(format);
      for (const char* closer : {"\"", "}", "]", ")", "'"}) closers.push_back(closer);
      if (format.value_on_own_line) closers = {"\n" + format.value_end, format.call_end};
      for (int round = 0; round < 15; ++round) {
        std::string text = write(fresh, closers, random);
        const std::string whole = text;
        if (format.syntax == CallSyntax::kHarmony) text += "<|call|>";
        if (!format.prompt_tail.empty()) text.erase(0, format.prompt_tail.size());
        const ParsedOutput output = parse_output(format, options, text);
        EXPECT_EQ(trimmed(output.content), "") << example.name << ": " << whole;
        EXPECT_LE(output.calls.size(), parallel ? 1000u : 1u) << example.name << ": " << whole;
        ASSERT_FALSE(output.calls.empty()) << example.name << ": " << whole;
        for (const ParsedCall& call : output.calls) {
          const json::value arguments = parse_json(call.arguments, "arguments");
          if (call.name == "stop-it") {
            EXPECT_TRUE(arguments.get_object().empty()) << whole;
            continue;
          }
          ASSERT_EQ(call.name, "look_up") << whole;
          EXPECT_TRUE(arguments.at("city").is_string()) << example.name << ": " << whole;
          EXPECT_TRUE(arguments.at("n").is_number()) << example.name << ": " << whole;
          if (const json::value* unit = arguments.get_object().if_contains("unit")) {
            EXPECT_TRUE(*unit == "metric" || *unit == "imperial") << whole;
          }
        }
      }
    }
  }
}

TEST(CallGrammar, ASchemaThatCannotBeKeptIsNamed) {
  const ToolFormat format = format_of(kExampleTemplates[0]);
  const json::array tools = {
      {{"function",
        {{"name", "f"},
         {"parameters", {{"type", "object"}, {"contentEncoding", 7}, {"not", {}}}}}}}};
  expect_error(ErrorCode::kUnsupported, "tool 'f'", [&] { start(format, tools, {}); });
  expect_error(ErrorCode::kInvalidArgument, "tools[0]", [&] { start(format, {1}, {}); });
}

}  // namespace
}  // namespace omg::testing
