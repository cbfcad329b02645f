// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/arguments.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <deque>
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/help.h"
#include "runtimes/parameters.h"

namespace omg::cli {
namespace {

/// "-n,--limit N", "--think[=LEVEL]".
struct Form {
  explicit Form(std::string_view form) {
    const size_t end = std::min(form.find_first_of(" ["), form.size());
    names = form.substr(0, end);
    value = form.substr(std::min(form.find_first_not_of(' ', end), form.size()));
  }

  std::string names;
  std::string value;  // may be empty
};

CLI::Validator is_within(Range range) {
  return CLI::Validator(
      [range](std::string& text) -> std::string {
        const auto value = parse_integer(text);
        if (value && *value >= range.least && *value <= range.most) return "";
        return fmt::format("'{}' is not a whole number from {} to {}", text, range.least,
                           range.most);
      },
      "", "");
}

}  // namespace

Argument::Argument(CLI::Option& option, std::string default_text)
    : option_(&option), default_text_(std::move(default_text)) {}

Argument& Argument::required() {
  option_->required();
  return *this;
}

Argument& Argument::group(const std::string& heading) {
  option_->group(heading);
  return *this;
}

Argument& Argument::repeatable() {
  // Without the second call, one "--stop" would take all words behind it.
  option_->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args(false);
  return *this;
}

Argument& Argument::excludes(const Argument& other) {
  option_->excludes(other.option_);
  return *this;
}

Argument& Argument::needs(const Argument& other) {
  option_->needs(other.option_);
  return *this;
}

Argument& Argument::shows_default() {
  return shows_default(default_text_);
}

Argument& Argument::shows_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

bool Argument::is_given() const {
  return option_->count() > 0;
}

struct Arguments::Body {
  Body(std::string command, std::string summary) : app(std::move(summary), std::move(command)) {}

  CLI::App app;
  std::deque<Argument> arguments;  // they never move

  // What text() declared.
  const Argument* text = nullptr;
  std::string first_word;
  std::optional<std::string>* text_target = nullptr;
};

Arguments::Arguments(std::string command, std::string summary)
    : body_(std::make_unique<Body>(std::move(command), std::move(summary))) {
  body_->app.formatter(std::make_shared<HelpFormatter>());
  body_->app.set_help_flag("-h,--help", "Show this help");
}

Arguments::Arguments(Arguments&&) noexcept = default;
Arguments::~Arguments() = default;

Argument& Arguments::add(CLI::Option* option, std::string_view value_name,
                         std::string default_text) {
  if (!value_name.empty()) option->option_text(std::string(value_name));
  return body_->arguments.emplace_back(*option, std::move(default_text));
}

Argument& Arguments::positional(const std::string& name, std::string& target,
                                const std::string& help) {
  return add(body_->app.add_option(name, target, help), "", target);
}

Argument& Arguments::positional(const std::string& name, std::vector<std::string>& target,
                                const std::string& help) {
  return add(body_->app.add_option(name, target, help), "");
}

Argument& Arguments::text(const std::string& name, std::optional<std::string>& target,
                          const std::string& help) {
  // The words behind the first are taken apart by hand: CLI11 reads "[a, b]" for a list as a list.
  body_->app.allow_extras();
  body_->text_target = &target;
  Argument& argument = add(body_->app.add_option(name, body_->first_word, help), "");
  body_->text = &argument;
  return argument;
}

Argument& Arguments::option(std::string_view form, std::string& target, const std::string& help) {
  const Form parts(form);
  return add(body_->app.add_option(parts.names, target, help), parts.value, target);
}

Argument& Arguments::option(std::string_view form, std::vector<std::string>& target,
                            const std::string& help) {
  const Form parts(form);
  return add(body_->app.add_option(parts.names, target, help), parts.value).repeatable();
}

Argument& Arguments::option(std::string_view form, TextSetter set, const std::string& help) {
  const Form parts(form);
  const auto set_all = [set = std::move(set)](const CLI::results_t& texts) {
    for (const std::string& text : texts) set(text);
    return true;
  };
  return add(body_->app.add_option(parts.names, set_all, help)->type_name("TEXT"), parts.value);
}

Argument& Arguments::choice(std::string_view form, std::string& target,
                            const std::vector<std::string>& values, const std::string& help) {
  const Form parts(form);
  return add(body_->app.add_option(parts.names, target, help)->check(CLI::IsMember(values)),
             parts.value, target);
}

Argument& Arguments::add_number(std::string_view form, std::function<void(int64_t)> set,
                                Range range, std::string default_text, const std::string& help) {
  const Form parts(form);
  const auto set_number = [set = std::move(set)](const CLI::results_t& texts) {
    set(*parse_integer(texts.front()));  // after is_within()
    return true;
  };
  CLI::Option* option = body_->app.add_option(parts.names, set_number, help);
  option->type_name(range.least < 0 ? "INT" : "UINT")->check(is_within(range));
  return add(option, parts.value, std::move(default_text));
}

Argument& Arguments::flag(std::string_view names, bool& target, const std::string& help) {
  return add(body_->app.add_flag(std::string(names), target, help), "");
}

Argument& Arguments::negated_flag(std::string_view names, bool& target, const std::string& help) {
  return add(body_->app.add_flag("!" + std::string(names), target, help), "");
}

Argument& Arguments::flag(std::string_view form, std::string& target,
                          const std::vector<std::string>& values, const std::string& help) {
  const Form parts(form);
  CLI::Option* option = body_->app.add_flag(parts.names + "{" + values.front() + "}", target, help);
  return add(option->check(CLI::IsMember(values)), parts.value);
}

void Arguments::footer(const std::string& text) {
  body_->app.footer(text);
}

bool Arguments::parse(std::vector<std::string> words) {
  // CLI11 takes them from the back of the vector.
  std::reverse(words.begin(), words.end());
  try {
    body_->app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return false;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::kUsage,
                fmt::format("{}; see '{} --help'", error.what(), body_->app.get_name()));
  }
  if (body_->text != nullptr) take_text();
  return true;
}

void Arguments::take_text() {
  std::string text = body_->first_word;
  bool all_words = false;  // behind "--" nothing is an option
  for (const std::string& word : body_->app.remaining()) {
    if (!all_words && word == "--") {
      all_words = true;
      continue;
    }
    if (!all_words && word.starts_with("-")) {
      throw Error(ErrorCode::kUsage, "the option " + word + " is not known; see '" +
                                         body_->app.get_name() +
                                         " --help', and put '--' before a text like this");
    }
    text += ' ' + word;
  }
  if (body_->text->is_given()) *body_->text_target = std::move(text);
}

std::string Arguments::help() const {
  return body_->app.help();
}

}  // namespace omg::cli
