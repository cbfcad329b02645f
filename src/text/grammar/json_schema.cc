// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/json_schema.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "base/utf8.h"
#include "text/grammar/machine.h"
#include "text/grammar/regex.h"
#include "text/grammar/schema_merge.h"
#include "text/grammar/text_conditions.h"

namespace omg::grammar {
namespace {

/// multipleOf by remainders, or by listing: so many rules or values.
constexpr uint32_t kMaxMultiples = 1000;
/// Each set of patterns has its names: their number doubles with each.
constexpr size_t kMaxNamePatterns = 4;

class SchemaCompiler {
 public:
  SchemaCompiler(const json::value& root, const JsonSchemaOptions& options,
                 Expressions& expressions)
      : root_(root), options_(options), e_(expressions), text_(expressions), flattener_(root) {}

  void compile() {
    if (!root_.is_object() && !root_.is_bool()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the JSON schema cannot be used: it must be an object, true or false");
    }
    e_.set_root(rule_of("#"));
    // References only name what they lead to, so that chains and cycles of them need no recursion.
    while (!pending_.empty()) {
      const auto [reference, rule] = pending_.front();
      pending_.pop_front();
      e_.define(rule, schema(flattener_.resolve(reference, "#"), reference, 0));
    }
  }

 private:
  RuleId rule_of(const std::string& reference) {
    const auto [entry, is_new] = rules_.try_emplace(reference, 0);
    if (is_new) {
      entry->second = e_.declare(reference);
      pending_.emplace_back(reference, entry->second);
    }
    return entry->second;
  }

  ExprId schema(const json::value& value, const std::string& pointer, uint32_t depth) {
    if (depth > options_.limits.max_nesting) {
      throw Error(ErrorCode::kLimitExceeded,
                  "the JSON schema nests too deeply at " + pointer + "; make it flatter");
    }
    if (value.is_bool()) return value.as_bool() ? text_.any_value() : e_.nothing();
    const json::object& object = value.as_object();
    SchemaFlattener::check_keywords(object, pointer);
    std::vector<std::string_view> applicators;
    bool own = false;
    for (const auto& [key, ignored] : object) {
      const bool applies = key == "$ref" || key == "allOf" || key == "anyOf" || key == "oneOf";
      if (applies) applicators.push_back(key);
      own = own || (!applies && key != "nullable" && SchemaFlattener::constrains(key));
    }
    ExprId result;
    if (applicators.empty()) {
      result = flat(object, pointer, depth);
    } else if (applicators.size() == 1 && !own) {
      result = applicator(object, applicators[0], pointer, depth);
    } else {
      std::vector<ExprId> choices;
      for (const FlatSchema& branch : flattener_.flatten(value, pointer)) {
        choices.push_back(flat(branch, pointer, depth));
      }
      return e_.alternatives(std::move(choices));  // what is nullable is among them
    }
    const json::value* nullable = object.if_contains("nullable");
    if (nullable != nullptr && *nullable == true) {
      result = e_.alternatives({result, e_.literal("null")});
    }
    return result;
  }

  /// A schema that is only one $ref, allOf, anyOf or oneOf: its parts keep their rules.
  ExprId applicator(const json::object& object, std::string_view key, const std::string& pointer,
                    uint32_t depth) {
    const json::value& value = object.at(key);
    if (key == "$ref") {
      if (!value.is_string()) throw invalid_keyword(pointer, "$ref", "it must be a string");
      const std::string reference(value.as_string());
      flattener_.resolve(reference, pointer);  // errors say where the reference stands
      return e_.rule(rule_of(reference));
    }
    const json::array& parts = value.as_array();
    if (key == "allOf" && parts.size() > 1) {
      std::vector<ExprId> choices;
      for (const FlatSchema& branch : flattener_.flatten(json::object{{key, value}}, pointer)) {
        choices.push_back(flat(branch, pointer, depth));
      }
      return e_.alternatives(std::move(choices));
    }
    if (key == "oneOf") flattener_.check_disjoint(parts, pointer, 0);
    std::vector<ExprId> choices;
    for (size_t i = 0; i < parts.size(); ++i) {
      choices.push_back(
          schema(parts[i], pointer + "/" + std::string(key) + "/" + std::to_string(i), depth + 1));
    }
    return e_.alternatives(std::move(choices));
  }

  /// A schema without applicators.
  ExprId flat(const json::object& object, const std::string& pointer, uint32_t depth) {
    if (object.contains("enum") || object.contains("const")) return values(object, pointer);
    const uint32_t types = emitted_types(object, pointer);
    if (types == kAllTypes && !object.contains("type")) return text_.any_value();
    std::vector<ExprId> choices;
    if ((types & kObject) != 0) choices.push_back(properties(object, pointer, depth));
    if ((types & kArray) != 0) choices.push_back(array(object, pointer, depth));
    if ((types & kString) != 0) choices.push_back(string(object, pointer));
    if ((types & kNumber) != 0) {
      choices.push_back(number(object, pointer, false));
    } else if ((types & kInteger) != 0) {
      choices.push_back(number(object, pointer, true));
    }
    if ((types & kBoolean) != 0) {
      choices.push_back(e_.literal("true"));
      choices.push_back(e_.literal("false"));
    }
    if ((types & kNull) != 0) choices.push_back(e_.literal("null"));
    return e_.alternatives(std::move(choices));
  }

  // Values given one by one.

  ExprId values(const json::object& object, const std::string& pointer) {
    const uint32_t types = allowed_types(object, pointer);
    const std::optional<Grammar> others = other_constraints(object, pointer);
    json::array list;
    if (const json::value* given = object.if_contains("enum")) {
      if (!given->is_array() || given->as_array().empty()) {
        throw invalid_keyword(pointer, "enum", "it must be a list of at least one value");
      }
      list = given->as_array();
    }
    if (const json::value* constant = object.if_contains("const")) {
      if (object.contains("enum")) throw unsupported_keyword(pointer, "const", "beside enum");
      list.push_back(*constant);
    }
    std::vector<std::string> texts;
    std::vector<ExprId> choices;
    for (const json::value& value : list) {
      if ((type_of(value) & types) == 0) continue;
      if (value.is_structured()) {
        choices.push_back(literal(value, pointer, 0));
      } else {
        texts.push_back(scalar(value, pointer));
        if (others && !accepts(*others, texts.back())) texts.pop_back();
      }
    }
    if (!texts.empty()) choices.push_back(e_.one_of_texts(std::move(texts)));
    return e_.alternatives(std::move(choices));
  }

  /// What stands beside enum or const and constrains too, as a grammar that values are held
  /// against.
  std::optional<Grammar> other_constraints(const json::object& object,
                                           const std::string& pointer) const {
    json::object others;
    for (const auto& [key, value] : object) {
      if (key == "enum" || key == "const" || key == "type" || key == "nullable" ||
          !SchemaFlattener::constrains(key)) {
        continue;
      }
      const uint32_t types = emitted_types({{key, value}}, pointer);
      if ((types & (kObject | kArray)) != 0) {
        throw unsupported_keyword(pointer, key, "it stands beside enum or const");
      }
      others.insert_or_assign(key, value);
    }
    if (others.empty()) return std::nullopt;
    if (const json::value* type = object.if_contains("type")) others["type"] = *type;
    // Types of which these keywords say nothing are let through by a schema without a type.
    if (!others.contains("type")) {
      others["type"] = json::array{"string", "number", "boolean", "null"};
    }
    return Grammar::from_json_schema(others, options_);
  }

  static bool accepts(const Grammar& grammar, std::string_view text) {
    Machine machine(grammar.automaton(), 1, {});
    ConfigId config = machine.initial();
    for (const char c : text) config = machine.next(config, static_cast<uint8_t>(c));
    return machine.is_accepting(config);
  }

  static std::string scalar(const json::value& value, const std::string& pointer) {
    if (value.is_string()) return json_quoted(value.as_string());
    if (!value.is_number()) return json::serialize(value);
    const auto decimal = decimal_of(value);
    if (!decimal) throw unsupported_keyword(pointer, "enum", "a number has too many digits");
    return (decimal->negative ? "-" : "") + decimal->digits +
           (decimal->fraction.empty() ? "" : "." + decimal->fraction);
  }

  ExprId literal(const json::value& value, const std::string& pointer, uint32_t depth) {
    if (depth > options_.limits.max_nesting) {
      throw Error(ErrorCode::kLimitExceeded, "a value of enum nests too deeply at " + pointer);
    }
    if (!value.is_structured()) return e_.literal(scalar(value, pointer));
    std::vector<ListItem> items;
    if (value.is_array()) {
      for (const json::value& element : value.as_array()) {
        items.push_back({literal(element, pointer, depth + 1), true});
      }
    } else {
      for (const auto& [key, member] : value.as_object()) {
        items.push_back({this->member(key, literal(member, pointer, depth + 1)), true});
      }
    }
    const ExprId content = items.empty() ? e_.nothing() : e_.list(text_.comma(), items, kNoExpr);
    return value.is_array() ? text_.brackets(content, items.empty())
                            : text_.braces(content, items.empty());
  }

  // Objects.

  ExprId member(std::string_view name, ExprId value) {
    return e_.sequence({e_.literal(json_quoted(name)), text_.colon(), value});
  }

  ExprId properties(const json::object& object, const std::string& pointer, uint32_t depth) {
    std::vector<std::string> required = names_of(object, pointer);
    std::vector<ListItem> items;
    std::vector<std::string> declared;
    std::vector<NamePattern> patterns = name_patterns(object, pointer);
    const auto declare = [&](std::string_view name, const json::value& value, bool is_required,
                             const std::string& where) {
      declared.emplace_back(name);
      items.push_back({member(name, schema(with_patterns(value, name, patterns), where, depth + 1)),
                       is_required});
    };
    if (const json::value* list = object.if_contains("properties")) {
      for (const auto& [name, value] : list->as_object()) {
        const auto found = std::ranges::find(required, std::string_view(name));
        const bool is_required = found != required.end();
        if (is_required) required.erase(found);
        declare(name, value, is_required, pointer + "/properties" + pointer_part(name));
      }
    }
    const json::value* more = object.if_contains("additionalProperties");
    if (more == nullptr) more = object.if_contains("unevaluatedProperties");
    for (const std::string& name : required) {
      const bool matched = std::ranges::any_of(
          patterns, [&](const NamePattern& pattern) { return pattern.matches(name, e_.limits()); });
      declare(name, more == nullptr || matched ? json::value(true) : *more, true,
              pointer + "/additionalProperties");
    }
    const bool closed =
        more == nullptr ? options_.declared_properties_only && (!items.empty() || !patterns.empty())
                        : *more == false;
    std::vector<ExprId> extras;
    add_pattern_members(patterns, declared, pointer, depth, extras);
    if (!closed) {
      const ExprId key = property_name(object, declared, patterns, pointer, depth);
      const ExprId value = more == nullptr
                               ? text_.any_value()
                               : schema(*more, pointer + "/additionalProperties", depth + 1);
      extras.push_back(e_.sequence({key, text_.colon(), value}));
    }
    const ExprId extra = extras.empty() ? kNoExpr : e_.alternatives(std::move(extras));
    return members(object, items, extra, pointer);
  }

  // patternProperties.

  struct NamePattern {
    TextCondition condition;
    const json::value* schema;

    bool matches(std::string_view name, const GrammarLimits& limits) const {
      return satisfies(name, condition, limits);
    }
  };

  std::vector<NamePattern> name_patterns(const json::object& object,
                                         const std::string& pointer) const {
    std::vector<NamePattern> patterns;
    const json::value* list = object.if_contains("patternProperties");
    if (list == nullptr) return patterns;
    if (object.contains("propertyNames")) {
      throw unsupported_keyword(pointer, "propertyNames", "it stands beside patternProperties");
    }
    for (const auto& [pattern, value] : list->as_object()) {
      patterns.push_back({pattern_condition(pattern, pointer), &value});
    }
    if (patterns.size() > kMaxNamePatterns) {
      throw unsupported_keyword(pointer, "patternProperties",
                                "more than " + std::to_string(kMaxNamePatterns) + " patterns");
    }
    return patterns;
  }

  /// A declared property's schema, and those of the patterns that its name matches.
  json::value with_patterns(const json::value& value, std::string_view name,
                            const std::vector<NamePattern>& patterns) const {
    json::array all = {value};
    for (const NamePattern& pattern : patterns) {
      if (pattern.matches(name, e_.limits())) all.push_back(*pattern.schema);
    }
    return all.size() == 1 ? value : json::value(json::object{{"allOf", all}});
  }

  /// Members whose names match patterns. A name may match several: each set of patterns has names
  /// that match these and no others, and their values satisfy the schemas of all of them.
  void add_pattern_members(const std::vector<NamePattern>& patterns,
                           const std::vector<std::string>& declared, const std::string& pointer,
                           uint32_t depth, std::vector<ExprId>& extras) {
    for (uint32_t set = 1; set < 1u << patterns.size(); ++set) {
      std::vector<TextCondition> conditions = other_names(declared);
      json::array schemas;
      for (size_t i = 0; i < patterns.size(); ++i) {
        conditions.push_back(patterns[i].condition);
        conditions.back().negated = (set >> i & 1) == 0;
        if ((set >> i & 1) != 0) schemas.push_back(*patterns[i].schema);
      }
      const json::value both =
          schemas.size() == 1 ? schemas[0] : json::value(json::object{{"allOf", schemas}});
      const ExprId key = text_.string_of(json_text_with(e_, conditions, 0, kUnbounded));
      extras.push_back(e_.sequence(
          {key, text_.colon(), schema(both, pointer + "/patternProperties", depth + 1)}));
    }
  }

  /// The condition that a name is none of these.
  static std::vector<TextCondition> other_names(const std::vector<std::string>& names) {
    std::vector<TextCondition> conditions;
    if (names.empty()) return conditions;
    std::string any;
    for (const std::string& name : names) any += (any.empty() ? "" : "|") + quoted_pattern(name);
    conditions.push_back({.pattern = "(?:" + any + ")", .negated = true});
    return conditions;
  }

  static std::vector<std::string> names_of(const json::object& object, const std::string& pointer) {
    std::vector<std::string> names;
    const json::value* list = object.if_contains("required");
    if (list == nullptr) return names;
    if (!list->is_array()) throw invalid_keyword(pointer, "required", "it must be a list");
    for (const json::value& name : list->as_array()) {
      if (!name.is_string()) throw invalid_keyword(pointer, "required", "it must hold strings");
      if (std::ranges::find(names, std::string_view(name.as_string())) == names.end()) {
        names.emplace_back(name.as_string());
      }
    }
    return names;
  }

  /// The braces and the number of members.
  ExprId members(const json::object& object, const std::vector<ListItem>& items, ExprId extra,
                 const std::string& pointer) {
    const uint32_t min = count(object, "minProperties", 0);
    const uint32_t max = count(object, "maxProperties", kUnbounded);
    if (min > max) return e_.nothing();
    if (items.empty()) {
      if (extra == kNoExpr || max == 0) {
        return min > 0 ? e_.nothing() : text_.braces(e_.nothing(), true);
      }
      if (min > 1) {
        throw unsupported_keyword(
            pointer, "minProperties",
            "names that came before cannot be remembered, and may come again");
      }
      return text_.braces(text_.separated(extra, 1, max), min == 0);
    }
    const auto required = static_cast<size_t>(std::ranges::count_if(items, &ListItem::required));
    if (min > required) {
      throw unsupported_keyword(pointer, "minProperties",
                                "it is more than the number of required properties");
    }
    if (max != kUnbounded && (extra != kNoExpr || max < items.size())) {
      throw unsupported_keyword(pointer, "maxProperties",
                                "it is less than the properties that there may be");
    }
    return text_.braces(e_.list(text_.comma(), items, extra), required == 0);
  }

  /// The name of a property that is not declared. Declared ones are kept out letter by letter.
  ExprId property_name(const json::object& object, const std::vector<std::string>& declared,
                       const std::vector<NamePattern>& patterns, const std::string& pointer,
                       uint32_t depth) {
    if (!patterns.empty()) {
      std::vector<TextCondition> conditions = other_names(declared);
      for (const NamePattern& pattern : patterns) {
        conditions.push_back(pattern.condition);
        conditions.back().negated = true;
      }
      return text_.string_of(json_text_with(e_, conditions, 0, kUnbounded));
    }
    if (const json::value* names = object.if_contains("propertyNames")) {
      if (!declared.empty()) {
        throw unsupported_keyword(pointer, "propertyNames", "it stands beside properties");
      }
      std::vector<ExprId> choices;
      for (FlatSchema& branch : flattener_.flatten(*names, pointer + "/propertyNames")) {
        if ((allowed_types(branch, pointer) & kString) == 0) continue;
        branch["type"] = "string";
        choices.push_back(flat(branch, pointer + "/propertyNames", depth));
      }
      return e_.alternatives(std::move(choices));
    }
    if (declared.empty()) return text_.string();
    std::vector<std::u32string> names;
    for (const std::string& name : declared) {
      std::u32string characters;
      for (size_t i = 0; i < name.size();) {
        const DecodedCodePoint decoded = decode_utf8(name, i);
        characters += static_cast<char32_t>(decoded.value);
        i += decoded.size;
      }
      names.push_back(std::move(characters));
    }
    std::sort(names.begin(), names.end());
    return text_.string_of(other_than(names, 0));
  }

  /// Strings that go on from `position` and are none of `names`, which agree up to there.
  ExprId other_than(std::span<const std::u32string> names, size_t position) {
    std::vector<ExprId> choices;
    bool may_end = true;
    CodePointSet taken;
    for (size_t begin = 0; begin < names.size();) {
      if (names[begin].size() == position) {
        may_end = false;
        ++begin;
        continue;
      }
      const char32_t c = names[begin][position];
      size_t end = begin + 1;
      while (end < names.size() && names[end][position] == c) ++end;
      taken.add(c, c);
      choices.push_back(e_.sequence({json_characters(e_, {{c, c}}),
                                     other_than(names.subspan(begin, end - begin), position + 1)}));
      begin = end;
    }
    choices.push_back(e_.sequence(
        {json_characters(e_, taken.negated()), e_.repeat(text_.character(), 0, kUnbounded)}));
    if (may_end) choices.push_back(e_.empty());
    return e_.alternatives(std::move(choices));
  }

  // Arrays.

  ExprId array(const json::object& object, const std::string& pointer, uint32_t depth) {
    const uint32_t min = count(object, "minItems", 0);
    uint32_t max = count(object, "maxItems", kUnbounded);
    const json::value* items = object.if_contains("items");
    const json::value* prefix = object.if_contains("prefixItems");
    const json::value* unique = object.if_contains("uniqueItems");
    if (unique != nullptr && *unique == true && max > 1) {
      throw unsupported_keyword(pointer, "uniqueItems", "what came before cannot be remembered");
    }
    std::vector<ExprId> first;
    if (prefix != nullptr) {
      for (size_t i = 0; i < prefix->as_array().size() && i < max; ++i) {
        first.push_back(schema(prefix->as_array()[i], pointer + "/prefixItems/" + std::to_string(i),
                               depth + 1));
      }
    }
    // Tuples that say nothing of more elements have no more, like objects.
    const bool closed = items == nullptr ? prefix != nullptr : *items == false;
    const auto known = static_cast<uint32_t>(first.size());
    if (closed) max = std::min(max, known);
    if (min > max) return e_.nothing();
    if (max == 0) return text_.brackets(e_.nothing(), true);
    ExprId element = kNoExpr;
    if (!closed) {
      element =
          items == nullptr ? text_.any_value() : schema(*items, pointer + "/items", depth + 1);
    }
    if (known == 0) {
      return text_.brackets(text_.separated(element, std::max(min, 1u), max), min == 0);
    }
    ExprId rest = e_.empty();
    if (!closed) {
      rest = e_.repeat(e_.sequence({text_.comma(), element}), min > known ? min - known : 0,
                       max == kUnbounded ? max : max - known);
    }
    for (uint32_t i = known; i-- > 1;) {
      rest = e_.sequence({text_.comma(), first[i], rest});
      if (i >= min) rest = e_.optional(rest);
    }
    return text_.brackets(e_.sequence({first[0], rest}), min == 0);
  }

  static uint32_t count(const json::object& object, std::string_view key, uint32_t otherwise) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr) return otherwise;
    const auto number = decimal_of(*value);  // an integer, as has been checked
    if (number->digits.size() > 9) {
      if (otherwise == kUnbounded) return kUnbounded;  // more than any answer holds: no bound
      throw Error(ErrorCode::kLimitExceeded,
                  "the JSON schema cannot be used: " + std::string(key) + " is too large");
    }
    return static_cast<uint32_t>(std::stoul(number->digits));
  }

  // Strings.

  ExprId string(const json::object& object, const std::string& pointer) {
    const uint32_t min = count(object, "minLength", 0);
    const uint32_t max = count(object, "maxLength", kUnbounded);
    const json::value* pattern = object.if_contains("pattern");
    const json::value* format = object.if_contains("format");
    if (pattern == nullptr && format == nullptr) return text_.string(min, max);
    std::vector<TextCondition> conditions;
    if (pattern != nullptr) {
      if (!pattern->is_string()) throw invalid_keyword(pointer, "pattern", "it must be a string");
      conditions.push_back(pattern_condition(pattern->as_string(), pointer));
    }
    if (format != nullptr) conditions.push_back(format_condition(*format, pointer));
    if (conditions.size() > 1 || min > 0 || max != kUnbounded) {
      return text_.string_of(json_text_with(e_, conditions, min, max));
    }
    RegexOptions options;
    options.search = conditions[0].search;
    options.in_json_string = true;
    options.what = conditions[0].what;
    return text_.string_of(parse_regex(conditions[0].pattern, e_, options));
  }

  static TextCondition pattern_condition(std::string_view pattern, const std::string& pointer) {
    TextCondition condition{.pattern = std::string(pattern), .search = true};
    condition.what = "the pattern in the JSON schema at " + pointer;
    return condition;
  }

  static TextCondition format_condition(const json::value& format, const std::string& pointer) {
    if (!format.is_string()) throw invalid_keyword(pointer, "format", "it must be a string");
    TextCondition condition{.pattern = format_pattern(format.as_string())};
    if (condition.pattern.empty()) {
      throw unsupported_keyword(
          pointer, "format", "the format '" + std::string(format.as_string()) + "' is not known");
    }
    condition.what = "the format in the JSON schema at " + pointer;
    return condition;
  }

  // Numbers.

  ExprId number(const json::object& object, const std::string& pointer, bool integer) {
    NumberRange range;
    range.integer = integer;
    raise(range.low, object, "minimum", true, pointer, true);
    raise(range.low, object, "exclusiveMinimum", false, pointer, true);
    raise(range.high, object, "maximum", true, pointer, false);
    raise(range.high, object, "exclusiveMaximum", false, pointer, false);
    if (const json::value* format = object.if_contains("format")) {
      limit_by_format(*format, range, pointer);
    }
    if (object.contains("multipleOf")) return multiple(object, range, pointer);
    if (!integer && !range.low && !range.high) return text_.number();
    return number_in_range(e_, range);
  }

  /// Takes over a bound if it is tighter than what is there.
  static void raise(std::optional<Bound>& bound, const json::object& object, const char* key,
                    bool inclusive, const std::string& pointer, bool lower) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr) return;
    const auto decimal = decimal_of(*value);
    if (!decimal) throw unsupported_keyword(pointer, key, "the number has too many digits");
    const int order = bound ? compare(*decimal, bound->value) : (lower ? 1 : -1);
    if (order == 0) {
      bound->inclusive = bound->inclusive && inclusive;
    } else if ((order > 0) == lower) {
      bound = Bound{*decimal, inclusive};
    }
  }

  static void limit_by_format(const json::value& format, NumberRange& range,
                              const std::string& pointer) {
    if (format == "float" || format == "double") return;
    if (format != "int32" && format != "int64") {
      throw unsupported_keyword(pointer, "format",
                                "the format " + json::serialize(format) + " is not known");
    }
    const bool wide = format == "int64";
    range.integer = true;
    const json::object bounds = {{"minimum", wide ? INT64_MIN : INT32_MIN},
                                 {"maximum", wide ? INT64_MAX : INT32_MAX}};
    raise(range.low, bounds, "minimum", true, pointer, true);
    raise(range.high, bounds, "maximum", true, pointer, false);
  }

  ExprId multiple(const json::object& object, NumberRange range, const std::string& pointer) {
    const auto divisor = decimal_of(object.at("multipleOf"));
    if (!divisor) throw unsupported_keyword(pointer, "multipleOf", "it has too many digits");
    if (divisor->negative || divisor->is_zero()) {
      throw invalid_keyword(pointer, "multipleOf", "it must be positive");
    }
    if (!divisor->fraction.empty()) {
      // Of 0.1, 0.01...: a limit on the digits.
      const bool power = divisor->digits == "0" && divisor->fraction.ends_with('1') &&
                         divisor->fraction.find_first_not_of('0') + 1 == divisor->fraction.size();
      if (!power) throw unsupported_keyword(pointer, "multipleOf", "it is no power of ten");
      range.fraction_digits = static_cast<uint32_t>(divisor->fraction.size());
      return number_in_range(e_, range);
    }
    range.integer = true;
    if (divisor->digits == "1") return number_in_range(e_, range);
    if (divisor->digits.size() > 9) {
      throw unsupported_keyword(pointer, "multipleOf", "it is too large");
    }
    const auto step = static_cast<uint32_t>(std::stoul(divisor->digits));
    if (range.low && range.high) return listed_multiples(step, range, pointer);
    const bool natural = range.low && !range.high && range.low->value.fraction.empty() &&
                         !range.low->value.negative &&
                         (range.low->value.digits == "0" || range.low->value.digits == "1");
    if ((range.low && !natural) || range.high || step > kMaxMultiples) {
      throw unsupported_keyword(pointer, "multipleOf",
                                "only up to 1000, or between bounds that are near");
    }
    const bool zero = !range.low || (range.low->value.is_zero() && range.low->inclusive);
    return multiples(e_, step, !range.low, zero);
  }

  ExprId listed_multiples(uint32_t step, const NumberRange& range, const std::string& pointer) {
    if (range.low->value.digits.size() > 15 || range.high->value.digits.size() > 15) {
      throw unsupported_keyword(pointer, "multipleOf", "the bounds have too many digits");
    }
    const auto toward_zero = [](const Decimal& value) {
      const int64_t size = std::stoll(value.digits);
      return value.negative ? -size : size;
    };
    const int64_t low = toward_zero(range.low->value) - 1,
                  high = toward_zero(range.high->value) + 1;
    if (high - low > int64_t{kMaxMultiples} * step) {
      throw unsupported_keyword(pointer, "multipleOf", "more than 1000 multiples are in the range");
    }
    std::vector<std::string> texts;
    for (int64_t value = (low / step - 1) * int64_t{step}; value <= high; value += step) {
      const Decimal decimal = *decimal_of(json::value(value));
      const int above = compare(decimal, range.low->value);
      const int below = compare(decimal, range.high->value);
      if (above < 0 || (above == 0 && !range.low->inclusive)) continue;
      if (below > 0 || (below == 0 && !range.high->inclusive)) continue;
      texts.push_back(std::to_string(value));
    }
    return texts.empty() ? e_.nothing() : e_.one_of_texts(std::move(texts));
  }

  const json::value& root_;
  const JsonSchemaOptions& options_;
  Expressions& e_;
  JsonText text_;
  SchemaFlattener flattener_;
  std::unordered_map<std::string, RuleId> rules_;
  std::deque<std::pair<std::string, RuleId>> pending_;
};

}  // namespace

void compile_json_schema(const boost::json::value& schema, const JsonSchemaOptions& options,
                         Expressions& expressions) {
  SchemaCompiler(schema, options, expressions).compile();
}

}  // namespace omg::grammar
