// SPDX-License-Identifier: Apache-2.0
//
// What a command is to main(): a row in the table below, and an object that declares its flags and
// then runs. Only the command that was named is made, so starting costs the same however many there
// are.
#pragma once

#include <exception>
#include <memory>
#include <span>
#include <string_view>

#include "clients/cli/terminal.h"

namespace omg::cli {

class Arguments;

/// Thrown by a command whose output has said what is wrong: exit code 1, and nothing more is said.
class Failed : public std::exception {
 public:
  const char* what() const noexcept override { return "the command has failed"; }
};

class Command {
 public:
  virtual ~Command() = default;
  /// Binds flags and arguments to members.
  virtual void define(Arguments& arguments) = 0;
  /// Throws Error, Failed, OutputClosed or std::bad_alloc.
  virtual void run(Terminal& terminal) = 0;
};

struct CommandInfo {
  std::string_view name;
  std::string_view group;    // heading in the overview; "": not shown there
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
std::unique_ptr<Command> make_create_command();
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
std::unique_ptr<Command> make_doctor_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_perplexity_command();
std::unique_ptr<Command> make_quantize_command();
std::unique_ptr<Command> make_tokenize_command();
std::unique_ptr<Command> make_render_command();
std::unique_ptr<Command> make_logits_command();
std::unique_ptr<Command> make_ps_command();
std::unique_ptr<Command> make_stop_command();
std::unique_ptr<Command> make_logs_command();
std::unique_ptr<Command> make_serve_command();
std::unique_ptr<Command> make_status_command();
std::unique_ptr<Command> make_jobs_command();
std::unique_ptr<Command> make_events_command();
std::unique_ptr<Command> make_service_command();
std::unique_ptr<Command> make_config_command();
std::unique_ptr<Command> make_keys_command();
std::unique_ptr<Command> make_worker_command();

/// Runs `omg` with these arguments; returns the exit code. Never throws.
int run_command_line(int argc, char** argv);

}  // namespace omg::cli
