// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/help.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <vector>

namespace omg::cli {
namespace {

constexpr size_t kDescriptionColumn = 28;
constexpr size_t kLineWidth = 96;

/// "-t,--threads N", "MODEL", "--think[=VALUE]".
std::string left_side(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true, false);
  std::string text;
  for (const std::string& name : option.get_snames()) text += "-" + name + ", ";
  for (const std::string& name : option.get_lnames()) text += "--" + name + ", ";
  text.resize(text.size() - 2);
  const std::string& value = option.get_option_text();
  if (value.empty()) return text;
  return text + (value.front() == '[' ? "" : " ") + value;
}

std::string description(const CLI::Option& option) {
  std::string text = option.get_description();
  if (!option.get_default_str().empty()) text += " (default: " + option.get_default_str() + ")";
  return text;
}

void append_row(std::string& help, const CLI::Option& option) {
  std::string line = "  " + left_side(option);
  if (line.size() + 2 > kDescriptionColumn) {
    help += line + "\n";
    line.clear();
  }
  line.resize(kDescriptionColumn, ' ');
  std::string word;
  for (const char c : description(option) + " ") {
    if (c != ' ') {
      word += c;
      continue;
    }
    if (line.size() + word.size() > kLineWidth) {
      help += line + "\n";
      line.assign(kDescriptionColumn, ' ');
    }
    if (line.size() > kDescriptionColumn) line += ' ';
    line += word;
    word.clear();
  }
  help += line + "\n";
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode) const {
  std::string usage = "Usage: " + name;
  std::string arguments;
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional()) continue;
    const std::string argument = option->get_name(true, false);
    usage += option->get_required() ? " " + argument : " [" + argument + "]";
    append_row(arguments, *option);
  }
  std::string help = app->get_description() + ".\n\n" + usage + " [OPTIONS]\n";
  if (!arguments.empty()) help += "\nArguments:\n" + arguments;
  for (const std::string& group : app->get_groups()) {
    std::string rows;
    for (const CLI::Option* option : app->get_options()) {
      if (option->nonpositional() && option->get_group() == group) append_row(rows, *option);
    }
    if (!rows.empty()) help += "\n" + group + ":\n" + rows;
  }
  if (!app->get_footer().empty()) help += "\n" + app->get_footer() + "\n";
  return help;
}

}  // namespace omg::cli
