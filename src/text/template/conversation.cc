// SPDX-License-Identifier: Apache-2.0
#include "text/template/conversation.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace omg {
namespace {

std::string name_of(size_t index) {
  return "messages[" + std::to_string(index) + "]";
}

[[noreturn]] void throw_malformed(size_t index, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, name_of(index) + " " + why);
}

[[noreturn]] void throw_unsupported(const std::string& what) {
  throw Error(ErrorCode::kUnsupported,
              "the model's chat template cannot express this conversation: " + what);
}

std::string_view role_of(const json::object& message) {
  const json::value* role = message.if_contains("role");
  return role != nullptr && role->is_string() ? std::string_view(role->get_string())
                                              : std::string_view();
}

/// Text of a part {"type": "text", "text": …}.
const json::string& text_of_part(const json::value& part, size_t index) {
  const json::object* object = part.if_object();
  const json::value* type = object ? object->if_contains("type") : nullptr;
  const json::value* text = object ? object->if_contains("text") : nullptr;
  if (type != nullptr && type->is_string() && type->get_string() != "text") {
    throw_unsupported(name_of(index) + " has a part of type '" +
                      std::string(std::string_view(type->get_string())) +
                      "', and only text can be given to this model; leave it out");
  }
  if (text == nullptr || !text->is_string()) throw_malformed(index, "has a part without 'text'");
  return text->get_string();
}

class Adapter {
 public:
  Adapter(const TemplateCapabilities& capabilities, const json::array& tools)
      : can_(capabilities), tools_(tools) {}

  AdaptedConversation run(const json::array& messages) {
    if (!can_.failure.empty()) {  // rendering tells in the template's own words
      result_.messages = messages;
      return std::move(result_);
    }
    if (!tools_.empty() && !can_.tools) {
      throw_unsupported("it has no place for tools; send the request without them");
    }
    for (size_t i = 0; i < messages.size(); ++i) {
      const json::object* message = messages[i].if_object();
      if (message == nullptr || role_of(*message).empty()) {
        throw_malformed(i, "has no role: each message is an object with a string 'role'");
      }
      add(*message, i);
    }
    move_system_text();
    if (can_.must_alternate) join_neighbours();
    if (!can_.content_string) put_in_parts();
    for (json::object& message : out_) result_.messages.push_back(std::move(message));
    return std::move(result_);
  }

 private:
  void warn(const std::string& text) {
    auto& warnings = result_.warnings;
    if (std::find(warnings.begin(), warnings.end(), text) == warnings.end()) {
      warnings.push_back(text);
    }
  }

  void add(json::object message, size_t index) {
    set_content(message, index);
    if (role_of(message) == "developer" && !can_.developer) message["role"] = "system";
    if (role_of(message) == "tool") set_result(message);
    if (role_of(message) == "assistant") {
      set_reasoning(message);
      set_calls(message, index);
    }
    out_.push_back(std::move(message));
  }

  /// Content as the template takes it: a string, unless it takes parts.
  void set_content(json::object& message, size_t index) {
    json::value& content = message["content"];
    const bool has_calls = can_.calls && message.contains("tool_calls");
    const bool is_empty =
        content.is_null() || (content.is_string() && content.get_string().empty());
    if (is_empty) {
      // Beside calls it is what the template takes; elsewhere null would be written out.
      const bool may_stay = content.is_null() ? can_.null_content : can_.empty_content;
      if (!has_calls) content = "";
      if (has_calls && !may_stay) content = can_.null_content ? json::value(nullptr) : "";
      return;
    }
    if (content.is_string()) return;
    if (!content.is_array()) throw_malformed(index, "has a content that is no text");
    std::string text;
    for (const json::value& part : content.get_array()) {
      text += std::string_view(text_of_part(part, index));
    }
    if (!can_.content_parts) content = text;
  }

  void set_reasoning(json::object& message) const {
    if (can_.reasoning_field.empty() || message.contains(can_.reasoning_field)) return;
    for (const char* field : {"reasoning_content", "reasoning", "thinking"}) {
      const json::value* text = message.if_contains(field);
      if (text == nullptr || !text->is_string()) continue;
      message[can_.reasoning_field] = json::value(*text);
      return;
    }
  }

  void set_calls(json::object& message, size_t index) {
    const json::value* given = message.if_contains("tool_calls");
    if (given == nullptr || given->is_null()) {
      message.erase("tool_calls");
      return;
    }
    if (!given->is_array()) throw_malformed(index, "has tool_calls that are no list");
    json::array calls = given->get_array();
    if (calls.empty()) {
      message.erase("tool_calls");
      return;
    }
    if (!can_.calls) {
      throw_unsupported(name_of(index) +
                        " has calls of tools, which it does not show to the model");
    }
    if (calls.size() > 1 && !can_.parallel_calls) {
      throw_unsupported(name_of(index) + " has " + std::to_string(calls.size()) +
                        " calls of tools, and it shows one in a turn; give each a turn of its "
                        "own");
    }
    for (json::value& call : calls) set_arguments(call, index);
    message["tool_calls"] = std::move(calls);
  }

  void set_arguments(json::value& call, size_t index) {
    json::object* object = call.if_object();
    if (object != nullptr && !object->contains("type")) (*object)["type"] = "function";
    json::value* function = object ? object->if_contains("function") : nullptr;
    if (function == nullptr || !function->is_object() || !function->get_object().contains("name")) {
      throw_malformed(index, "has a call without 'function' and its 'name'");
    }
    const json::value* id = object->if_contains("id");
    if (id != nullptr && id->is_string()) {
      names_[std::string(std::string_view(id->get_string()))] = function->get_object()["name"];
    }
    json::value& arguments = function->get_object()["arguments"];
    if (arguments.is_null()) arguments = json::object();
    if (arguments.is_object() && can_.arguments == ArgumentForm::kString) {
      arguments = json::serialize(arguments);
    } else if (arguments.is_string() && can_.arguments != ArgumentForm::kString) {
      json::value parsed = parse_arguments(std::string_view(arguments.get_string()), index);
      arguments = std::move(parsed);
    }
    if (!arguments.is_string() && !arguments.is_object()) {
      throw_malformed(index, "has a call whose arguments are no JSON object");
    }
  }

  static json::value parse_arguments(std::string_view text, size_t index) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
    return parse_json(text, name_of(index) + ": the arguments of a call");
  }

  /// Templates ask for a result's tool by name; clients send the id of the call.
  void set_result(json::object& message) {
    if (!can_.tool_results) {
      throw_unsupported("it does not show results of tools to the model");
    }
    const json::value* id = message.if_contains("tool_call_id");
    if (message.contains("name") || id == nullptr || !id->is_string()) return;
    const auto name = names_.find(std::string(std::string_view(id->get_string())));
    if (name != names_.end()) message["name"] = name->second;
  }

  /// Text of a message whose content is a string or parts.
  static std::string text_of(const json::object& message) {
    const json::value& content = message.at("content");
    if (content.is_string()) return std::string(std::string_view(content.get_string()));
    std::string text;
    if (!content.is_array()) return text;
    for (const json::value& part : content.get_array()) {
      text += std::string_view(part.at("text").get_string());
    }
    return text;
  }

  static std::string joined(const std::string& first, const std::string& second) {
    return first.empty() || second.empty() ? first + second : first + "\n\n" + second;
  }

  /// System messages that the template would drop or refuse go to the next message of the user's.
  void move_system_text() {
    std::vector<json::object> kept;
    std::string waiting;
    for (size_t i = 0; i < out_.size(); ++i) {
      json::object& message = out_[i];
      const bool is_system = role_of(message) == "system";
      const bool can_stay = kept.empty() ? can_.system == Support::kYes : can_.system_anywhere;
      if (is_system && !can_stay && !kept.empty() && role_of(kept.back()) == "system") {
        kept.back()["content"] = joined(text_of(kept.back()), text_of(message));
        continue;
      }
      if (is_system && !can_stay) {
        waiting = joined(waiting, text_of(message));
        warn(kept.empty() ? "the model's chat template has no system message: its text was put "
                            "before the user's"
                          : "the model's chat template has no system messages behind the first: "
                            "their text was put before the user's");
        continue;
      }
      if (!waiting.empty() && role_of(message) == "user") {
        message["content"] = joined(waiting, text_of(message));
        waiting.clear();
      }
      kept.push_back(std::move(message));
    }
    if (!waiting.empty()) {
      kept.push_back({{"role", "user"}, {"content", waiting}});
    }
    out_ = std::move(kept);
  }

  void join_neighbours() {
    std::vector<json::object> kept;
    for (json::object& message : out_) {
      const std::string_view role = role_of(message);
      const bool is_plain =
          (role == "user" || role == "assistant") && !message.contains("tool_calls");
      if (is_plain && !kept.empty() && role_of(kept.back()) == role &&
          !kept.back().contains("tool_calls")) {
        kept.back()["content"] = joined(text_of(kept.back()), text_of(message));
        warn(
            "the model's chat template wants user and assistant in turns: messages of the same "
            "role that followed one another were joined");
        continue;
      }
      kept.push_back(std::move(message));
    }
    out_ = std::move(kept);
  }

  void put_in_parts() {
    for (json::object& message : out_) {
      json::value& content = message["content"];
      if (!content.is_string()) continue;
      content = json::array{json::object{{"type", "text"}, {"text", content}}};
    }
  }

  const TemplateCapabilities& can_;
  const json::array& tools_;
  AdaptedConversation result_;
  std::vector<json::object> out_;
  std::map<std::string, json::value> names_;  // of tools, by the ids of calls
};

}  // namespace

AdaptedConversation adapt_conversation(const TemplateCapabilities& capabilities,
                                       const json::array& messages, const json::array& tools) {
  return Adapter(capabilities, tools).run(messages);
}

}  // namespace omg
