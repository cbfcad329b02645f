// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/call_grammar.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"

namespace omg {
namespace {

using grammar::CodePointSet;
using grammar::Expressions;
using grammar::ExprId;
using grammar::kNoExpr;
using grammar::kUnbounded;

/// White space that models put between the parts of a call.
constexpr uint32_t kMostSpace = 2;
constexpr uint32_t kMostIdBytes = 40;

struct Tool {
  std::string name;
  json::value parameters;  // JSON Schema
};

const json::value* member(const json::value* value, std::string_view key) {
  const json::object* object = value == nullptr ? nullptr : value->if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

std::vector<Tool> read_tools(const json::array& tools, const std::string& only) {
  std::vector<Tool> result;
  for (size_t i = 0; i < tools.size(); ++i) {
    const json::value* function = member(&tools[i], "function");
    if (function == nullptr) function = &tools[i];
    const json::value* name = member(function, "name");
    if (name == nullptr || !name->is_string()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "tools[" + std::to_string(i) + "] has no function with a name");
    }
    Tool tool;
    tool.name = std::string_view(name->get_string());
    if (!only.empty() && tool.name != only) continue;
    const json::value* parameters = member(function, "parameters");
    json::object schema{{"type", "object"}, {"properties", json::object()}};
    if (parameters != nullptr && parameters->is_object() && !parameters->get_object().empty()) {
      schema = parameters->get_object();
    }
    // A tool that takes nothing is given nothing.
    const json::value* properties = schema.if_contains("properties");
    const bool has_none =
        properties != nullptr && properties->is_object() && properties->get_object().empty();
    if (has_none && !schema.contains("additionalProperties")) {
      schema["additionalProperties"] = false;
    }
    tool.parameters = std::move(schema);
    result.push_back(std::move(tool));
  }
  if (result.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                only.empty() ? "a tool must be called, but the request has no tools"
                             : "the tool '" + only + "' must be called, but it is not among tools");
  }
  return result;
}

/// Whether a schema says that a value may be a text, or does not say what it is.
bool may_be_text(const json::value& schema) {
  const json::object* object = schema.if_object();
  if (object == nullptr) return true;
  const auto is_text = [](const json::value& name) {
    return name.is_string() && name.get_string() == "string";
  };
  if (const json::value* type = object->if_contains("type")) {
    if (!type->is_array()) return is_text(*type);
    const json::array& types = type->get_array();
    return std::any_of(types.begin(), types.end(), is_text);
  }
  const auto any_text = [](const json::array& values) {
    return std::any_of(values.begin(), values.end(),
                       [](const json::value& value) { return value.is_string(); });
  };
  if (const json::value* value = object->if_contains("const")) return value->is_string();
  if (const json::value* values = object->if_contains("enum"); values && values->is_array()) {
    return any_text(values->get_array());
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const json::value* choices = object->if_contains(key);
    if (choices == nullptr || !choices->is_array()) continue;
    const json::array& list = choices->get_array();
    return std::any_of(list.begin(), list.end(), may_be_text);
  }
  return !object->contains("$ref") && !object->contains("properties") && !object->contains("items");
}

class CallGrammar {
 public:
  CallGrammar(const ToolFormat& format, Expressions& expressions)
      : format_(format), e_(expressions), json_(expressions) {}

  ExprId run(const std::vector<Tool>& tools, bool several) {
    switch (format_.syntax) {
      case CallSyntax::kJson:
        return json_calls(tools, several);
      case CallSyntax::kPython:
        return python_calls(tools, several);
      case CallSyntax::kHarmony:
        return harmony_call(tools);
      default:
        return named_calls(tools, several);
    }
  }

 private:
  // What all formats share.

  ExprId space() {
    return e_.repeat(e_.one_of(CodePointSet{{' ', ' '}, {'\n', '\n'}}), 0, kMostSpace);
  }

  /// Parts with white space between them; empty ones are left out.
  ExprId spaced(const std::vector<ExprId>& parts) {
    std::vector<ExprId> all;
    for (const ExprId part : parts) {
      if (part == kNoExpr) continue;
      if (!all.empty()) all.push_back(space());
      all.push_back(part);
    }
    return e_.sequence(std::move(all));
  }

  ExprId marker(const std::string& text) { return text.empty() ? kNoExpr : e_.literal(text); }

  ExprId one_of_tools(const std::vector<Tool>& tools, ExprId (CallGrammar::*call)(const Tool&)) {
    std::vector<ExprId> calls;
    calls.reserve(tools.size());
    for (const Tool& tool : tools) calls.push_back((this->*call)(tool));
    return e_.alternatives(std::move(calls));
  }

  /// `call` once or, where its beginning can be seen, more often, in a section if the format has
  /// them.
  ExprId in_section(ExprId call, bool several) {
    ExprId calls = call;
    if (several && !format_.call_head.empty()) {
      calls = e_.sequence({call, e_.repeat(e_.sequence({space(), call}), 0, kUnbounded)});
    }
    return spaced({marker(format_.section_begin), calls, marker(format_.section_end)});
  }

  ExprId id() {
    return e_.repeat(e_.one_of(CodePointSet{{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}}), 1,
                     kMostIdBytes);
  }

  ExprId from_schema(const json::value& schema, const std::string& tool) {
    try {
      grammar::compile_json_schema(schema, {}, e_);
    } catch (const Error& error) {
      throw Error(error.code(), "the parameters of tool '" + tool + "': " + error.what());
    }
    return e_.rule(e_.root());
  }

  /// The same, where the parser also reads Python's words.
  ExprId from_schema_or_python(const json::value& schema, const std::string& tool) {
    const json::value* type = member(&schema, "type");
    if (type == nullptr || *type != "boolean") return from_schema(schema, tool);
    return e_.one_of_texts({"true", "false", "True", "False"});
  }

  ExprId arguments(const Tool& tool) { return from_schema(tool.parameters, tool.name); }

  // JSON altogether.

  ExprId json_member(const std::string& key, ExprId value) {
    return e_.sequence({e_.literal(grammar::json_quoted(key)), json_.colon(), value});
  }

  ExprId json_call(const Tool& tool) {
    if (format_.name_key.empty()) {
      return json_.braces(json_member(tool.name, arguments(tool)), false);
    }
    const ExprId name = json_member(format_.name_key, e_.literal(grammar::json_quoted(tool.name)));
    const ExprId call =
        e_.sequence({name, json_.comma(), json_member(format_.arguments_key, arguments(tool))});
    if (format_.id_key.empty()) return json_.braces(call, false);
    // The id stands before, behind, or beside the call as in the OpenAI API.
    const ExprId call_id = json_member(format_.id_key, json_.string_of(id()));
    const ExprId type = json_member("type", e_.literal("\"function\""));
    return e_.alternatives(
        {json_.braces(call, false),
         json_.braces(e_.sequence({call_id, json_.comma(), call}), false),
         json_.braces(e_.sequence({call, json_.comma(), call_id}), false),
         json_.braces(e_.sequence({call_id, json_.comma(), type, json_.comma(),
                                   json_member("function", json_.braces(call, false))}),
                      false)});
  }

  ExprId json_calls(const std::vector<Tool>& tools, bool several) {
    const ExprId object = one_of_tools(tools, &CallGrammar::json_call);
    // Nothing marks the calls where there is no head: then only an object is one.
    ExprId payload = object;
    if (!format_.call_head.empty()) {
      payload = e_.alternatives(
          {object, json_.brackets(json_.separated(object, 1, several ? kUnbounded : 1), false)});
    }
    const ExprId call = spaced({marker(format_.call_head), payload, marker(format_.call_end)});
    return in_section(call, several);
  }

  // A name, and arguments of any notation.

  ExprId named_calls(const std::vector<Tool>& tools, bool several) {
    return in_section(one_of_tools(tools, &CallGrammar::named_call), several);
  }

  ExprId named_call(const Tool& tool) {
    std::vector<ExprId> parts;
    const std::string& head = format_.call_head;
    for (size_t at = 0; at < head.size();) {
      if (head[at] == kNameMark) {
        parts.push_back(e_.literal(format_.name_prefix + tool.name));
        if (format_.name_has_index) {
          parts.push_back(e_.literal(":"));
          parts.push_back(e_.repeat(e_.one_of(CodePointSet{{'0', '9'}}), 1, 2));
        }
        ++at;
      } else if (head[at] == kIdMark) {
        parts.push_back(id());
        ++at;
      } else {
        const size_t end = std::min(head.find_first_of("\x01\x02", at), head.size());
        if (at > 0) parts.push_back(space());  // behind the name or the id
        parts.push_back(e_.literal(head.substr(at, end - at)));
        at = end;
      }
    }
    const ExprId end = marker(format_.call_end);
    switch (format_.syntax) {
      case CallSyntax::kNamedJson:
        return spaced({e_.sequence(std::move(parts)), arguments(tool), end});
      case CallSyntax::kPairs:
        return spaced({e_.sequence(std::move(parts)), pairs(tool), end});
      case CallSyntax::kTags:
        return spaced({e_.sequence(std::move(parts)), tags(tool, tool.parameters), end});
      default:  // kLoose: no space before the brace
        parts.push_back(loose(tool));
        return spaced({e_.sequence(std::move(parts)), end});
    }
  }

  /// Calls `item` with each property that the schema declares, and whether it is required.
  template <typename Item>
  std::vector<grammar::ListItem> each_property(const json::value& schema, Item item) {
    std::vector<grammar::ListItem> items;
    const json::value* properties = member(&schema, "properties");
    if (properties == nullptr || !properties->is_object()) return items;
    const json::value* required = member(&schema, "required");
    for (const auto& property : properties->get_object()) {
      bool needed = false;
      if (required != nullptr && required->is_array()) {
        const json::array& names = required->get_array();
        needed = std::any_of(names.begin(), names.end(), [&](const json::value& name) {
          return name.is_string() && name.get_string() == property.key();
        });
      }
      items.push_back({item(std::string(property.key()), property.value()), needed});
    }
    return items;
  }

  /// A property's schema by itself, with what it may refer to.
  static json::value with_definitions(const json::value& property, const json::value& root) {
    if (!property.is_object()) return property;
    json::object schema = property.get_object();
    for (const char* key : {"$defs", "definitions"}) {
      if (const json::value* definitions = member(&root, key)) schema[key] = *definitions;
    }
    return schema;
  }

  /// Text of a property that may be one: its enum's texts, or `free`.
  ExprId text_value(const json::value& schema, ExprId free) {
    std::vector<std::string> texts;
    const auto add = [&](const json::value& value) {
      texts.push_back(value.is_string() ? std::string(std::string_view(value.get_string()))
                                        : json::serialize(value));
    };
    if (const json::value* value = member(&schema, "const")) add(*value);
    if (const json::value* values = member(&schema, "enum"); values && values->is_array()) {
      for (const json::value& value : values->get_array()) add(value);
    }
    return texts.empty() ? free : e_.one_of_texts(std::move(texts));
  }

  /// Any text in which `end` does not stand, even begun by what follows it. Where the first byte of
  /// `end` comes in it again, texts do without that byte.
  ExprId text_without(const std::string& end) {
    const char first = end[0];
    CodePointSet others = CodePointSet::all();
    const auto code = static_cast<unsigned char>(first);
    const CodePointSet only_first{{code, code}};
    others = others.intersected(only_first.negated());
    if (code >= 0x80 || end.find(first, 1) != std::string::npos) {
      const CodePointSet plain = code < 0x80 ? others : CodePointSet{{0, 0x7f}};
      return e_.repeat(e_.one_of(plain), 0, kUnbounded);
    }
    // A beginning of `end` that does not go on: another may follow it, or what is neither.
    std::vector<ExprId> begun;
    std::vector<ExprId> broken;
    for (size_t i = 1; i < end.size(); ++i) {
      const auto next = static_cast<unsigned char>(end[i]);
      begun.push_back(e_.literal(end.substr(0, i)));
      CodePointSet wrong = others;
      if (next < 0x80)
        wrong = wrong.intersected(CodePointSet{{next, next}}.negated());
      else
        wrong = wrong.intersected(CodePointSet{{0, 0x7f}});
      broken.push_back(e_.sequence({begun.back(), e_.one_of(wrong)}));
    }
    if (begun.empty()) return e_.repeat(e_.one_of(others), 0, kUnbounded);
    const ExprId beginnings = e_.repeat(e_.alternatives(std::move(begun)), 0, kUnbounded);
    const ExprId part = e_.alternatives(
        {e_.one_of(others), e_.sequence({beginnings, e_.alternatives(std::move(broken))})});
    return e_.repeat(part, 0, kUnbounded);
  }

  ExprId pairs(const Tool& tool) {
    const ExprId free = text_without(format_.value_end);
    const auto items =
        each_property(tool.parameters, [&](const std::string& key, const json::value& schema) {
          return pair(tool, key, schema, free);
        });
    return e_.list(space(), items, kNoExpr);
  }

  ExprId pair(const Tool& tool, const std::string& key, const json::value& schema, ExprId free) {
    const bool is_text = may_be_text(schema);
    const json::value whole = with_definitions(schema, tool.parameters);
    const ExprId value = is_text                      ? text_value(schema, free)
                         : format_.flag_begin.empty() ? from_schema_or_python(whole, tool.name)
                                                      : from_schema(whole, tool.name);
    std::string before = format_.key_begin + key + format_.flag_begin;
    if (!format_.flag_begin.empty()) before += is_text ? "true" : "false";
    before += format_.key_end;
    const ExprId line = e_.literal(format_.value_on_own_line ? "\n" : "");
    return e_.sequence({e_.literal(before), line, value, line, e_.literal(format_.value_end)});
  }

  /// Members as PREFIX<key>value PREFIX</key>.
  ExprId tags(const Tool& tool, const json::value& schema) {
    const std::string open = format_.tag_prefix + "<";
    const ExprId free = text_without(open);
    const auto items =
        each_property(schema, [&](const std::string& key, const json::value& property) {
          return e_.sequence({e_.literal(open + key + ">"), tag_value(tool, property, free),
                              e_.literal(open + "/" + key + ">")});
        });
    return e_.list(space(), items, kNoExpr);
  }

  ExprId tag_value(const Tool& tool, const json::value& schema, ExprId free) {
    if (may_be_text(schema)) return text_value(schema, free);
    if (member(&schema, "properties") != nullptr) return tags(tool, schema);
    if (const json::value* items = member(&schema, "items")) {
      const std::string open = format_.tag_prefix + "<";
      const ExprId item = e_.sequence(
          {e_.literal(open + "item>"), tag_value(tool, *items, free), e_.literal(open + "/item>")});
      return e_.repeat(item, 1, kUnbounded);
    }
    const json::value* type = member(&schema, "type");
    if (type == nullptr || *type == "object" || *type == "array") {
      throw Error(ErrorCode::kUnsupported,
                  "the tool '" + tool.name + "' cannot be forced: the model writes arguments as " +
                      "nested tags, and its schema does not say what all of them are called; "
                      "declare properties and items, or let the model choose");
    }
    return from_schema(schema, tool.name);
  }

  // Gemma's notation: {key:value, …}, texts in quotes of its own, at any depth.

  ExprId loose(const Tool& tool) {
    const auto items =
        each_property(tool.parameters, [&](const std::string& key, const json::value& schema) {
          return e_.sequence({e_.literal(key + ":"), loose_value(tool, schema)});
        });
    const ExprId members = e_.list(e_.literal(","), items, kNoExpr);
    return e_.sequence({e_.literal("{"), members, e_.literal("}")});
  }

  ExprId loose_value(const Tool& tool, const json::value& schema) {
    if (may_be_text(schema)) return quoted(text_value(schema, text_without(format_.quote)));
    const json::value* type = member(&schema, "type");
    if (type == nullptr || type->is_array() || *type == "object" || *type == "array") {
      return any_loose(type != nullptr && *type == "array"    ? '['
                       : type != nullptr && *type == "object" ? '{'
                                                              : '\0');
    }
    return from_schema_or_python(schema, tool.name);
  }

  ExprId quoted(ExprId text) {
    return e_.sequence({e_.literal(format_.quote), text, e_.literal(format_.quote)});
  }

  /// Any value, an array or an object.
  ExprId any_loose(char kind) {
    if (!loose_rule_) {
      loose_rule_ = e_.declare("loose value");
      e_.define(*loose_rule_, e_.alternatives({quoted(text_without(format_.quote)), json_.number(),
                                               e_.one_of_texts({"true", "false", "null"}),
                                               loose_list(), loose_object()}));
    }
    if (kind == '[') return loose_list();
    return kind == '{' ? loose_object() : e_.rule(*loose_rule_);
  }
  ExprId enclosed(const char* open, ExprId item, const char* close) {
    const ExprId more = e_.repeat(e_.sequence({e_.literal(","), item}), 0, kUnbounded);
    return e_.sequence(
        {e_.literal(open), e_.optional(e_.sequence({item, more})), e_.literal(close)});
  }
  ExprId loose_list() { return enclosed("[", e_.rule(*loose_rule_), "]"); }
  ExprId loose_object() {
    const ExprId key = e_.repeat(
        e_.one_of(CodePointSet{{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}, {'-', '-'}}), 1,
        kMostIdBytes);
    return enclosed("{", e_.sequence({key, e_.literal(":"), e_.rule(*loose_rule_)}), "}");
  }

  // [f(key=value, …), …]

  ExprId python_call(const Tool& tool) {
    const auto items =
        each_property(tool.parameters, [&](const std::string& key, const json::value& schema) {
          const json::value whole = with_definitions(schema, tool.parameters);
          ExprId value = from_schema_or_python(whole, tool.name);
          if (may_be_text(schema)) value = e_.alternatives({value, single_quoted(schema)});
          return e_.sequence({e_.literal(key + "="), value});
        });
    return e_.sequence(
        {e_.literal(tool.name + "("), e_.list(e_.literal(", "), items, kNoExpr), e_.literal(")")});
  }

  /// Without escapes: others stand in double quotes.
  ExprId single_quoted(const json::value& schema) {
    CodePointSet plain{{' ', grammar::kLastCodePoint}};
    for (const char c : {'\'', '\\'}) {
      const auto code = static_cast<unsigned char>(c);
      plain = plain.intersected(CodePointSet{{code, code}}.negated());
    }
    const ExprId text = text_value(schema, e_.repeat(e_.one_of(plain), 0, kUnbounded));
    return e_.sequence({e_.literal("'"), text, e_.literal("'")});
  }

  ExprId python_calls(const std::vector<Tool>& tools, bool several) {
    const ExprId call = one_of_tools(tools, &CallGrammar::python_call);
    const ExprId more =
        e_.repeat(e_.sequence({e_.literal(", "), call}), 0, several ? kUnbounded : 0);
    const ExprId list = e_.sequence({e_.literal("["), call, more, e_.literal("]")});
    return spaced({marker(format_.call_head), list, marker(format_.call_end)});
  }

  /// The token that ends the call ends the answer, too.
  /// Source: https://cookbook.openai.com/articles/openai-harmony
  ExprId harmony_call(const std::vector<Tool>& tools) {
    return one_of_tools(tools, &CallGrammar::harmony_one);
  }
  ExprId harmony_one(const Tool& tool) {
    return e_.sequence({e_.literal("<|channel|>commentary to=functions." + tool.name),
                        e_.optional(e_.literal(" ")), e_.optional(e_.literal("<|constrain|>json")),
                        e_.literal("<|message|>"), arguments(tool)});
  }

  const ToolFormat& format_;
  Expressions& e_;
  grammar::JsonText json_;
  std::optional<grammar::RuleId> loose_rule_;
};

}  // namespace

bool has_call_grammar(const ToolFormat& format) {
  switch (format.syntax) {
    case CallSyntax::kNone:
      return false;
    case CallSyntax::kPairs:
      return !format.value_end.empty();
    case CallSyntax::kLoose:
      return !format.quote.empty();
    default:
      return true;
  }
}

ExprId call_expression(const ToolFormat& format, const json::array& tools, const ToolUse& use,
                       Expressions& expressions) {
  if (!has_call_grammar(format)) {
    throw Error(ErrorCode::kUnsupported,
                "the model cannot be made to call a tool: its format of calls is '" +
                    std::string(call_syntax_name(format.syntax)) +
                    "', which has no grammar; let it choose, with tool_choice \"auto\"");
  }
  return CallGrammar(format, expressions).run(read_tools(tools, use.name), use.parallel);
}

}  // namespace omg
