// SPDX-License-Identifier: Apache-2.0
//
// `omg tokenize`: text to token ids. Reads the vocabulary alone: tensors are mapped, never touched.
#include <fmt/format.h>
#include <iostream>

#include "base/error.h"
#include "base/json.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/options.h"
#include "clients/cli/table.h"
#include "clients/cli/text_source.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::cli {
namespace {

std::string ids_line(const std::vector<TokenId>& ids) {
  return fmt::format("[{}]\n", fmt::join(ids, ","));
}

class TokenizeCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    add_model_argument(arguments, model_);
    const Argument& text = arguments.text("TEXT", text_, "The text; standard input when absent");
    const Argument& as_json = arguments.flag("--json", json_, "Print the ids as a JSON array");
    arguments
        .flag("--jsonl", jsonl_,
              "Read a JSON string per line from standard input and print a JSON array of ids "
              "per line")
        .excludes(as_json)
        .excludes(text);
    arguments.flag("--special", special_,
                   "Add BOS and EOS as the model wants them, and recognise control tokens such as "
                   "<|im_end|> in the text");
    arguments.footer(
        "Examples:\n"
        "  omg tokenize model.gguf \"Hello, world\"\n"
        "  omg tokenize model.gguf --json < text.txt\n"
        "  omg tokenize folder/with/tokenizer.json/ \"Hello\"\n"
        "  printf '\"one\"\\n\"two\"\\n' | omg tokenize model.gguf --jsonl");
  }

  void run(Terminal& terminal) override {
    const std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(find_local_text(model_).path);
    const EncodeOptions options{.add_special = special_, .parse_special = special_};
    if (jsonl_) return run_lines(*tokenizer, options, terminal);
    const std::string text = text_ ? *text_ : read_standard_input();
    const std::vector<TokenId> ids = tokenizer->encode(text, options);
    if (json_) return terminal.out(ids_line(ids));
    print_table(*tokenizer, ids, terminal);
  }

 private:
  /// One answer per line, written before the next line is read: another program may wait for it.
  static void run_lines(const Tokenizer& tokenizer, const EncodeOptions& options,
                        Terminal& terminal) {
    std::string line;
    for (size_t number = 1; std::getline(std::cin, line); ++number) {
      if (line.empty()) continue;
      const std::string what = fmt::format("line {}", number);
      const json::value value = parse_json(line, what);
      if (!value.is_string()) {
        throw Error(ErrorCode::kInvalidArgument, what + " is not a JSON string");
      }
      terminal.out(ids_line(tokenizer.encode(std::string_view(value.get_string()), options)));
    }
  }

  static void print_table(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                          Terminal& terminal) {
    Table table({{"ID", Align::kRight}, {"PIECE"}, {"TEXT"}});
    for (const TokenId id : ids) {
      table.add_row({std::to_string(id), printable(tokenizer.token_text(id)),
                     "'" + printable(tokenizer.token_bytes(id, true)) + "'"});
    }
    terminal.out(table.to_string(terminal));
    if (terminal.out_is_tty()) {
      terminal.out(terminal.styled(
          Style::kDim, fmt::format("{} token{}\n", ids.size(), ids.size() == 1 ? "" : "s")));
    }
  }

  std::string model_;
  std::optional<std::string> text_;
  bool json_ = false;
  bool jsonl_ = false;
  bool special_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize_command() {
  return std::make_unique<TokenizeCommand>();
}

}  // namespace omg::cli
