// SPDX-License-Identifier: Apache-2.0
#include "text/tools/output_parser.h"

#include <chrono>
#include <gtest/gtest.h>

#include "text/tools/example_templates.h"
#include "text/tools/round_trip.h"

namespace omg {
namespace {

ToolFormat format_of(std::string_view name) {
  for (const testing::ExampleTemplate& example : testing::kExampleTemplates) {
    if (example.name == name) return probe_tool_format(ChatTemplate::parse(example.source));
  }
  ADD_FAILURE() << "no example " << name;
  return {};
}

/// Reasoning, answer and calls on one line each; the same for all cuts.
std::string parse(const ToolFormat& format, std::string_view text,
                  const OutputParserOptions& options = {}) {
  check_all_cuts(format, options, text);
  const ParsedOutput output = parse_output(format, options, text);
  std::string shown;
  if (!output.reasoning.empty()) shown += "(" + output.reasoning + ")";
  shown += output.content;
  for (const ParsedCall& call : output.calls) {
    shown += " | " + call.name + call.arguments + call.id;
  }
  return shown;
}

TEST(OutputParser, WhatExamplesWriteComesBack) {
  for (const testing::ExampleTemplate& example : testing::kExampleTemplates) {
    SCOPED_TRACE(example.name);
    const auto chat_template = ChatTemplate::parse(example.source);
    const ToolFormat format = probe_tool_format(chat_template);
    const bool writes_calls = example.source.find("tool_calls") != std::string_view::npos;
    for (const testing::Turn& turn : testing::turns()) {
      if (format.syntax == CallSyntax::kHarmony) continue;  // below
      // JSON behind an answer is not taken for a call.
      if (format.call_head.empty() && !turn.content.empty() && !turn.calls.empty()) continue;
      const std::string result = testing::check_turn(chat_template, format, turn);
      EXPECT_EQ(result, turn.calls.empty() || writes_calls ? "ok" : "-") << turn.name;
    }
  }
}

TEST(OutputParser, IdsComeBackWhereTheFormatHasThem) {
  EXPECT_EQ(parse(format_of("json, an array behind a marker"),
                  R"([TOOL_CALLS][{"name": "f", "arguments": {}, "id": "a1"}])"),
            " | f{}a1");
  EXPECT_EQ(parse(format_of("json, an array between tags"),
                  R"(<|calls|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {}}])"),
            " | f{}0");
  EXPECT_EQ(parse(format_of("id, name and json"), "<|call|>x1<|name|>f<|args|>{}<|/call|>"),
            " | f{}x1");
  EXPECT_EQ(parse(format_of("name, id and json"), "[TOOL_CALLS]f[CALL_ID]x1[ARGS]{}"), " | f{}x1");
  EXPECT_EQ(parse(format_of("name with index"),
                  "<|section|><|call|>functions.f:3<|args|>{}<|/call|><|/section|>"),
            " | f{}functions.f:3");
}

TEST(OutputParser, TextIsShownAtOnceUnlessItMayBecomeAMarker) {
  const ToolFormat format = format_of("json, each call between tags");
  OutputParser parser(format, {});
  const auto fed = [&](std::string_view text) {
    OutputEvents events;
    parser.feed(text, events);
    std::string shown;
    for (const OutputEvent& event : events) shown += event.text;
    return shown;
  };
  EXPECT_EQ(fed("Hello"), "Hello");
  EXPECT_EQ(fed(", you <b"), ", you <b");
  EXPECT_EQ(fed(">! "), ">!");
  EXPECT_EQ(fed("<tool"), "");
  EXPECT_EQ(fed("_box>"), " <tool_box>");
  EXPECT_EQ(fed("\n<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"ab"), "{\"x\": \"ab");
  EXPECT_EQ(fed("cd"), "cd");
  EXPECT_EQ(fed("\"}}</tool"), "\"}");
  EXPECT_EQ(fed("_call>"), "");
  EXPECT_EQ(fed("\nafter"), "after");
}

TEST(OutputParser, ReasoningIsTakenOutWhereItMayStand) {
  const ToolFormat format = format_of("json, each call between tags");
  EXPECT_EQ(parse(format, "<think>\na\n</think>\n\nb"), "(a)b");
  EXPECT_EQ(parse(format, " <think></think> b"), "b");
  EXPECT_EQ(parse(format, "</think>\n\nb"), "b");
  EXPECT_EQ(parse(format, "say <think>x</think>"), "say <think>x</think>");
  EXPECT_EQ(parse(format, "<think>never closed "), "(never closed )");
  EXPECT_EQ(parse(format, "<think>a</think>b</think>c"), "(a)b</think>c");
  EXPECT_EQ(parse(format, "<think>a <tool_call> b</think>c"), "(a <tool_call> b)c");
  OutputParserOptions options;
  options.starts_in_reasoning = true;
  EXPECT_EQ(parse(format, "a</think>b", options), "(a)b");
  options.parse_reasoning = false;
  EXPECT_EQ(parse(format, "a</think>b", options), "a</think>b");
  EXPECT_TRUE(opens_reasoning(format, "<|assistant|><think>\n"));
  EXPECT_FALSE(opens_reasoning(format, "<|assistant|><think>\n</think>"));
  EXPECT_FALSE(opens_reasoning({}, ""));
}

TEST(OutputParser, ThoughtsBetweenCalls) {
  EXPECT_EQ(parse(format_of("json, each call between tags"),
                  "<think>a</think>b<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>"
                  "<think>c</think>d"),
            "(ac)bd | f{}");
}

TEST(OutputParser, WhatIsNoCallIsText) {
  const ToolFormat json = format_of("json, each call between tags");
  for (const char* text :
       {"<tool_call>", "<tool_call>\nno", "a <tool_call>{\"name\": 5}</tool_call> b",
        "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": tru}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1", "<tool_call>[]</tool_call>",
        "<tool_call>{\"arguments\": {}}</tool_call>", "  \n <tool_cal", "x \n"}) {
    EXPECT_EQ(parse(json, text), text);
  }
  const ToolFormat pairs = format_of("pairs, on lines of their own");
  for (const char* text :
       {"<tool_call><function=", "<tool_call><function=f>x", "<tool_call><function=a b>",
        "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n"}) {
    EXPECT_EQ(parse(pairs, text), text);
  }
  const ToolFormat sections = format_of("name and json in sections");
  for (const char* text :
       {"<｜calls｜>hm", "<｜calls｜>", "<｜calls｜> <｜call｜>f<｜sep｜>[1]",
        "<｜calls｜><｜call｜>f<｜sep｜>{\"x\":", "<｜calls｜><｜call｜>f<｜sep｜>{\"x\":1]"}) {
    EXPECT_EQ(parse(sections, text), text);
  }
  const ToolFormat python = format_of("python");
  for (const char* text : {"<|start|>[f(1)]<|stop|>", "<|start|>[f(x=", "<|start|>[]<|stop|>",
                           "<|start|>f", "<|start|>[f(x=g)]"}) {
    EXPECT_EQ(parse(python, text), text);
  }
}

TEST(OutputParser, AfterWhatIsNoCallACallIsFound) {
  EXPECT_EQ(parse(format_of("json, each call between tags"),
                  "<tool_call>x <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"),
            "<tool_call>x | f{}");
  // Of two calls the second is none.
  EXPECT_EQ(parse(format_of("json, an array between tags"),
                  R"(<|calls|>[{"tool_name": "f", "parameters": {}}, {"x": 1}]<|/calls|>)"),
            R"(, {"x": 1}]<|/calls|> | f{})");
}

TEST(OutputParser, ModelsAreNotExact) {
  const ToolFormat json = format_of("json, each call between tags");
  // No white space, other order, a wrapper, arguments as text or not there, a line break in them.
  EXPECT_EQ(parse(json, R"(<tool_call>{"arguments":{"x":1},"name":"f"}</tool_call>)"),
            R"( | f{"x":1})");
  EXPECT_EQ(parse(json, R"(<tool_call>{"type":"function","function":{"name":"f",)"
                        R"("parameters":{"x":1}}}</tool_call>)"),
            R"( | f{"x":1})");
  EXPECT_EQ(parse(json, R"(<tool_call>{"name":"f","arguments":"{\"x\": 1}"}</tool_call>)"),
            R"( | f{"x": 1})");
  EXPECT_EQ(parse(json, R"(<tool_call>{"name":"f"}</tool_call>)"), " | f{}");
  EXPECT_EQ(parse(json, R"(<tool_call>{"name":"f","arguments":null}</tool_call>)"), " | f{}");
  EXPECT_EQ(parse(json, "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"a\nb\"}}</tool_call>"),
            R"( | f{"x":"a\nb"})");
  // The end is left out.
  EXPECT_EQ(parse(json, R"(<tool_call>{"name":"f","arguments":{}})"), " | f{}");
  EXPECT_EQ(parse(format_of("pairs, on lines of their own"),
                  "<tool_call><function=f><parameter=x>1</parameter></tool_call>"),
            R"( | f{"x": 1})");
  EXPECT_EQ(parse(format_of("name and json in sections"), "<｜call｜>f<｜sep｜>{}<｜/call｜>"),
            " | f{}");
}

TEST(OutputParser, JsonAloneMustLookLikeACall) {
  const ToolFormat format = format_of("json alone");
  EXPECT_EQ(parse(format, R"({"name": "f", "parameters": {"x": 1}})"), R"( | f{"x": 1})");
  for (const char* text : {R"({"name": "Bob", "age": 3})", R"({"name": "f"})", R"([1, 2])",
                           R"({"x": 1} and more)", R"(see {"name": "f", "parameters": {}})"}) {
    EXPECT_EQ(parse(format, text), text);
  }
  OutputParserOptions options;
  options.tools = parse_json(testing::kTools, "tools").as_array();
  EXPECT_EQ(parse(format, R"({"name": "other", "parameters": {}})", options),
            R"({"name": "other", "parameters": {}})");
  EXPECT_EQ(parse(format, R"({"name": "get_weather", "parameters": {}})", options),
            " | get_weather{}");
  options.parse_calls = false;
  EXPECT_EQ(parse(format, R"({"name": "get_weather", "parameters": {}})", options),
            R"({"name": "get_weather", "parameters": {}})");
}

TEST(OutputParser, APromptMayOpenACall) {
  const ToolFormat format = format_of("prompt that opens a call");
  EXPECT_EQ(format.prompt_tail, ">>>");
  EXPECT_EQ(parse(format, "all\nHello"), "Hello");
  EXPECT_EQ(parse(format, "f\n{\"x\": 1}"), R"( | f{"x": 1})");
  EXPECT_EQ(parse(format, "all\nHello>>>f\n{}>>>all_of\n{}"), "Hello | f{} | all_of{}");
  EXPECT_EQ(parse(format, "Hello, you"), "Hello, you");
}

TEST(OutputParser, Harmony) {
  const ToolFormat format = format_of("channels");
  ASSERT_EQ(format.syntax, CallSyntax::kHarmony);
  EXPECT_EQ(parse(format,
                  "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>"
                  "final<|message|>Yes.<|return|>"),
            "(Hm.)Yes.");
  EXPECT_EQ(parse(format,
                  "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>"
                  "commentary<|message|>I look.<|end|><|start|>assistant<|channel|>"
                  "commentary to=functions.f <|constrain|>json<|message|>{\"x\": 1}<|call|>"),
            "(Hm.)I look. | f{\"x\": 1}");
  EXPECT_EQ(parse(format, " to=functions.f<|channel|>commentary json<|message|>{}<|call|>"),
            " | f{}");
  EXPECT_EQ(parse(format, "<|channel|>commentary to=python code<|message|>print(1)<|call|>"),
            "<|channel|>commentary to=python code<|message|>print(1)");
  EXPECT_EQ(parse(format, "tomorrow"), "tomorrow");
  EXPECT_EQ(parse(format, "<|channel|>never a message"), "<|channel|>never a message");
}

TEST(OutputParser, ValuesMayHoldWhatEndsThem) {
  const ToolFormat format = format_of("pairs, on lines of their own");
  EXPECT_EQ(parse(format,
                  "<tool_call>\n<function=f>\n<parameter=x>\na </parameter> b\n"
                  "</parameter>\n</function>\n</tool_call>"),
            R"( | f{"x": "a </parameter> b"})");
}

/// Seconds that parsing takes when the text comes in pieces as a model gives it.
double seconds_for(const ToolFormat& format, const std::string& text) {
  const auto start = std::chrono::steady_clock::now();
  OutputParser parser(format, {});
  size_t shown = 0;
  for (size_t at = 0; at < text.size(); at += 4) {
    OutputEvents events;
    parser.feed(std::string_view(text).substr(at, 4), events);
    for (const OutputEvent& event : events) shown += event.text.size();
  }
  OutputEvents events;
  parser.finish(events);
  EXPECT_LE(shown, text.size() * 2);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(OutputParser, TimeIsLinearWhateverTheText) {
  // Each takes some hundredths of a second; what is quadratic takes half a minute.
  for (const testing::ExampleTemplate& example : testing::kExampleTemplates) {
    const ToolFormat format = probe_tool_format(ChatTemplate::parse(example.source));
    std::string head = format.section_begin + format.call_head;
    std::replace(head.begin(), head.end(), kNameMark, 'f');
    std::replace(head.begin(), head.end(), kIdMark, 'i');
    for (const std::string& unit :
         {std::string(" "), std::string("<"), head + "{",
          head + "{\"name\":\"f\",\"arguments\":{\"", format.reasoning_begin + format.key_begin,
          format.value_end + "x", std::string("[f(")}) {
      if (unit.empty()) continue;
      std::string text = head;
      while (text.size() < 200'000) text += unit;
      ASSERT_LT(seconds_for(format, text), 5) << example.name << ": " << unit;
    }
  }
}

TEST(OutputParser, AnEndlessCallIsTextAfterItsLimit) {
  OutputParserOptions options;
  options.max_call_bytes = 5000;
  const ToolFormat format = format_of("json, each call between tags");
  const std::string begin = "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"";
  const std::string shorter = begin + std::string(4000, 'a') + "\"}}</tool_call>";
  EXPECT_EQ(parse_output(format, options, shorter).calls.size(), 1u);
  const std::string longer = begin + std::string(6000, 'a') + "\"}}</tool_call>";
  const ParsedOutput output = parse_output(format, options, longer);
  EXPECT_TRUE(output.calls.empty());
  EXPECT_EQ(output.content, longer);
  EXPECT_EQ(log_of_cuts(format, options, longer, 0, 7),
            log_of_cuts(format, options, longer, 0, 10'000));
}

TEST(Probe, FormatsAreKnownByAWordWhereTemplatesShowNone) {
  EXPECT_EQ(format_of("known by a word alone").syntax, CallSyntax::kPython);
  EXPECT_EQ(format_of("nothing").syntax, CallSyntax::kNone);
  const auto probe = [](std::string_view source) {
    return probe_tool_format(ChatTemplate::parse(source));
  };
  const std::string end = "{% for m in messages %}{{ m.content }}{% endfor %}";
  EXPECT_EQ(
      parse(probe(end + "{# <|tool_call|> #}"), R"(<|tool_call|>[{"name":"f","arguments":{}}])"),
      " | f{}");
  EXPECT_EQ(parse(probe(end + "{# <|tool_calls_section_begin|> #}"),
                  "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
                  "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>"),
            " | f{}functions.f:0");
  EXPECT_EQ(
      parse(probe(end + "{# <｜tool▁calls▁begin｜>function<｜tool▁sep｜> #}"),
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n"
            "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
      " | f{}");
  EXPECT_EQ(parse(probe(end + "{# <|python_tag|> #}"),
                  R"(<|python_tag|>{"name": "f", "parameters": {}})"),
            " | f{}");
  EXPECT_EQ(parse(probe(end + "{# use <response></response> and <think></think> #}"),
                  "<think>a</think><response>b</response>"),
            "(a)b");
}

TEST(Probe, NoTemplateMakesItFail) {
  for (const char* source : {"{{ raise_exception('x') }}", "", "{{ messages }}", "{{ 1 / 0 }}",
                             "{% for m in messages %}{{ m.tool_calls }}{{ m.content }}{% endfor %}",
                             "{% for i in range(99999999) %}{{ i }}{% endfor %}"}) {
    const ToolFormat format = probe_tool_format(ChatTemplate::parse(source));
    EXPECT_EQ(parse(format, "some <text>"), "some <text>") << source;
  }
}

}  // namespace
}  // namespace omg
