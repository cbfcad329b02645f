// SPDX-License-Identifier: Apache-2.0
//
// Conversations with a native model on a made-up engine: templates, reasoning, calls and formats.
#include <gtest/gtest.h>

#include "runtimes/native/test_support.h"

namespace omg::testing {
namespace {

constexpr std::string_view kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}={{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if tools is not none %}T{{ tools | length }}{{ tools | tojson }}{% endif %}"
    "{% if loud %}!{% endif %}{% if add_generation_prompt %}:{% endif %}";

ChatPrompt say(std::string_view text) {
  ChatPrompt prompt;
  prompt.messages = {user_message(text)};
  prompt.parse_output = false;
  return prompt;
}

json::object tool(std::string_view name, const json::object& properties = {}) {
  return {{"type", "function"},
          {"function",
           {{"name", name}, {"parameters", {{"type", "object"}, {"properties", properties}}}}}};
}

TEST(Chat, RendersWhatTheTemplateAsksFor) {
  FakeModel model(says("hello"), {.chat_template = kTemplate});
  ChatPrompt prompt = say("hi");
  EXPECT_EQ(model.model->render(prompt).prompt, "<s>user=hi</s>:");
  prompt.tools = {json::object{{"type", "function"}}};
  prompt.template_variables = {{"loud", true}};
  EXPECT_EQ(model.model->render(prompt).prompt, "<s>user=hi</s>T1[{\"type\": \"function\"}]!:");
  prompt.template_variables = {{"add_generation_prompt", false}};
  EXPECT_EQ(model.model->render(prompt).prompt, "<s>user=hi</s>T1[{\"type\": \"function\"}]");
  prompt.tool_use.choice = ToolUse::Choice::kNone;
  EXPECT_EQ(model.model->render(prompt).prompt, "<s>user=hi</s>");
  prompt.template_variables = {{"messages", nullptr}};
  expect_error(ErrorCode::kInvalidArgument, "messages", [&] { model.model->render(prompt); });
}

TEST(Chat, ConversationsAreAdaptedAndThatIsSaid) {
  FakeModel model(says("ok"),
                  {.chat_template = "{% for m in messages %}{% if m.role == 'system' %}"
                                    "{{ raise_exception('no system message') }}{% endif %}"
                                    "{{ m.role[0] }}={{ m.content }};{% endfor %}"
                                    "{% if add_generation_prompt %}:{% endif %}"});
  EXPECT_EQ(model.model->capabilities()->system, Support::kRefused);
  ChatPrompt prompt = say("hi");
  EXPECT_TRUE(model.chat(prompt).result.warnings.empty());
  prompt.messages = {{{"role", "system"}, {"content", "Be kind."}}, user_message("hi")};
  EXPECT_EQ(model.model->render(prompt).prompt, "u=Be kind.\n\nhi;:");
  const AnswerResult result = model.chat(prompt).result;
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_NE(result.warnings[0].find("system"), std::string::npos);
  prompt.tools = {tool("f")};
  expect_error(ErrorCode::kUnsupported, "tools", [&] { model.chat(prompt); });
}

TEST(Chat, ParsesSpecialTokensAndBeginsWithOneBos) {
  FakeModel model(says("hello"), {.chat_template = kTemplate});
  EXPECT_EQ(model.chat(say("hi")).text, "hello");
  auto expected = with_bos("user=hi");
  expected.push_back(kEos);
  for (const TokenId token : bytes_of(":hello")) expected.push_back(token);
  EXPECT_EQ(model.engine->take_tokens(), expected);

  FakeModel without_bos(says("hello"), {.chat_template = "{{ messages[0].content }}:"});
  without_bos.chat(say("hi"));
  EXPECT_EQ(without_bos.engine->take_tokens(), with_bos("hi:hello"));
}

TEST(Chat, BadConversationsAreRefused) {
  FakeModel model(says("hello"), {.chat_template = kTemplate});
  expect_error(ErrorCode::kInvalidArgument, "messages is empty", [&] { model.chat({}); });
  for (const json::value& bad :
       {json::value("hi"), json::value(json::object{}), json::value({{"role", 1}})}) {
    ChatPrompt prompt = say("hi");
    prompt.messages.push_back(bad);
    expect_error(ErrorCode::kInvalidArgument, "messages[1]", [&] { model.chat(prompt); });
  }
}

TEST(Chat, MissingOrBrokenTemplateStopsOnlyChats) {
  FakeModel model(says("hello"));
  EXPECT_EQ(model.model->chat_template(), nullptr);
  EXPECT_FALSE(model.model->facts().has_template);
  expect_error(ErrorCode::kUnsupported, "no chat template", [&] { model.chat(say("hi")); });
  EXPECT_EQ(model.generate("q:").text, "hello");

  NativeModelParts parts;
  std::vector<MappedFile> files;
  files.push_back(MappedFile::open("/proc/self/exe"));
  parts.file = std::make_unique<ModelFile>(std::move(files), Metadata{}, std::vector<TensorView>{});
  parts.tokenizer = std::make_unique<FakeTokenizer>();
  parts.engine = std::make_unique<FakeEngine>(says("hello"));
  parts.template_error = Error(ErrorCode::kInvalidArgument, "template line 3");
  const auto broken = NativeModel::create(std::move(parts));
  expect_error(ErrorCode::kInvalidArgument, "template line 3", [&] { broken->render(say("hi")); });
  EXPECT_EQ(ask(*broken, FakeModel::text_request("q:")).result.generated_tokens, 5u);
}

TEST(Chat, TheOldestMessagesAreCutOnRequest) {
  FakeModel model(says("ok"), {.context = 100, .chat_template = kTemplate});
  ChatPrompt prompt;
  prompt.messages = {{{"role", "system"}, {"content", "S"}}};
  for (int i = 0; i < 6; ++i) {
    prompt.messages.push_back(user_message("question" + std::to_string(i)));
    prompt.messages.push_back({{"role", "assistant"}, {"content", "A" + std::to_string(i)}});
  }
  prompt.messages.push_back(user_message("last"));
  GenerateOptions options = greedy();
  expect_error(ErrorCode::kContextLengthExceeded, "the context holds 100",
               [&] { model.chat(prompt, options); });
  options.cut_prompt = true;
  const Answer answer = model.chat(prompt, options);
  // A pair takes 28 tokens, system and last message 22: one pair stays, with a quarter of the
  // context for the answer.
  EXPECT_EQ(answer.result.cut_messages, 10u);
  EXPECT_EQ(answer.result.prompt_tokens, 49u);
  EXPECT_EQ(answer.result.cut_tokens, 5 * 28u);
  EXPECT_EQ(model.model->tokenizer().decode(model.engine->take_tokens(), true),
            "<s>system=S</s>user=question5</s>assistant=A5</s>user=last</s>:ok");
  options.context_length = 20;
  expect_error(ErrorCode::kContextLengthExceeded, "21 tokens without the messages",
               [&] { model.chat(prompt, options); });
}

constexpr std::string_view kThinkingTemplate =
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {% if m.reasoning_content %}<|think|>"
    "{{ m.reasoning_content }}<|/think|>{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}"
    "<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% if open %}<|think|>{% endif %}"
    "{% if enable_thinking is defined and not enable_thinking %}<|think|><|/think|>{% endif %}"
    "{% endif %}";

std::vector<TokenId> thought(std::string_view thinking, std::string_view rest, bool open = false) {
  std::vector<TokenId> tokens;
  if (!open) tokens.push_back(kThink);
  for (const TokenId token : bytes_of(thinking)) tokens.push_back(token);
  tokens.push_back(kThinkEnd);
  for (const TokenId token : bytes_of(rest)) tokens.push_back(token);
  return tokens;
}

ChatPrompt parsed(std::string_view text) {
  ChatPrompt prompt = say(text);
  prompt.parse_output = true;
  return prompt;
}

TEST(Chat, AnswersAreTakenApartOnRequest) {
  const std::string rest =
      "Yes.<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>";
  FakeModel model(says_after_prompt(thought("Hm.", rest)), {.chat_template = kThinkingTemplate});
  EXPECT_TRUE(model.model->facts().can_think);
  EXPECT_TRUE(model.model->facts().can_use_tools);
  ChatPrompt prompt = parsed("hi");
  Answer answer = model.chat(prompt);
  EXPECT_EQ(answer.output.reasoning, "Hm.");
  EXPECT_TRUE(answer.output.calls.empty());  // no tools were given: it is text
  EXPECT_EQ(answer.output.content, rest);

  prompt.tools = {tool("f")};
  answer = model.chat(prompt);
  EXPECT_EQ(answer.output.content, "Yes.");
  ASSERT_EQ(answer.output.calls.size(), 1u);
  EXPECT_EQ(answer.output.calls[0].name, "f");
  EXPECT_EQ(answer.output.calls[0].arguments, "{\"x\": 1}");
  EXPECT_EQ(answer.text, "<|think|>Hm.<|/think|>" + rest);

  prompt.parse_output = false;
  EXPECT_EQ(model.chat(prompt).text, "Hm." + rest);
}

TEST(Chat, APromptThatOpensTheReasoningIsSeen) {
  FakeModel model(says_after_prompt(thought("Hm.", "Yes.", true)),
                  {.chat_template = kThinkingTemplate});
  ChatPrompt prompt = parsed("hi");
  prompt.template_variables = {{"open", true}};
  const Answer answer = model.chat(prompt);
  EXPECT_EQ(answer.output.reasoning, "Hm.");
  EXPECT_EQ(answer.output.content, "Yes.");
}

TEST(Chat, WithoutParallelCallsTheFirstEndsTheAnswer) {
  const std::string call = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
  FakeModel model(says_after_prompt(call + call + "and more"),
                  {.chat_template = kThinkingTemplate});
  ChatPrompt prompt = parsed("hi");
  prompt.tools = {tool("f")};
  EXPECT_EQ(model.chat(prompt).output.calls.size(), 2u);
  prompt.tool_use.parallel = false;
  const Answer answer = model.chat(prompt);
  EXPECT_EQ(answer.output.calls.size(), 1u);
  EXPECT_EQ(answer.output.content, "");
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  EXPECT_LT(answer.result.generated_tokens, 2 * call.size());
}

GenerateOptions json_object(int32_t max_tokens = 100) {
  GenerateOptions options = greedy(max_tokens);
  options.format.kind = AnswerFormat::Kind::kJsonSchema;
  options.format.schema = {
      {"type", "object"}, {"properties", {{"a", {{"type", "boolean"}}}}}, {"required", {"a"}}};
  return options;
}

TEST(Chat, AFormatBindsTheAnswerAndNotTheReasoning) {
  FakeModel model(says_after_prompt(thought("Is {it} so?", "\n\nIt is not {\"a\": true} I think.")),
                  {.chat_template = kThinkingTemplate});
  const Answer answer = model.chat(parsed("hi"), json_object());
  EXPECT_EQ(answer.output.reasoning, "Is {it} so?");
  const std::string& content = answer.output.content;
  EXPECT_TRUE(parse_json(content, "answer").at("a").is_bool()) << content;
  EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
}

TEST(Chat, AFormatBindsAtOnceWhatDoesNotReason) {
  // The script begins to reason; that it may only where reasoning is not switched off.
  FakeModel model(says_after_prompt(thought("Hm.", "{\"a\": true}")),
                  {.chat_template = kThinkingTemplate});
  ChatPrompt prompt = parsed("hi");
  prompt.thinking = "false";
  const Answer answer = model.chat(prompt, json_object());
  EXPECT_EQ(answer.output.reasoning, "");
  EXPECT_TRUE(parse_json(answer.output.content, "answer").at("a").is_bool());

  prompt.thinking = "";
  EXPECT_EQ(model.chat(prompt, json_object()).output.reasoning, "Hm.");
  prompt.template_variables = {{"open", true}};
  FakeModel opened(says_after_prompt(thought("Hm.", "{\"a\": true}", true)),
                   {.chat_template = kThinkingTemplate});
  const Answer begun = opened.chat(prompt, json_object());
  EXPECT_EQ(begun.output.reasoning, "Hm.");
  EXPECT_EQ(begun.output.content, "{\"a\": true}");
}

/// The end of the reasoning comes in the middle of what is bound.
TEST(Chat, ReasoningThatEndsWithoutAnAnswerGoesOnToOne) {
  FakeModel model(says_after_prompt(thought("Hm.", "")), {.chat_template = kThinkingTemplate});
  const Answer answer = model.chat(parsed("hi"), json_object());
  EXPECT_EQ(answer.output.reasoning, "Hm.");
  EXPECT_TRUE(parse_json(answer.output.content, "answer").at("a").is_bool());
}

TEST(Chat, ACallThatMustComeDoes) {
  FakeModel model(says_after_prompt(thought("Hm.", "I will not.")),
                  {.chat_template = kThinkingTemplate});
  ChatPrompt prompt = parsed("hi");
  prompt.tools = {tool("f", {{"x", {{"enum", {1, 2}}}}}), tool("g")};
  prompt.tool_use.choice = ToolUse::Choice::kRequired;
  prompt.tool_use.parallel = false;
  for (const char* name : {"", "g"}) {
    prompt.tool_use.name = name;
    const Answer answer = model.chat(prompt, greedy(300));
    EXPECT_EQ(answer.output.reasoning, "Hm.");
    EXPECT_EQ(answer.output.content, "");
    ASSERT_EQ(answer.output.calls.size(), 1u);
    EXPECT_EQ(answer.output.calls[0].name, name[0] == '\0' ? answer.output.calls[0].name : name);
    EXPECT_TRUE(parse_json(answer.output.calls[0].arguments, "arguments").is_object());
    EXPECT_EQ(answer.result.finish_reason, FinishReason::kStop);
  }
  prompt.tool_use.name = "h";
  expect_error(ErrorCode::kInvalidArgument, "'h'", [&] { model.chat(prompt); });
  prompt.tool_use.name = "";
  expect_error(ErrorCode::kInvalidArgument, "format", [&] { model.chat(prompt, json_object()); });
  prompt.tools.clear();
  expect_error(ErrorCode::kInvalidArgument, "no tools", [&] { model.chat(prompt); });
}

TEST(Chat, ACallThatMustComeNeedsAFormatOfCalls) {
  FakeModel model(says("x"), {.chat_template = "{{ tools | tojson if tools }}"
                                               "{% for m in messages %}{{ m.content }}:"
                                               "{% endfor %}"});
  ChatPrompt prompt = parsed("hi");
  prompt.tools = {tool("f")};
  prompt.tool_use.choice = ToolUse::Choice::kRequired;
  expect_error(ErrorCode::kUnsupported, "'none'", [&] { model.chat(prompt); });
}

/// Calls may come where a format was asked for; all else must belong to it.
TEST(Chat, WithToolsAFormatLeavesCallsPossible) {
  ChatPrompt prompt = parsed("hi");
  prompt.tools = {tool("f")};
  FakeModel calls(says_after_prompt("<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>"),
                  {.chat_template = kThinkingTemplate});
  EXPECT_EQ(calls.chat(prompt, json_object()).output.calls.size(), 1u);
  FakeModel answers(says_after_prompt("{\"a\": false}"), {.chat_template = kThinkingTemplate});
  EXPECT_EQ(answers.chat(prompt, json_object()).output.content, "{\"a\": false}");
}

}  // namespace
}  // namespace omg::testing
