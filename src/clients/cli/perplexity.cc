// SPDX-License-Identifier: Apache-2.0
//
// `omg perplexity`: how well a model predicts a text, to compare weight types, caches and engines.
#include "engine/perplexity.h"

#include <chrono>
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"
#include "clients/cli/options.h"
#include "clients/cli/profile.h"
#include "formats/open_model_file.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::cli {
namespace {

class PerplexityCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    add_model_argument(arguments, model_);
    arguments.positional("FILE", file_, "The text; - for standard input").required();
    arguments
        .number("--ctx N", options_.context, {4, 1 << 20},
                "Tokens of a chunk; the second half of each is scored, as llama-perplexity does")
        .shows_default();
    arguments.number("--chunks N", options_.max_chunks, {1, 1 << 30},
                     "Take the first N chunks only");
    arguments
        .choice("--activations TYPE", activations_, {"f32", "int8"},
                "int8: as generation does with quantised weights; f32: exact")
        .shows_default();
    arguments.flag("--json", json_, "Print JSON");
    add_threads_flag(arguments, threads_);
    add_kv_type_flag(arguments, kv_type_);
    arguments.footer(
        "Lower is better; figures compare between files with the same vocabulary, on the same "
        "text\n"
        "with the same --ctx.\n"
        "Example:\n"
        "  omg perplexity model.gguf wiki.test.raw");
  }

  void run(Terminal& terminal) override {
    const std::string text = read_text_file(file_);
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    const ModelFile file = open_model_file(find_local_model(model_).path);
    const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(file.metadata());
    const std::vector<TokenId> tokens = tokenizer->encode(text, {.add_special = true});
    const SpecialTokens& special = tokenizer->special_tokens();
    if (special.add_bos) options_.first_token = special.bos;
    const std::unique_ptr<Engine> engine = load(file, cancellation, terminal);
    const size_t chunks = tokens.size() / options_.context;
    const auto start = std::chrono::steady_clock::now();
    const Perplexity result =
        measure_perplexity(*engine, tokens, options_, [&](const Perplexity& so_far) {
          cancellation.throw_if_cancelled();
          terminal.status(fmt::format(
              "chunk {} of {}: {:.4f}", so_far.chunks,
              options_.max_chunks > 0 ? std::min<size_t>(chunks, options_.max_chunks) : chunks,
              so_far.perplexity));
        });
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    terminal.status("");
    json_ ? print_json(*engine, result, seconds, terminal) : print(result, seconds, terminal);
    print_profile(*engine);
  }

 private:
  std::unique_ptr<Engine> load(const ModelFile& file, const CancellationToken& cancellation,
                               Terminal& terminal) const {
    EngineOptions options;
    options.context_length = options_.context;
    options.threads = threads_;
    options.kv_type = kv_type_named(kv_type_);
    options.activations = activations_ == "int8" ? ActivationType::kInt8 : ActivationType::kF32;
    options.profile = profile_wanted();
    options.on_progress = [&](float share) {
      cancellation.throw_if_cancelled();
      terminal.status(fmt::format("loading {} {:.0f} %", model_, share * 100));
    };
    return Engine::load(file, options);
  }

  void print(const Perplexity& result, double seconds, Terminal& terminal) const {
    terminal.out(fmt::format("perplexity {:.4f} ± {:.4f}\n", result.perplexity, result.error));
    const double tokens = double(result.chunks) * options_.context;
    terminal.note(fmt::format(
        "{} chunk{} of {} tokens, {} tokens scored, {} activations, {} cache, {:.1f} s, "
        "{:.1f} tokens/s",
        result.chunks, result.chunks == 1 ? "" : "s", options_.context, result.scored_tokens,
        activations_, kv_type_, seconds, tokens / seconds));
  }

  void print_json(const Engine& engine, const Perplexity& result, double seconds,
                  Terminal& terminal) const {
    const json::object object = {{"perplexity", result.perplexity},
                                 {"error", result.error},
                                 {"chunks", result.chunks},
                                 {"context", options_.context},
                                 {"scored_tokens", result.scored_tokens},
                                 {"activations", activations_},
                                 {"kv_type", kv_type_},
                                 {"isa", isa_name(engine.isa())},
                                 {"threads", engine.threads()},
                                 {"seconds", seconds}};
    terminal.out(json::serialize(object) + "\n");
  }

  std::string model_;
  std::string file_;
  PerplexityOptions options_;
  std::string activations_ = "int8";
  std::string kv_type_ = "f16";
  uint32_t threads_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_perplexity_command() {
  return std::make_unique<PerplexityCommand>();
}

}  // namespace omg::cli
