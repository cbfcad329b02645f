// SPDX-License-Identifier: Apache-2.0
//
// The table of commands, the overview, and the way from argv to an exit code.
#include <array>
#include <fmt/format.h>
#include <new>

#include "base/error.h"
#include "base/near_names.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/welcome.h"
#include "clients/sdk/daemon_client.h"
#include "net/http_client.h"

namespace omg::cli {
namespace {

constexpr std::array<CommandInfo, 35> kCommands = {{
    {"run", "Talk to a model", "Chat with a model, or get one answer (also: chat)",
     make_run_command},
    {"generate", "Talk to a model", "Continue a text", make_generate_command},
    {"ps", "Serve models", "What is loaded", make_ps_command},
    {"stop", "Serve models", "Unload models", make_stop_command},
    {"serve", "Serve models", "The daemon: answers clients of Ollama and OpenAI",
     make_serve_command},
    {"status", "Serve models", "Whether the daemon runs, and what it does", make_status_command},
    {"logs", "Serve models", "What a loaded model's process has written", make_logs_command},
    {"jobs", "Serve models", "Pulls and other long work of the daemon", make_jobs_command},
    {"events", "Serve models", "What happens in the daemon, as it happens", make_events_command},
    {"pull", "Find models", "Bring a model here", make_pull_command},
    {"push", "Find models", "Send a model to a registry", make_push_command},
    {"search", "Find models", "Look for models on Hugging Face", make_search_command},
    {"catalog", "Find models", "List short names of models", make_catalog_command},
    {"models", "Keep models", "List the models here (also: list, ls)", make_models_command},
    {"show", "Keep models", "What a model is", make_show_command},
    {"cp", "Keep models", "Give a model another name", make_cp_command},
    {"rm", "Keep models", "Delete models", make_rm_command},
    {"create", "Keep models", "Make a model of another, or of files", make_create_command},
    {"import", "Keep models", "Use models that are on this machine already", make_import_command},
    {"export", "Keep models", "Write models into one file", make_export_command},
    {"verify", "Keep models", "Check the files of models", make_verify_command},
    {"gc", "Keep models", "Delete files that no model needs", make_gc_command},
    {"cache", "Keep models", "What models take on the disk and in memory", make_cache_command},
    {"config", "Set up", "What is configured, and changing it", make_config_command},
    {"keys", "Set up", "Who may ask the daemon from elsewhere", make_keys_command},
    {"service", "Set up", "Have the daemon start with the machine", make_service_command},
    {"info", "Look at this machine", "What this machine can run models with", make_info_command},
    {"doctor", "Look at this machine", "Find what is wrong here, and how to mend it",
     make_doctor_command},
    {"bench", "Look at this machine", "Measure the speed of a model here", make_bench_command},
    {"perplexity", "Look at this machine", "Measure how well a model predicts a text",
     make_perplexity_command},
    {"quantize", "Work with model files", "Make a model file smaller", make_quantize_command},
    {"tokenize", "Work with model files", "Show the tokens of a text", make_tokenize_command},
    {"render", "Work with model files", "Render a chat template", make_render_command},
    {"logits", "Work with model files", "Print what the model computes for given tokens",
     make_logits_command},
    {"worker", "", "Serve one model to the daemon", make_worker_command},
}};

/// Other names of commands, as people know them from other tools.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOtherNames = {
    {{"list", "models"}, {"ls", "models"}, {"copy", "cp"}, {"remove", "rm"}, {"chat", "run"}}};

const CommandInfo* find_command(std::string_view name) {
  for (const auto& [other, command] : kOtherNames) {
    if (name == other) name = command;
  }
  for (const CommandInfo& info : kCommands) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

[[noreturn]] void throw_unknown_command(std::string_view name) {
  std::string message = fmt::format("there is no command '{}'", printable(name.substr(0, 100)));
  std::vector<std::string> names;
  for (const CommandInfo& info : kCommands) {
    if (!info.group.empty()) names.emplace_back(info.name);
  }
  const auto near = near_names(name, names, 1);
  if (!near.empty()) message += fmt::format(": did you mean 'omg {}'?", near.front());
  throw Error(ErrorCode::kUsage, message + "; 'omg --help' lists all commands");
}

std::string overview(const Terminal& terminal) {
  std::string text = terminal.styled(Style::kBold, "OhMyGPU") + " " OMG_VERSION +
                     " runs language models on this machine.\n\n" +
                     terminal.styled(Style::kBold, "Usage") +
                     "\n  omg COMMAND [OPTIONS] [ARGUMENTS]\n";
  std::string_view group;
  for (const CommandInfo& info : kCommands) {
    if (info.group.empty()) continue;
    if (info.group != group) {
      group = info.group;
      text += "\n" + terminal.styled(Style::kBold, group) + "\n";
    }
    text += fmt::format("  {:<11} {}\n", info.name, info.summary);
  }
  text += "\n" + terminal.styled(Style::kBold, "Try") +
          "\n  omg run llama3.2:1b \"Why is the sky blue?\"\n"
          "  omg run model.gguf                  chat; /bye leaves\n"
          "  omg help COMMAND                    all options of a command\n";
  return text;
}

Arguments arguments_of(const CommandInfo& info, Command& command) {
  Arguments arguments("omg " + std::string(info.name), std::string(info.summary));
  command.define(arguments);
  return arguments;
}

void run_one(const CommandInfo& info, int argc, char** argv, Terminal& terminal) {
  const std::unique_ptr<Command> command = info.make();
  Arguments arguments = arguments_of(info, *command);
  if (!arguments.parse({argv, argv + argc})) return terminal.out(arguments.help());
  command->run(terminal);
}

void dispatch(int argc, char** argv, Terminal& terminal) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (argc <= 1) return welcome(terminal);
  if (first == "--help" || first == "-h") return terminal.out(overview(terminal));
  if (first == "--version" || first == "-v" || first == "version") {
    return terminal.out("ohmygpu version " OMG_VERSION "\n");
  }
  if (first == "help") {
    if (argc == 2) return terminal.out(overview(terminal));
    const CommandInfo* info = find_command(argv[2]);
    if (info == nullptr) throw_unknown_command(argv[2]);
    const std::unique_ptr<Command> command = info->make();
    return terminal.out(arguments_of(*info, *command).help());
  }
  const CommandInfo* info = find_command(first);
  if (info == nullptr) throw_unknown_command(first);
  run_one(*info, argc - 2, argv + 2, terminal);
}

}  // namespace

std::span<const CommandInfo> command_table() {
  return kCommands;
}

int run_command_line(int argc, char** argv) {
  Terminal terminal;
  const auto fail = [&](std::string_view message, int code) {
    terminal.note("Error: " + std::string(message));
    return code;
  };
  try {
    dispatch(argc, argv, terminal);
    return 0;
  } catch (const OutputClosed&) {
    return 1;
  } catch (const Failed&) {
    return 1;
  } catch (const DaemonUnreachable& error) {
    return fail(error.what(), exit_code(error.code()));
  } catch (const Error& error) {
    // An interrupted command says so by its exit code; the person who pressed the key knows.
    if (error.code() == ErrorCode::kCancelled) {
      terminal.status("");
      return exit_code(error.code());
    }
    // 4 is for a daemon of ours that cannot be reached.
    return fail(error.what(),
                error.code() == ErrorCode::kUnavailable ? 1 : exit_code(error.code()));
  } catch (const std::bad_alloc&) {
    return fail("out of memory: the system refused more; try a smaller model or --ctx",
                exit_code(ErrorCode::kOutOfMemory));
  } catch (const std::exception& error) {
    return fail(fmt::format("internal error: {}; this is a bug, please report it", error.what()),
                exit_code(ErrorCode::kInternal));
  }
}

}  // namespace omg::cli
