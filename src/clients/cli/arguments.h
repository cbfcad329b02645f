// SPDX-License-Identifier: Apache-2.0
//
// What a command takes: declared once, read from the command line and shown by --help. The parser
// behind it is CLI11, which is all headers and took more compiling than the commands themselves:
// arguments.cc alone sees it.
//
//   arguments.positional("MODEL", model_, "Name of a model").required();
//   arguments.option("-o,--output FILE", path_, "The file to write").required();
//   arguments.number("-n,--limit N", limit_, {1, 100}, "Results at most").shows_default();
//   arguments.choice("--activations TYPE", activations_, {"f32", "int8"}, "How to compute");
//   arguments.flag("--json", json_, "Print JSON");
//
// A form is names with commas between, then what help calls the value. Targets must live as long
// as the Arguments; they keep what they hold where nothing is given.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class Option;
}

namespace omg::cli {

/// One of the Arguments, which own it.
class Argument {
 public:
  Argument(CLI::Option& option, std::string default_text);

  Argument& required();
  /// The heading in help; "Options" otherwise.
  Argument& group(const std::string& heading);
  /// May be given more than once.
  Argument& repeatable();
  /// Not both at once, whichever comes first.
  Argument& excludes(const Argument& other);
  /// Only with the other.
  Argument& needs(const Argument& other);
  /// Help says what the target held when it was declared; or this text.
  Argument& shows_default();
  Argument& shows_default(const std::string& text);

  /// After Arguments::parse().
  bool is_given() const;

 private:
  CLI::Option* option_;
  std::string default_text_;
};

/// Both ends are allowed.
struct Range {
  int64_t least;
  int64_t most;
};

class Arguments {
 public:
  using TextSetter = std::function<void(const std::string&)>;

  /// `command` as people type it, "omg pull"; `summary` without a full stop.
  Arguments(std::string command, std::string summary);
  Arguments(Arguments&&) noexcept;
  ~Arguments();

  /// In the order of declaration; of many, the last takes all that are left.
  Argument& positional(const std::string& name, std::string& target, const std::string& help);
  Argument& positional(const std::string& name, std::vector<std::string>& target,
                       const std::string& help);
  /// A text to work on, behind all other positionals: one quoted word, or all words that are left,
  /// with one space between. Behind "--" they may look like options.
  Argument& text(const std::string& name, std::optional<std::string>& target,
                 const std::string& help);

  Argument& option(std::string_view form, std::string& target, const std::string& help);
  /// May be given more than once; brings one text each time.
  Argument& option(std::string_view form, std::vector<std::string>& target,
                   const std::string& help);
  /// For all other types: `set` reads the text, and throws Error(kUsage) if it cannot be.
  Argument& option(std::string_view form, TextSetter set, const std::string& help);
  Argument& choice(std::string_view form, std::string& target,
                   const std::vector<std::string>& values, const std::string& help);
  template <class Target>
  Argument& number(std::string_view form, Target& target, Range range, const std::string& help) {
    const auto set = [&target](int64_t value) { target = static_cast<Target>(value); };
    return add_number(form, set, range, std::to_string(target), help);
  }
  template <class Target>
  Argument& number(std::string_view form, std::optional<Target>& target, Range range,
                   const std::string& help) {
    const auto set = [&target](int64_t value) { target = static_cast<Target>(value); };
    return add_number(form, set, range, "", help);
  }

  Argument& flag(std::string_view names, bool& target, const std::string& help);
  /// "--no-stream": makes the target false.
  Argument& negated_flag(std::string_view names, bool& target, const std::string& help);
  /// "--think[=LEVEL]": without a value it means the first.
  Argument& flag(std::string_view form, std::string& target, const std::vector<std::string>& values,
                 const std::string& help);

  /// What help says below the options.
  void footer(const std::string& text);

  /// Sets the targets; false if help was asked for instead. Error(kUsage) for all that is wrong.
  bool parse(std::vector<std::string> words);
  std::string help() const;

 private:
  Argument& add_number(std::string_view form, std::function<void(int64_t)> set, Range range,
                       std::string default_text, const std::string& help);
  Argument& add(CLI::Option* option, std::string_view value_name, std::string default_text = "");
  void take_text();

  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace omg::cli
