// SPDX-License-Identifier: Apache-2.0
//
// `omg logits`: the raw numbers that the model computes for given tokens, for comparison with other
// implementations. Exact arithmetic (f32 cache and activations) unless told otherwise.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"
#include "clients/cli/options.h"
#include "clients/cli/profile.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"

namespace omg::cli {
namespace {

constexpr size_t kMaxTokens = 1 << 20;
/// About 1.3 GB of text; more is a mistake.
constexpr uint64_t kMaxNumbers = 100'000'000;

std::vector<int32_t> parse_tokens(std::string_view text) {
  std::vector<int32_t> tokens;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  for (bool more = true; more;) {
    const size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    std::string_view part = text.substr(0, comma);
    while (!part.empty() && (part.front() == ' ' || part.front() == '\n')) part.remove_prefix(1);
    const auto id = parse_integer(part);
    if (!id || *id < 0 || *id > INT32_MAX) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--tokens: '{}' is not a token id; write them as 13,252,491",
                              part.substr(0, 50)));
    }
    if (tokens.size() == kMaxTokens) {
      throw Error(ErrorCode::kLimitExceeded,
                  fmt::format("--tokens: more than {} tokens", kMaxTokens));
    }
    tokens.push_back(static_cast<int32_t>(*id));
    if (more) text.remove_prefix(comma + 1);
  }
  return tokens;
}

/// JSON has no word for them.
void check_finite(std::span<const float> logits) {
  if (std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) return;
  throw Error(ErrorCode::kCorrupt,
              "the model computed logits that are not finite numbers; its weights may be damaged, "
              "verify the model file");
}

class LogitsCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    add_model_argument(arguments, model_);
    arguments
        .option("--tokens IDS", tokens_, "Token ids, with commas between; - for standard input")
        .required();
    arguments.number("--last N", last_, {1, kMaxTokens}, "Print the logits of the last N positions")
        .shows_default();
    arguments
        .choice("--activations TYPE", activations_, {"f32", "int8"},
                "f32: exact; int8: as generation does with quantised weights")
        .shows_default();
    arguments
        .number("--chunk N", chunk_, {1, 16384}, "Tokens that go through the model in one step")
        .shows_default();
    arguments
        .number("--ctx N", context_, {1, 1 << 30},
                "Tokens of context, which some families' rope scaling follows")
        .group("Model");
    add_threads_flag(arguments, threads_);
    add_kv_type_flag(arguments, kv_type_);
    arguments.footer("Example:\n  omg logits model.gguf --tokens 13,252,491 --last 2");
  }

  void run(Terminal& terminal) override {
    const std::vector<int32_t> tokens =
        parse_tokens(tokens_ == "-" ? read_standard_input() : tokens_);
    if (last_ > tokens.size()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--last {} is more than the {} tokens given", last_, tokens.size()));
    }
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    const ModelFile file = open_model_file(find_local_model(model_).path);
    EngineOptions options;
    options.context_length = context_;
    options.threads = threads_;
    options.max_batch_tokens = chunk_;
    options.kv_type = kv_type_named(kv_type_);
    options.activations = activations_ == "int8" ? ActivationType::kInt8 : ActivationType::kF32;
    options.profile = profile_wanted();
    options.on_progress = [&](float) { cancellation.throw_if_cancelled(); };
    const std::unique_ptr<Engine> engine = Engine::load(file, options);
    if (uint64_t{last_} * engine->vocab_size() > kMaxNumbers) {
      throw Error(ErrorCode::kLimitExceeded,
                  fmt::format("--last {} of a vocabulary of {} is more than {} numbers", last_,
                              engine->vocab_size(), kMaxNumbers));
    }
    print(*engine, tokens, cancellation, terminal);
    print_profile(*engine);
  }

 private:
  void print(Engine& engine, const std::vector<int32_t>& tokens,
             const CancellationToken& cancellation, Terminal& terminal) const {
    const size_t first = tokens.size() - last_;
    std::string head = fmt::format("{{\"n_vocab\": {}, \"tokens\": [{}], \"positions\": [",
                                   engine.vocab_size(), fmt::join(tokens, ","));
    for (size_t i = first; i < tokens.size(); ++i) {
      head += (i > first ? "," : "") + std::to_string(i);
    }
    head += "], \"logits\": [";
    const SequenceId sequence = engine.create_sequence();
    const size_t step = engine.max_batch_tokens();
    bool printed = false;
    for (size_t begin = 0; begin < tokens.size(); begin += step) {
      cancellation.throw_if_cancelled();
      const size_t end = std::min(begin + step, tokens.size());
      SequenceChunk chunk{sequence, std::span(tokens).subspan(begin, end - begin), 0};
      if (end > first) chunk.logits_count = static_cast<uint32_t>(end - std::max(begin, first));
      const std::span<const float> logits = engine.step(std::span(&chunk, 1));
      for (size_t row = 0; row < chunk.logits_count; ++row) {
        const auto numbers = logits.subspan(row * engine.vocab_size(), engine.vocab_size());
        check_finite(numbers);
        // Nothing is printed before the first step has worked: an error leaves no half document.
        if (!printed) terminal.out(head);
        terminal.out(fmt::format("{}[{:.9g}]", printed ? "," : "", fmt::join(numbers, ",")));
        printed = true;
      }
    }
    terminal.out("]}\n");
  }

  std::string model_;
  std::string tokens_;
  uint32_t last_ = 1;
  std::string activations_ = "f32";
  std::string kv_type_ = "f32";
  uint32_t chunk_ = 512;
  uint32_t context_ = 0;
  uint32_t threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_logits_command() {
  return std::make_unique<LogitsCommand>();
}

}  // namespace omg::cli
