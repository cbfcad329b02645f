// SPDX-License-Identifier: Apache-2.0
#include "daemon/ollama/go_fields.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "daemon/ollama/go_text.h"
#include "daemon/requests/json_fields.h"
#include "daemon/requests/keep_alive.h"
#include "net/http_headers.h"
#include "net/server/request.h"

namespace omg::ollama {
namespace {

constexpr size_t kMaxUnknownNamed = 16;   // of a request's fields
constexpr double kIntegerLimit = 9.2e18;  // of what fits int64_t

std::string_view text_of(const json::value& value) {
  return std::string_view(value.get_string().data(), value.get_string().size());
}

/// How Go's decoder calls a value.
std::string_view kind_of(const json::value& value) {
  if (value.is_string()) return "string";
  if (value.is_bool()) return "bool";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  return "number";
}

/// Options that Ollama has. Those without a meaning here are checked for their type all the same.
struct Option {
  enum class Kind { kInteger, kFloat, kBoolean, kTexts };
  std::string_view name;
  Kind kind;
  bool has_effect;
};
using Kind = Option::Kind;
constexpr std::array<Option, 20> kOptions = {{
    {"num_keep", Kind::kInteger, true},
    {"seed", Kind::kInteger, true},
    {"num_predict", Kind::kInteger, true},
    {"top_k", Kind::kInteger, true},
    {"top_p", Kind::kFloat, true},
    {"min_p", Kind::kFloat, true},
    {"typical_p", Kind::kFloat, true},
    {"repeat_last_n", Kind::kInteger, true},
    {"temperature", Kind::kFloat, true},
    {"repeat_penalty", Kind::kFloat, true},
    {"presence_penalty", Kind::kFloat, true},
    {"frequency_penalty", Kind::kFloat, true},
    {"stop", Kind::kTexts, true},
    {"num_ctx", Kind::kInteger, true},
    {"num_batch", Kind::kInteger, false},
    {"num_gpu", Kind::kInteger, false},
    {"main_gpu", Kind::kInteger, false},
    {"use_mmap", Kind::kBoolean, false},
    {"num_thread", Kind::kInteger, false},
    {"draft_num_predict", Kind::kInteger, false},
}};

[[noreturn]] void wrong_option(const Option& option, std::string_view wanted) {
  throw HttpRefusal(500, fmt::format("option \"{}\" must be {}", option.name, wanted));
}

void check_type(const Option& option, const json::value& value) {
  switch (option.kind) {
    case Kind::kInteger:
      if (!value.is_number()) wrong_option(option, "of type integer");
      return;
    case Kind::kFloat:
      if (!value.is_number()) wrong_option(option, "of type float32");
      return;
    case Kind::kBoolean:
      if (!value.is_bool()) wrong_option(option, "of type boolean");
      return;
    case Kind::kTexts:
      if (!value.is_array()) wrong_option(option, "of type array");
      for (const json::value& entry : value.get_array()) {
        if (!entry.is_string()) wrong_option(option, "of an array of strings");
      }
      return;
  }
}

[[noreturn]] void out_of_range(const Option& option, std::string_view range) {
  throw HttpRefusal(
      400, fmt::format("option \"{}\" is out of range: it must be {}", option.name, range));
}

void set_stops(const Option& option, const json::array& stops, Parameters& parameters) {
  if (stops.size() > kMaxStops) {
    out_of_range(option, fmt::format("an array of at most {} strings", kMaxStops));
  }
  parameters.stop.clear();
  for (const json::value& stop : stops) {
    if (stop.get_string().empty()) continue;  // never met, in Ollama too
    if (stop.get_string().size() > kMaxStopBytes) {
      out_of_range(option, fmt::format("of strings of at most {} bytes", kMaxStopBytes));
    }
    parameters.stop.emplace_back(text_of(stop));
  }
}

const ParameterInfo& info_of(std::string_view name) {
  const auto table = parameter_table();
  return *std::find_if(table.begin(), table.end(), [&](const ParameterInfo& info) {
    return info.name == name || info.other_name == name;
  });
}

/// What means "off" or "without end" by a negative number in Ollama has one spelling here.
double normal_value(std::string_view name, double value) {
  if (name == "top_k") return std::max(value, 0.0);
  if (name == "num_predict") return std::max(value, -1.0);
  return value;
}

void set_number(const Option& option, const json::value& value, Parameters& parameters) {
  const ParameterInfo& info = info_of(option.name);
  if (const auto* field = std::get_if<std::optional<int64_t> Parameters::*>(&info.field)) {
    if (value.is_int64() && option.name == "seed") {
      parameters.*(*field) = value.get_int64();
      return;
    }
    const double number = normal_value(option.name, std::trunc(value.to_number<double>()));
    const bool is_seed = option.name == "seed";  // any will do: those below 0 are random
    const double least = is_seed ? -kIntegerLimit : info.least;
    const double most = is_seed ? kIntegerLimit : info.most;
    if (!(number >= least && number <= most)) {
      out_of_range(option, fmt::format("a whole number from {:.0f} to {:.0f}", least, most));
    }
    parameters.*(*field) = static_cast<int64_t>(number);
    return;
  }
  const double number = value.to_number<double>();
  if (!(number >= info.least && number <= info.most)) {
    out_of_range(option, fmt::format("a number from {} to {}", info.least, info.most));
  }
  parameters.*std::get<std::optional<double> Parameters::*>(info.field) = number;
}

/// What is wrong with a duration, in Go's words.
std::string duration_problem(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  const size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
  const std::string quoted = go_quoted(text);
  if (digits == 0) return "time: invalid duration " + quoted;
  if (digits == rest.size()) return "time: missing unit in duration " + quoted;
  const std::string_view unit = rest.substr(digits);
  const size_t length = std::min(unit.find_first_of("0123456789."), unit.size());
  for (const std::string_view known : {"ns", "us", "\u00b5s", "\u03bcs", "ms", "s", "m", "h"}) {
    if (unit.substr(0, length) == known) return "time: invalid duration " + quoted;
  }
  return fmt::format("time: unknown unit {} in duration {}", go_quoted(unit.substr(0, length)),
                     quoted);
}

}  // namespace

json::object parse_go_body(std::string_view body, std::string_view type) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw HttpRefusal(400, "missing request body");
  }
  json::value value;
  try {
    value = parse_json(body, "the request body");
  } catch (const Error& error) {
    const std::string_view why = error.what();
    const bool cut = why.find("incomplete") != std::string_view::npos;
    throw HttpRefusal(400, cut ? "unexpected EOF" : std::string(why));
  }
  if (value.is_null()) return {};
  if (!value.is_object()) {
    throw HttpRefusal(400, fmt::format("json: cannot unmarshal {} into Go value of type api.{}",
                                       kind_of(value), type));
  }
  return std::move(value.get_object());
}

const json::value* GoFields::find(std::string_view name) const {
  const json::value* found = nullptr;
  for (const auto& [key, value] : *object_) {
    if (!value.is_null() && equal_without_case(std::string_view(key.data(), key.size()), name)) {
      found = &value;  // the last one counts
    }
  }
  return found;
}

void GoFields::wrong_type(std::string_view name, const json::value& value,
                          std::string_view wanted) const {
  throw HttpRefusal(400,
                    fmt::format("json: cannot unmarshal {} into Go struct field {}.{} of type {}",
                                kind_of(value), type_, name, wanted));
}

std::string GoFields::text(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return "";
  if (!value->is_string()) wrong_type(name, *value, "string");
  return std::string(text_of(*value));
}

std::optional<bool> GoFields::boolean(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) wrong_type(name, *value, "bool");
  return value->get_bool();
}

int64_t GoFields::integer(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return 0;
  if (value->is_int64()) return value->get_int64();
  wrong_type(name, *value, "int");
}

const json::array* GoFields::array(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) wrong_type(name, *value, "[]interface {}");
  return &value->get_array();
}

const json::object* GoFields::object(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) wrong_type(name, *value, "map[string]interface {}");
  return &value->get_object();
}

std::vector<std::string> GoFields::texts(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {std::string(text_of(*value))};
  if (!value->is_array()) wrong_type(name, *value, "[]string");
  std::vector<std::string> texts;
  for (const json::value& entry : value->get_array()) {
    if (!entry.is_string()) wrong_type(name, entry, "string");
    texts.emplace_back(text_of(entry));
  }
  return texts;
}

std::vector<std::string> GoFields::unknown(std::span<const std::string_view> known) const {
  std::vector<std::string> sentences;
  for (const auto& [key, value] : *object_) {
    const std::string_view name(key.data(), key.size());
    const bool is_known = std::any_of(known.begin(), known.end(), [&](std::string_view each) {
      return equal_without_case(name, each);
    });
    if (is_known || value.is_null()) continue;
    if (sentences.size() == kMaxUnknownNamed) {
      sentences.emplace_back("further fields are not known here and had no effect");
      break;
    }
    const bool is_option = std::any_of(kOptions.begin(), kOptions.end(),
                                       [&](const Option& row) { return row.name == name; });
    sentences.push_back(fmt::format("{} is not known here and had no effect{}",
                                    go_quoted(shortened(name)),
                                    is_option ? ": it is one of the options" : ""));
  }
  return sentences;
}

std::string model_field(const GoFields& fields) {
  const std::string model = fields.text("model");
  return model.empty() ? fields.text("name") : model;
}

ParsedOptions parse_options(const GoFields& fields) {
  ParsedOptions parsed;
  const json::object* options = fields.object("options");
  if (options == nullptr) return parsed;
  for (const auto& [key, value] : *options) {
    const std::string_view name(key.data(), key.size());
    const auto* option = std::find_if(kOptions.begin(), kOptions.end(),
                                      [&](const Option& row) { return row.name == name; });
    if (option == kOptions.end()) {
      parsed.warnings.push_back(
          fmt::format("option {} is not known here and had no effect", go_quoted(name)));
      continue;
    }
    if (value.is_null()) continue;
    check_type(*option, value);
    if (!option->has_effect) {
      parsed.warnings.push_back(
          fmt::format("option {} had no effect: how a model is loaded is planned by the server",
                      go_quoted(name)));
    } else if (option->kind == Kind::kTexts) {
      set_stops(*option, value.get_array(), parsed.parameters);
    } else {
      set_number(*option, value, parsed.parameters);
    }
  }
  return parsed;
}

std::optional<KeepAlive> parse_keep_alive(const GoFields& fields) {
  const json::value* value = fields.find("keep_alive");
  if (value == nullptr) return std::nullopt;
  std::optional<KeepAlive> parsed;
  if (value->is_number()) {
    parsed = keep_alive_of(*value);
  } else if (value->is_string()) {
    parsed = parse_duration(text_of(*value));
    if (!parsed) throw HttpRefusal(400, duration_problem(text_of(*value)));
  } else {
    throw HttpRefusal(400, fmt::format("Unsupported type: '{}'", value->is_bool() ? "bool"
                                                                 : value->is_array()
                                                                     ? "[]interface {}"
                                                                     : "map[string]interface {}"));
  }
  if (!parsed) throw HttpRefusal(400, "keep_alive is no number of seconds and no duration");
  // What is cut to nothing, being less than a millisecond, is still no 0, which unloads.
  const bool is_number = value->is_number();
  const bool is_zero = is_number
                           ? value->to_number<double>() == 0
                           : text_of(*value).find_first_of("123456789") == text_of(*value).npos;
  const bool is_negative =
      is_number ? value->to_number<double>() < 0 : text_of(*value).starts_with('-');
  if (is_zero) return KeepAlive(0);
  return is_negative ? KeepAlive(-1) : std::max(*parsed, KeepAlive(1));
}

AnswerFormat parse_format(const GoFields& fields) {
  AnswerFormat format;
  const json::value* value = fields.find("format");
  if (value == nullptr || (value->is_string() && value->get_string().empty())) return format;
  if (value->is_string() && value->get_string() == "json") {
    format.kind = AnswerFormat::Kind::kJsonObject;
  } else if (value->is_object()) {
    format.kind = AnswerFormat::Kind::kJsonSchema;
    format.schema = *value;
  } else {
    std::string written;
    append_go_json(written, *value);
    throw HttpRefusal(400, fmt::format("invalid format: {}; expected \"json\" or a valid JSON "
                                       "Schema object",
                                       go_quoted(written)));
  }
  return format;
}

std::optional<std::string> parse_think(const GoFields& fields) {
  const json::value* value = fields.find("think");
  if (value == nullptr) return std::nullopt;
  if (value->is_bool()) return value->get_bool() ? "true" : "false";
  constexpr std::string_view kChoices = "\"high\", \"medium\", \"low\", \"max\", true, or false";
  if (!value->is_string()) {
    throw HttpRefusal(400, fmt::format("think must be a boolean or string ({})", kChoices));
  }
  const std::string_view level = text_of(*value);
  if (level == "max") return "high";  // templates know no more
  if (level == "high" || level == "medium" || level == "low") return std::string(level);
  throw HttpRefusal(
      400, fmt::format("invalid think value: {} (must be {})", go_quoted(level), kChoices));
}

int32_t parse_logprobs(const GoFields& fields, std::vector<std::string>& warnings) {
  const int64_t top = fields.integer("top_logprobs");
  if (top < 0 || top > 20) {
    throw HttpRefusal(400, "top_logprobs must be between 0 and 20");
  }
  if (fields.boolean("logprobs").value_or(false)) return static_cast<int32_t>(top);
  if (top > 0) warnings.emplace_back("top_logprobs had no effect: logprobs was not set");
  return -1;
}

}  // namespace omg::ollama
