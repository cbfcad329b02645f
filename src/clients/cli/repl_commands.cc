// SPDX-License-Identifier: Apache-2.0
//
// What the REPL's slash commands do.
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/format.h"
#include "clients/cli/local_model.h"
#include "clients/cli/model_details.h"
#include "clients/cli/options.h"
#include "clients/cli/repl.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

/// First word of a text, and what follows it.
std::pair<std::string_view, std::string_view> split_word(std::string_view text) {
  const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  const size_t rest = std::min(text.find_first_not_of(" \t\n", end), text.size());
  return {text.substr(0, end), text.substr(rest)};
}

std::string require_argument(std::string_view argument, const char* usage) {
  if (argument.empty()) throw Error(ErrorCode::kUsage, std::string("usage: ") + usage);
  return std::string(argument);
}

std::string help_lines(std::initializer_list<std::pair<std::string_view, std::string_view>> rows) {
  std::string text;
  for (const auto& [left, right] : rows) text += fmt::format("  {:<28} {}\n", left, right);
  return text;
}

/// `/show info` of a model in the store of another machine: what its daemon tells.
std::string info_of_daemon(const json::object& shown) {
  const json::object& details = shown.at("details").as_object();
  std::string text;
  for (const char* name : {"family", "parameter_size", "quantization_level"}) {
    const json::value* value = details.if_contains(name);
    if (value == nullptr || !value->is_string()) continue;
    text += help_lines({{name, printable(value->get_string())}});
  }
  for (const auto& member : shown.at("model_info").as_object()) {
    const std::string_view key(member.key().data(), member.key().size());
    if (!key.ends_with(".context_length") || !member.value().is_number()) continue;
    text += help_lines({{"context_length", json::serialize(member.value())}});
  }
  return text;
}

}  // namespace

void Repl::on_help(std::string_view) {
  std::string text;
  for (const SlashCommand& command : slash_commands()) {
    if (!command.help.empty()) text += help_lines({{command.usage, command.help}});
  }
  text += "\n";
  text += help_lines({{"\"\"\"", "Begin a message of many lines; \"\"\" ends it"},
                      {"Ctrl-C", "Stop the answer"},
                      {"Ctrl-R", "Search the lines you typed"},
                      {"Tab", "Complete a command"}});
  terminal_.out(text);
}

void Repl::on_bye(std::string_view) {
  leaving_ = true;
}

void Repl::on_clear(std::string_view) {
  conversation_.messages.clear();
  terminal_.out("The conversation is forgotten.\n");
}

void Repl::on_reset(std::string_view) {
  conversation_ = {};
  conversation_.system = initial_.conversation.system;
  conversation_.parameters = initial_.conversation.parameters;
  settings_ = initial_.settings;
  thinking_.clear();
  reader_.set_history_enabled(true);
  terminal_.out("The conversation is forgotten, settings are as they were at the start.\n");
  if (!initial_.thinking.empty()) set_thinking(initial_.thinking);
}

void Repl::on_history(std::string_view) {
  if (conversation_.messages.empty()) return terminal_.out("Nothing was said yet.\n");
  for (const json::value& message : conversation_.all_messages()) {
    const json::object& object = message.get_object();
    const std::string role(std::string_view(object.at("role").get_string()));
    std::string text;
    for (const char c : std::string_view(object.at("content").get_string())) {
      if (c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20) text += c;
    }
    terminal_.out(terminal_.styled(Style::kBold, printable(role)) + "\n" + text + "\n");
  }
}

void Repl::on_save(std::string_view argument) {
  const std::string path = require_argument(argument, "/save FILE");
  save_conversation(conversation_, client_->model(), path);
  terminal_.out("Saved to " + path + ".\n");
}

void Repl::on_load(std::string_view argument) {
  const std::string path = require_argument(argument, "/load FILE");
  conversation_ = load_conversation(path);
  terminal_.out(fmt::format("Loaded {} messages from {}.\n", conversation_.messages.size(), path));
}

void Repl::on_set(std::string_view argument) {
  const auto [what, value] = split_word(argument);
  if (what == "parameter") {
    const auto [name, text] = split_word(value);
    require_argument(text, "/set parameter NAME VALUE; /show parameters lists the names");
    set_parameter(conversation_.parameters, name, text);
    terminal_.out(fmt::format("{} is {}.\n", name, text));
  } else if (what == "system") {
    on_system(value);
  } else if (what == "history" || what == "nohistory") {
    reader_.set_history_enabled(what == "history");
    terminal_.out(what == "history" ? "What you type is kept.\n" : "What you type is not kept.\n");
  } else if (what == "wordwrap" || what == "nowordwrap") {
    settings_.wrap_words = what == "wordwrap";
    terminal_.out(settings_.wrap_words ? "Lines break at words.\n" : "Lines break anywhere.\n");
  } else if (what == "verbose" || what == "quiet") {
    settings_.verbose = what == "verbose";
    terminal_.out(settings_.verbose ? "Counts and speeds are shown.\n"
                                    : "Counts and speeds are not shown.\n");
  } else if (what == "think") {
    on_think(value.empty() ? "on" : value);
  } else if (what == "nothink") {
    on_think("off");
  } else if (what.empty()) {
    terminal_.out(help_lines({{"/set parameter NAME VALUE", "See /show parameters"},
                              {"/set system TEXT", "The system message"},
                              {"/set verbose | quiet", "Counts and speeds after each answer"},
                              {"/set wordwrap | nowordwrap", "Break lines at words"},
                              {"/set think | nothink", "Let the model think first"},
                              {"/set history | nohistory", "Keep what you type for next time"}}));
  } else {
    throw Error(ErrorCode::kUsage, fmt::format("there is no setting '{}'; /set lists them", what));
  }
}

void Repl::show_model(bool license) {
  std::string terms;
  const bool is_in_daemon = !names_a_path(client_->model()) && !runs_directly(initial_.load.direct);
  if (is_in_daemon && daemon_address().unix_socket.empty()) {
    const json::value shown =
        DaemonClient(daemon_address()).post("/api/show", {{"model", client_->model()}});
    if (!license) return terminal_.out(info_of_daemon(shown.as_object()));
    const json::value* told = shown.as_object().if_contains("license");
    if (told != nullptr && told->is_string()) terms = printable(told->get_string());
  } else {
    const ModelDetails details = read_model_details(find_local_model(client_->model()).path);
    if (!license) return terminal_.out(details_to_text(details, terminal_));
    terms = details.license;
  }
  terminal_.out(terms.empty() ? "The model names no license.\n" : terms + "\n");
}

void Repl::on_show(std::string_view what) {
  if (what == "info" || what == "license") {
    show_model(what == "license");
  } else if (what == "template") {
    terminal_.out(client_->chat_template().value_or("") + "\n");
  } else if (what == "system") {
    terminal_.out(conversation_.system.empty() ? "There is no system message.\n"
                                               : conversation_.system + "\n");
  } else if (what == "parameters") {
    const json::object set = parameters_to_json(conversation_.parameters);
    Table table({{"PARAMETER"}, {"VALUE"}, {"MEANING"}});
    for (const ParameterInfo& info : parameter_table()) {
      const json::value* value = set.if_contains(info.name);
      table.add_row({std::string(info.name), value ? json::serialize(*value) : "default",
                     std::string(info.help)});
    }
    const json::value* stop = set.if_contains("stop");
    table.add_row({"stop", stop ? json::serialize(*stop) : "none",
                   "End the answer before this text; each adds one"});
    terminal_.out(table.to_string(terminal_));
  } else {
    throw Error(ErrorCode::kUsage, "usage: /show info, parameters, system, template or license");
  }
}

void Repl::on_system(std::string_view text) {
  conversation_.system = text;
  terminal_.out(text.empty() ? "There is no system message now.\n"
                             : "The system message is set.\n");
}

void Repl::on_model(std::string_view argument) {
  if (argument.empty()) return terminal_.out(client_->model() + "\n");
  // Both are in memory for a moment; a model that cannot load leaves the old one in place.
  use_model(open_with_progress(std::string(argument), initial_.load, terminal_));
  greet();
}

void Repl::on_think(std::string_view argument) {
  std::string value(argument);
  if (value.empty()) value = thinking_.empty() || thinking_ == "false" ? "true" : "false";
  if (value == "on") value = "true";
  if (value == "off") value = "false";
  set_thinking(value);
  terminal_.out(fmt::format("Thinking: {}.\n", value == "true"    ? "on"
                                               : value == "false" ? "off"
                                                                  : value));
}

}  // namespace omg::cli
