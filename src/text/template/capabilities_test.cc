// SPDX-License-Identifier: Apache-2.0
#include "text/template/capabilities.h"

#include <functional>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/template/conversation.h"
#include "text/template/default_template.h"

namespace omg {
namespace {

TemplateCapabilities probe(std::string_view source) {
  return probe_capabilities(ChatTemplate::parse(source));
}

/// Role and text of each message, and nothing else.
constexpr std::string_view kPlain =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}";

constexpr std::string_view kStrict =
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

constexpr std::string_view kTools =
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<{{ m.role }}>"
    "{{ m.content or '' }}{% for c in m.tool_calls or [] %}({{ c.function.name }} "
    "{{ c.function.arguments | tojson }}){% endfor %}{{ m.name or '' }}</>{% endfor %}";

ErrorCode code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

json::array messages_of(std::string_view text) {
  return parse_json(text, "messages").as_array();
}

std::string adapted(const TemplateCapabilities& can, std::string_view text) {
  return json::serialize(adapt_conversation(can, messages_of(text), {}).messages);
}

TEST(Capabilities, OfATemplateThatShowsEverything) {
  const TemplateCapabilities can = probe(kPlain);
  EXPECT_EQ(can.failure, "");
  EXPECT_EQ(can.system, Support::kYes);
  EXPECT_TRUE(can.system_anywhere);
  EXPECT_TRUE(can.developer);
  EXPECT_FALSE(can.must_alternate);
  EXPECT_FALSE(can.content_parts);  // a list would be written out as Python does it
  EXPECT_FALSE(can.tools);
  EXPECT_FALSE(can.calls);
  EXPECT_FALSE(can.thinking);
  EXPECT_EQ(can.generation_prompt, "[assistant]");
}

TEST(Capabilities, OfAStrictTemplate) {
  const TemplateCapabilities can = probe(kStrict);
  EXPECT_EQ(can.system, Support::kRefused);
  EXPECT_TRUE(can.must_alternate);
  const TemplateCapabilities silent =
      probe("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}");
  EXPECT_EQ(silent.system, Support::kNo);
}

TEST(Capabilities, OfToolsAndTheFormOfArguments) {
  const TemplateCapabilities can = probe(kTools);
  EXPECT_TRUE(can.tools);
  EXPECT_TRUE(can.calls);
  EXPECT_TRUE(can.parallel_calls);
  EXPECT_TRUE(can.tool_results);
  EXPECT_TRUE(can.null_content);
  EXPECT_EQ(can.arguments, ArgumentForm::kObject);
  const std::string as_text =
      "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
      "{{ c.function.name + c.function.arguments }}{% endfor %}{% endfor %}";
  EXPECT_EQ(probe(as_text).arguments, ArgumentForm::kString);
  const std::string both =
      "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
      "{{ c.function.name }}{{ c.function.arguments if c.function.arguments is string else "
      "c.function.arguments | tojson }}{% endfor %}{% endfor %}";
  EXPECT_EQ(probe(both).arguments, ArgumentForm::kEither);
  const std::string one =
      "{% for m in messages %}{{ m.content }}{% if m.tool_calls %}{% if m.tool_calls | length > 1 "
      "%}"
      "{{ raise_exception('one at a time') }}{% endif %}{{ m.tool_calls[0].function }}{% endif %}"
      "{% endfor %}";
  EXPECT_TRUE(probe(one).calls);
  EXPECT_FALSE(probe(one).parallel_calls);
}

TEST(Capabilities, OfPartsOnly) {
  const TemplateCapabilities can =
      probe("{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}");
  EXPECT_FALSE(can.content_string);
  EXPECT_TRUE(can.content_parts);
  EXPECT_EQ(adapted(can, R"([{"role":"user","content":"a"}])"),
            R"([{"role":"user","content":[{"type":"text","text":"a"}]}])");
}

TEST(Capabilities, OfThinkingSwitches) {
  const std::string end = "{% for m in messages %}{{ m.content }}{% endfor %}";
  const TemplateCapabilities qwen =
      probe(end +
            "{% if enable_thinking is defined and not enable_thinking %}<think></think>"
            "{% endif %}");
  ASSERT_TRUE(qwen.thinking);
  EXPECT_TRUE(qwen.thinking->on_by_default);
  EXPECT_EQ(thinking_variables(qwen, "false"), (json::object{{"enable_thinking", false}}));
  EXPECT_EQ(thinking_variables(qwen, "high"), (json::object{{"enable_thinking", true}}));
  EXPECT_EQ(code_of([&] { thinking_variables(qwen, "maybe"); }), ErrorCode::kInvalidArgument);

  const TemplateCapabilities deepseek = probe(end + "{{ '<think>' if thinking else '</think>' }}");
  ASSERT_TRUE(deepseek.thinking);
  EXPECT_FALSE(deepseek.thinking->on_by_default);
  EXPECT_EQ(thinking_variables(deepseek, "true"), (json::object{{"thinking", true}}));

  const TemplateCapabilities levels =
      probe(end + "Reasoning: {{ reasoning_effort | default('medium') }}");
  ASSERT_TRUE(levels.thinking);
  EXPECT_EQ(thinking_variables(levels, "low"), (json::object{{"reasoning_effort", "low"}}));
  EXPECT_EQ(code_of([&] { thinking_variables(levels, "false"); }), ErrorCode::kUnsupported);

  // The words in a template's text switch nothing.
  const TemplateCapabilities none = probe(end + "thinking enable_thinking {# thinking #}");
  EXPECT_FALSE(none.thinking);
  EXPECT_EQ(code_of([&] { thinking_variables(none, "true"); }), ErrorCode::kUnsupported);
}

TEST(Capabilities, OfReasoningInEarlierTurns) {
  const TemplateCapabilities can = probe(
      "{% for m in messages %}{{ m.content }}{% if m.thinking and loop.last %}"
      "({{ m.thinking }}){% endif %}{% endfor %}");
  EXPECT_EQ(can.reasoning_field, "thinking");
  EXPECT_FALSE(can.keeps_reasoning);
  EXPECT_EQ(adapted(can, R"([{"role":"assistant","content":"a","reasoning_content":"r"}])"),
            R"([{"role":"assistant","content":"a","reasoning_content":"r","thinking":"r"}])");
}

TEST(Capabilities, OfATemplateThatCannotDoWithoutTools) {
  const TemplateCapabilities can = probe(
      "{% for t in tools %}{{ t }}{% endfor %}{% for m in messages %}{{ m.content }}"
      "{% endfor %}");
  EXPECT_EQ(can.failure, "");
  EXPECT_FALSE(can.absent_is_none);
}

TEST(Capabilities, OfABrokenTemplate) {
  EXPECT_NE(probe("{{ raise_exception('never') }}").failure.find("never"), std::string::npos);
  EXPECT_NE(probe("{% for i in range(100000000) %}{{ i }}{% endfor %}").failure, "");
  EXPECT_NE(probe("no messages here").failure, "");
}

TEST(Conversation, SystemTextGoesToTheFirstUserTurn) {
  const TemplateCapabilities can = probe(kStrict);
  const AdaptedConversation result = adapt_conversation(
      can, messages_of(R"([{"role":"system","content":"S"},{"role":"user","content":"U"}])"), {});
  EXPECT_EQ(json::serialize(result.messages), R"([{"role":"user","content":"S\n\nU"}])");
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_EQ(adapted(can, R"([{"role":"system","content":"S"}])"),
            R"([{"role":"user","content":"S"}])");
  // Nothing to adapt, nothing to say.
  EXPECT_TRUE(adapt_conversation(probe(kPlain), result.messages, {}).warnings.empty());
}

TEST(Conversation, NeighboursOfOneRoleAreJoined) {
  EXPECT_EQ(adapted(probe(kStrict), R"([{"role":"user","content":"a"},
                {"role":"user","content":[{"type":"text","text":"b"}]},
                {"role":"assistant","content":"c"}])"),
            R"([{"role":"user","content":"a\n\nb"},{"role":"assistant","content":"c"}])");
}

TEST(Conversation, CallsTakeTheTemplatesForm) {
  const TemplateCapabilities can = probe(kTools);
  EXPECT_EQ(adapted(can, R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1",
                "function":{"name":"f","arguments":"{\"x\": 1}"}}]},
                {"role":"tool","tool_call_id":"1","content":"r"}])"),
            R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f",)"
            R"("arguments":{"x":1}},"type":"function"}]},)"
            R"({"role":"tool","tool_call_id":"1","content":"r","name":"f"}])");
  EXPECT_EQ(code_of([&] {
              adapted(can, R"([{"role":"assistant","tool_calls":[{"function":{"name":"f",
                  "arguments":"{x"}}]}])");
            }),
            ErrorCode::kInvalidArgument);
}

TEST(Conversation, EmptyContentBesideCallsTakesTheTemplatesForm) {
  const TemplateCapabilities can = probe(
      "{% for m in messages %}{% if m.content is none %}{% for c in m.tool_calls %}"
      "{{ c.function | tojson }}{% endfor %}{% else %}{{ m.content }}{% endif %}"
      "{% endfor %}");
  EXPECT_TRUE(can.calls);
  EXPECT_TRUE(can.parallel_calls);
  EXPECT_TRUE(can.null_content);
  EXPECT_FALSE(can.empty_content);
  const std::string call = R"("tool_calls":[{"type":"function","function":{"name":"f",)"
                           R"("arguments":{}}}]}])";
  EXPECT_EQ(adapted(can, R"([{"role":"assistant","content":"",)" + call),
            R"([{"role":"assistant","content":null,)" + call);
  EXPECT_EQ(adapted(can, R"([{"role":"assistant","content":null}])"),
            R"([{"role":"assistant","content":""}])");
}

TEST(Conversation, WhatCannotBeSavedIsRefused) {
  const TemplateCapabilities can = probe(kPlain);
  const json::array tools{json::object{{"type", "function"}}};
  const json::array user = messages_of(R"([{"role":"user","content":"a"}])");
  EXPECT_EQ(code_of([&] { adapt_conversation(can, user, tools); }), ErrorCode::kUnsupported);
  for (const char* text :
       {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}])",
        R"([{"role":"user","content":[{"type":"image_url","image_url":"x"}]}])"}) {
    EXPECT_EQ(code_of([&] { adapted(can, text); }), ErrorCode::kUnsupported) << text;
  }
  for (const char* text :
       {R"(["x"])", R"([{"content":"x"}])", R"([{"role":"user","content":5}])",
        R"([{"role":"user","content":["x"]}])", R"([{"role":"assistant","tool_calls":5}])"}) {
    EXPECT_EQ(code_of([&] { adapted(can, text); }), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(DefaultTemplate, OnlyForFamiliesWhoseMarkersAreTokens) {
  const auto chatml = [](std::string_view text) {
    return text == "<|im_start|>" || text == "<|im_end|>";
  };
  const auto none = [](std::string_view) { return false; };
  ASSERT_TRUE(default_chat_template("qwen2", chatml));
  EXPECT_EQ(default_chat_template("qwen2", chatml)->name, "chatml");
  EXPECT_FALSE(default_chat_template("qwen2", none));
  EXPECT_FALSE(default_chat_template("mamba", chatml));
  EXPECT_FALSE(default_chat_template("", chatml));
}

TEST(DefaultTemplate, AllOfThemRender) {
  const auto all = [](std::string_view) { return true; };
  for (const char* family :
       {"qwen3", "llama", "gemma3", "phi3", "mistral3", "deepseek2", "granite", "command-r"}) {
    const auto found = default_chat_template(family, all);
    ASSERT_TRUE(found) << family;
    const auto chat_template = ChatTemplate::parse(found->source);
    const TemplateCapabilities can = probe_capabilities(chat_template);
    EXPECT_EQ(can.failure, "") << family;
    EXPECT_EQ(found->name == "mistral", can.generation_prompt.empty()) << family;
  }
  const auto gemma = ChatTemplate::parse(default_chat_template("gemma2", all)->source);
  EXPECT_EQ(gemma.render(parse_json(R"({"messages":[{"role":"user","content":" a "},
                {"role":"assistant","content":"b"}],"bos_token":"<bos>",
                "add_generation_prompt":true})",
                                    "context")
                             .as_object()),
            "<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"
            "<start_of_turn>model\n");
}

}  // namespace
}  // namespace omg
