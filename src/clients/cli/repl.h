// SPDX-License-Identifier: Apache-2.0
//
// The conversation at a terminal: `omg run MODEL` without a prompt.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "clients/cli/answer.h"
#include "clients/cli/conversation.h"
#include "clients/cli/line_reader.h"
#include "clients/cli/model_client.h"
#include "clients/cli/terminal.h"

namespace omg::cli {

struct ReplOptions {
  LoadOptions load;  // for /model
  Conversation conversation;
  AnswerSettings settings;
  std::string thinking;      // as --think gave it, or ""
  std::string history_file;  // the conversation is saved there after each answer; "" for nowhere
};

class Repl {
 public:
  Repl(std::unique_ptr<ModelClient> client, ReplOptions options, Terminal& terminal);
  /// Until /bye or Ctrl-D.
  void run();

 private:
  using Handler = void (Repl::*)(std::string_view argument);
  struct SlashCommand {
    std::string_view name;
    std::string_view usage;  // with its argument
    std::string_view help;   // "" when another name of the command is listed
    Handler handler;
  };
  static std::span<const SlashCommand> slash_commands();
  static std::vector<std::string> completions();

  void greet();
  /// Reads one message, which may take many lines. False at the end of input.
  bool read_message(std::string& message);
  bool read_block(const std::string& first, std::string& message);
  void handle(const std::string& message);
  void answer(const std::string& message);
  void use_model(std::unique_ptr<ModelClient> client);
  void set_thinking(const std::string& value);

  void on_help(std::string_view argument);
  void on_bye(std::string_view argument);
  void on_clear(std::string_view argument);
  void on_reset(std::string_view argument);
  void on_history(std::string_view argument);
  void on_save(std::string_view argument);
  void on_load(std::string_view argument);
  void on_set(std::string_view argument);
  void on_show(std::string_view argument);
  void show_model(bool license);
  void on_system(std::string_view argument);
  void on_model(std::string_view argument);
  void on_think(std::string_view argument);

  std::unique_ptr<ModelClient> client_;
  const ReplOptions initial_;
  Conversation conversation_;
  AnswerSettings settings_;
  std::string thinking_;
  Terminal& terminal_;
  LineReader reader_;
  bool leaving_ = false;
};

/// Error(kUnsupported) that says what to do when a model has no chat template.
void require_chat_template(const ModelClient& client);

}  // namespace omg::cli
