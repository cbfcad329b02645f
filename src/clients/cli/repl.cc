// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/repl.h"

#include <array>
#include <fmt/format.h>
#include <new>

#include "base/error.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"

namespace omg::cli {
namespace {

constexpr std::string_view kBlock = "\"\"\"";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// First word of a text, and what follows it.
std::pair<std::string_view, std::string_view> split_word(std::string_view text) {
  text = trimmed(text);
  const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  return {text.substr(0, end), trimmed(text.substr(end))};
}

}  // namespace

void require_chat_template(const ModelClient& client) {
  if (client.chat_template()) return;
  throw Error(ErrorCode::kUnsupported,
              client.model() +
                  " has no chat template, so it cannot chat: continue a text with 'omg generate " +
                  client.model() + " PROMPT --raw'");
}

std::span<const Repl::SlashCommand> Repl::slash_commands() {
  static constexpr std::array<SlashCommand, 16> commands = {{
      {"/help", "/help, /?", "This list", &Repl::on_help},
      {"/?", "", "", &Repl::on_help},
      {"/bye", "/bye, /exit, /quit", "Leave; Ctrl-D does too", &Repl::on_bye},
      {"/exit", "", "", &Repl::on_bye},
      {"/quit", "", "", &Repl::on_bye},
      {"/clear", "/clear", "Forget the conversation", &Repl::on_clear},
      {"/reset", "/reset", "Forget the conversation and everything that was set", &Repl::on_reset},
      {"/history", "/history", "Show the conversation", &Repl::on_history},
      {"/save", "/save FILE", "Save the conversation and what was set", &Repl::on_save},
      {"/load", "/load FILE", "Load what was saved", &Repl::on_load},
      {"/set", "/set WHAT", "Change a setting; /set alone lists them", &Repl::on_set},
      {"/show", "/show WHAT", "info, parameters, system, template or license", &Repl::on_show},
      {"/system", "/system [TEXT]", "Set the system message, or remove it", &Repl::on_system},
      {"/model", "/model [FILE]", "Go on with another model", &Repl::on_model},
      {"/think", "/think [on|off|LEVEL]", "Let the model think first; low, medium, high",
       &Repl::on_think},
      {"/", "", "", &Repl::on_help},
  }};
  return commands;
}

std::vector<std::string> Repl::completions() {
  std::vector<std::string> words = {
      "/set parameter",  "/set system",      "/set verbose",   "/set quiet",     "/set wordwrap",
      "/set nowordwrap", "/set history",     "/set nohistory", "/set think",     "/set nothink",
      "/show info",      "/show parameters", "/show system",   "/show template", "/show license"};
  for (const SlashCommand& command : slash_commands()) {
    if (!command.help.empty()) words.emplace_back(command.name);
  }
  for (const char* other : {"/exit", "/quit"}) words.emplace_back(other);
  for (const ParameterInfo& info : parameter_table()) {
    words.push_back("/set parameter " + std::string(info.name));
  }
  return words;
}

Repl::Repl(std::unique_ptr<ModelClient> client, ReplOptions options, Terminal& terminal)
    : initial_(std::move(options)),
      conversation_(initial_.conversation),
      settings_(initial_.settings),
      terminal_(terminal),
      reader_(default_history_path(), completions()) {
  use_model(std::move(client));
  if (!initial_.thinking.empty()) set_thinking(initial_.thinking);
}

void Repl::use_model(std::unique_ptr<ModelClient> client) {
  require_chat_template(*client);
  client_ = std::move(client);
  thinking_.clear();
  settings_.thinking.clear();
}

void Repl::set_thinking(const std::string& value) {
  client_->check_thinking(value);
  settings_.thinking = value;
  thinking_ = value;
}

void Repl::greet() {
  terminal_.out(
      terminal_.styled(Style::kDim,
                       fmt::format("{}, context of {} tokens. /? for help, /bye to leave",
                                   printable(client_->model()), client_->context_length())) +
      "\n");
}

void Repl::run() {
  // Between an answer and the next prompt, too, Ctrl-C must not end the program.
  const InterruptGuard guard(CancellationToken(), /*second_kills=*/false);
  greet();
  std::string message;
  while (!leaving_ && read_message(message)) {
    try {
      handle(message);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCancelled) {
        terminal_.note("Error: " + std::string(error.what()));
      }
    } catch (const std::bad_alloc&) {
      terminal_.note("Error: out of memory");
    }
  }
}

bool Repl::read_message(std::string& message) {
  for (;;) {
    LineReader::Result line = reader_.read(">>> ");
    if (line.status == LineReader::Status::kEnd) {
      terminal_.out("\n");
      return false;
    }
    if (line.status == LineReader::Status::kInterrupted) {
      terminal_.out(line.text.empty() ? "\nUse Ctrl-D or /bye to leave.\n" : "\n");
      continue;
    }
    const size_t block = line.text.find(kBlock);
    const std::string_view before = trimmed(std::string_view(line.text).substr(0, block));
    const bool opens_block = block != std::string::npos &&
                             (before.empty() || before == "/system" || before == "/set system");
    if (opens_block) {
      if (read_block(line.text, message)) return true;
      continue;
    }
    if (trimmed(line.text).empty()) continue;
    message = line.text;
    return true;
  }
}

/// Joins lines until the closing quotes. False when it was given up.
bool Repl::read_block(const std::string& first, std::string& message) {
  const size_t open = first.find(kBlock);
  const std::string before = first.substr(0, open);
  std::string text = first.substr(open + kBlock.size());
  size_t close = text.find(kBlock);
  while (close == std::string::npos) {
    const LineReader::Result line = reader_.read("... ");
    if (line.status != LineReader::Status::kLine) {
      terminal_.out("\n");
      return false;
    }
    text += '\n';
    close = line.text.find(kBlock);
    if (close != std::string::npos) close += text.size();
    text += line.text;
  }
  text.erase(close, kBlock.size());
  if (!text.empty() && text.front() == '\n') text.erase(0, 1);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  message = before + text;
  return !trimmed(message).empty();
}

void Repl::handle(const std::string& message) {
  const auto [name, argument] = split_word(message);
  if (name.empty() || name.front() != '/') return answer(message);
  for (const SlashCommand& command : slash_commands()) {
    if (command.name == name) return (this->*command.handler)(argument);
  }
  // A path is no command: "/etc/passwd says …" goes to the model.
  if (name.find('/', 1) != std::string_view::npos) return answer(message);
  throw Error(ErrorCode::kUsage, fmt::format("unknown command '{}'; /? lists them", name));
}

void Repl::answer(const std::string& message) {
  const Conversation before = conversation_;
  conversation_.add("user", message);
  try {
    const Answer answer = answer_conversation(*client_, conversation_, settings_, terminal_);
    if (answer.cancelled && answer.text.empty() && answer.reasoning.empty()) {
      conversation_ = before;
    } else {
      conversation_.add_answer(answer.text, answer.reasoning);
    }
  } catch (const Error& error) {
    conversation_ = before;
    if (error.code() != ErrorCode::kContextLengthExceeded) throw;
    throw Error(error.code(), std::string(error.what()) +
                                  "; /clear forgets the conversation, 'omg run --ctx N' drops "
                                  "the oldest turns");
  } catch (...) {
    conversation_ = before;
    throw;
  }
  if (!initial_.history_file.empty()) {
    save_conversation(conversation_, client_->model(), initial_.history_file);
  }
  terminal_.out("\n");
}

}  // namespace omg::cli
