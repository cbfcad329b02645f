// SPDX-License-Identifier: Apache-2.0
//
// Flags that several commands share, and checks of their values.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "clients/cli/model_client.h"
#include "clients/cli/parameters.h"
#include "clients/cli/terminal.h"
#include "engine/kernels/kv_type.h"

namespace omg::cli {

/// A whole number from `least` to `most`, for Option::check().
CLI::Validator whole_number(int64_t least, int64_t most);

/// MODEL, the first argument.
void add_model_argument(CLI::App& app, std::string& model);
/// The text that a command works on: one quoted argument, or the words of it. Taken apart by hand,
/// because CLI11 reads an argument like "[a, b]" for a list as a list.
class TextArgument {
 public:
  void define(CLI::App& app, const std::string& name, const std::string& help);
  CLI::Option* option() const { return option_; }
  bool is_given() const { return option_->count() > 0; }
  /// All words, with one space between. Error(kUsage) for what looks like an option.
  std::string text() const;

 private:
  CLI::App* app_ = nullptr;  // both outlive the command's run
  CLI::Option* option_ = nullptr;
  std::string first_;
};

/// --temperature and its like: everything in the table of parameters, and --stop.
void add_parameter_flags(CLI::App& app, Parameters& parameters);
/// --ctx, --threads and --kv-type.
void add_load_flags(CLI::App& app, LoadOptions& options);
/// --threads alone, and --kv-type alone.
void add_threads_flag(CLI::App& app, uint32_t& threads);
void add_kv_type_flag(CLI::App& app, std::string& kv_type);
/// The type of that name. Error(kUsage) names those there are.
KvType kv_type_named(std::string_view name);

/// --think [LEVEL]: "true" without a value.
CLI::Option* add_think_flag(CLI::App& app, std::string& thinking);

/// Opens the model, showing how far it is on a terminal. Ctrl-C meanwhile ends with
/// Error(kCancelled).
std::unique_ptr<ModelClient> open_with_progress(const std::string& model, LoadOptions options,
                                                Terminal& terminal);

}  // namespace omg::cli
