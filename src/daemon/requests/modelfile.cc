// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/modelfile.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "daemon/requests/model_settings.h"
#include "runtimes/parameters.h"

namespace omg {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr std::string_view kSpaces = " \t\r";
constexpr std::string_view kSpacesAndLines = " \t\r\n";

std::string_view trim(std::string_view text, std::string_view what) {
  const size_t begin = text.find_first_not_of(what);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(what) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// Takes the first word, and the spaces behind it, from `text`.
std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find_first_of(kSpaces), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(text.find_first_not_of(kSpaces, end), text.size()));
  return word;
}

bool is_role(std::string_view role) {
  return role == "system" || role == "user" || role == "assistant";
}

/// Only "\n" ends lines from here on.
std::string with_plain_lines(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    while (c == '\n' && result.ends_with('\r')) result.pop_back();
    result += c;
  }
  return result;
}

class ModelfileParser {
 public:
  explicit ModelfileParser(std::string_view text) : text_(text) {}

  Modelfile run() {
    while (at_ < text_.size()) {
      std::string_view line = trim(next_line(), kSpaces);
      if (line.empty() || line.front() == '#') continue;
      command_line_ = line_;
      const std::string command = lower(take_word(line));
      run_command(command, line);
    }
    if (result_.from.empty()) fail("there is no FROM line", false);
    return std::move(result_);
  }

 private:
  struct Command {
    std::string_view name;
    void (ModelfileParser::*run)(std::string_view rest);
  };

  [[noreturn]] void fail(const std::string& why, bool with_line = true) const {
    const std::string where = with_line ? "line " + std::to_string(command_line_) + ": " : "";
    throw Error(ErrorCode::kInvalidArgument, "cannot read the Modelfile: " + where + why);
  }

  std::string_view next_line() {
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string_view line = text_.substr(at_, end - at_);
    at_ = std::min(end + 1, text_.size());
    ++line_;
    return line;
  }

  void run_command(const std::string& command, std::string_view rest) {
    static constexpr std::array<Command, 11> kCommands = {{
        {"from", &ModelfileParser::on_from},
        {"parameter", &ModelfileParser::on_parameter},
        {"template", &ModelfileParser::on_template},
        {"system", &ModelfileParser::on_system},
        {"adapter", &ModelfileParser::on_adapter},
        {"license", &ModelfileParser::on_license},
        {"message", &ModelfileParser::on_message},
        {"requires", &ModelfileParser::on_requires},
        {"draft", &ModelfileParser::on_draft},
        {"renderer", &ModelfileParser::on_renderer},
        {"parser", &ModelfileParser::on_parser},
    }};
    for (const Command& known : kCommands) {
      if (known.name == command) return (this->*known.run)(rest);
    }
    fail(
        "command must be one of \"from\", \"parameter\", \"template\", \"system\", \"adapter\", "
        "\"license\", \"message\" or \"requires\"");
  }

  /// What stands behind a command: the rest of the line, or a text in quotes, which may go on.
  std::string value(std::string_view rest) {
    if (!rest.starts_with('"')) return std::string(rest);
    const std::string_view quote = rest.starts_with(kQuotes) ? kQuotes : kQuotes.substr(0, 1);
    // The lines stand one after the other in the text: `rest` grows over them.
    const char* const begin = rest.data();
    for (;;) {
      const std::string_view all = trim(rest, kSpacesAndLines);
      if (all.size() >= 2 * quote.size() && all.ends_with(quote)) {
        return std::string(all.substr(quote.size(), all.size() - 2 * quote.size()));
      }
      if (at_ >= text_.size())
        fail("the text that begins with " + std::string(quote) + " never ends");
      const std::string_view line = next_line();
      rest = std::string_view(begin, static_cast<size_t>(line.data() + line.size() - begin));
    }
  }

  /// For names and numbers, which cannot be nothing.
  std::string required_value(std::string_view rest, const std::string& what) {
    std::string text = value(rest);
    if (text.empty()) fail(what + " is missing");
    return text;
  }

  std::string name(std::string_view rest, const std::string& what) {
    const std::string text = required_value(rest, what);
    if (text.find('\n') != std::string::npos) fail(what + " goes over more than one line");
    return text;
  }

  void on_from(std::string_view rest) { result_.from.push_back(name(rest, "the model's name")); }
  void on_adapter(std::string_view rest) {
    result_.adapters.push_back(name(rest, "the adapter's file"));
  }
  void on_parameter(std::string_view rest) {
    const std::string name = lower(take_word(rest));
    if (name.empty()) fail("the parameter's name is missing");
    const std::string text = required_value(rest, "the value of " + name);
    try {
      set_model_parameter(result_.settings.parameters, name, text);
    } catch (const Error& error) {
      fail(error.what());
    }
  }
  void on_template(std::string_view rest) {
    result_.settings.chat_template = value(rest);
    result_.settings.template_syntax = template_syntax_of(*result_.settings.chat_template);
  }
  void on_system(std::string_view rest) { result_.settings.system = value(rest); }
  void on_license(std::string_view rest) {
    std::optional<std::string>& license = result_.settings.license_text;
    license = (license ? *license + "\n" : "") + value(rest);
  }
  void on_message(std::string_view rest) {
    const std::string role = lower(take_word(rest));
    if (!is_role(role)) {
      fail("message role must be one of \"system\", \"user\", or \"assistant\"");
    }
    result_.settings.messages.push_back({role, value(rest)});
  }
  void on_requires(std::string_view rest) {
    const std::string version = required_value(rest, "the version");
    const bool is_version =
        version.size() <= 64 && version.find_first_not_of(
                                    "0123456789abcdefghijklmnopqrstuvwxyz"
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.+-") == std::string::npos;
    if (!is_version) fail("requires must be a version, such as 0.14.0");
    result_.least_version = version;
  }
  void on_draft(std::string_view rest) { pass_over("DRAFT", rest); }
  void on_renderer(std::string_view rest) { pass_over("RENDERER", rest); }
  void on_parser(std::string_view rest) { pass_over("PARSER", rest); }
  void pass_over(const std::string& command, std::string_view rest) {
    value(rest);
    result_.warnings.push_back("line " + std::to_string(command_line_) + ": " + command +
                               " has no effect: the model file's own template and formats are "
                               "used");
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 0;          // that was read last, from 1
  size_t command_line_ = 0;  // that the command began on
  Modelfile result_;
};

bool needs_quotes(std::string_view text) {
  return text.empty() || text.front() == '"' || trim(text, kSpacesAndLines).size() != text.size() ||
         text.find('\n') != std::string_view::npos;
}

/// Whether a line of `text` ends in """: it would end the text that it stands in.
bool ends_early(std::string_view text) {
  for (size_t at = text.find(kQuotes); at != std::string_view::npos;
       at = text.find(kQuotes, at + 1)) {
    const size_t behind = text.find_first_not_of(kSpaces, at + kQuotes.size());
    if (behind == std::string_view::npos || text[behind] == '\n') return true;
  }
  return false;
}

std::string in_quotes(std::string_view text) {
  std::string inner(text);
  if (needs_quotes(text) && ends_early(text)) {
    for (size_t at = 0; (at = inner.find(kQuotes, at)) != std::string::npos;) {
      inner.replace(at, kQuotes.size(), "'''");
    }
  }
  if (!needs_quotes(inner)) return inner;
  return std::string(kQuotes) + inner + std::string(kQuotes);
}

std::string name_for_ollama(std::string_view name) {
  for (const ParameterInfo& info : parameter_table()) {
    if (info.name == name && !info.other_name.empty()) return std::string(info.other_name);
  }
  return std::string(name);
}

/// Settings that came from a registry may hold any text: a line of its own is none of them.
bool is_parameter_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

std::string parameter_text(const json::value& value) {
  if (value.is_string()) return in_quotes(std::string_view(value.get_string()));
  return json::serialize(value);
}

std::string parameter_lines(const json::object& parameters) {
  std::string text;
  for (const auto& [key, value] : parameters) {
    if (!is_parameter_name(key)) continue;
    const std::string line = "PARAMETER " + name_for_ollama(key) + " ";
    if (value.is_array()) {
      for (const json::value& entry : value.get_array()) {
        text += line + parameter_text(entry) + "\n";
      }
    } else {
      text += line + parameter_text(value) + "\n";
    }
  }
  return text;
}

}  // namespace

Modelfile parse_modelfile(std::string_view text) {
  if (text.size() > kMaxModelfileBytes) {
    throw Error(ErrorCode::kLimitExceeded,
                "cannot read the Modelfile: it has " + std::to_string(text.size()) +
                    " bytes, the limit is " + std::to_string(kMaxModelfileBytes));
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a mark that some editors write
  if (!is_valid_utf8(text) || text.find('\0') != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot read the Modelfile: it is no text in UTF-8; save it as such");
  }
  const std::string plain = with_plain_lines(text);
  return ModelfileParser(plain).run();
}

std::string write_modelfile(const Modelfile& modelfile) {
  std::string text;
  for (const std::string& from : modelfile.from) text += "FROM " + in_quotes(from) + "\n";
  for (const std::string& adapter : modelfile.adapters)
    text += "ADAPTER " + in_quotes(adapter) + "\n";
  const ModelSettings& settings = modelfile.settings;
  const auto add = [&](const char* command, const std::optional<std::string>& value) {
    if (value) text += std::string(command) + " " + in_quotes(*value) + "\n";
  };
  add("TEMPLATE", settings.chat_template);
  add("SYSTEM", settings.system);
  text += parameter_lines(settings.parameters);
  for (const ModelMessage& message : settings.messages) {
    if (!is_role(message.role)) continue;
    text += "MESSAGE " + message.role + " " + in_quotes(message.content) + "\n";
  }
  add("LICENSE", settings.license_text);
  if (!modelfile.least_version.empty()) text += "REQUIRES " + modelfile.least_version + "\n";
  return text;
}

std::string modelfile_of(const ModelInspection& inspection) {
  const StoredModel& model = inspection.model;
  Modelfile modelfile;
  modelfile.from.push_back(model.base.empty() ? model.name.str() : model.base);
  modelfile.settings = model.settings;
  return "# Modelfile generated by \"omg show\"\n# To build on this model, write:\n# FROM " +
         model.name.str() + "\n\n" + write_modelfile(modelfile);
}

}  // namespace omg
