// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/conversation.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <unistd.h>

#include "base/error.h"

namespace omg::cli {
namespace {

[[noreturn]] void throw_malformed(const std::string& what, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, what + " is no saved conversation: " + why);
}

std::string_view role_of(const json::value& message) {
  return std::string_view(message.get_object().at("role").get_string());
}

void check_message(const json::value& message, const std::string& what) {
  const auto is_string = [&](const char* key) {
    const json::value* value = message.get_object().if_contains(key);
    return value != nullptr && value->is_string();
  };
  if (!message.is_object() || !is_string("role") || !is_string("content")) {
    throw_malformed(what, "a message has no 'role' or 'content'");
  }
}

}  // namespace

json::array Conversation::all_messages() const {
  json::array all;
  if (!system.empty()) all.push_back({{"role", "system"}, {"content", system}});
  all.insert(all.end(), messages.begin(), messages.end());
  return all;
}

void Conversation::add(std::string_view role, std::string_view content) {
  messages.push_back({{"role", role}, {"content", content}});
}

void Conversation::add_answer(std::string_view content, std::string_view reasoning) {
  add("assistant", content);
  if (!reasoning.empty()) messages.back().get_object()["reasoning_content"] = reasoning;
}

bool Conversation::drop_oldest_turn() {
  size_t end = 1;
  while (end < messages.size() && role_of(messages[end]) != "user") ++end;
  if (end >= messages.size()) return false;
  messages.erase(messages.begin(), messages.begin() + static_cast<ptrdiff_t>(end));
  return true;
}

json::object conversation_to_json(const Conversation& conversation, const std::string& model) {
  return {{"model", model},
          {"system", conversation.system},
          {"parameters", parameters_to_json(conversation.parameters)},
          {"messages", conversation.messages}};
}

Conversation conversation_from_json(const json::value& value, const std::string& what) {
  Conversation conversation;
  const json::value* messages = &value;
  if (value.is_object()) {
    const json::object& object = value.get_object();
    messages = object.if_contains("messages");
    if (const json::value* system = object.if_contains("system")) {
      if (!system->is_string()) throw_malformed(what, "'system' is no string");
      conversation.system = std::string_view(system->get_string());
    }
    if (const json::value* parameters = object.if_contains("parameters")) {
      if (!parameters->is_object()) throw_malformed(what, "'parameters' is no object");
      conversation.parameters = parameters_from_json(parameters->get_object());
    }
  }
  if (messages == nullptr || !messages->is_array()) {
    throw_malformed(what, "there is no array of messages");
  }
  for (const json::value& message : messages->get_array()) {
    check_message(message, what);
    const bool first = conversation.messages.empty() && conversation.system.empty();
    if (first && role_of(message) == "system") {
      conversation.system = std::string_view(message.get_object().at("content").get_string());
    } else {
      conversation.messages.push_back(message);
    }
  }
  return conversation;
}

void save_conversation(const Conversation& conversation, const std::string& model,
                       const std::string& path) {
  const std::string partial = path + ".partial-" + std::to_string(::getpid());
  errno = 0;
  {
    std::ofstream file(partial, std::ios::binary);
    file << json::serialize(conversation_to_json(conversation, model)) << '\n';
    file.flush();
    if (!file) {
      const int failure = errno ? errno : EIO;
      ::unlink(partial.c_str());
      throw system_error("cannot write " + path, failure);
    }
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    const int failure = errno;
    ::unlink(partial.c_str());
    throw system_error("cannot write " + path, failure);
  }
}

Conversation load_conversation(const std::string& path) {
  return conversation_from_json(parse_json_file(path), path);
}

}  // namespace omg::cli
