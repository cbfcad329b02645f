// SPDX-License-Identifier: Apache-2.0
//
// `omg generate`: the text that follows a prompt, and nothing else, on standard output.
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "clients/cli/answer.h"
#include "clients/cli/command.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/options.h"

namespace omg::cli {
namespace {

class GenerateCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_model_argument(app, model_);
    prompt_.define(app, "PROMPT", "The text; standard input when absent");
    app.add_option("--input-file", input_file_, "Read the prompt from a file")
        ->option_text("FILE")
        ->excludes(prompt_.option());
    auto* raw = app.add_flag("--raw", raw_,
                             "Continue the text as it stands. Without this, the prompt is a user's "
                             "message in the model's chat template");
    app.add_option("--system", conversation_.system, "System message")
        ->option_text("TEXT")
        ->excludes(raw);
    add_think_flag(app, thinking_)->excludes(raw);
    app.add_flag("--hide-thinking", settings_.hide_thinking, "Do not show what the model thinks")
        ->excludes(raw);
    app.add_flag("!--no-stream", settings_.stream, "Print the answer when it is complete");
    app.add_flag("--verbose", settings_.verbose, "Show counts and speeds on standard error");
    add_parameter_flags(app, conversation_.parameters);
    add_load_flags(app, load_);
    app.footer(
        "Examples:\n"
        "  omg generate model.gguf \"Once upon a time\" --raw --max-tokens 100\n"
        "  omg generate model.gguf \"Name three rivers\" --temperature 0 --seed 1\n"
        "  omg generate model.gguf --raw < beginning.txt");
  }

  void run(Terminal& terminal) override {
    const std::string prompt = prompt_.is_given()     ? prompt_.text()
                               : !input_file_.empty() ? read_text_file(input_file_)
                                                      : read_standard_input();
    settings_.wrap_words = false;
    const std::unique_ptr<ModelClient> client = open_with_progress(model_, load_, terminal);
    const Answer answer =
        raw_ ? continue_text(*client, prompt, terminal) : answer_prompt(*client, prompt, terminal);
    if (answer.cancelled) throw Error(ErrorCode::kCancelled, "interrupted");
  }

 private:
  Answer continue_text(ModelClient& client, const std::string& prompt, Terminal& terminal) const {
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    return show_answer(
        [&](const AnswerSink& sink) {
          const auto show = [&](std::string_view text) { sink(AnswerPart::kContent, text); };
          return client.generate({prompt, conversation_.parameters, cancellation}, show);
        },
        settings_, terminal);
  }

  Answer answer_prompt(ModelClient& client, const std::string& prompt, Terminal& terminal) {
    if (!client.chat_template()) {
      throw Error(ErrorCode::kUnsupported,
                  model_ + " has no chat template: use --raw to continue the text as it stands");
    }
    if (!thinking_.empty()) {
      settings_.template_variables = client.thinking_variables(thinking_);
    }
    conversation_.add("user", prompt);
    return answer_conversation(client, conversation_, settings_, terminal);
  }

  std::string model_;
  TextArgument prompt_;
  std::string input_file_;
  bool raw_ = false;
  std::string thinking_;
  Conversation conversation_;
  AnswerSettings settings_;
  LoadOptions load_;
};

}  // namespace

std::unique_ptr<Command> make_generate_command() {
  return std::make_unique<GenerateCommand>();
}

}  // namespace omg::cli
