// SPDX-License-Identifier: Apache-2.0
//
// `omg run`: chat with a model, or one answer when there is a prompt.
#include <filesystem>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"
#include "clients/cli/answer.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/daemon_pull.h"
#include "clients/cli/local_model.h"
#include "clients/cli/options.h"
#include "clients/cli/pull_screen.h"
#include "clients/cli/repl.h"

namespace omg::cli {
namespace {

class RunCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    add_model_argument(arguments, model_);
    arguments.text("PROMPT", prompt_,
                   "What to ask. Piped standard input goes before it. With neither, a chat begins");
    arguments.option("--system TEXT", conversation_.system, "System message");
    arguments.option("--input-file FILE", input_file_, "A file that goes before the prompt");
    arguments.option("--history FILE", history_file_,
                     "Go on with the conversation in this file, and save it there");
    add_think_flag(arguments, thinking_);
    arguments.flag("--hide-thinking", settings_.hide_thinking, "Do not show what the model thinks");
    arguments.negated_flag("--no-stream", settings_.stream, "Show the answer when it is complete");
    arguments.negated_flag("--nowordwrap", settings_.wrap_words, "Do not break lines at words");
    arguments.flag("--verbose", settings_.verbose, "Show counts and speeds after the answer");
    add_parameter_flags(arguments, conversation_.parameters);
    add_load_flags(arguments, load_);
    arguments.footer(
        "When --ctx is given and the conversation outgrows it, the oldest turns are dropped, and\n"
        "that is said.\n"
        "Examples:\n"
        "  omg run model.gguf\n"
        "  omg run model.gguf \"Why is the sky blue?\" --temperature 0\n"
        "  git diff | omg run model.gguf \"Describe this change\"");
  }

  void run(Terminal& terminal) override {
    bring_model(terminal);  // before anybody is asked for a prompt
    const std::string prompt = read_prompt(terminal);
    load_history();
    settings_.cut_oldest = load_.context_length > 0;
    std::unique_ptr<ModelClient> client = open_with_progress(model_, load_, terminal);
    require_chat_template(*client);
    if (prompt.empty()) {
      Repl repl(std::move(client), {load_, conversation_, settings_, thinking_, history_file_},
                terminal);
      return repl.run();
    }
    if (!thinking_.empty()) {
      client->check_thinking(thinking_);
      settings_.thinking = thinking_;
    }
    conversation_.add("user", prompt);
    const Answer answer = answer_conversation(*client, conversation_, settings_, terminal);
    if (!terminal.out_is_tty()) terminal.out("\n");
    if (answer.cancelled) throw Error(ErrorCode::kCancelled, "interrupted");
    if (history_file_.empty()) return;
    conversation_.add_answer(answer.text, answer.reasoning);
    save_conversation(conversation_, model_, history_file_);
  }

 private:
  /// Where it will be loaded: the daemon may be on another machine, with a store of its own.
  void bring_model(Terminal& terminal) const {
    if (!names_a_path(model_) && !runs_directly(load_.direct)) {
      return bring_to_daemon(reach_daemon(terminal), model_, terminal);
    }
    pull_if_missing(model_, terminal);
    find_local_model(model_);
  }

  /// Standard input or a file, then the words of the command line. Empty: begin a chat.
  std::string read_prompt(Terminal& terminal) const {
    std::string before;
    if (!input_file_.empty()) {
      before = read_text_file(input_file_);
    } else if (!terminal.in_is_tty()) {
      wait_for_input(terminal);
      before = read_standard_input();
    }
    const std::string words = prompt_.value_or("");
    if (!before.empty() && !words.empty() && before.back() != '\n') before += '\n';
    std::string prompt = before + words;
    const bool can_chat = terminal.in_is_tty() && terminal.out_is_tty() && input_file_.empty();
    if (prompt.find_first_not_of(" \t\r\n") != std::string::npos) return prompt;
    if (can_chat && words.empty()) return "";
    throw Error(ErrorCode::kUsage,
                "there is no prompt: give one as an argument or on standard input");
  }

  /// Says what the program waits for when nothing comes: whoever started it may have left standard
  /// input open by mistake.
  static void wait_for_input(Terminal& terminal) {
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, 3000) == 0) {
      terminal.note("waiting for standard input to end; use '< /dev/null' if there is none");
    }
  }

  void load_history() {
    if (history_file_.empty() || !std::filesystem::exists(history_file_)) return;
    Conversation loaded = load_conversation(history_file_);
    if (conversation_.system.empty()) conversation_.system = loaded.system;
    conversation_.messages = std::move(loaded.messages);
  }

  std::string model_;
  std::optional<std::string> prompt_;
  std::string input_file_;
  std::string history_file_;
  std::string thinking_;
  Conversation conversation_;
  AnswerSettings settings_;
  LoadOptions load_;
};

}  // namespace

std::unique_ptr<Command> make_run_command() {
  return std::make_unique<RunCommand>();
}

}  // namespace omg::cli
