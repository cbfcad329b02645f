// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/options.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/interrupt.h"

namespace omg::cli {
namespace {

std::string flag_of(std::string_view parameter) {
  std::string flag = "--" + std::string(parameter);
  for (char& c : flag) {
    if (c == '_') c = '-';
  }
  return flag;
}

}  // namespace

CLI::Validator whole_number(int64_t least, int64_t most) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        const auto value = parse_integer(text);
        if (value && *value >= least && *value <= most) return "";
        return fmt::format("'{}' is not a whole number from {} to {}", text, least, most);
      },
      "", "");
}

void add_model_argument(CLI::App& app, std::string& model) {
  app.add_option("MODEL", model, "Name of a model, or path of a .gguf file")->required();
}

void TextArgument::define(CLI::App& app, const std::string& name, const std::string& help) {
  app_ = &app;
  app.allow_extras();
  option_ = app.add_option(name, first_, help);
}

std::string TextArgument::text() const {
  std::string text = first_;
  bool all_words = false;  // behind "--" nothing is an option
  for (const std::string& word : app_->remaining()) {
    if (!all_words && word == "--") {
      all_words = true;
      continue;
    }
    if (!all_words && word.starts_with("-")) {
      throw Error(ErrorCode::kUsage, "the option " + word + " is not known; see '" +
                                         app_->get_name() +
                                         " --help', and put '--' before a text like this");
    }
    text += ' ' + word;
  }
  return text;
}

void add_parameter_flags(CLI::App& app, Parameters& parameters) {
  for (const ParameterInfo& info : parameter_table()) {
    const bool whole = std::holds_alternative<std::optional<int64_t> Parameters::*>(info.field);
    app.add_option_function<std::string>(
           flag_of(info.name),
           [&parameters, name = info.name](const std::string& text) {
             set_parameter(parameters, name, text);
           },
           std::string(info.help))
        ->option_text(whole ? "N" : "X")
        ->group("Sampling");
  }
  app.add_option_function<std::vector<std::string>>(
         "--stop",
         [&parameters](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) set_parameter(parameters, "stop", text);
         },
         "End the answer before this text; may be given more than once")
      ->allow_extra_args(false)
      ->option_text("TEXT")
      ->group("Sampling");
}

void add_threads_flag(CLI::App& app, uint32_t& threads) {
  app.add_option("-t,--threads", threads, "Threads to compute with; default: all usable ones")
      ->check(whole_number(1, 4096))
      ->option_text("N")
      ->group("Model");
}

void add_kv_type_flag(CLI::App& app, std::string& kv_type) {
  std::vector<std::string> names;
  for (const auto& type : kKvTypes) names.emplace_back(type.name);
  app.add_option("--kv-type", kv_type,
                 "Numbers of the context cache: f16, q8_0 (half of its memory), q4_0 (a quarter; "
                 "answers suffer) or f32")
      ->check(CLI::IsMember(names))
      ->option_text("TYPE")
      ->capture_default_str()
      ->group("Model");
}

KvType kv_type_named(std::string_view name) {
  if (const auto type = kv_type_from_name(name)) return *type;
  std::string names;
  for (const auto& type : kKvTypes)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
  throw Error(ErrorCode::kUsage,
              fmt::format("a cache of type '{}': there is none; take one of {}", name, names));
}

void add_load_flags(CLI::App& app, LoadOptions& options) {
  app.add_option("--ctx", options.context_length,
                 "Tokens of context; default: the model's maximum, or what memory allows")
      ->check(whole_number(1, 1 << 30))
      ->option_text("N")
      ->group("Model");
  add_threads_flag(app, options.threads);
  add_kv_type_flag(app, options.kv_type);
}

CLI::Option* add_think_flag(CLI::App& app, std::string& thinking) {
  return app
      .add_flag(
          "--think{true}", thinking,
          "Let the model think first: true, false, low, medium or high, where its chat template "
          "has such a switch")
      ->option_text("[=LEVEL]")
      ->check(CLI::IsMember({"true", "false", "low", "medium", "high"}));
}

std::unique_ptr<ModelClient> open_with_progress(const std::string& model, LoadOptions options,
                                                Terminal& terminal) {
  CancellationToken cancellation;
  const InterruptGuard guard(cancellation, /*second_kills=*/true);
  int shown = -1;
  options.on_progress = [&](float share) {
    cancellation.throw_if_cancelled();
    const int percent = static_cast<int>(share * 100);
    if (percent == shown) return;
    shown = percent;
    terminal.status(fmt::format("loading {} {} %", model, percent));
  };
  std::unique_ptr<ModelClient> client = open_model_here(model, options);
  terminal.status("");
  return client;
}

}  // namespace omg::cli
