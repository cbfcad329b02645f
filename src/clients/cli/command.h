// SPDX-License-Identifier: Apache-2.0
//
// What a command is to main(): a row in the table below, and an object that declares its flags and
// then runs. Only the command that was named is made, so starting costs the same however many there
// are.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "clients/cli/terminal.h"

namespace CLI {
class App;
}

namespace omg::cli {

class Command {
 public:
  virtual ~Command() = default;
  /// Binds flags and arguments to members. `app` lives until run() has returned.
  virtual void define(CLI::App& app) = 0;
  /// Throws Error, OutputClosed or std::bad_alloc.
  virtual void run(Terminal& terminal) = 0;
};

struct CommandInfo {
  std::string_view name;
  std::string_view group;    // heading in the overview
  std::string_view summary;  // one line, no full stop
  std::unique_ptr<Command> (*make)();
};

/// In the order of the overview, groups together.
std::span<const CommandInfo> command_table();

std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_generate_command();
std::unique_ptr<Command> make_pull_command();
std::unique_ptr<Command> make_push_command();
std::unique_ptr<Command> make_search_command();
std::unique_ptr<Command> make_catalog_command();
std::unique_ptr<Command> make_cache_command();
std::unique_ptr<Command> make_models_command();
std::unique_ptr<Command> make_show_command();
std::unique_ptr<Command> make_cp_command();
std::unique_ptr<Command> make_rm_command();
std::unique_ptr<Command> make_import_command();
std::unique_ptr<Command> make_export_command();
std::unique_ptr<Command> make_verify_command();
std::unique_ptr<Command> make_gc_command();
std::unique_ptr<Command> make_info_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_perplexity_command();
std::unique_ptr<Command> make_quantize_command();
std::unique_ptr<Command> make_tokenize_command();
std::unique_ptr<Command> make_render_command();
std::unique_ptr<Command> make_logits_command();

/// Runs `omg` with these arguments; returns the exit code. Never throws.
int run_command_line(int argc, char** argv);

}  // namespace omg::cli
