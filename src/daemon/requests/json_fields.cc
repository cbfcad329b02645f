// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/json_fields.h"

#include <cmath>
#include <fmt/format.h>

namespace omg {
namespace {

using Kind = FieldError::Kind;

constexpr size_t kMaxDepth = 128;
constexpr size_t kMaxNamed = 8;  // of fields that nobody knows, in a message

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

/// The value of a number that has no fraction, if int64_t has it.
std::optional<int64_t> whole_number(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (!value.is_double()) return std::nullopt;  // uint64 here means: too large for int64
  const double number = value.get_double();
  if (number != std::trunc(number) || std::abs(number) > 9007199254740992.0) return std::nullopt;
  return static_cast<int64_t>(number);
}

std::string number_text(const json::value& value) {
  return value.is_double() ? fmt::format("{}", value.get_double()) : json::serialize(value);
}

std::string list_of(std::initializer_list<std::string_view> choices) {
  std::string text;
  for (const std::string_view choice : choices) {
    text += fmt::format("{}'{}'", text.empty() ? "" : ", ", choice);
  }
  return text;
}

}  // namespace

std::string_view json_kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "";
}

std::string shortened(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

JsonFields JsonFields::of(const json::value& value, std::string path) {
  const json::object* object = value.if_object();
  if (object == nullptr) {
    throw FieldError(Kind::kWrongType, path,
                     fmt::format("{} must be an object, not {}", path, json_kind_name(value)));
  }
  return JsonFields(*object, std::move(path));
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void JsonFields::fail(Kind kind, std::string_view name, std::string_view why) const {
  std::string path = path_of(name);
  const std::string message = fmt::format("{} {}", path, why);
  throw FieldError(kind, std::move(path), message);
}

const json::value* JsonFields::find(std::string_view name) {
  read_.insert(std::string(name));
  const json::value* value = object_->if_contains({name.data(), name.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool JsonFields::has(std::string_view name) const {
  const json::value* value = object_->if_contains({name.data(), name.size()});
  return value != nullptr && !value->is_null();
}

std::optional<bool> JsonFields::boolean(std::string_view name) {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) {
    fail(Kind::kWrongType, name,
         fmt::format("must be true or false, not {}", json_kind_name(*value)));
  }
  return value->get_bool();
}

std::optional<int64_t> JsonFields::integer(std::string_view name, int64_t least, int64_t most) {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    fail(Kind::kWrongType, name,
         fmt::format("must be a whole number, not {}", json_kind_name(*value)));
  }
  const std::optional<int64_t> number = whole_number(*value);
  if (!number || *number < least || *number > most) {
    fail(Kind::kWrongValue, name,
         fmt::format("cannot be {}: it is a whole number from {} to {}", number_text(*value), least,
                     most));
  }
  return number;
}

std::optional<double> JsonFields::number(std::string_view name, double least, double most) {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    fail(Kind::kWrongType, name, fmt::format("must be a number, not {}", json_kind_name(*value)));
  }
  const double number = value->to_number<double>();
  if (!(number >= least && number <= most)) {  // also what is no number
    fail(Kind::kWrongValue, name,
         fmt::format("cannot be {}: it is a number from {} to {}", number, least, most));
  }
  return number;
}

std::optional<std::string> JsonFields::string(std::string_view name) {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    fail(Kind::kWrongType, name, fmt::format("must be a string, not {}", json_kind_name(*value)));
  }
  return std::string(view(value->get_string()));
}

std::optional<std::string> JsonFields::choice(std::string_view name,
                                              std::initializer_list<std::string_view> choices) {
  std::optional<std::string> text = string(name);
  if (!text) return std::nullopt;
  for (const std::string_view choice : choices) {
    if (*text == choice) return text;
  }
  fail(Kind::kWrongValue, name,
       fmt::format("cannot be '{}': it is one of {}", shortened(*text), list_of(choices)));
}

std::vector<std::string> JsonFields::strings(std::string_view name, size_t most) {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {std::string(view(value->get_string()))};
  const json::array* list = value->if_array();
  if (list == nullptr) {
    fail(Kind::kWrongType, name,
         fmt::format("must be a string or an array of strings, not {}", json_kind_name(*value)));
  }
  if (list->size() > most) {
    fail(Kind::kWrongValue, name,
         fmt::format("has {} entries, and at most {} are taken", list->size(), most));
  }
  std::vector<std::string> texts;
  for (size_t i = 0; i < list->size(); ++i) {
    const json::value& entry = (*list)[i];
    if (!entry.is_string()) {
      fail(Kind::kWrongType, fmt::format("{}[{}]", name, i),
           fmt::format("must be a string, not {}", json_kind_name(entry)));
    }
    texts.emplace_back(view(entry.get_string()));
  }
  return texts;
}

const json::array* JsonFields::array(std::string_view name) {
  const json::value* value = find(name);
  if (value != nullptr && !value->is_array()) {
    fail(Kind::kWrongType, name, fmt::format("must be an array, not {}", json_kind_name(*value)));
  }
  return value == nullptr ? nullptr : &value->get_array();
}

const json::object* JsonFields::object(std::string_view name) {
  const json::value* value = find(name);
  if (value != nullptr && !value->is_object()) {
    fail(Kind::kWrongType, name, fmt::format("must be an object, not {}", json_kind_name(*value)));
  }
  return value == nullptr ? nullptr : &value->get_object();
}

std::optional<JsonFields> JsonFields::fields(std::string_view name) {
  const json::object* child = object(name);
  if (child == nullptr) return std::nullopt;
  return JsonFields(*child, path_of(name));
}

const json::value* JsonFields::value(std::string_view name) {
  return find(name);
}

const json::value& JsonFields::required(std::string_view name) {
  const json::value* value = find(name);
  if (value == nullptr) fail(Kind::kMissing, name, "is required");
  return *value;
}

std::string JsonFields::required_string(std::string_view name) {
  required(name);
  return *string(name);
}

const json::array& JsonFields::required_array(std::string_view name) {
  required(name);
  return *array(name);
}

JsonFields JsonFields::required_fields(std::string_view name) {
  required(name);
  return *fields(name);
}

std::vector<std::string> JsonFields::unread() const {
  std::vector<std::string> names;
  for (const auto& member : *object_) {
    const std::string_view key(member.key().data(), member.key().size());
    if (!read_.contains(std::string(key))) names.push_back(path_of(shortened(key)));
  }
  return names;
}

void JsonFields::finish() const {
  std::vector<std::string> names = unread();
  if (names.empty()) return;
  std::string list;
  for (size_t i = 0; i < names.size() && i < kMaxNamed; ++i) {
    list += fmt::format("{}'{}'", i == 0 ? "" : ", ", names[i]);
  }
  if (names.size() > kMaxNamed) list += fmt::format(" and {} more", names.size() - kMaxNamed);
  throw FieldError(
      Kind::kUnsupported, names.front(),
      fmt::format("{} {} not supported here; leave {} out", list, names.size() == 1 ? "is" : "are",
                  names.size() == 1 ? "it" : "them"));
}

json::object parse_body(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw FieldError(Kind::kMissing, "", "the request has no body: it must be a JSON object");
  }
  json::value value;
  try {
    value = parse_json(body, "the request's body", {.max_depth = kMaxDepth});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw FieldError(Kind::kWrongValue, "", error.what());
  }
  if (!value.is_object()) {
    throw FieldError(
        Kind::kWrongType, "",
        fmt::format("the request's body must be a JSON object, not {}", json_kind_name(value)));
  }
  return std::move(value.get_object());
}

}  // namespace omg
