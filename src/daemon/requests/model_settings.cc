// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/model_settings.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "runtimes/parameters.h"

namespace omg {
namespace {

constexpr std::array<std::string_view, 16> kWithoutEffect = {
    "num_batch", "num_gpu",  "main_gpu",     "num_thread",  "use_mmap",   "draft_num_predict",
    "use_mlock", "low_vram", "f16_kv",       "logits_all",  "vocab_only", "penalize_newline",
    "mirostat",  "numa",     "mirostat_tau", "mirostat_eta"};

bool is_without_effect(std::string_view name) {
  return std::find(kWithoutEffect.begin(), kWithoutEffect.end(), name) != kWithoutEffect.end();
}

const ParameterInfo* find_info(std::string_view name) {
  for (const ParameterInfo& info : parameter_table()) {
    if (name == info.name || (!info.other_name.empty() && name == info.other_name)) return &info;
  }
  return nullptr;
}

bool is_whole(const ParameterInfo& info) {
  return std::holds_alternative<std::optional<int64_t> Parameters::*>(info.field);
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, why);
}

/// The value that `text` stands for, checked.
json::value value_of(const ParameterInfo& info, std::string_view text) {
  Parameters checked;
  set_parameter(checked, info.name, text);
  if (is_whole(info)) return *parse_integer(text);
  return *parse_number(text);
}

/// Sets it under the given name; the other name of the same parameter goes.
void put(json::object& parameters, std::string_view name, json::value value) {
  if (const ParameterInfo* info = find_info(name)) {
    for (const std::string_view other : {info->name, info->other_name}) {
      if (other != name && !other.empty()) parameters.erase(other);
    }
  }
  parameters[name] = std::move(value);
}

void add_stop(json::object& parameters, std::string_view text) {
  json::value& stops = parameters["stop"];
  if (!stops.is_array()) stops = json::array();
  Parameters checked;
  for (size_t i = 0; i < stops.get_array().size(); ++i) checked.stop.emplace_back();
  set_parameter(checked, "stop", text);
  if (text.size() > kMaxStopBytes) {
    refuse("a stop string has " + std::to_string(text.size()) + " bytes: at most " +
           std::to_string(kMaxStopBytes) + " are taken");
  }
  stops.get_array().emplace_back(text);
}

void add_stops(json::object& parameters, const json::value& value) {
  if (value.is_string()) return add_stop(parameters, std::string_view(value.get_string()));
  if (!value.is_array()) refuse("stop must be an array of strings");
  for (const json::value& stop : value.get_array()) {
    if (!stop.is_string()) refuse("stop must be an array of strings");
    add_stop(parameters, std::string_view(stop.get_string()));
  }
}

/// A word without effect, as the kind of value that it looks like.
json::value plain_value(std::string_view text) {
  if (const auto whole = parse_integer(text)) return *whole;
  if (const auto number = parse_number(text)) return *number;
  if (text == "true" || text == "false") return text == "true";
  return json::value(text);
}

json::value checked_number(const ParameterInfo& info, const json::value& value) {
  if (!value.is_number()) refuse("parameter '" + std::string(info.name) + "' must be a number");
  if (is_whole(info) && value.is_double() && std::abs(value.get_double()) < 9e18) {
    return value_of(info, std::to_string(static_cast<int64_t>(value.get_double())));
  }
  return value_of(info, json::serialize(value));
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Whether what stands behind "{{" is Go's: a field, a variable, or one of its statements.
bool is_go_action(std::string_view rest) {
  if (rest.starts_with("-")) rest.remove_prefix(1);
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  if (rest.starts_with("/*")) return true;
  if (rest.starts_with(".") || rest.starts_with("$")) return true;
  size_t length = 0;
  while (length < rest.size() && is_word(rest[length])) ++length;
  constexpr std::array<std::string_view, 9> kStatements = {
      "if", "else", "end", "range", "with", "define", "template", "block", "break"};
  const std::string_view word = rest.substr(0, length);
  return std::find(kStatements.begin(), kStatements.end(), word) != kStatements.end();
}

}  // namespace

void set_model_parameter(json::object& parameters, std::string_view name, std::string_view text) {
  if (name == "stop") return add_stop(parameters, text);
  if (const ParameterInfo* info = find_info(name)) {
    return put(parameters, name, value_of(*info, text));
  }
  if (!is_without_effect(name)) refuse("unknown parameter '" + std::string(name) + "'");
  put(parameters, name, plain_value(text));
}

json::object checked_model_parameters(const json::object& given) {
  json::object parameters;
  for (const auto& [key, value] : given) {
    const std::string_view name(key.data(), key.size());
    if (value.is_null()) continue;
    if (name == "stop") {
      add_stops(parameters, value);
    } else if (const ParameterInfo* info = find_info(name)) {
      put(parameters, name, checked_number(*info, value));
    } else if (!is_without_effect(name)) {
      refuse("unknown parameter '" + std::string(name) + "'");
    } else if (value.is_number() || value.is_bool()) {
      put(parameters, name, value);
    } else {
      refuse("parameter '" + std::string(name) + "' has a wrong type");
    }
  }
  return parameters;
}

json::object merged_model_parameters(const json::object& base, const json::object& over) {
  json::object merged = base;
  for (const auto& [key, value] : over) put(merged, std::string_view(key), value);
  return merged;
}

std::string template_syntax_of(std::string_view source) {
  if (source.find("{%") != std::string_view::npos) return "jinja";
  for (size_t at = source.find("{{"); at != std::string_view::npos;
       at = source.find("{{", at + 2)) {
    if (is_go_action(source.substr(at + 2))) return "go";
  }
  return "jinja";
}

}  // namespace omg
