// SPDX-License-Identifier: Apache-2.0
//
// What a user may set about an answer. One table gives each number its name, flag, range and help:
// command-line flags, `/set parameter`, `/show parameters` and saved conversations all read it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "runtimes/answer.h"

namespace omg {

/// Absent values are left to the runtime's defaults.
struct Parameters {
  std::optional<int64_t> max_tokens;
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> typical_p;
  std::optional<double> repeat_penalty;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<int64_t> repeat_last_n;
  std::optional<int64_t> seed;
  std::optional<int64_t> context_length;  // GenerateOptions::context_length
  std::optional<int64_t> keep_tokens;
  std::vector<std::string> stop;
};

using ParameterField =
    std::variant<std::optional<int64_t> Parameters::*, std::optional<double> Parameters::*>;

struct ParameterInfo {
  std::string_view name;        // "top_k"; the flag is "--top-k"
  std::string_view other_name;  // as Ollama's Modelfile calls it, or ""
  ParameterField field;
  double least;
  double most;
  std::string_view help;
  bool has_flag = true;  // on the command line
};

/// All but `stop`, in the order in which they are listed.
std::span<const ParameterInfo> parameter_table();

/// Sets a parameter by name from text; "stop" adds a stop string. Error(kInvalidArgument) names the
/// parameter and its range.
void set_parameter(Parameters& parameters, std::string_view name, std::string_view text);

/// Those that are set: {"temperature": 0.7, …, "stop": ["…"]}.
json::object parameters_to_json(const Parameters& parameters);
/// The inverse. Error(kInvalidArgument) for a name, type or value that is wrong.
Parameters parameters_from_json(const json::object& object);

/// What is set in `parameters`, else in `base`. Stop strings are replaced if there are any.
Parameters over(const Parameters& parameters, const Parameters& base);

/// Those that are set.
void apply(const Parameters& parameters, GenerateOptions& options);

/// A finite decimal number that fills `text`; nothing if it is none.
std::optional<double> parse_number(std::string_view text);
std::optional<int64_t> parse_integer(std::string_view text);

}  // namespace omg
