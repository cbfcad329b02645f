// SPDX-License-Identifier: Apache-2.0
//
// Clients send back what they were sent, so an assistant's message may have all fields of an
// answer.
#include "daemon/openai/messages.h"

#include <algorithm>
#include <fmt/format.h>
#include <string>
#include <unordered_set>
#include <vector>

namespace omg::openai {
namespace {

using Kind = FieldError::Kind;

constexpr size_t kMaxTools = 512;
constexpr size_t kMaxToolName = 128;

std::string element(std::string_view list, size_t index) {
  return fmt::format("{}[{}]", list, index);
}

/// A part of a message's content, as {"type": "text", "text": …}.
json::object read_part(const json::value& value, const std::string& path, bool may_refuse) {
  JsonFields part = JsonFields::of(value, path);
  const std::string type = part.required_string("type");
  std::string text;
  if (type == "text") {
    text = part.required_string("text");
  } else if (type == "refusal" && may_refuse) {
    text = part.required_string("refusal");
  } else if (type == "image_url" || type == "input_audio" || type == "file") {
    part.fail(Kind::kWrongValue, "type",
              fmt::format("cannot be '{}': models are given text only, no {} yet; leave the part "
                          "out",
                          type,
                          type == "image_url" ? "images"
                          : type == "file"    ? "files"
                                              : "audio"));
  } else {
    part.fail(Kind::kWrongValue, "type",
              fmt::format("cannot be '{}': parts of this message are text", shortened(type)));
  }
  // Marks for caches that have to be told; ours finds equal beginnings by itself.
  part.skip("cache_control");
  part.skip("prompt_cache_breakpoint");
  part.finish();
  return {{"type", "text"}, {"text", text}};
}

/// A string, or text in parts; null where there is none.
json::value read_content(JsonFields& message, bool may_refuse) {
  const json::value* content = message.value("content");
  if (content == nullptr) return nullptr;
  if (content->is_string()) return *content;
  const json::array* parts = content->if_array();
  if (parts == nullptr) {
    message.fail(
        Kind::kWrongType, "content",
        fmt::format("must be a string or an array of parts, not {}", json_kind_name(*content)));
  }
  if (parts->empty()) message.fail(Kind::kWrongValue, "content", "must have at least one part");
  json::array result;
  for (size_t i = 0; i < parts->size(); ++i) {
    result.push_back(read_part((*parts)[i], element(message.path_of("content"), i), may_refuse));
  }
  return result;
}

json::object read_call(const json::value& value, const std::string& path) {
  JsonFields call = JsonFields::of(value, path);
  const std::string id = call.required_string("id");
  call.choice("type", {"function"});
  call.integer("index", 0, INT32_MAX);  // of a stream's delta
  JsonFields function = call.required_fields("function");
  json::object result{
      {"id", id},
      {"type", "function"},
      {"function", json::object{{"name", function.required_string("name")},
                                {"arguments", function.required_string("arguments")}}}};
  function.skip("parsed_arguments");  // OpenAI's clients put what they made of it beside it
  function.finish();
  call.finish();
  return result;
}

void read_assistant(JsonFields& fields, json::object& message) {
  json::value content = read_content(fields, true);
  if (const std::optional<std::string> refusal = fields.string("refusal")) {
    if (!content.is_null()) {
      fields.fail(Kind::kWrongValue, "refusal", "cannot stand beside content");
    }
    content = *refusal;
  }
  std::optional<std::string> reasoning = fields.string("reasoning_content");
  const std::optional<std::string> other = fields.string("reasoning");
  if (!reasoning) reasoning = other;
  const json::array* calls = fields.array("tool_calls");
  if (content.is_null() && (calls == nullptr || calls->empty())) {
    if (!reasoning) fields.fail(Kind::kMissing, "content", "is required, or tool_calls are");
    content = "";
  }
  message["content"] = std::move(content);
  if (reasoning && !reasoning->empty()) message["reasoning_content"] = *reasoning;
  if (calls != nullptr && !calls->empty()) {
    json::array& own = message["tool_calls"].emplace_array();
    for (size_t i = 0; i < calls->size(); ++i) {
      own.push_back(read_call((*calls)[i], element(fields.path_of("tool_calls"), i)));
    }
  }
  fields.array("annotations");  // where pages were quoted: nothing of it goes to the model
  fields.skip("parsed");        // what OpenAI's clients made of the content
  for (const char* name : {"audio", "function_call"}) {
    if (!fields.has(name)) fields.skip(name);
  }
}

json::object read_message(const json::value& value, const std::string& path) {
  JsonFields fields = JsonFields::of(value, path);
  fields.required("role");
  const std::string role =
      *fields.choice("role", {"system", "developer", "user", "assistant", "tool"});
  json::object message{{"role", role}};
  if (const std::optional<std::string> name = fields.string("name")) message["name"] = *name;
  if (role == "assistant") {
    read_assistant(fields, message);
  } else {
    fields.required("content");
    message["content"] = read_content(fields, false);
  }
  if (role == "tool") message["tool_call_id"] = fields.required_string("tool_call_id");
  fields.finish();
  return message;
}

void check_tool_name(JsonFields& function, const std::string& name) {
  const bool is_plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (!name.empty() && name.size() <= kMaxToolName && is_plain) return;
  function.fail(Kind::kWrongValue, "name",
                fmt::format("cannot be '{}': names have 1 to {} letters, digits, '_', '-' and '.'",
                            shortened(name), kMaxToolName));
}

struct Tool {
  std::string name;
  bool strict = false;
  json::object shown;
};

Tool read_tool(const json::value& value, const std::string& path) {
  JsonFields fields = JsonFields::of(value, path);
  fields.required("type");
  fields.choice("type", {"function"});
  JsonFields function = fields.required_fields("function");
  Tool tool;
  tool.name = function.required_string("name");
  check_tool_name(function, tool.name);
  json::object shown{{"name", tool.name}};
  if (const auto text = function.string("description")) shown["description"] = *text;
  const json::object* parameters = function.object("parameters");
  // None means that there are none; templates expect to be told so.
  if (parameters != nullptr) {
    shown["parameters"] = *parameters;
  } else {
    shown["parameters"] = json::object{{"type", "object"}, {"properties", json::object()}};
  }
  tool.strict = function.boolean("strict").value_or(false);
  function.finish();
  fields.skip("cache_control");
  fields.finish();
  tool.shown = {{"type", "function"}, {"function", std::move(shown)}};
  return tool;
}

ToolUse read_named_choice(JsonFields& fields, const std::unordered_set<std::string>& names) {
  JsonFields choice = fields.required_fields("tool_choice");
  choice.required("type");
  choice.choice("type", {"function"});
  JsonFields function = choice.required_fields("function");
  ToolUse use;
  use.choice = ToolUse::Choice::kRequired;
  use.name = function.required_string("name");
  if (!names.contains(use.name)) {
    function.fail(
        Kind::kWrongValue, "name",
        fmt::format("cannot be '{}': there is no such tool in tools", shortened(use.name)));
  }
  function.finish();
  choice.finish();
  return use;
}

ToolUse read_tool_choice(JsonFields& fields, const std::unordered_set<std::string>& names) {
  ToolUse use;
  const json::value* value = fields.value("tool_choice");
  if (value == nullptr) return use;
  if (value->is_object()) return read_named_choice(fields, names);
  if (!value->is_string()) {
    fields.fail(Kind::kWrongType, "tool_choice",
                fmt::format("must be a string or an object, not {}", json_kind_name(*value)));
  }
  const std::string choice = *fields.choice("tool_choice", {"none", "auto", "required"});
  if (choice == "none") use.choice = ToolUse::Choice::kNone;
  if (choice == "required") use.choice = ToolUse::Choice::kRequired;
  if (choice == "required" && names.empty()) {
    fields.fail(Kind::kWrongValue, "tool_choice", "cannot be 'required' where there are no tools");
  }
  return use;
}

}  // namespace

json::array read_messages(JsonFields& fields) {
  const json::array& given = fields.required_array("messages");
  if (given.empty()) {
    fields.fail(Kind::kWrongValue, "messages", "is empty: there must be at least one message");
  }
  json::array messages;
  messages.reserve(given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    messages.push_back(read_message(given[i], element("messages", i)));
  }
  return messages;
}

void read_tools(JsonFields& fields, ChatPrompt& prompt, std::vector<std::string>& warnings) {
  std::unordered_set<std::string> names;
  bool is_strict = false;
  if (const json::array* tools = fields.array("tools")) {
    if (tools->size() > kMaxTools) {
      fields.fail(Kind::kWrongValue, "tools",
                  fmt::format("has {} tools, and at most {} are taken", tools->size(), kMaxTools));
    }
    for (size_t i = 0; i < tools->size(); ++i) {
      const std::string path = element("tools", i);
      Tool tool = read_tool((*tools)[i], path);
      if (!names.insert(tool.name).second) {
        throw FieldError(Kind::kWrongValue, path + ".function.name",
                         fmt::format("{}.function.name cannot be '{}': another tool has that name",
                                     path, tool.name));
      }
      is_strict = is_strict || tool.strict;
      prompt.tools.push_back(std::move(tool.shown));
    }
  }
  prompt.tool_use = read_tool_choice(fields, names);
  prompt.tool_use.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  if (is_strict && prompt.tool_use.choice == ToolUse::Choice::kAuto) {
    warnings.push_back(
        "tools are called as the model decides, so 'strict' is not enforced: check the arguments "
        "against the schema, or set tool_choice to 'required'");
  }
}

}  // namespace omg::openai
