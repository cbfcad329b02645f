// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/options.h"

#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"

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

void add_model_argument(Arguments& arguments, std::string& model) {
  arguments.positional("MODEL", model, "Name of a model, or path of a .gguf file").required();
}

void add_parameter_flags(Arguments& arguments, Parameters& parameters) {
  for (const ParameterInfo& info : parameter_table()) {
    if (!info.has_flag) continue;
    const bool whole = std::holds_alternative<std::optional<int64_t> Parameters::*>(info.field);
    const auto set = [&parameters, name = info.name](const std::string& text) {
      set_parameter(parameters, name, text);
    };
    arguments.option(flag_of(info.name) + (whole ? " N" : " X"), set, std::string(info.help))
        .group("Sampling");
  }
  const auto add_stop = [&parameters](const std::string& text) {
    set_parameter(parameters, "stop", text);
  };
  arguments
      .option("--stop TEXT", add_stop,
              "End the answer before this text; may be given more than once")
      .repeatable()
      .group("Sampling");
}

void add_threads_flag(Arguments& arguments, uint32_t& threads) {
  arguments
      .number("-t,--threads N", threads, {1, 4096},
              "Threads to compute with; default: all usable ones")
      .group("Model");
}

void add_kv_type_flag(Arguments& arguments, std::string& kv_type) {
  std::vector<std::string> names;
  for (const auto& type : kKvTypes) names.emplace_back(type.name);
  arguments
      .choice("--kv-type TYPE", kv_type, names,
              "Numbers of the context cache: f16, q8_0 (half of its memory), q4_0 (a quarter; "
              "answers suffer) or f32")
      .shows_default()
      .group("Model");
}

KvType kv_type_named(std::string_view name) {
  if (const auto type = kv_type_from_name(name)) return *type;
  std::string names;
  for (const auto& type : kKvTypes)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
  throw Error(ErrorCode::kUsage,
              fmt::format("a cache of type '{}': there is none; take one of {}", name, names));
}

void add_load_flags(Arguments& arguments, LoadOptions& options) {
  arguments
      .number("--ctx N", options.context_length, {1, 1 << 30},
              "Tokens of context; default: the model's maximum, or what memory allows")
      .group("Model");
  arguments
      .option("--keep-alive TIME", options.keep_alive,
              "How long the daemon keeps the model after the answer: 10m, 0, -1 for ever")
      .group("Model");
  arguments
      .flag("--direct,--no-server", options.direct,
            "Load the model into this process; the daemon has no part in it")
      .group("Model");
  add_threads_flag(arguments, options.threads);
  add_kv_type_flag(arguments, options.kv_type);
}

Argument& add_think_flag(Arguments& arguments, std::string& thinking) {
  return arguments.flag(
      "--think[=LEVEL]", thinking, {"true", "false", "low", "medium", "high"},
      "Let the model think first: true, false, low, medium or high, where its chat template "
      "has such a switch");
}

namespace {

/// Files that are not of the store are this user's business, not the daemon's.
std::unique_ptr<ModelClient> open(const std::string& model, const LoadOptions& options,
                                  Terminal& terminal) {
  if (names_a_path(model) || runs_directly(options.direct)) {
    return open_model_here(model, options);
  }
  if (options.threads != 0 || options.kv_type != LoadOptions().kv_type) {
    throw Error(ErrorCode::kUsage,
                "--threads and --kv-type are for models that this command loads itself, with "
                "--direct; the daemon's: omg config set threads N");
  }
  return open_model_in_daemon(reach_daemon(terminal), model, options);
}

}  // namespace

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
  std::unique_ptr<ModelClient> client = open(model, options, terminal);
  terminal.status("");
  return client;
}

}  // namespace omg::cli
