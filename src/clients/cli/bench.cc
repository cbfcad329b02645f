// SPDX-License-Identifier: Apache-2.0
//
// `omg bench`: prompt processing and generation speed of a model on this machine. It drives the
// engine directly with random tokens, so it measures neither tokenizer nor sampler.
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fstream>

#include "base/error.h"
#include "base/hardware.h"
#include "base/json.h"
#include "clients/cli/bench_workload.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/model_path.h"
#include "clients/cli/options.h"
#include "clients/cli/profile.h"
#include "clients/cli/table.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"

namespace omg::cli {
namespace {

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

/// A line of the results.
struct Row {
  BenchTest test;
  std::vector<double> speeds;  // tokens per second of all sequences together, one a repetition
};

/// What one run says of a test: the prompt, the generation, and with users both together.
void add_speeds(const BenchTest& test, const BenchTimes& times, std::vector<Row>& rows) {
  const auto add = [&rows](const BenchTest& part, double tokens, double seconds) {
    if (tokens == 0) return;
    const auto same = [&](const Row& row) { return row.test.name() == part.name(); };
    auto row = std::find_if(rows.begin(), rows.end(), same);
    if (row == rows.end()) row = rows.insert(rows.end(), {part, {}});
    row->speeds.push_back(tokens / seconds);
  };
  const double prompt = double(test.prompt) * test.sequences();
  const double generated = double(test.generate) * test.sequences();
  add(test.prompt_part(), prompt, times.prompt_seconds);
  add(test.generation_part(), generated, times.generate_seconds);
  if (prompt > 0 && generated > 0) {
    add(test, prompt + generated, times.prompt_seconds + times.generate_seconds);
  }
}

/// Reads the file once, so that loading is timed with the page cache warm and says something about
/// us and not about the disk.
void warm_page_cache(const ModelFile& file, const CancellationToken& cancellation) {
  std::vector<char> buffer(size_t{1} << 20);
  for (const MappedFile& part : file.files()) {
    std::ifstream stream(part.path(), std::ios::binary);
    while (stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) {
      cancellation.throw_if_cancelled();
    }
  }
}

class BenchCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_model_argument(app, model_);
    const auto add = [&](const char* flag, std::vector<uint32_t>& numbers, uint32_t least,
                         uint32_t most, const char* help) {
      return app
          .add_option_function<std::string>(
              flag,
              [=, &numbers](const std::string& text) {
                numbers = parse_numbers(flag, text, least, most);
              },
              help)
          ->option_text("N,...");
    };
    add("-p,--prompt", prompt_, 0, 1 << 20, "Tokens of the prompt; 0: skip this test")
        ->default_str("512");
    add("-n,--generate", generate_, 0, 1 << 20, "Tokens to generate; 0: skip this test")
        ->default_str("64");
    add("-d,--depth", depth_, 0, 1 << 20, "Tokens in the context before anything is measured")
        ->default_str("0");
    add("-b,--batch", users_, 1, 1024,
        "Users at once: each brings a prompt of -p tokens and gets -n more; speeds are of all "
        "together");
    app.add_option("-r,--repeat", repeat_, "Measurements of each test")
        ->check(whole_number(1, 1000))
        ->option_text("N")
        ->capture_default_str();
    app.add_flag("--json", json_, "Print JSON");
    add_threads_flag(app, threads_);
    add_kv_type_flag(app, kv_type_);
    app.footer(
        "Each test runs once untimed before it is measured. Without -b, prompt and generation are\n"
        "measured apart from each other, both from the depth of -d on.\n"
        "Examples:\n"
        "  omg bench model.gguf\n"
        "  omg bench model.gguf -p 512,4096 -n 64 -d 0,8192\n"
        "  omg bench model.gguf -p 128 -n 64 -b 1,4,8,16 --json");
  }

  void run(Terminal& terminal) override {
    const std::vector<BenchTest> tests = plan();
    if (tests.empty()) {
      throw Error(ErrorCode::kUsage, "nothing to measure: -p and -n are both 0");
    }
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    const std::string path = resolve_model_path(model_);
    terminal.status("reading " + model_);
    warm_page_cache(open_model_file(path), cancellation);
    const auto start = std::chrono::steady_clock::now();
    const ModelFile file = open_model_file(path);
    const std::unique_ptr<Engine> engine = load(file, tests, cancellation, terminal);
    load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::vector<Row> rows;
    for (const BenchTest& test : tests) measure(*engine, test, cancellation, terminal, rows);
    terminal.status("");
    json_ ? print_json(*engine, rows, terminal) : print_table(*engine, rows, terminal);
    print_profile(*engine);
  }

 private:
  static std::vector<uint32_t> parse_numbers(std::string flag, const std::string& text,
                                             uint32_t least, uint32_t most) {
    std::vector<uint32_t> numbers;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      const auto number = parse_integer(std::string_view(text).substr(begin, end - begin));
      if (!number || *number < least || *number > most || numbers.size() == kMaxNumbers) {
        throw Error(ErrorCode::kUsage,
                    fmt::format("{}: '{}' is not a list of whole numbers from {} to {}, such as "
                                "512 or 512,4096; see 'omg bench --help'",
                                flag.substr(flag.find("--")), printable(text), least, most));
      }
      numbers.push_back(static_cast<uint32_t>(*number));
      begin = end + 1;
    }
    return numbers;
  }

  /// Every combination of the flags' numbers, without those that measure nothing.
  std::vector<BenchTest> plan() const {
    std::vector<BenchTest> tests;
    for (const uint32_t depth : depth_) {
      if (users_.empty()) {
        for (const uint32_t prompt : prompt_) {
          if (prompt > 0) tests.push_back({0, depth, prompt, 0});
        }
        for (const uint32_t generate : generate_) {
          if (generate > 0) tests.push_back({0, depth, 0, generate});
        }
        continue;
      }
      for (const uint32_t prompt : prompt_) {
        for (const uint32_t generate : generate_) {
          for (const uint32_t users : users_) {
            if (prompt + generate > 0) tests.push_back({users, depth, prompt, generate});
          }
        }
      }
    }
    return tests;
  }

  std::unique_ptr<Engine> load(const ModelFile& file, const std::vector<BenchTest>& tests,
                               const CancellationToken& cancellation, Terminal& terminal) const {
    EngineOptions options;
    for (const BenchTest& test : tests) {  // one at a time is alive
      options.context_length =
          std::max(options.context_length, static_cast<uint32_t>(test.length()));
      options.max_sequences = std::max(options.max_sequences, test.sequences());
      options.kv_capacity_tokens =
          std::max(options.kv_capacity_tokens, test.sequences() * round_up(test.length()));
    }
    options.max_batch_tokens = std::max(options.max_batch_tokens, options.max_sequences);
    options.threads = threads_;
    options.kv_type = kv_type_named(kv_type_);
    options.profile = profile_wanted();
    options.on_progress = [&](float share) {
      cancellation.throw_if_cancelled();
      terminal.status(fmt::format("loading {} {:.0f} %", model_, share * 100));
    };
    return Engine::load(file, options);
  }

  static uint64_t round_up(uint64_t tokens) {
    return (tokens + kKvBlockTokens - 1) / kKvBlockTokens * kKvBlockTokens;
  }

  void measure(Engine& engine, const BenchTest& test, const CancellationToken& cancellation,
               Terminal& terminal, std::vector<Row>& rows) const {
    if (test.depth > 0) terminal.status(test.name() + ": filling the context");
    BenchWorkload workload(engine, test, cancellation);
    terminal.status(test.name() + ": warming up");
    workload.run();
    for (uint32_t i = 0; i < repeat_; ++i) {
      terminal.status(fmt::format("{}: {} of {}", test.name(), i + 1, repeat_));
      add_speeds(test, workload.run(), rows);
    }
  }

  void print_json(const Engine& engine, const std::vector<Row>& rows, Terminal& terminal) const {
    json::array array;
    for (const Row& row : rows) {
      const Speeds speeds = summarize(row.speeds);
      array.push_back({{"test", row.test.name()},
                       {"tokens_per_second",
                        {{"median", speeds.median}, {"min", speeds.min}, {"max", speeds.max}}},
                       {"prompt", row.test.prompt},
                       {"generate", row.test.generate},
                       {"depth", row.test.depth},
                       {"batch", row.test.sequences()},
                       {"threads", engine.threads()},
                       {"repetitions", repeat_},
                       {"isa", isa_name(engine.isa())},
                       {"kv_type", kv_type_},
                       {"load_seconds", load_seconds_},
                       {"weights_bytes", engine.memory_use().weights_bytes},
                       {"kv_bytes", engine.memory_use().kv_bytes},
                       {"peak_resident_bytes", peak_resident_bytes()}});
    }
    terminal.out(json::serialize(array) + "\n");
  }

  void print_table(const Engine& engine, const std::vector<Row>& rows, Terminal& terminal) const {
    const ModelDescription& model = engine.description();
    terminal.out(fmt::format("{} {}, {} thread{}, {}\n\n", model.family,
                             format_count(model.parameters), engine.threads(),
                             engine.threads() == 1 ? "" : "s", isa_name(engine.isa())));
    Table table(
        {{"TEST"}, {"TOKENS/S", Align::kRight}, {"MIN", Align::kRight}, {"MAX", Align::kRight}});
    for (const Row& row : rows) {
      const Speeds speeds = summarize(row.speeds);
      table.add_row({row.test.name(), fmt::format("{:.2f}", speeds.median),
                     fmt::format("{:.2f}", speeds.min), fmt::format("{:.2f}", speeds.max)});
    }
    terminal.out(table.to_string(terminal));
    terminal.out(fmt::format(
        "\nloaded in {:.2f} s (page cache warm), {} of weights, peak memory {}\n", load_seconds_,
        format_bytes(engine.memory_use().weights_bytes), format_bytes(peak_resident_bytes())));
  }

  static constexpr size_t kMaxNumbers = 64;  // of one flag

  std::string model_;
  std::vector<uint32_t> prompt_ = {512};
  std::vector<uint32_t> generate_ = {64};
  std::vector<uint32_t> depth_ = {0};
  std::vector<uint32_t> users_;  // empty: no test of users
  uint32_t repeat_ = 3;
  uint32_t threads_ = 0;
  std::string kv_type_ = "f16";
  bool json_ = false;
  double load_seconds_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() {
  return std::make_unique<BenchCommand>();
}

}  // namespace omg::cli
