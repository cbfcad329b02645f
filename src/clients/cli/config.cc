// SPDX-License-Identifier: Apache-2.0
//
// `omg config`: what is configured, where each value came from, and changing it.
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"
#include "daemon/settings/settings.h"

namespace omg::cli {
namespace {

/// As people see it: secrets are not shown, and what is not set is said so.
std::string shown(const SettingInfo& info, const std::string& text) {
  if (text.empty()) return "-";
  return info.kind == SettingKind::kSecret ? "(set)" : printable(text);
}

json::value to_json(const SettingInfo& info, const Settings& settings) {
  switch (info.kind) {
    case SettingKind::kInteger:
    case SettingKind::kBytes:
      return settings.integer(info.name);
    case SettingKind::kBoolean:
      return settings.boolean(info.name);
    case SettingKind::kList: {
      json::array array;
      for (const std::string& element : settings.list(info.name)) array.emplace_back(element);
      return array;
    }
    case SettingKind::kSecret:
      return settings.text(info.name).empty() ? json::value(nullptr) : json::value("(set)");
    default:
      return json::value(settings.text(info.name));
  }
}

json::array sources_to_json(const SettingInfo& info, const std::vector<SettingValue>& values) {
  json::array array;
  for (const SettingValue& value : values) {
    array.push_back({{"from", value.from}, {"text", shown(info, value.text)}});
  }
  return array;
}

class ConfigCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("ACTION", action_,
                         "list, get, set, unset, path or explain; default: list");
    arguments.positional("NAME", name_, "A setting");
    arguments.text("VALUE", value_, "Its new value, for set");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "  list                all settings, and where their values came from\n"
        "  get NAME            the value of one\n"
        "  set NAME VALUE      change it in the file; comments and order stay\n"
        "  unset NAME          take it out of the file\n"
        "  path                where the file is\n"
        "  explain NAME        what it means and takes, and what each source says\n\n"
        "A flag of the command line wins over OMG_* variables, these over Ollama's (OLLAMA_*),\n"
        "these over the file, and that over what is built in.\n\n"
        "Examples:\n"
        "  omg config set keep_alive 30m\n"
        "  omg config set keep_alive forever\n"
        "  omg config set origins https://chat.example.com,app://mine\n"
        "  omg config explain context_length");
  }

  void run(Terminal& terminal) override {
    if (action_ == "list") return list(terminal);
    if (action_ == "path") return path(terminal);
    if (action_ == "get") return get(terminal);
    if (action_ == "set") return set(terminal);
    if (action_ == "unset") return unset(terminal);
    if (action_ == "explain") return explain(terminal);
    throw Error(ErrorCode::kUsage,
                "there is no 'omg config " + printable(action_) + "'; see 'omg config --help'");
  }

 private:
  Settings load() { return Settings::load(files_, default_settings_sources()); }

  const SettingInfo& required_name() const {
    if (name_.empty()) {
      throw Error(ErrorCode::kUsage, "'omg config " + action_ +
                                         "' needs the name of a setting; 'omg config list' shows "
                                         "all");
    }
    return require_setting(name_);
  }
  void refuse_more(bool takes_name) const {
    if ((takes_name || name_.empty()) && !value_) return;
    throw Error(ErrorCode::kUsage, "'omg config " + action_ +
                                       "' takes no more than that; see "
                                       "'omg config --help'");
  }
  static std::string required_file() {
    std::string file = default_settings_sources().file;
    if (file.empty()) {
      throw Error(ErrorCode::kUsage,
                  "there is no place for a configuration file: neither OMG_CONFIG, "
                  "XDG_CONFIG_HOME nor HOME is set; set one");
    }
    return file;
  }

  void list(Terminal& terminal) {
    refuse_more(false);
    const Settings settings = load();
    if (json_) {
      json::object object;
      for (const SettingInfo& info : setting_table()) {
        object[info.name] = {{"value", to_json(info, settings)},
                             {"from", settings.value(info.name).from}};
      }
      return terminal.out(json::serialize(object) + "\n");
    }
    Table table({{"SETTING"}, {"VALUE"}, {"FROM"}});
    for (const SettingInfo& info : setting_table()) {
      const SettingValue& value = settings.value(info.name);
      const bool is_built_in = value.source == SettingSource::kBuiltIn;
      table.add_row({std::string(info.name), shown(info, value.text),
                     is_built_in ? "" : printable(value.from)});
    }
    terminal.out(table.to_string(terminal));
    terminal.note(fmt::format("'omg config explain NAME' says what one means; the file is {}",
                              printable(settings.file())));
  }

  void path(Terminal& terminal) {
    refuse_more(false);
    const std::string file = required_file();
    if (!json_) return terminal.out(printable(file) + "\n");
    terminal.out(
        json::serialize(json::object{{"path", file}, {"exists", files_.info(file).has_value()}}) +
        "\n");
  }

  void get(Terminal& terminal) {
    const SettingInfo& info = required_name();
    refuse_more(true);
    const Settings settings = load();
    if (json_) return terminal.out(json::serialize(to_json(info, settings)) + "\n");
    const std::string& text = settings.text(info.name);
    terminal.out((text.empty() ? "" : shown(info, text)) + "\n");
  }

  void set(Terminal& terminal) {
    const SettingInfo& info = required_name();
    if (!value_) {
      throw Error(ErrorCode::kUsage, fmt::format("'omg config set {}' needs a value: {}", info.name,
                                                 setting_takes(info)));
    }
    const std::string file = required_file();
    set_in_file(files_, file, info.name, *value_);
    const Settings settings = load();
    const SettingValue& value = settings.value(info.name);
    terminal.note(fmt::format("{} = {} in {}", info.name, shown(info, *value_), printable(file)));
    if (value.source != SettingSource::kFile) {
      terminal.note(fmt::format("warning: {} is set too and wins: {}", printable(value.from),
                                shown(info, value.text)));
    }
  }

  void unset(Terminal& terminal) {
    const SettingInfo& info = required_name();
    refuse_more(true);
    const bool was_there = unset_in_file(files_, required_file(), info.name);
    const Settings settings = load();
    const SettingValue& value = settings.value(info.name);
    terminal.note(fmt::format("{} {}; it is {} ({})", info.name,
                              was_there ? "is no longer in the file" : "was not in the file",
                              shown(info, value.text), printable(value.from)));
  }

  void explain(Terminal& terminal) {
    const SettingInfo& info = required_name();
    refuse_more(true);
    const Settings settings = load();
    const auto& values = settings.explain(info.name);
    if (json_) {
      return terminal.out(
          json::serialize(json::object{{"name", info.name},
                                       {"value", to_json(info, settings)},
                                       {"from", values.back().from},
                                       {"help", info.help},
                                       {"takes", setting_takes(info)},
                                       {"environment", info.environment},
                                       {"ollama", info.ollama},
                                       {"sources", sources_to_json(info, values)}}) +
          "\n");
    }
    Sections sections;
    sections.begin(std::string(info.name));
    sections.add("value", shown(info, values.back().text));
    sections.add("takes", setting_takes(info));
    if (!info.environment.empty()) sections.add("variable", std::string(info.environment));
    if (!info.ollama.empty()) sections.add("as in Ollama", std::string(info.ollama));
    sections.begin("Sources, the last one wins");
    for (const SettingValue& value : values) {
      std::string text = shown(info, value.text);
      if (&value == &values.back()) text += terminal.styled(Style::kGreen, "  ← in use");
      sections.add(printable(value.from), text);
    }
    terminal.out(sections.to_string(terminal) + "\n  " + std::string(info.help) + "\n");
  }

  std::string action_ = "list";
  std::string name_;
  std::optional<std::string> value_;
  bool json_ = false;
  RealFileSystem files_;
};

}  // namespace

std::unique_ptr<Command> make_config_command() {
  return std::make_unique<ConfigCommand>();
}

}  // namespace omg::cli
