// SPDX-License-Identifier: Apache-2.0
//
// Flags that several commands share.
#pragma once

#include <string>

#include "clients/cli/model_client.h"
#include "clients/cli/terminal.h"
#include "engine/kernels/kv_type.h"
#include "runtimes/parameters.h"

namespace omg::cli {

class Argument;
class Arguments;

/// MODEL, the first argument.
void add_model_argument(Arguments& arguments, std::string& model);
/// --temperature and its like: everything in the table of parameters, and --stop.
void add_parameter_flags(Arguments& arguments, Parameters& parameters);
/// --ctx, --threads and --kv-type.
void add_load_flags(Arguments& arguments, LoadOptions& options);
/// --threads alone, and --kv-type alone.
void add_threads_flag(Arguments& arguments, uint32_t& threads);
void add_kv_type_flag(Arguments& arguments, std::string& kv_type);
/// The type of that name. Error(kUsage) names those there are.
KvType kv_type_named(std::string_view name);

/// --think [LEVEL]: "true" without a value.
Argument& add_think_flag(Arguments& arguments, std::string& thinking);

/// Opens the model, showing how far it is on a terminal. Ctrl-C meanwhile ends with
/// Error(kCancelled).
std::unique_ptr<ModelClient> open_with_progress(const std::string& model, LoadOptions options,
                                                Terminal& terminal);

}  // namespace omg::cli
