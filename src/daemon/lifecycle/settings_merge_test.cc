// SPDX-License-Identifier: Apache-2.0
//
// What a request becomes under a model's settings.
#include "daemon/lifecycle/settings_merge.h"

#include <gtest/gtest.h>

namespace omg {
namespace {

json::object message(const char* role, const char* content) {
  return {{"role", role}, {"content", content}};
}

ModelCall chat(json::array messages) {
  ModelCall call;
  ChatPrompt prompt;
  prompt.messages = std::move(messages);
  call.prompt = std::move(prompt);
  return call;
}

std::string messages_of(const MergedCall& merged) {
  std::string text;
  for (const json::value& one : std::get<ChatPrompt>(merged.request.prompt).messages) {
    text += std::string(one.at("role").as_string()) + ":" +
            std::string(one.at("content").as_string()) + " ";
  }
  return text;
}

TEST(SettingsMerge, TheClientWinsThenTheModelThenTheDefaults) {
  ModelSettings settings;
  settings.parameters = {{"temperature", 0.25}, {"top_k", 7}, {"stop", {"A", "B"}}};
  ModelCall call = chat({message("user", "hi")});
  call.parameters.temperature = 1.5;
  call.logit_bias = {{3, 2.0f}};
  call.top_logprobs = 4;
  const MergedCall merged = merge_settings(settings, call, 4096);
  const GenerateOptions& options = merged.request.options;
  EXPECT_FLOAT_EQ(options.sampling.temperature, 1.5f);
  EXPECT_EQ(options.sampling.top_k, 7);
  EXPECT_FLOAT_EQ(options.sampling.top_p, SamplingOptions().top_p);
  EXPECT_EQ(options.stop, std::vector<std::string>({"A", "B"}));
  EXPECT_EQ(options.sampling.logit_bias.size(), 1u);
  EXPECT_EQ(options.sampling.top_logprobs, 4);
  EXPECT_TRUE(merged.warnings.empty());

  call.parameters.stop = {"C"};
  EXPECT_EQ(merge_settings(settings, call, 4096).request.options.stop,
            std::vector<std::string>({"C"}));
}

TEST(SettingsMerge, OllamasNamesAndSpellingsAreKnown) {
  ModelSettings settings;
  settings.parameters = {
      {"num_predict", 12.0}, {"num_ctx", "2048"}, {"num_keep", 3}, {"stop", "END"}};
  const MergedCall merged = merge_settings(settings, chat({}), 4096);
  EXPECT_EQ(merged.request.options.max_tokens, 12);
  EXPECT_EQ(merged.request.options.context_length, 2048u);
  EXPECT_EQ(merged.request.options.keep_tokens, 3u);
  EXPECT_EQ(merged.request.options.stop, std::vector<std::string>({"END"}));
  EXPECT_TRUE(merged.warnings.empty());
}

TEST(SettingsMerge, WhatHasNoEffectIsTold) {
  ModelSettings settings;
  settings.parameters = {{"num_gpu", 3}, {"top_p", 7.5}, {"seed", json::array()}, {"top_k", 5}};
  const MergedCall merged = merge_settings(settings, chat({}), 4096);
  ASSERT_EQ(merged.warnings.size(), 3u);
  EXPECT_NE(merged.warnings[0].find("num_gpu"), std::string::npos);
  EXPECT_NE(merged.warnings[1].find("top_p"), std::string::npos);
  EXPECT_NE(merged.warnings[2].find("seed"), std::string::npos);
  EXPECT_EQ(merged.request.options.sampling.top_k, 5);
}

TEST(SettingsMerge, AContextBeyondTheRunsIsTheRunsAndTold) {
  ModelCall call = chat({});
  call.parameters.context_length = 100000;
  const MergedCall merged = merge_settings({}, call, 4096);
  EXPECT_EQ(merged.request.options.context_length, 4096u);
  ASSERT_EQ(merged.warnings.size(), 1u);
  EXPECT_NE(merged.warnings[0].find("100000"), std::string::npos);
  EXPECT_NE(merged.warnings[0].find("4096"), std::string::npos);
  call.parameters.context_length = 4096;
  EXPECT_TRUE(merge_settings({}, call, 4096).warnings.empty());
}

TEST(SettingsMerge, AnAnswerThatForgetsItsBeginningHasAnEnd) {
  ModelCall call = chat({});
  call.shift_context = true;
  EXPECT_EQ(merge_settings({}, call, 4096).request.options.max_tokens, 40960);
  call.parameters.context_length = 128;
  EXPECT_EQ(merge_settings({}, call, 4096).request.options.max_tokens, 1280);
  call.parameters.max_tokens = 5000;
  EXPECT_EQ(merge_settings({}, call, 4096).request.options.max_tokens, 1280);
  call.parameters.max_tokens = 5;
  EXPECT_EQ(merge_settings({}, call, 4096).request.options.max_tokens, 5);
  call.shift_context = false;
  call.parameters.max_tokens.reset();
  EXPECT_EQ(merge_settings({}, call, 4096).request.options.max_tokens, -1);
}

TEST(SettingsMerge, OneSystemMessageComesFirst) {
  ModelSettings settings;
  settings.system = "S";
  settings.messages = {{"user", "q"}, {"assistant", "a"}};
  ModelCall call = chat({message("user", "hi")});
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)), "system:S user:q assistant:a user:hi ");
  call.system = "mine";
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)),
            "system:mine user:q assistant:a user:hi ");
  call.system = "";
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)), "user:q assistant:a user:hi ");
  call = chat({message("system", "own"), message("user", "hi")});
  call.system = "not this";
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)),
            "system:own user:q assistant:a user:hi ");
}

TEST(SettingsMerge, ASystemMessageOfTheSettingsMessagesStandsInForTheirSystem) {
  ModelSettings settings;
  settings.messages = {{"system", "shown"}, {"user", "q"}};
  ModelCall call = chat({message("user", "hi")});
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)), "system:shown user:q user:hi ");
  settings.system = "S";
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)), "system:S user:q user:hi ");
  call = chat({message("developer", "own")});
  EXPECT_EQ(messages_of(merge_settings(settings, call, 1)), "developer:own user:q ");
}

TEST(SettingsMerge, ATextIsLeftAlone) {
  ModelSettings settings;
  settings.system = "S";
  ModelCall call;
  call.prompt = TextPrompt{"once", std::nullopt, true};
  call.context = {1, 2};
  const MergedCall merged = merge_settings(settings, call, 1);
  EXPECT_EQ(std::get<TextPrompt>(merged.request.prompt).text, "once");
  EXPECT_EQ(merged.request.context, std::vector<int32_t>({1, 2}));
}

TEST(SettingsMerge, TemplatesOfOllamaGiveWayToTheFiles) {
  ModelSettings settings;
  EXPECT_EQ(template_of(settings), "");
  settings.chat_template = "{{ messages }}";
  settings.template_syntax = "jinja";
  EXPECT_EQ(template_of(settings), "{{ messages }}");
  settings.template_syntax = "go";
  EXPECT_EQ(template_of(settings), "");
}

}  // namespace
}  // namespace omg
