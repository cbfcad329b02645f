// SPDX-License-Identifier: Apache-2.0
//
// `omg generate`: the text that follows a prompt, and nothing else, on standard output.

#include "base/error.h"
#include "clients/cli/answer.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/options.h"

namespace omg::cli {
namespace {

class GenerateCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    add_model_argument(arguments, model_);
    const Argument& prompt =
        arguments.text("PROMPT", prompt_, "The text; standard input when absent");
    arguments.option("--input-file FILE", input_file_, "Read the prompt from a file")
        .excludes(prompt);
    const Argument& raw =
        arguments.flag("--raw", raw_,
                       "Continue the text as it stands. Without this, the prompt is a user's "
                       "message in the model's chat template");
    arguments.option("--system TEXT", conversation_.system, "System message").excludes(raw);
    add_think_flag(arguments, thinking_).excludes(raw);
    arguments.flag("--hide-thinking", settings_.hide_thinking, "Do not show what the model thinks")
        .excludes(raw);
    arguments.negated_flag("--no-stream", settings_.stream, "Print the answer when it is complete");
    arguments.flag("--verbose", settings_.verbose, "Show counts and speeds on standard error");
    add_parameter_flags(arguments, conversation_.parameters);
    add_load_flags(arguments, load_);
    arguments.footer(
        "Examples:\n"
        "  omg generate model.gguf \"Once upon a time\" --raw --max-tokens 100\n"
        "  omg generate model.gguf \"Name three rivers\" --temperature 0 --seed 1\n"
        "  omg generate model.gguf --raw < beginning.txt");
  }

  void run(Terminal& terminal) override {
    const std::string prompt = prompt_                ? *prompt_
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
      client.check_thinking(thinking_);
      settings_.thinking = thinking_;
    }
    conversation_.add("user", prompt);
    return answer_conversation(client, conversation_, settings_, terminal);
  }

  std::string model_;
  std::optional<std::string> prompt_;
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
