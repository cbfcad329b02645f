// SPDX-License-Identifier: Apache-2.0
//
// The table of parameters; its ranges are those of engine/sample/sampler.cc.
#include "runtimes/parameters.h"

#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <type_traits>

#include "base/error.h"

namespace omg {
namespace {

constexpr double kInt32Max = 2147483647.0;

constexpr std::array<ParameterInfo, 13> kTable = {{
    {"max_tokens", "num_predict", &Parameters::max_tokens, -1, kInt32Max,
     "Tokens of the answer at most; -1: until the context is full"},
    {"temperature", "", &Parameters::temperature, 0, 100,
     "Randomness; 0 always takes the likeliest token"},
    {"top_k", "", &Parameters::top_k, 0, kInt32Max,
     "Draw among the K likeliest tokens; 0: among all"},
    {"top_p", "", &Parameters::top_p, 0, 1,
     "Draw among the likeliest tokens that reach this probability together"},
    {"min_p", "", &Parameters::min_p, 0, 1,
     "Leave out tokens below this share of the likeliest one's probability"},
    {"typical_p", "", &Parameters::typical_p, 0, 1, "Locally typical sampling; 1: off"},
    {"repeat_penalty", "", &Parameters::repeat_penalty, 0.01, 100,
     "Divide the logits of recent tokens by this; 1: off"},
    {"presence_penalty", "", &Parameters::presence_penalty, -100, 100,
     "Taken from the logits of tokens that occurred"},
    {"frequency_penalty", "", &Parameters::frequency_penalty, -100, 100,
     "Taken from the logits of tokens, once per occurrence"},
    {"repeat_last_n", "", &Parameters::repeat_last_n, -1, kInt32Max,
     "Tokens that the penalties look back on; -1: all, 0: off"},
    {"seed", "", &Parameters::seed, -1, 9007199254740992.0,
     "Same seed, same answer; -1: a new one each time"},
    {"context_length", "num_ctx", &Parameters::context_length, 0, kInt32Max,
     "Tokens that prompt and answer may take together; 0: what the model was loaded with", false},
    {"keep_tokens", "num_keep", &Parameters::keep_tokens, 0, kInt32Max,
     "Tokens at the beginning that stay when a full context is shifted", false},
}};

const ParameterInfo* find_parameter(std::string_view name) {
  for (const ParameterInfo& info : kTable) {
    if (name == info.name || (!info.other_name.empty() && name == info.other_name)) return &info;
  }
  return nullptr;
}

[[noreturn]] void throw_out_of_range(const ParameterInfo& info, std::string_view given) {
  const bool whole = std::holds_alternative<std::optional<int64_t> Parameters::*>(info.field);
  std::string range = fmt::format("from {} to {}", info.least, info.most);
  if (whole) range = fmt::format("from {:.0f} to {:.0f}", info.least, info.most);
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} cannot be '{}': it is a {} {}", info.name, given,
                          whole ? "whole number" : "number", range));
}

void add_stop(Parameters& parameters, std::string_view text) {
  if (text.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "stop cannot be empty: give the text to stop at");
  }
  if (parameters.stop.size() >= kMaxStops) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("too many stop strings: at most {} are taken", kMaxStops));
  }
  parameters.stop.emplace_back(text);
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::span<const ParameterInfo> parameter_table() {
  return kTable;
}

void set_parameter(Parameters& parameters, std::string_view name, std::string_view text) {
  if (name == "stop") return add_stop(parameters, text);
  const ParameterInfo* info = find_parameter(name);
  if (info == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no parameter '{}'", name));
  }
  if (const auto* field = std::get_if<std::optional<int64_t> Parameters::*>(&info->field)) {
    const auto value = parse_integer(text);
    if (!value || static_cast<double>(*value) < info->least ||
        static_cast<double>(*value) > info->most) {
      throw_out_of_range(*info, text);
    }
    parameters.*(*field) = *value;
    return;
  }
  const auto value = parse_number(text);
  if (!value || *value < info->least || *value > info->most) throw_out_of_range(*info, text);
  parameters.*std::get<std::optional<double> Parameters::*>(info->field) = *value;
}

json::object parameters_to_json(const Parameters& parameters) {
  json::object object;
  for (const ParameterInfo& info : kTable) {
    std::visit(
        [&](auto field) {
          if (parameters.*field) object[info.name] = *(parameters.*field);
        },
        info.field);
  }
  if (!parameters.stop.empty()) {
    json::array stops;
    for (const std::string& stop : parameters.stop) stops.emplace_back(stop);
    object["stop"] = std::move(stops);
  }
  return object;
}

Parameters parameters_from_json(const json::object& object) {
  Parameters parameters;
  for (const auto& [key, value] : object) {
    const std::string_view name(key.data(), key.size());
    if (name == "stop" && value.is_array()) {
      for (const json::value& stop : value.get_array()) {
        if (!stop.is_string()) {
          throw Error(ErrorCode::kInvalidArgument, "stop must be an array of strings");
        }
        add_stop(parameters, std::string_view(stop.get_string()));
      }
    } else if (value.is_number()) {
      set_parameter(parameters, name, json::serialize(value));
    } else {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("parameter '{}' has a wrong type", name));
    }
  }
  return parameters;
}

Parameters over(const Parameters& parameters, const Parameters& base) {
  Parameters merged = parameters;
  for (const ParameterInfo& info : kTable) {
    std::visit(
        [&](auto field) {
          if (!(merged.*field)) merged.*field = base.*field;
        },
        info.field);
  }
  if (merged.stop.empty()) merged.stop = base.stop;
  return merged;
}

void apply(const Parameters& parameters, GenerateOptions& options) {
  const auto assign = [](auto& target, const auto& source) {
    if (source) target = static_cast<std::remove_reference_t<decltype(target)>>(*source);
  };
  assign(options.sampling.temperature, parameters.temperature);
  assign(options.sampling.top_k, parameters.top_k);
  assign(options.sampling.top_p, parameters.top_p);
  assign(options.sampling.min_p, parameters.min_p);
  assign(options.sampling.typical_p, parameters.typical_p);
  assign(options.sampling.repeat_penalty, parameters.repeat_penalty);
  assign(options.sampling.presence_penalty, parameters.presence_penalty);
  assign(options.sampling.frequency_penalty, parameters.frequency_penalty);
  assign(options.sampling.repeat_last_n, parameters.repeat_last_n);
  assign(options.sampling.seed, parameters.seed);
  assign(options.max_tokens, parameters.max_tokens);
  assign(options.context_length, parameters.context_length);
  assign(options.keep_tokens, parameters.keep_tokens);
  if (!parameters.stop.empty()) options.stop = parameters.stop;
}

}  // namespace omg
