// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace omg::grammar {
namespace {

/// Beyond, allOf of anyOf of allOf... has more combinations than a client can have meant.
constexpr size_t kMaxMerges = 4096;
/// Pairs of branches of oneOf, about a microsecond each: 600 branches.
constexpr size_t kMaxComparisons = 200'000;
constexpr int kMaxDepth = 48;

enum class KeywordKind : uint8_t { kAnnotation, kSchema, kSchemas, kMap, kNumber, kCount, kAny };

struct Keyword {
  std::string_view name;
  KeywordKind kind;
};

constexpr Keyword kKeywords[] = {
    {"$comment", KeywordKind::kAnnotation},
    {"$defs", KeywordKind::kAnnotation},
    {"$id", KeywordKind::kAnnotation},
    {"$schema", KeywordKind::kAnnotation},
    {"contentEncoding", KeywordKind::kAnnotation},
    {"contentMediaType", KeywordKind::kAnnotation},
    {"contentSchema", KeywordKind::kAnnotation},
    {"default", KeywordKind::kAnnotation},
    {"definitions", KeywordKind::kAnnotation},
    {"deprecated", KeywordKind::kAnnotation},
    {"description", KeywordKind::kAnnotation},
    {"discriminator", KeywordKind::kAnnotation},
    {"example", KeywordKind::kAnnotation},
    {"examples", KeywordKind::kAnnotation},
    {"externalDocs", KeywordKind::kAnnotation},
    {"propertyOrdering", KeywordKind::kAnnotation},
    {"readOnly", KeywordKind::kAnnotation},
    {"title", KeywordKind::kAnnotation},
    {"writeOnly", KeywordKind::kAnnotation},
    {"xml", KeywordKind::kAnnotation},
    {"$ref", KeywordKind::kAny},
    {"additionalProperties", KeywordKind::kSchema},
    {"allOf", KeywordKind::kSchemas},
    {"anyOf", KeywordKind::kSchemas},
    {"const", KeywordKind::kAny},
    {"enum", KeywordKind::kAny},
    {"exclusiveMaximum", KeywordKind::kNumber},
    {"exclusiveMinimum", KeywordKind::kNumber},
    {"format", KeywordKind::kAny},
    {"items", KeywordKind::kSchema},
    {"maxItems", KeywordKind::kCount},
    {"maxLength", KeywordKind::kCount},
    {"maxProperties", KeywordKind::kCount},
    {"maximum", KeywordKind::kNumber},
    {"minItems", KeywordKind::kCount},
    {"minLength", KeywordKind::kCount},
    {"minProperties", KeywordKind::kCount},
    {"minimum", KeywordKind::kNumber},
    {"multipleOf", KeywordKind::kNumber},
    {"nullable", KeywordKind::kAny},
    {"oneOf", KeywordKind::kSchemas},
    {"pattern", KeywordKind::kAny},
    {"patternProperties", KeywordKind::kMap},
    {"prefixItems", KeywordKind::kSchemas},
    {"properties", KeywordKind::kMap},
    {"propertyNames", KeywordKind::kSchema},
    {"required", KeywordKind::kAny},
    {"type", KeywordKind::kAny},
    {"unevaluatedProperties", KeywordKind::kSchema},
    {"uniqueItems", KeywordKind::kAny},
};

const Keyword* find_keyword(std::string_view name) {
  const auto found = std::ranges::find(kKeywords, name, &Keyword::name);
  return found == std::end(kKeywords) ? nullptr : found;
}

bool is_schema(const json::value& value) {
  return value.is_object() || value.is_bool();
}

void check_value(const Keyword& keyword, const json::value& value, const std::string& pointer) {
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw invalid_keyword(pointer, keyword.name, std::string("it must be ") + what);
  };
  switch (keyword.kind) {
    case KeywordKind::kAnnotation:
    case KeywordKind::kAny:
      break;
    case KeywordKind::kSchema:
      require(is_schema(value), "a schema (an object, true or false)");
      break;
    case KeywordKind::kSchemas:
      require(value.is_array() && !value.as_array().empty() &&
                  std::ranges::all_of(value.as_array(), is_schema),
              "a list of at least one schema");
      break;
    case KeywordKind::kMap:
      require(value.is_object() &&
                  std::ranges::all_of(value.as_object(),
                                      [](const auto& entry) { return is_schema(entry.value()); }),
              "an object of schemas");
      break;
    case KeywordKind::kNumber:
      require(value.is_number(), "a number");
      break;
    case KeywordKind::kCount: {
      const auto number = decimal_of(value);
      require(number && !number->negative && number->fraction.empty(),
              "an integer that is not negative");
      break;
    }
  }
}

constexpr std::array<std::pair<std::string_view, uint32_t>, 7> kTypeNames = {{
    {"null", kNull},
    {"boolean", kBoolean},
    {"object", kObject},
    {"array", kArray},
    {"number", kNumber | kInteger},
    {"integer", kInteger},
    {"string", kString},
}};

uint32_t bits_of_type_name(const json::value& name, const std::string& pointer) {
  if (name.is_string()) {
    for (const auto& [text, bits] : kTypeNames) {
      if (name.as_string() == text) return bits;
    }
  }
  throw invalid_keyword(pointer, "type", "there is no type " + json::serialize(name));
}

json::array names_of_types(uint32_t bits) {
  json::array names;
  for (const auto& [text, name_bits] : kTypeNames) {
    const bool covered = (bits & name_bits) == name_bits;
    if (covered && !(text == "integer" && (bits & kNumber) != 0)) names.emplace_back(text);
  }
  return names;
}

/// The values of enum or const, if there are any.
std::optional<json::array> values_of(const json::object& schema) {
  if (const json::value* constant = schema.if_contains("const")) return json::array{*constant};
  if (const json::value* list = schema.if_contains("enum")) {
    if (list->is_array()) return list->as_array();
  }
  return std::nullopt;
}

bool same_value(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) {
    const auto x = decimal_of(a), y = decimal_of(b);
    return x && y && compare(*x, *y) == 0;
  }
  return a == b;
}

bool among(const json::array& values, const json::value& value) {
  return std::ranges::any_of(values,
                             [&](const json::value& other) { return same_value(other, value); });
}

json::value all_of(const json::value& a, const json::value& b) {
  if (a == b) return a;
  return json::object{{"allOf", json::array{a, b}}};
}

bool is_false(const json::value* value) {
  return value != nullptr && value->is_bool() && !value->as_bool();
}

bool is_true(const json::value* value) {
  return value == nullptr || (value->is_bool() && value->as_bool());
}

bool requires_property(const json::object& schema, std::string_view name) {
  const json::value* list = schema.if_contains("required");
  return list != nullptr && list->is_array() && among(list->as_array(), json::value(name));
}

const json::value* property(const json::object& schema, std::string_view name) {
  const json::value* all = schema.if_contains("properties");
  return all == nullptr ? nullptr : all->as_object().if_contains(name);
}

constexpr std::string_view kObjectKeywords[] = {"properties",           "required",
                                                "additionalProperties", "patternProperties",
                                                "propertyNames",        "unevaluatedProperties"};

bool is_object_keyword(std::string_view name) {
  return std::ranges::find(kObjectKeywords, name) != std::end(kObjectKeywords);
}

}  // namespace

Error unsupported_keyword(const std::string& pointer, std::string_view keyword,
                          const std::string& why) {
  return Error(ErrorCode::kUnsupported, "the JSON schema cannot be used: the keyword '" +
                                            std::string(keyword) + "' at " + pointer +
                                            " is not supported" + (why.empty() ? "" : ": " + why));
}

Error invalid_keyword(const std::string& pointer, std::string_view keyword,
                      const std::string& why) {
  return Error(ErrorCode::kInvalidArgument, "the JSON schema cannot be used: the keyword '" +
                                                std::string(keyword) + "' at " + pointer +
                                                " is wrong: " + why);
}

std::string pointer_part(std::string_view key) {
  std::string part = "/";
  for (const char c : key) {
    if (c == '~') {
      part += "~0";
    } else if (c == '/') {
      part += "~1";
    } else {
      part += c;
    }
  }
  return part;
}

std::optional<Decimal> decimal_of(const json::value& value) {
  std::array<char, 64> buffer;
  std::to_chars_result end{};
  if (value.is_int64()) {
    end = std::to_chars(buffer.begin(), buffer.end(), value.as_int64());
  } else if (value.is_uint64()) {
    end = std::to_chars(buffer.begin(), buffer.end(), value.as_uint64());
  } else if (value.is_double() && std::isfinite(value.as_double())) {
    end = std::to_chars(buffer.begin(), buffer.end(), value.as_double(), std::chars_format::fixed);
  } else {
    return std::nullopt;
  }
  if (end.ec != std::errc{}) return std::nullopt;
  std::string_view text(buffer.data(), static_cast<size_t>(end.ptr - buffer.data()));
  Decimal decimal;
  decimal.negative = text.starts_with('-');
  if (decimal.negative) text.remove_prefix(1);
  const size_t point = std::min(text.find('.'), text.size());
  decimal.digits = text.substr(0, point);
  if (point < text.size()) decimal.fraction = text.substr(point + 1);
  while (decimal.fraction.ends_with('0')) decimal.fraction.pop_back();
  if (decimal.is_zero()) decimal.negative = false;
  return decimal;
}

uint32_t type_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return kNull;
    case json::kind::bool_:
      return kBoolean;
    case json::kind::int64:
    case json::kind::uint64:
      return kInteger;
    case json::kind::double_:
      return std::trunc(value.as_double()) == value.as_double() ? kInteger : kNumber;
    case json::kind::string:
      return kString;
    case json::kind::array:
      return kArray;
    case json::kind::object:
      break;
  }
  return kObject;
}

uint32_t allowed_types(const json::object& schema, const std::string& pointer) {
  const json::value* type = schema.if_contains("type");
  if (type == nullptr) return kAllTypes;
  if (!type->is_array()) return bits_of_type_name(*type, pointer);
  uint32_t bits = 0;
  for (const json::value& name : type->as_array()) bits |= bits_of_type_name(name, pointer);
  return bits;
}

uint32_t emitted_types(const json::object& schema, const std::string& pointer) {
  if (schema.contains("type")) return allowed_types(schema, pointer);
  if (const auto values = values_of(schema)) {
    uint32_t types = 0;
    for (const json::value& value : *values) types |= type_of(value);
    return types;
  }
  static constexpr std::pair<std::string_view, uint32_t> kMeant[] = {
      {"properties", kObject},
      {"required", kObject},
      {"additionalProperties", kObject},
      {"patternProperties", kObject},
      {"propertyNames", kObject},
      {"minProperties", kObject},
      {"maxProperties", kObject},
      {"unevaluatedProperties", kObject},
      {"items", kArray},
      {"prefixItems", kArray},
      {"minItems", kArray},
      {"maxItems", kArray},
      {"uniqueItems", kArray},
      {"minLength", kString},
      {"maxLength", kString},
      {"pattern", kString},
      {"format", kString},
      {"minimum", kNumber | kInteger},
      {"maximum", kNumber | kInteger},
      {"exclusiveMinimum", kNumber | kInteger},
      {"exclusiveMaximum", kNumber | kInteger},
      {"multipleOf", kNumber | kInteger}};
  uint32_t types = 0;
  for (const auto& [key, bits] : kMeant) {
    if (schema.contains(key)) types |= bits;
  }
  return types == 0 ? uint32_t{kAllTypes} : types;
}

bool SchemaFlattener::constrains(std::string_view keyword) {
  if (keyword.starts_with("x-")) return false;
  const Keyword* known = find_keyword(keyword);
  return known == nullptr || known->kind != KeywordKind::kAnnotation;
}

void SchemaFlattener::check_keywords(const json::object& schema, const std::string& pointer) {
  for (const auto& [key, value] : schema) {
    if (!constrains(key)) continue;
    const Keyword* keyword = find_keyword(key);
    if (keyword == nullptr) throw unsupported_keyword(pointer, key, "");
    check_value(*keyword, value, pointer);
  }
}

const json::value& SchemaFlattener::resolve(std::string_view reference,
                                            const std::string& pointer) const {
  if (!reference.starts_with('#') || (reference.size() > 1 && reference[1] != '/')) {
    throw unsupported_keyword(pointer, "$ref",
                              "only references inside the schema (#/...) are followed, not '" +
                                  std::string(reference) + "'");
  }
  const json::value* at = &root_;
  for (size_t position = 1; position < reference.size();) {
    const size_t end = std::min(reference.find('/', position + 1), reference.size());
    std::string key;
    for (size_t i = position + 1; i < end; ++i) {
      uint32_t byte = 0;
      const std::string_view rest = reference.substr(i, end - i);
      if (rest.starts_with("~0") || rest.starts_with("~1")) {
        key += rest[1] == '0' ? '~' : '/';
        ++i;
      } else if (rest[0] == '%' && rest.size() > 2 &&
                 std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16).ptr ==
                     rest.data() + 3) {
        key += static_cast<char>(byte);
        i += 2;
      } else {
        key += rest[0];
      }
    }
    const json::value* next = nullptr;
    if (at->is_object()) next = at->as_object().if_contains(key);
    if (at->is_array()) {
      size_t index = 0;
      const auto parsed = std::from_chars(key.data(), key.data() + key.size(), index);
      const bool whole = parsed.ec == std::errc{} && parsed.ptr == key.data() + key.size();
      if (whole && index < at->as_array().size()) next = &at->as_array()[index];
    }
    if (next == nullptr) {
      throw invalid_keyword(pointer, "$ref", "there is no '" + std::string(reference) + "'");
    }
    at = next;
    position = end;
  }
  if (!is_schema(*at)) {
    throw invalid_keyword(pointer, "$ref", "'" + std::string(reference) + "' is no schema");
  }
  return *at;
}

void SchemaFlattener::count(size_t& counter, size_t limit, const std::string& pointer) {
  if (++counter > limit) {
    throw Error(ErrorCode::kLimitExceeded, "the JSON schema is too complex: more than " +
                                               std::to_string(limit) +
                                               " combinations of allOf, anyOf and oneOf, at " +
                                               pointer + "; write fewer alternatives");
  }
}

std::vector<FlatSchema> SchemaFlattener::flatten(const json::value& schema,
                                                 const std::string& pointer, int depth) {
  if (depth > kMaxDepth) {
    throw Error(ErrorCode::kLimitExceeded,
                "the JSON schema cannot be used: allOf, anyOf, oneOf and $ref lead into each other "
                "without end or too deeply at " +
                    pointer);
  }
  if (schema.is_bool()) {
    return schema.as_bool() ? std::vector<FlatSchema>(1) : std::vector<FlatSchema>{};
  }
  const json::object& object = schema.as_object();
  check_keywords(object, pointer);
  FlatSchema own;
  bool nullable = false;
  for (const auto& [key, value] : object) {
    if (key == "nullable") {
      nullable = value.is_bool() && value.as_bool();
    } else if (key != "$ref" && key != "allOf" && key != "anyOf" && key != "oneOf" &&
               constrains(key)) {
      own.insert_or_assign(key, value);
    }
  }
  std::vector<FlatSchema> result = {own};
  if (const json::value* reference = object.if_contains("$ref")) {
    if (!reference->is_string()) throw invalid_keyword(pointer, "$ref", "it must be a string");
    result = product(result,
                     flatten(resolve(reference->as_string(), pointer),
                             std::string(reference->as_string()), depth + 1),
                     pointer);
  }
  for (const char* key : {"allOf", "anyOf", "oneOf"}) {
    const json::value* list = object.if_contains(key);
    if (list == nullptr) continue;
    const bool all = std::string_view(key) == "allOf";
    if (std::string_view(key) == "oneOf") check_disjoint(list->as_array(), pointer, depth);
    std::vector<FlatSchema> any;
    for (size_t i = 0; i < list->as_array().size(); ++i) {
      auto branches =
          flatten(list->as_array()[i], pointer + "/" + key + "/" + std::to_string(i), depth + 1);
      for (FlatSchema& branch : branches) {
        count(merges_, kMaxMerges, pointer);
        any.push_back(std::move(branch));
      }
      if (!all) continue;
      result = product(result, any, pointer);
      any.clear();
    }
    if (!all) result = product(result, any, pointer);
  }
  if (nullable) result.push_back({{"type", "null"}});
  return result;
}

std::vector<FlatSchema> SchemaFlattener::product(const std::vector<FlatSchema>& a,
                                                 const std::vector<FlatSchema>& b,
                                                 const std::string& pointer) {
  std::vector<FlatSchema> result;
  for (const FlatSchema& x : a) {
    for (const FlatSchema& y : b) {
      count(merges_, kMaxMerges, pointer);
      if (auto merged = merge(x, y, pointer)) result.push_back(std::move(*merged));
    }
  }
  return result;
}

std::optional<FlatSchema> SchemaFlattener::merge(const FlatSchema& a, const FlatSchema& b,
                                                 const std::string& pointer) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  FlatSchema result;
  merge_properties(a, b, result, pointer);

  const uint32_t types = allowed_types(a, pointer) & allowed_types(b, pointer);
  if (types == 0) return std::nullopt;
  if (types != kAllTypes) result["type"] = names_of_types(types);

  const auto a_values = values_of(a), b_values = values_of(b);
  if (a_values || b_values) {
    json::array values;
    for (const json::value& value : a_values ? *a_values : *b_values) {
      if (!a_values || !b_values || among(*b_values, value)) values.push_back(value);
    }
    if (values.empty()) return std::nullopt;
    result["enum"] = std::move(values);
  }

  for (const FlatSchema* one : {&a, &b}) {
    const FlatSchema& other = one == &a ? b : a;
    for (const auto& [key, value] : *one) {
      if (key == "type" || key == "enum" || key == "const" || is_object_keyword(key)) continue;
      const json::value* against = other.if_contains(key);
      if (against == nullptr || *against == value) {
        result.insert_or_assign(key, value);
        continue;
      }
      if (result.contains(key)) continue;  // merged when the other one's turn was
      const bool lower = key.starts_with("min") || key == "exclusiveMinimum";
      const bool upper = key.starts_with("max") || key == "exclusiveMaximum";
      if (lower || upper) {
        const auto x = decimal_of(value), y = decimal_of(*against);
        if (!x || !y) throw unsupported_keyword(pointer, key, "the number has too many digits");
        result[key] = (compare(*x, *y) > 0) == lower ? value : *against;
      } else if (key == "items" && !a.contains("prefixItems") && !b.contains("prefixItems")) {
        result[key] = all_of(value, *against);
      } else if (key == "uniqueItems") {
        result[key] = true;
      } else {
        throw unsupported_keyword(pointer, key, "two different ones meet in allOf or beside $ref");
      }
    }
  }
  const bool tuples = a.contains("prefixItems") != b.contains("prefixItems");
  if (tuples && (a.contains("items") || b.contains("items"))) {
    throw unsupported_keyword(pointer, "prefixItems", "it meets items in allOf or beside $ref");
  }
  return result;
}

void SchemaFlattener::merge_properties(const FlatSchema& a, const FlatSchema& b, FlatSchema& result,
                                       const std::string& pointer) {
  const auto has_any = [](const FlatSchema& schema) {
    return std::ranges::any_of(schema,
                               [](const auto& entry) { return is_object_keyword(entry.key()); });
  };
  if (!has_any(a) || !has_any(b)) {
    for (const FlatSchema* one : {&a, &b}) {
      for (const auto& [key, value] : *one) {
        if (is_object_keyword(key)) result.insert_or_assign(key, value);
      }
    }
    return;
  }
  for (const char* key : {"patternProperties", "propertyNames", "unevaluatedProperties"}) {
    if (a.contains(key) || b.contains(key)) {
      throw unsupported_keyword(pointer, key, "it meets other properties in allOf or beside $ref");
    }
  }
  const json::value* a_more = a.if_contains("additionalProperties");
  const json::value* b_more = b.if_contains("additionalProperties");
  json::object properties;
  for (const FlatSchema* one : {&a, &b}) {
    const FlatSchema& other = one == &a ? b : a;
    const json::value* more = one == &a ? b_more : a_more;
    const json::value* own = one->if_contains("properties");
    if (own == nullptr) continue;
    for (const auto& [name, value] : own->as_object()) {
      if (properties.contains(name)) continue;
      // Where the other one does not name a property, its additionalProperties speak of it.
      const json::value* against = property(other, name);
      if (against == nullptr) against = more;
      properties[name] = is_true(against) ? value : all_of(value, *against);
    }
  }
  if (!properties.empty()) result["properties"] = std::move(properties);

  json::array required;
  for (const FlatSchema* one : {&a, &b}) {
    const json::value* list = one->if_contains("required");
    if (list == nullptr) continue;
    if (!list->is_array()) throw invalid_keyword(pointer, "required", "it must be a list");
    for (const json::value& name : list->as_array()) {
      if (!among(required, name)) required.push_back(name);
    }
  }
  if (!required.empty()) result["required"] = std::move(required);
  if (a_more != nullptr && b_more != nullptr) {
    result["additionalProperties"] = is_true(a_more)   ? *b_more
                                     : is_true(b_more) ? *a_more
                                                       : all_of(*a_more, *b_more);
    if (is_false(a_more) || is_false(b_more)) result["additionalProperties"] = false;
  } else if (a_more != nullptr || b_more != nullptr) {
    result["additionalProperties"] = a_more != nullptr ? *a_more : *b_more;
  }
}

void SchemaFlattener::check_disjoint(const json::array& branches, const std::string& pointer,
                                     int depth) {
  std::vector<std::vector<FlatSchema>> flat;
  for (size_t i = 0; i < branches.size(); ++i) {
    flat.push_back(flatten(branches[i], pointer + "/oneOf/" + std::to_string(i), depth + 1));
  }
  for (size_t i = 0; i < flat.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      for (const FlatSchema& a : flat[i]) {
        for (const FlatSchema& b : flat[j]) {
          count(comparisons_, kMaxComparisons, pointer);
          if (are_disjoint(a, b, pointer, depth)) continue;
          throw unsupported_keyword(
              pointer, "oneOf",
              "a value might belong to both branch " + std::to_string(j) + " and branch " +
                  std::to_string(i) + "; use anyOf, or give them a property with different consts");
        }
      }
    }
  }
}

bool SchemaFlattener::are_disjoint(const FlatSchema& a, const FlatSchema& b,
                                   const std::string& pointer, int depth) {
  // Texts made for one branch must not satisfy the other.
  const uint32_t common = (emitted_types(a, pointer) & allowed_types(b, pointer)) |
                          (allowed_types(a, pointer) & emitted_types(b, pointer));
  if (common == 0) return true;
  const auto a_values = values_of(a), b_values = values_of(b);
  if (a_values && b_values) {
    return std::ranges::none_of(*a_values,
                                [&](const json::value& value) { return among(*b_values, value); });
  }
  for (const auto& [values, bits] : {std::pair(a_values, allowed_types(b, pointer)),
                                     std::pair(b_values, allowed_types(a, pointer))}) {
    const uint32_t types = bits;  // a structured binding cannot be captured before C++20's fix
    if (values && std::ranges::none_of(*values, [&](const json::value& value) {
          return (type_of(value) & types) != 0;
        })) {
      return true;
    }
  }
  if (common != kObject) return false;
  // Tags first: looking into other properties would not end where they hold such objects again.
  for (const bool tags : {true, false}) {
    if (property_tells_apart(a, b, tags, pointer, depth) ||
        property_tells_apart(b, a, tags, pointer, depth)) {
      return true;
    }
  }
  return false;
}

bool SchemaFlattener::property_tells_apart(const FlatSchema& one, const FlatSchema& other,
                                           bool tags, const std::string& pointer, int depth) {
  const json::value* own = one.if_contains("properties");
  if (own == nullptr) return false;
  for (const auto& [name, value] : own->as_object()) {
    if (!requires_property(one, name)) continue;
    const bool is_tag = value.is_object() && values_of(value.as_object());
    if (is_tag != tags) continue;
    const json::value* against = property(other, name);
    if (against == nullptr) {
      if (is_false(other.if_contains("additionalProperties")) &&
          !other.contains("patternProperties")) {
        return true;
      }
    } else if (values_are_disjoint(value, *against, pointer, depth + 1)) {
      return true;
    }
  }
  return false;
}

bool SchemaFlattener::values_are_disjoint(const json::value& a, const json::value& b,
                                          const std::string& pointer, int depth) {
  for (const FlatSchema& x : flatten(a, pointer, depth)) {
    for (const FlatSchema& y : flatten(b, pointer, depth)) {
      count(comparisons_, kMaxComparisons, pointer);
      if (!are_disjoint(x, y, pointer, depth + 1)) return false;
    }
  }
  return true;
}

}  // namespace omg::grammar
