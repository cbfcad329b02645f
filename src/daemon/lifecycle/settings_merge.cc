// SPDX-License-Identifier: Apache-2.0
#include "daemon/lifecycle/settings_merge.h"

#include <cmath>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"

namespace omg {
namespace {

/// A number as set_parameter() takes it: whole ones without exponent or fraction, though Ollama's
/// files may have 4096.0.
std::string number_text(const json::value& value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value.is_double()) {
    const double number = value.get_double();
    if (std::trunc(number) == number && std::abs(number) <= kExact) {
      return std::to_string(static_cast<int64_t>(number));
    }
  }
  return json::serialize(value);
}

/// Error(kInvalidArgument) where the value cannot be taken.
void set_from_json(Parameters& parameters, std::string_view name, const json::value& value) {
  if (value.is_number()) return set_parameter(parameters, name, number_text(value));
  if (value.is_string()) {
    return set_parameter(parameters, name, std::string_view(value.get_string()));
  }
  if (name == "stop" && value.is_array()) {
    for (const json::value& stop : value.get_array()) {
      if (!stop.is_string()) break;
      set_parameter(parameters, name, std::string_view(stop.get_string()));
    }
    return;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{} has a wrong type", name));
}

Parameters parameters_of(const ModelSettings& settings, std::vector<std::string>& warnings) {
  Parameters parameters;
  for (const auto& [key, value] : settings.parameters) {
    const std::string_view name(key.data(), key.size());
    try {
      set_from_json(parameters, name, value);
    } catch (const Error& error) {
      warnings.push_back(
          fmt::format("the model's own setting of '{}' has no effect: {}", name, error.what()));
    }
  }
  return parameters;
}

json::object message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

bool is_system(const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* role = object ? object->if_contains("role") : nullptr;
  return role && role->is_string() &&
         (role->get_string() == "system" || role->get_string() == "developer");
}

/// There is one system message at the beginning: who comes later in this function does not matter
/// once there is one.
void complete_messages(const ModelSettings& settings, const std::optional<std::string>& system,
                       json::array& messages) {
  json::array all;
  auto rest = messages.begin();
  bool has_system = true;
  if (rest != messages.end() && is_system(*rest)) {
    all.push_back(std::move(*rest++));
  } else if (const auto& text = system ? system : settings.system) {
    if (!text->empty()) all.push_back(message("system", *text));
  } else {
    has_system = false;
  }
  for (const ModelMessage& shown : settings.messages) {
    const bool leads = &shown == &settings.messages.front() && shown.role == "system";
    if (!leads || !has_system) all.push_back(message(shown.role, shown.content));
  }
  for (; rest != messages.end(); ++rest) all.push_back(std::move(*rest));
  messages = std::move(all);
}

/// The limits of a sequence become those that the run has.
void limit_context(GenerateOptions& options, uint32_t run_context,
                   std::vector<std::string>& warnings) {
  if (options.context_length > run_context) {
    warnings.push_back(
        fmt::format("a context of {} tokens was asked for and {} are given: more was not possible "
                    "when the model was loaded",
                    options.context_length, run_context));
    options.context_length = run_context;
  }
  if (!options.shift_context) return;
  // An answer that forgets its beginning never fills its context, and would never end.
  const int64_t context = options.context_length > 0 ? options.context_length : run_context;
  const int64_t most = std::min<int64_t>(10 * context, INT32_MAX);
  if (options.max_tokens < 0 || options.max_tokens > most) {
    options.max_tokens = static_cast<int32_t>(most);
  }
}

}  // namespace

MergedCall merge_settings(const ModelSettings& settings, ModelCall call, uint32_t run_context) {
  MergedCall merged;
  AnswerRequest& request = merged.request;
  const Parameters parameters = over(call.parameters, parameters_of(settings, merged.warnings));
  apply(parameters, request.options);
  request.options.sampling.logit_bias = std::move(call.logit_bias);
  request.options.sampling.top_logprobs = call.top_logprobs;
  request.options.format = std::move(call.format);
  request.options.cut_prompt = call.cut_prompt;
  request.options.shift_context = call.shift_context;
  request.options.return_tokens = call.return_tokens;
  limit_context(request.options, run_context, merged.warnings);
  request.context = std::move(call.context);
  request.prompt = std::move(call.prompt);
  if (auto* chat = std::get_if<ChatPrompt>(&request.prompt)) {
    complete_messages(settings, call.system, chat->messages);
  }
  return merged;
}

std::string template_of(const ModelSettings& settings) {
  if (!settings.chat_template || settings.template_syntax == "go") return "";
  return *settings.chat_template;
}

}  // namespace omg
