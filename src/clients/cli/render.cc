// SPDX-License-Identifier: Apache-2.0
//
// `omg render`: a chat template and its variables to the prompt they make.
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/json.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/options.h"
#include "clients/cli/text_source.h"
#include "text/template/chat_template.h"

namespace omg::cli {
namespace {

/// "2026-01-31T12:00:00" or "2026-01-31".
std::chrono::sys_seconds parse_time(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  int used = 0;
  int fields = std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day, &hour,
                           &minute, &second, &used);
  if (fields == 3) std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &used);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if ((fields != 3 && fields != 6) || static_cast<size_t>(used) != text.size() || !date.ok() ||
      hour > 23 || minute > 59 || second > 59) {
    throw Error(ErrorCode::kInvalidArgument,
                "'now' is not a time: '" + text + "'; write it as 2026-01-31T12:00:00");
  }
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

class RenderCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments
        .option("--template FILE", template_,
                "Jinja file; - for standard input. Or a .gguf file, or a folder with "
                "tokenizer_config.json or chat_template.jinja: then bos_token and eos_token come "
                "from there too, unless the input has them")
        .required();
    arguments
        .option("--input FILE", input_,
                "JSON object whose members are the template's variables (messages, tools, "
                "add_generation_prompt, bos_token, …); - for standard input. A member 'now' "
                "(\"2026-01-31T12:00:00\") fixes the clock for strftime_now")
        .required();
    arguments.footer(
        "Examples:\n"
        "  omg render --template model.gguf --input conversation.json\n"
        "  omg show model.gguf --template > template.jinja\n"
        "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}' |\n"
        "    omg render --template template.jinja --input -");
  }

  void run(Terminal& terminal) override {
    const TemplateSource source = read_source();
    json::value context = parse_json(read_text_file(input_), input_);
    if (!context.is_object()) {
      throw Error(ErrorCode::kInvalidArgument, input_ + " is not a JSON object");
    }
    RenderOptions options;
    json::object& variables = context.get_object();
    if (const json::value* now = variables.if_contains("now")) {
      if (!now->is_string()) {
        throw Error(ErrorCode::kInvalidArgument, "'now' must be a string");
      }
      options.now = parse_time(std::string(std::string_view(now->get_string())));
      variables.erase("now");
    }
    if (!source.bos.empty()) variables.insert({{"bos_token", source.bos}});
    if (!source.eos.empty()) variables.insert({{"eos_token", source.eos}});
    terminal.out(ChatTemplate::parse(source.source).render(variables, options));
  }

 private:
  TemplateSource read_source() const {
    const bool is_model =
        template_ != "-" && (template_.ends_with(".gguf") || is_text_folder(template_) ||
                             std::filesystem::is_directory(template_));
    if (is_model) return read_template_source(find_local_text(template_).path);
    TemplateSource source;
    source.source = read_text_file(template_);
    return source;
  }

  std::string template_;
  std::string input_;
};

}  // namespace

std::unique_ptr<Command> make_render_command() {
  return std::make_unique<RenderCommand>();
}

}  // namespace omg::cli
