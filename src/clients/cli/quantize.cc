// SPDX-License-Identifier: Apache-2.0
//
// `omg quantize`: a model file to a smaller weight type.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"
#include "clients/cli/options.h"
#include "clients/cli/progress_bar.h"
#include "formats/convert/quantize_file.h"
#include "formats/weight_mixture.h"

namespace omg::cli {
namespace {

class QuantizeCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("IN", in_, "Path of a .gguf file").required();
    arguments.positional("OUT", out_, "The file to write; appears when it is complete").required();
    arguments.positional("TYPE", type_, "What to quantise to, see below").required();
    arguments.flag("--pure", pure_, "The same type for every matrix, without exceptions");
    arguments.number("-t,--threads N", threads_, {1, 4096},
                     "Threads to compute with; default: all usable ones");
    arguments.footer("Types: " + type_names() +
                     "\nExample:\n  omg quantize model-f16.gguf model-q4.gguf Q4_K_M");
  }

  void run(Terminal& terminal) override {
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    QuantizeFileOptions options;
    options.type = type_;
    options.pure = pure_;
    options.threads = threads_;
    options.cancellation = cancellation;
    options.on_progress = [&](const QuantizeProgress& progress) { show(progress, terminal); };
    const QuantizeFileResult result = quantize_file(find_local_model(in_).path, out_, options);
    terminal.status("");
    warn(result, terminal);
    terminal.out(summary(result));
  }

 private:
  /// All names, in lines that fit a terminal.
  static std::string type_names() {
    std::string text;
    size_t column = 7;
    for (const std::string_view name : WeightMixture::names()) {
      if (column + name.size() + 1 > 78) {
        text += "\n       ";
        column = 7;
      }
      text += std::string(name) + " ";
      column += name.size() + 1;
    }
    text.pop_back();
    return text;
  }

  static void show(const QuantizeProgress& progress, Terminal& terminal) {
    const TensorConversion& tensor = *progress.tensor;
    const std::string types =
        tensor.from == tensor.to
            ? std::string(info(tensor.from).name)
            : fmt::format("{} → {}", info(tensor.from).name, info(tensor.to).name);
    if (!terminal.err_is_tty()) {
      terminal.note(fmt::format("[{}/{}] {}: {}", progress.tensors_done, progress.tensors,
                                printable(tensor.name), types));
      return;
    }
    const double share =
        progress.bytes == 0 ? 1 : double(progress.bytes_read) / double(progress.bytes);
    const std::string head = fmt::format("{} {:3.0f} % ", bar(share, 24), share * 100);
    std::string name = printable(tensor.name);
    const size_t room = static_cast<size_t>(std::max(terminal.width() - 32, 8));
    if (name.size() > room) name.resize(room);
    terminal.status(head + name);
  }

  /// What somebody who wants a good model should know.
  static void warn(const QuantizeFileResult& result, Terminal& terminal) {
    if (result.requantized > 0) {
      terminal.note(
          fmt::format("note: {} tensors were quantised already and lost precision a "
                      "second time; start from F32, F16 or BF16 where you can",
                      result.requantized));
    }
    const auto changed =
        std::count_if(result.tensors.begin(), result.tensors.end(),
                      [](const TensorConversion& tensor) { return tensor.wanted.has_value(); });
    if (changed > 0) {
      terminal.note(
          fmt::format("note: {} tensors have rows that do not fit the blocks of their "
                      "type and got a larger one",
                      changed));
    }
  }

  std::string summary(const QuantizeFileResult& result) const {
    std::map<std::string_view, size_t> counts;
    uint64_t elements = 0;
    for (const TensorConversion& tensor : result.tensors) {
      ++counts[info(tensor.to).name];
      elements += tensor.elements;
    }
    std::string types;
    for (const auto& [name, count] : counts) {
      types += fmt::format("{}{} × {}", types.empty() ? "" : ", ", count, name);
    }
    return fmt::format("{}: {} → {}, {:.2f} bits per weight ({})\n", out_,
                       format_bytes(result.bytes_in), format_bytes(result.bytes_out),
                       8.0 * double(result.bytes_out) / double(std::max<uint64_t>(elements, 1)),
                       types);
  }

  std::string in_;
  std::string out_;
  std::string type_;
  bool pure_ = false;
  size_t threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_quantize_command() {
  return std::make_unique<QuantizeCommand>();
}

}  // namespace omg::cli
