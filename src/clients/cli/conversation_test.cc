// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/conversation.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"

namespace omg::cli {
namespace {

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(Parameters, EveryOneCanBeSetByBothNamesAndListed) {
  for (const ParameterInfo& info : parameter_table()) {
    Parameters parameters;
    set_parameter(parameters, info.name, "1");
    EXPECT_EQ(parameters_to_json(parameters).size(), 1u) << info.name;
    EXPECT_EQ(parameters_to_json(parameters).at(info.name).to_number<double>(), 1.0) << info.name;
    if (info.other_name.empty()) continue;
    Parameters other;
    set_parameter(other, info.other_name, "1");
    EXPECT_EQ(parameters_to_json(other), parameters_to_json(parameters));
  }
}

TEST(Parameters, WrongValuesNameTheParameter) {
  Parameters parameters;
  for (const char* text : {"", "x", "1x", "nan", "inf", "-0.1", "101", " 1", "0x10"}) {
    EXPECT_EQ(code_of([&] { set_parameter(parameters, "temperature", text); }),
              ErrorCode::kInvalidArgument)
        << text;
  }
  for (const char* text : {"1.5", "-2", "1e3", "9999999999999999999999"}) {
    EXPECT_EQ(code_of([&] { set_parameter(parameters, "top_k", text); }),
              ErrorCode::kInvalidArgument)
        << text;
  }
  EXPECT_EQ(code_of([&] { set_parameter(parameters, "nonsense", "1"); }),
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(parameters_to_json(parameters).empty());
  try {
    set_parameter(parameters, "top_p", "2");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "top_p cannot be '2': it is a number from 0 to 1");
  }
}

TEST(Parameters, JsonRoundTrip) {
  Parameters parameters;
  set_parameter(parameters, "temperature", "0.7");
  set_parameter(parameters, "seed", "-1");
  set_parameter(parameters, "stop", "a");
  set_parameter(parameters, "stop", "b\n");
  const json::object saved = parameters_to_json(parameters);
  EXPECT_EQ(parameters_to_json(parameters_from_json(saved)), saved);
  EXPECT_EQ(code_of([] { parameters_from_json({{"temperature", "hot"}}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([] { parameters_from_json({{"stop", json::array{1}}}); }),
            ErrorCode::kInvalidArgument);
}

TEST(Conversation, OldestTurnsGoFirstAndTheQuestionStays) {
  Conversation conversation;
  conversation.system = "s";
  for (const char* text : {"1", "2", "3"}) {
    conversation.add("user", text);
    if (std::string(text) != "3") conversation.add("assistant", "a");
  }
  EXPECT_TRUE(conversation.drop_oldest_turn());
  EXPECT_EQ(conversation.messages.size(), 3u);
  EXPECT_TRUE(conversation.drop_oldest_turn());
  EXPECT_FALSE(conversation.drop_oldest_turn());
  const json::array expected = {{{"role", "system"}, {"content", "s"}},
                                {{"role", "user"}, {"content", "3"}}};
  EXPECT_EQ(conversation.all_messages(), expected);
}

TEST(Conversation, SaveAndLoad) {
  const std::string path = testing::TempDir() + "/omg_conversation_test.json";
  Conversation conversation;
  conversation.system = "Be brief.";
  conversation.add("user", "Grüße");
  conversation.add("assistant", "Hi\n");
  set_parameter(conversation.parameters, "top_k", "3");
  save_conversation(conversation, "m.gguf", path);
  const Conversation loaded = load_conversation(path);
  EXPECT_EQ(conversation_to_json(loaded, "m.gguf"), conversation_to_json(conversation, "m.gguf"));
  std::filesystem::remove(path);
  EXPECT_EQ(code_of([&] { load_conversation(path); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { save_conversation(conversation, "m", "/no/such/folder/x"); }),
            ErrorCode::kNotFound);
}

TEST(Conversation, TakesABareArrayOfMessages) {
  const Conversation conversation = conversation_from_json(
      parse_json(R"([{"role":"system","content":"s"},{"role":"user","content":"u"}])", "test"),
      "test");
  EXPECT_EQ(conversation.system, "s");
  EXPECT_EQ(conversation.messages.size(), 1u);
}

TEST(Conversation, WhatIsNoConversationIsRefused) {
  for (const char* text :
       {"1", "{}", R"({"messages":{}})", R"([1])", R"([{"role":"user"}])",
        R"([{"role":1,"content":"x"}])", R"({"messages":[],"system":1})",
        R"({"messages":[],"parameters":[]})", R"({"messages":[],"parameters":{"top_p":7}})"}) {
    EXPECT_EQ(code_of([&] { conversation_from_json(parse_json(text, "test"), "test"); }),
              ErrorCode::kInvalidArgument)
        << text;
  }
}

TEST(Conversation, ThoughtsGoWithAnswersOnlyWhereThereAreAny) {
  Conversation conversation;
  conversation.add_answer("plain", "");
  conversation.add_answer("answer", "thought");
  EXPECT_FALSE(conversation.messages[0].get_object().contains("reasoning_content"));
  EXPECT_EQ(conversation.messages[1].at("reasoning_content").get_string(), "thought");
  const Conversation again =
      conversation_from_json(conversation_to_json(conversation, "m"), "test");
  EXPECT_EQ(again.messages, conversation.messages);
}

}  // namespace
}  // namespace omg::cli
