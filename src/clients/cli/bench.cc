// SPDX-License-Identifier: Apache-2.0
//
// `omg bench`: prompt processing and generation speed of a model on this machine. It drives the
// engine directly with random tokens, so it measures neither tokenizer nor sampler.
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "base/hardware.h"
#include "base/json.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/model_path.h"
#include "clients/cli/options.h"
#include "clients/cli/table.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"

namespace omg::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Speeds {
  double median = 0;
  double min = 0;
  double max = 0;
};

Speeds summarize(std::vector<double> speeds) {
  std::sort(speeds.begin(), speeds.end());
  const size_t half = speeds.size() / 2;
  const double median =
      speeds.size() % 2 == 1 ? speeds[half] : (speeds[half - 1] + speeds[half]) / 2;
  return {median, speeds.front(), speeds.back()};
}

struct TestResult {
  std::string test;          // "pp512", "tg64"
  Speeds tokens_per_second;  // of all sequences together
};

/// Random tokens, the same in every run (splitmix64).
class TokenSource {
 public:
  explicit TokenSource(uint32_t vocab_size) : vocab_size_(vocab_size) {}
  int32_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<int32_t>((z ^ (z >> 31)) % vocab_size_);
  }

 private:
  uint32_t vocab_size_;
  uint64_t state_ = 0;
};

/// Sequences of one measurement; freed at its end.
class Sequences {
 public:
  Sequences(Engine& engine, uint32_t count) : engine_(engine) {
    for (uint32_t i = 0; i < count; ++i) ids_.push_back(engine_.create_sequence());
  }
  Sequences(const Sequences&) = delete;
  ~Sequences() {
    for (const SequenceId id : ids_) engine_.free_sequence(id);
  }
  const std::vector<SequenceId>& ids() const { return ids_; }

 private:
  Engine& engine_;
  std::vector<SequenceId> ids_;
};

/// Runs `count` random tokens through a sequence; ends with the logits of the last, as a prompt
/// does.
void feed(Engine& engine, SequenceId id, uint32_t count, TokenSource& source,
          const CancellationToken& cancellation) {
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = source.next();
  for (size_t begin = 0; begin < count; begin += engine.max_batch_tokens()) {
    cancellation.throw_if_cancelled();
    const size_t size = std::min<size_t>(engine.max_batch_tokens(), count - begin);
    const SequenceChunk chunk{id, std::span(tokens).subspan(begin, size),
                              begin + size == count ? 1u : 0u};
    engine.step(std::span(&chunk, 1));
  }
}

/// Tokens per second of `batch` prompts, one after another.
double run_prompts(Engine& engine, uint32_t prompt, uint32_t batch,
                   const CancellationToken& cancellation) {
  TokenSource source(engine.vocab_size());
  const Sequences sequences(engine, batch);
  const auto start = Clock::now();
  for (const SequenceId id : sequences.ids()) feed(engine, id, prompt, source, cancellation);
  return double(prompt) * batch / seconds_since(start);
}

/// Generation in some sequences at once, from `depth` tokens of context on; each run goes on where
/// the last one ended.
class Generation {
 public:
  Generation(Engine& engine, uint32_t batch, uint32_t depth, const CancellationToken& cancellation)
      : engine_(engine),
        cancellation_(cancellation),
        source_(engine.vocab_size()),
        sequences_(engine, batch),
        tokens_(batch) {
    for (uint32_t i = 0; i < batch; ++i) {
      const SequenceId id = sequences_.ids()[i];
      feed(engine, id, depth, source_, cancellation);
      chunks_.push_back({id, std::span<const int32_t>(&tokens_[i], 1), 1});
    }
  }

  /// Tokens per second of `count` steps.
  double run(uint32_t count) {
    const auto start = Clock::now();
    for (uint32_t step = 0; step < count; ++step) {
      cancellation_.throw_if_cancelled();
      for (int32_t& token : tokens_) token = source_.next();
      engine_.step(chunks_);
    }
    return double(count) * double(tokens_.size()) / seconds_since(start);
  }

 private:
  Engine& engine_;
  const CancellationToken& cancellation_;
  TokenSource source_;
  const Sequences sequences_;
  std::vector<int32_t> tokens_;
  std::vector<SequenceChunk> chunks_;
};

class BenchCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_model_argument(app, model_);
    const auto add = [&](const char* flag, uint32_t& value, int64_t least, int64_t most,
                         const char* help) {
      app.add_option(flag, value, help)
          ->check(whole_number(least, most))
          ->option_text("N")
          ->capture_default_str();
    };
    add("-p,--prompt", prompt_, 0, 1 << 20, "Tokens of the prompt; 0: skip this test");
    add("-n,--generate", generate_, 0, 1 << 20, "Tokens to generate; 0: skip this test");
    add("-d,--depth", depth_, 0, 1 << 20, "Tokens in the context before generation is measured");
    add("-b,--batch", batch_, 1, 1024, "Sequences at once; speeds are of all together");
    add("-r,--repeat", repeat_, 1, 1000, "Measurements of each test");
    app.add_flag("--json", json_, "Print JSON");
    add_threads_flag(app, threads_);
    add_kv_type_flag(app, kv_type_);
    app.footer(
        "Each test runs once untimed before it is measured. With -d, generation goes on from run "
        "to\n"
        "run.\n"
        "Examples:\n"
        "  omg bench model.gguf\n"
        "  omg bench model.gguf -p 0 -n 64 -b 16 -t 2 --json");
  }

  void run(Terminal& terminal) override {
    if (prompt_ == 0 && generate_ == 0) {
      throw Error(ErrorCode::kUsage, "nothing to measure: -p and -n are both 0");
    }
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    const auto start = Clock::now();
    const ModelFile file = open_model_file(resolve_model_path(model_));
    const std::unique_ptr<Engine> engine = load(file, cancellation, terminal);
    const double load_seconds = seconds_since(start);
    std::vector<TestResult> results;
    if (prompt_ > 0) {
      results.push_back(measure(fmt::format("pp{}", prompt_), terminal, [&] {
        return run_prompts(*engine, prompt_, batch_, cancellation);
      }));
    }
    if (generate_ > 0) {
      std::string name = fmt::format("tg{}", generate_);
      if (depth_ > 0) name += fmt::format(" @ d{}", depth_);
      std::optional<Generation> deep;
      if (depth_ > 0) {
        terminal.status(name + ": filling the context");
        deep.emplace(*engine, batch_, depth_, cancellation);
      }
      results.push_back(measure(name, terminal, [&] {
        if (deep) return deep->run(generate_);  // to fill the context again would take long
        return Generation(*engine, batch_, 0, cancellation).run(generate_);
      }));
    }
    terminal.status("");
    if (json_) return print_json(*engine, results, load_seconds, terminal);
    print_table(*engine, results, load_seconds, terminal);
  }

 private:
  std::unique_ptr<Engine> load(const ModelFile& file, const CancellationToken& cancellation,
                               Terminal& terminal) const {
    EngineOptions options;
    const uint64_t generated =
        depth_ == 0 ? generate_ : depth_ + uint64_t{generate_} * (repeat_ + 1);
    if (generated > UINT32_MAX) {
      throw Error(ErrorCode::kLimitExceeded,
                  "-n, -r and -d together need too long a context; take smaller numbers");
    }
    options.context_length = std::max({prompt_, static_cast<uint32_t>(generated), 1u});
    options.max_sequences = batch_;
    options.max_batch_tokens = std::max(512u, batch_);
    options.threads = threads_;
    options.kv_type = kv_type_ == "f32" ? KvType::kF32 : KvType::kF16;
    options.on_progress = [&](float share) {
      cancellation.throw_if_cancelled();
      terminal.status(fmt::format("loading {} {:.0f} %", model_, share * 100));
    };
    return Engine::load(file, options);
  }

  template <typename Test>
  TestResult measure(const std::string& name, Terminal& terminal, Test test) const {
    terminal.status(name + ": warming up");
    test();
    std::vector<double> speeds;
    for (uint32_t i = 0; i < repeat_; ++i) {
      terminal.status(fmt::format("{}: {} of {}", name, i + 1, repeat_));
      speeds.push_back(test());
    }
    return {name, summarize(std::move(speeds))};
  }

  void print_json(const Engine& engine, const std::vector<TestResult>& results, double load_seconds,
                  Terminal& terminal) const {
    json::array array;
    for (const TestResult& result : results) {
      const Speeds& speeds = result.tokens_per_second;
      array.push_back({{"test", result.test},
                       {"tokens_per_second",
                        {{"median", speeds.median}, {"min", speeds.min}, {"max", speeds.max}}},
                       {"batch", batch_},
                       {"threads", engine.threads()},
                       {"repetitions", repeat_},
                       {"isa", isa_name(engine.isa())},
                       {"kv_type", kv_type_},
                       {"load_seconds", load_seconds},
                       {"weights_bytes", engine.memory_use().weights_bytes},
                       {"kv_bytes", engine.memory_use().kv_bytes},
                       {"peak_resident_bytes", peak_resident_bytes()}});
    }
    terminal.out(json::serialize(array) + "\n");
  }

  void print_table(const Engine& engine, const std::vector<TestResult>& results,
                   double load_seconds, Terminal& terminal) const {
    const ModelDescription& model = engine.description();
    terminal.out(fmt::format("{} {}, {} thread{}, {}, {} at once\n\n", model.family,
                             format_count(model.parameters), engine.threads(),
                             engine.threads() == 1 ? "" : "s", isa_name(engine.isa()), batch_));
    Table table(
        {{"TEST"}, {"TOKENS/S", Align::kRight}, {"MIN", Align::kRight}, {"MAX", Align::kRight}});
    for (const TestResult& result : results) {
      const Speeds& speeds = result.tokens_per_second;
      table.add_row({result.test, fmt::format("{:.2f}", speeds.median),
                     fmt::format("{:.2f}", speeds.min), fmt::format("{:.2f}", speeds.max)});
    }
    terminal.out(table.to_string(terminal));
    terminal.out(fmt::format("\nloaded in {:.2f} s, {} of weights, peak memory {}\n", load_seconds,
                             format_bytes(engine.memory_use().weights_bytes),
                             format_bytes(peak_resident_bytes())));
  }

  std::string model_;
  uint32_t prompt_ = 512;
  uint32_t generate_ = 64;
  uint32_t depth_ = 0;
  uint32_t batch_ = 1;
  uint32_t repeat_ = 3;
  uint32_t threads_ = 0;
  std::string kv_type_ = "f16";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() {
  return std::make_unique<BenchCommand>();
}

}  // namespace omg::cli
