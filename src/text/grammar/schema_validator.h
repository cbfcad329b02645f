// SPDX-License-Identifier: Apache-2.0
//
// For tests: whether a JSON value satisfies a JSON Schema, by the specification's words and with
// nothing of the compiler's code. Knows the keywords that the compiler knows.
#pragma once

#include <cmath>
#include <regex>
#include <string>

#include "base/json.h"
#include "base/utf8.h"

namespace omg::grammar::testing {

class SchemaValidator {
 public:
  explicit SchemaValidator(const json::value& root) : root_(root) {}

  bool valid(const json::value& value) const { return valid(value, root_); }

 private:
  bool valid(const json::value& value, const json::value& schema) const {
    if (schema.is_bool()) return schema.as_bool();
    const json::object& s = schema.as_object();
    if (const auto* nullable = s.if_contains("nullable")) {
      if (*nullable == true && value.is_null()) return true;
    }
    return type_fits(value, s) && combinations_fit(value, s) && number_fits(value, s) &&
           string_fits(value, s) && array_fits(value, s) && object_fits(value, s);
  }

  static bool is_of_type(const json::value& value, const std::string& type) {
    if (type == "null") return value.is_null();
    if (type == "boolean") return value.is_bool();
    if (type == "string") return value.is_string();
    if (type == "array") return value.is_array();
    if (type == "object") return value.is_object();
    if (type == "number") return value.is_number();
    return value.is_number() && std::trunc(number(value)) == number(value);
  }

  static double number(const json::value& value) { return value.to_number<double>(); }

  static bool equal(const json::value& a, const json::value& b) {
    return a.is_number() && b.is_number() ? number(a) == number(b) : a == b;
  }

  static bool type_fits(const json::value& value, const json::object& s) {
    if (const auto* type = s.if_contains("type")) {
      bool fits = false;
      if (type->is_string()) fits = is_of_type(value, std::string(type->as_string()));
      if (type->is_array()) {
        for (const auto& one : type->as_array()) {
          fits = fits || is_of_type(value, std::string(one.as_string()));
        }
      }
      if (!fits) return false;
    }
    if (const auto* constant = s.if_contains("const")) {
      if (!equal(value, *constant)) return false;
    }
    if (const auto* list = s.if_contains("enum")) {
      bool found = false;
      for (const auto& one : list->as_array()) found = found || equal(value, one);
      if (!found) return false;
    }
    return true;
  }

  bool combinations_fit(const json::value& value, const json::object& s) const {
    const auto count = [&](const json::value& list) {
      size_t fitting = 0;
      for (const auto& one : list.as_array()) fitting += valid(value, one);
      return fitting;
    };
    if (const auto* reference = s.if_contains("$ref")) {
      std::string pointer(reference->as_string());
      const size_t space = pointer.find("%20");
      if (space != std::string::npos) pointer.replace(space, 3, " ");
      if (!valid(value, pointer == "#" ? root_ : root_.at_pointer(pointer.substr(1)))) return false;
    }
    if (const auto* all = s.if_contains("allOf")) {
      if (count(*all) != all->as_array().size()) return false;
    }
    if (const auto* any = s.if_contains("anyOf")) {
      if (count(*any) == 0) return false;
    }
    if (const auto* one = s.if_contains("oneOf")) {
      if (count(*one) != 1) return false;
    }
    return true;
  }

  static bool number_fits(const json::value& value, const json::object& s) {
    if (!value.is_number()) return true;
    const double x = number(value);
    const auto bound = [&](const char* key, auto fits) {
      const auto* limit = s.if_contains(key);
      return limit == nullptr || fits(number(*limit));
    };
    return bound("minimum", [&](double limit) { return x >= limit; }) &&
           bound("maximum", [&](double limit) { return x <= limit; }) &&
           bound("exclusiveMinimum", [&](double limit) { return x > limit; }) &&
           bound("exclusiveMaximum", [&](double limit) { return x < limit; }) &&
           bound("multipleOf", [&](double step) {
             const double quotient = x / step;
             return std::abs(quotient - std::round(quotient)) <= 1e-9 * std::abs(quotient);
           });
  }

  static bool matches(const std::string& text, const json::value& pattern) {
    return std::regex_search(text, std::regex(std::string(pattern.as_string())));
  }

  static bool count_fits(size_t count, const json::object& s, const char* min, const char* max) {
    const auto* low = s.if_contains(min);
    const auto* high = s.if_contains(max);
    const auto size = static_cast<double>(count);
    return (low == nullptr || size >= number(*low)) && (high == nullptr || size <= number(*high));
  }

  static bool string_fits(const json::value& value, const json::object& s) {
    if (!value.is_string()) return true;
    const std::string text(value.as_string());
    if (!is_valid_utf8(text)) return false;
    size_t characters = 0;
    for (const char c : text) characters += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
    if (!count_fits(characters, s, "minLength", "maxLength")) return false;
    const auto* pattern = s.if_contains("pattern");
    return pattern == nullptr || matches(text, *pattern);
  }

  bool array_fits(const json::value& value, const json::object& s) const {
    if (!value.is_array()) return true;
    const json::array& list = value.as_array();
    if (!count_fits(list.size(), s, "minItems", "maxItems")) return false;
    const auto* prefix = s.if_contains("prefixItems");
    const size_t known = prefix == nullptr ? 0 : prefix->as_array().size();
    const auto* items = s.if_contains("items");
    for (size_t i = 0; i < list.size(); ++i) {
      if (i < known && !valid(list[i], prefix->as_array()[i])) return false;
      if (i >= known && items != nullptr && !valid(list[i], *items)) return false;
    }
    return true;
  }

  bool object_fits(const json::value& value, const json::object& s) const {
    if (!value.is_object()) return true;
    const json::object& object = value.as_object();
    if (!count_fits(object.size(), s, "minProperties", "maxProperties")) return false;
    if (const auto* required = s.if_contains("required")) {
      for (const auto& name : required->as_array()) {
        if (!object.contains(name.as_string())) return false;
      }
    }
    const auto* properties = s.if_contains("properties");
    const auto* patterns = s.if_contains("patternProperties");
    const auto* more = s.if_contains("additionalProperties");
    const auto* names = s.if_contains("propertyNames");
    for (const auto& [key, member] : object) {
      bool known = false;
      if (properties != nullptr) {
        if (const auto* schema = properties->as_object().if_contains(key)) {
          known = true;
          if (!valid(member, *schema)) return false;
        }
      }
      if (patterns != nullptr) {
        for (const auto& [pattern, schema] : patterns->as_object()) {
          if (!matches(std::string(key), json::value(pattern))) continue;
          known = true;
          if (!valid(member, schema)) return false;
        }
      }
      if (!known && more != nullptr && !valid(member, *more)) return false;
      if (names != nullptr && !valid(json::value(key), *names)) return false;
    }
    return true;
  }

  const json::value& root_;
};

}  // namespace omg::grammar::testing
