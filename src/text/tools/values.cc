// SPDX-License-Identifier: Apache-2.0
#include "text/tools/values.h"

#include <boost/json/parse.hpp>

#include "base/utf8.h"
#include "text/tools/json_scanner.h"
#include "text/tools/marker.h"

namespace omg {
namespace {

constexpr size_t kMaxDepth = JsonScanner::kMaxDepth;

std::optional<json::value> parse_quietly(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return std::nullopt;
  return value;
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

/// Recursive descent over one value.
class LooseReader {
 public:
  LooseReader(std::string_view text, const LooseSyntax& syntax, size_t position)
      : text_(text), syntax_(syntax), at_(position) {}

  size_t position() const { return at_; }

  bool value(std::string& json) {
    skip_space();
    if (at_ == text_.size() || depth_ == kMaxDepth) return false;
    const char c = text_[at_];
    if (starts_string()) return string(json);
    if (c == '{') return nested([&] { return object(json); });
    if (c == '[') return nested([&] { return array(json, ']'); });
    if (c == '(') return nested([&] { return array(json, ')'); });
    return word(json);
  }

  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string name() {
    skip_space();
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_byte(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

 private:
  template <typename Read>
  bool nested(const Read& read) {
    ++depth_;
    const bool done = read();
    --depth_;
    return done;
  }

  void skip_space() {
    while (at_ < text_.size() && is_marker_space(text_[at_])) ++at_;
  }

  bool starts_string() const {
    if (!syntax_.quote.empty() && text_.substr(at_).starts_with(syntax_.quote)) return true;
    return text_[at_] == '"' || text_[at_] == '\'';
  }

  bool string(std::string& json) {
    std::string decoded;
    if (!read_string(decoded)) return false;
    json += quote_json(decoded);
    return true;
  }

  bool read_string(std::string& decoded) {
    if (!syntax_.quote.empty() && text_.substr(at_).starts_with(syntax_.quote)) {
      at_ += syntax_.quote.size();
      const size_t end = text_.find(syntax_.quote, at_);
      if (end == std::string_view::npos) return false;
      decoded = text_.substr(at_, end - at_);
      at_ = end + syntax_.quote.size();
      return true;
    }
    const char quote = text_[at_++];
    while (at_ < text_.size() && !(text_[at_] == quote && ends_string(at_ + 1))) {
      if (text_[at_] != '\\') {
        decoded += text_[at_++];
      } else if (!escape(decoded)) {
        return false;
      }
    }
    if (at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  bool ends_string(size_t next) const {
    while (next < text_.size() && is_marker_space(text_[next])) ++next;
    return next == text_.size() || may_follow_string(text_[next]);
  }

  std::optional<uint32_t> hex(size_t digits) {
    uint32_t value = 0;
    if (text_.size() - at_ < digits) return std::nullopt;
    for (size_t i = 0; i < digits; ++i) {
      const char c = text_[at_++];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return std::nullopt;
      value = value * 16 + static_cast<uint32_t>(digit);
    }
    return value;
  }

  /// A code point by number; JSON's surrogate pairs are joined.
  bool code_point(size_t digits, std::string& decoded) {
    std::optional<uint32_t> value = hex(digits);
    if (!value) return false;
    if (*value >= 0xD800 && *value < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      at_ += 2;
      const std::optional<uint32_t> low = hex(4);
      if (!low) return false;
      value = *low >= 0xDC00 && *low < 0xE000
                  ? 0x10000 + ((*value - 0xD800) << 10) + (*low - 0xDC00)
                  : 0xFFFD;
    }
    const bool is_character = *value <= 0x10FFFF && (*value < 0xD800 || *value >= 0xE000);
    append_utf8(decoded, is_character ? *value : 0xFFFD);
    return true;
  }

  bool escape(std::string& decoded) {
    ++at_;
    if (at_ == text_.size()) return false;
    const char c = text_[at_++];
    constexpr std::string_view kNames = "nrtbfav0\\'\"/";
    constexpr std::string_view kBytes("\n\r\t\b\f\a\v\0\\'\"/", 12);
    if (const size_t known = kNames.find(c); known != std::string_view::npos) {
      decoded += kBytes[known];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      return code_point(c == 'x' ? 2 : c == 'u' ? 4 : 8, decoded);
    } else {  // Python keeps a backslash that means nothing
      decoded += '\\';
      decoded += c;
    }
    return true;
  }

  bool object(std::string& json) {
    ++at_;
    json += '{';
    bool first = true;
    while (!take('}')) {
      if (!first && !take(',')) return false;
      if (!first && take('}')) break;  // a trailing comma
      if (!first) json += ", ";
      first = false;
      skip_space();
      if (at_ == text_.size()) return false;
      if (starts_string()) {
        if (!string(json)) return false;
      } else {
        const std::string key = syntax_.bare_keys ? name() : "";
        if (key.empty()) return false;
        json += quote_json(key);
      }
      if (!take(':')) return false;
      json += ": ";
      if (!value(json)) return false;
    }
    json += '}';
    return true;
  }

  bool array(std::string& json, char close) {
    ++at_;
    json += '[';
    bool first = true;
    while (!take(close)) {
      if (!first && !take(',')) return false;
      if (!first && take(close)) break;
      if (!first) json += ", ";
      first = false;
      if (!value(json)) return false;
    }
    json += ']';
    return true;
  }

  bool word(std::string& json) {
    const size_t begin = at_;
    while (at_ < text_.size() && (is_name_byte(text_[at_]) || text_[at_] == '+')) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (word == "True" || word == "true") {
      json += "true";
    } else if (word == "False" || word == "false") {
      json += "false";
    } else if (word == "None" || word == "null") {
      json += "null";
    } else if (!word.empty() && (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')) &&
               is_json(word)) {
      json += word;
    } else {
      return false;
    }
    return true;
  }

  std::string_view text_;
  const LooseSyntax& syntax_;
  size_t at_;
  size_t depth_ = 0;
};

enum Type : uint32_t {
  kString = 1,
  kNumber = 2,
  kBoolean = 4,
  kObject = 8,
  kArray = 16,
  kNull = 32,
};

uint32_t type_of_name(std::string_view name) {
  if (name == "string") return kString;
  if (name == "number" || name == "integer") return kNumber;
  if (name == "boolean") return kBoolean;
  if (name == "object") return kObject;
  if (name == "array") return kArray;
  if (name == "null") return kNull;
  return 0;
}

uint32_t type_of_value(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string:
      return kString;
    case json::kind::bool_:
      return kBoolean;
    case json::kind::object:
      return kObject;
    case json::kind::array:
      return kArray;
    case json::kind::null:
      return kNull;
    default:
      return kNumber;
  }
}

/// Types that a JSON schema allows, as far as it says so in plain words.
uint32_t types_of_schema(const json::value& schema, int depth = 0) {
  const json::object* object = schema.if_object();
  if (object == nullptr || depth > 4) return 0;
  uint32_t types = 0;
  const auto add_type = [&](const json::value& name) {
    if (name.is_string()) types |= type_of_name(std::string_view(name.get_string()));
  };
  if (const json::value* type = object->if_contains("type")) {
    add_type(*type);
    if (type->is_array()) {
      for (const json::value& name : type->get_array()) add_type(name);
    }
    return types;
  }
  if (const json::value* value = object->if_contains("const")) return type_of_value(*value);
  if (const json::value* values = object->if_contains("enum"); values && values->is_array()) {
    for (const json::value& value : values->get_array()) types |= type_of_value(value);
    return types;
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const json::value* choices = object->if_contains(key);
    if (choices == nullptr || !choices->is_array()) continue;
    for (const json::value& choice : choices->get_array()) {
      const uint32_t of_choice = types_of_schema(choice, depth + 1);
      if (of_choice == 0) return 0;
      types |= of_choice;
    }
  }
  return types;
}

const json::value* member(const json::value& value, const char* key) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

}  // namespace

std::string quote_json(std::string_view text) {
  if (!is_valid_utf8(text)) return quote_json(replace_invalid_utf8(text));
  return json::serialize(json::string_view(text.data(), text.size()));
}

void append_control_escape(std::string& json, char control) {
  const std::string quoted = quote_json(std::string_view(&control, 1));
  json += std::string_view(quoted).substr(1, quoted.size() - 2);
}

bool may_follow_string(char c) {
  return c == ',' || c == ')' || c == ']' || c == '}' || c == ':';
}

bool is_json(std::string_view text) {
  return parse_quietly(text).has_value();
}

bool read_loose_value(std::string_view text, const LooseSyntax& syntax, size_t& position,
                      std::string& json) {
  LooseReader reader(text, syntax, position);
  if (!reader.value(json)) return false;
  position = reader.position();
  return true;
}

bool read_python_call(std::string_view text, size_t& position, std::string& name,
                      std::string& arguments) {
  const LooseSyntax python;
  LooseReader reader(text, python, position);
  name = reader.name();
  if (name.empty() || !reader.take('(')) return false;
  arguments.assign(1, '{');
  while (!reader.take(')')) {
    if (arguments.size() > 1 && !reader.take(',')) return false;
    if (arguments.size() > 1 && reader.take(')')) break;
    if (arguments.size() > 1) arguments += ", ";
    const std::string key = reader.name();
    if (key.empty() || !reader.take('=')) return false;
    arguments += quote_json(key) + ": ";
    if (!reader.value(arguments)) return false;
  }
  arguments += '}';
  position = reader.position();
  return true;
}

ToolSchemas::ToolSchemas(const json::array& tools) {
  for (const json::value& tool : tools) {
    const json::value* function = member(tool, "function");
    if (function == nullptr) function = &tool;
    const json::value* name = member(*function, "name");
    if (name == nullptr || !name->is_string()) continue;
    auto& arguments = tools_[std::string(std::string_view(name->get_string()))];
    const json::value* parameters = member(*function, "parameters");
    const json::value* properties = parameters ? member(*parameters, "properties") : nullptr;
    if (properties == nullptr || !properties->is_object()) continue;
    for (const auto& property : properties->get_object()) {
      arguments[std::string(property.key())] = types_of_schema(property.value());
    }
  }
}

std::string ToolSchemas::typed(std::string_view tool, std::string_view key,
                               std::string_view raw) const {
  Types types = 0;
  if (const auto arguments = tools_.find(tool); arguments != tools_.end()) {
    const auto type = arguments->second.find(key);
    if (type != arguments->second.end()) types = type->second;
  }
  const auto is_allowed = [&](const json::value& value) {
    const uint32_t type = type_of_value(value);
    return type != kString && (types == 0 || (types & type) != 0);
  };
  if (types == kString) return quote_json(raw);
  const std::string_view text = trim_space(raw);
  if (const auto value = parse_quietly(text); value && is_allowed(*value)) {
    return std::string(text);
  }
  std::string json;
  size_t end = 0;
  if (read_loose_value(text, {}, end, json) && end == text.size()) {
    if (const auto value = parse_quietly(json); value && is_allowed(*value)) return json;
  }
  return quote_json(raw);
}

}  // namespace omg
