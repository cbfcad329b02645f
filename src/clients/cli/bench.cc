// SPDX-License-Identifier: Apache-2.0
//
// `omg bench`: prompt processing and generation speed of a model on this machine. It drives the
// engine directly with random tokens, so it measures neither tokenizer nor sampler.
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/hardware.h"
#include "clients/cli/arguments.h"
#include "clients/cli/bench_peer.h"
#include "clients/cli/bench_report.h"
#include "clients/cli/bench_workload.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"
#include "clients/cli/options.h"
#include "clients/cli/profile.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"

namespace omg::cli {
namespace {

constexpr double kMostByOthers = 0.05;  // of all processors; a desktop at rest takes about 0.01

/// Watches what other programs take of the processors. On a busy machine a comparison says nothing:
/// on two cores under load, the same two programs were seen 30 times apart.
class OthersWatch {
 public:
  /// From here to finish() only this process and those it runs should work.
  void begin() {
    start_ = processor_seconds();
    own_start_ = own_processor_seconds();
  }
  void finish() {
    const auto end = processor_seconds();
    if (!start_ || !end || end->all <= start_->all) return;
    const double busy = end->busy - start_->busy - (own_processor_seconds() - own_start_);
    most_ = std::max(most_, busy / (end->all - start_->all));
  }
  /// The largest share in any measurement.
  double most() const { return most_; }

 private:
  std::optional<ProcessorSeconds> start_;
  double own_start_ = 0;
  double most_ = 0;
};

/// The peak of resident memory without that of the measuring itself.
class PeakMemory {
 public:
  uint64_t bytes() const { return is_valid_ ? std::max(peak_, peak_resident_bytes()) : peak_; }
  /// Before and after something that does not count.
  void pause() { peak_ = bytes(); }
  void resume() { is_valid_ = is_valid_ && reset_peak_resident_bytes(); }

 private:
  uint64_t peak_ = 0;
  bool is_valid_ = true;
};

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
  void define(Arguments& arguments) override {
    arguments.positional("MODEL", models_, "Path of a .gguf file; may be several").required();
    const auto numbers = [&](const char* form, std::vector<uint32_t>& target, Range range,
                             const char* help) -> Argument& {
      const auto set = [form, &target, range](const std::string& text) {
        target = parse_numbers(form, text, range);
      };
      return arguments.option(form, set, help);
    };
    numbers("-p,--prompt N,...", prompt_, {0, 1 << 20}, "Tokens of the prompt; 0: skip this test")
        .shows_default("512");
    numbers("-n,--generate N,...", generate_, {0, 1 << 20}, "Tokens to generate; 0: skip this test")
        .shows_default("64");
    numbers("-d,--depth N,...", depth_, {0, 1 << 20},
            "Tokens in the context before anything is measured")
        .shows_default("0");
    numbers("-b,--batch N,...", users_, {1, 1024},
            "Users at once: each brings a prompt of -p tokens and gets -n more; speeds are of all "
            "together");
    arguments.flag("--served", is_served_,
                   "With -b: as requests are served, where some generate while prompts of others "
                   "are still read");
    arguments.number("-r,--repeat N", repeat_, {1, 1000}, "Measurements of each test")
        .shows_default();
    arguments.option(
        "--compare PATH", peers_,
        "Path of llama.cpp's llama-bench, or of a fork's: measures it in turns with us "
        "on the same file and threads; may be given more than once");
    arguments.flag("--json", json_, "Print JSON");
    add_threads_flag(arguments, threads_);
    add_kv_type_flag(arguments, kv_type_);
    arguments.footer(
        "Each test runs once untimed before it is measured. Without -b, prompt and generation are\n"
        "measured apart from each other, both from the depth of -d on.\n"
        "Examples:\n"
        "  omg bench model.gguf\n"
        "  omg bench model.gguf -p 512,4096 -n 64 -d 0,8192\n"
        "  omg bench model.gguf -p 128 -n 64 -b 1,4,8,16\n"
        "  omg bench model.gguf --compare llama.cpp/build/bin/llama-bench -r 5");
  }

  void run(Terminal& terminal) override {
    const std::vector<BenchTest> tests = plan();
    if (tests.empty()) {
      throw Error(ErrorCode::kUsage, "nothing to measure: -p and -n are both 0");
    }
    if (is_served_) check_served();
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    std::vector<BenchPeer> peers;
    for (const std::string& path : peers_) peers.emplace_back(path, cancellation);
    json::array all;
    double most_by_others = 0;
    for (const std::string& model : models_) {
      const BenchReport report = measure_model(model, tests, peers, cancellation, terminal);
      most_by_others = std::max(most_by_others, report.others_share);
      if (json_) {
        for (json::value& row : to_json(report)) all.push_back(std::move(row));
      } else {
        terminal.out((&model == &models_.front() ? "" : "\n") + to_text(report, terminal));
      }
    }
    if (json_) terminal.out(json::serialize(all) + "\n");
    if (!peers.empty() && most_by_others > kMostByOthers) {
      throw Error(ErrorCode::kLimitExceeded,
                  fmt::format("these figures are worthless: other programs used up to {:.0f} % of "
                              "the processors during a measurement; compare on an idle machine",
                              most_by_others * 100));
    }
  }

 private:
  void check_served() const {
    const auto holds_zero = [](const std::vector<uint32_t>& numbers) {
      return std::find(numbers.begin(), numbers.end(), 0u) != numbers.end();
    };
    if (users_.empty() || depth_ != std::vector<uint32_t>{0} || holds_zero(prompt_) ||
        holds_zero(generate_) || !peers_.empty()) {
      throw Error(ErrorCode::kUsage,
                  "--served measures prompts and answers of users together: it wants -b, -p and -n "
                  "above 0, and neither -d nor --compare");
    }
  }

  static std::vector<uint32_t> parse_numbers(std::string_view form, const std::string& text,
                                             Range range) {
    const std::string_view name = form.substr(form.find("--"), form.find(' ') - form.find("--"));
    std::vector<uint32_t> numbers;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      const auto number = parse_integer(std::string_view(text).substr(begin, end - begin));
      if (!number || *number < range.least || *number > range.most ||
          numbers.size() == kMaxNumbers) {
        throw Error(ErrorCode::kUsage,
                    fmt::format("{}: '{}' is not a list of whole numbers from {} to {}, such as "
                                "512 or 512,4096; see 'omg bench --help'",
                                name, printable(text), range.least, range.most));
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
            if (prompt + generate == 0) continue;
            tests.push_back({users, depth, prompt, generate, is_served_});
          }
        }
      }
    }
    return tests;
  }

  BenchReport measure_model(const std::string& model, const std::vector<BenchTest>& tests,
                            const std::vector<BenchPeer>& peers,
                            const CancellationToken& cancellation, Terminal& terminal) const {
    const LocalModel local = find_local_model(model);
    const std::string& path = local.path;
    terminal.status("reading " + model);
    warm_page_cache(open_model_file(path), cancellation);
    const auto start = std::chrono::steady_clock::now();
    const ModelFile file = open_model_file(path);
    const std::unique_ptr<Engine> engine =
        Engine::load(file, engine_options(model, tests, !peers.empty(), cancellation, terminal));
    BenchReport report;
    report.load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report.model = path;
    report.family = engine->description().family;
    report.parameters = engine->description().parameters;
    report.threads = engine->threads();
    report.isa = isa_name(engine->isa());
    report.kv_type = kv_type_;
    report.weights_bytes = engine->memory_use().weights_bytes;
    report.kv_bytes = engine->memory_use().kv_bytes;
    for (const BenchPeer& peer : peers) {
      report.peer_names.push_back(peer.name());
      report.peer_paths.push_back(peer.path());
    }
    Measuring measuring{*engine, peers, cancellation, terminal, report, {}, {}};
    peers.empty() ? measure_alone(measuring, tests) : measure_in_turns(measuring, tests);
    terminal.status("");
    report.peak_resident_bytes = measuring.peak.bytes();
    report.others_share = measuring.others.most();
    print_profile(*engine);
    return report;
  }

  /// What the functions below share while one model is measured.
  struct Measuring {
    Engine& engine;
    const std::vector<BenchPeer>& peers;
    const CancellationToken& cancellation;
    Terminal& terminal;
    BenchReport& report;
    OthersWatch others;
    PeakMemory peak;
  };

  /// Test after test: only one has its context in memory.
  void measure_alone(Measuring& measuring, const std::vector<BenchTest>& tests) const {
    for (const BenchTest& test : tests) {
      const auto workload = prepare(measuring, test);
      for (uint32_t i = 0; i < repeat_; ++i) measure_ours(measuring, *workload, i);
    }
  }

  /// Round after round, and in each of them program after program, so that a machine whose speed
  /// drifts treats them alike. Contexts stay filled; our threads sleep while a peer runs.
  void measure_in_turns(Measuring& measuring, const std::vector<BenchTest>& tests) const {
    std::vector<std::unique_ptr<BenchWorkload>> workloads;
    for (const BenchTest& test : tests) workloads.push_back(prepare(measuring, test));
    for (uint32_t i = 0; i < repeat_; ++i) {
      for (const auto& workload : workloads) {
        measure_ours(measuring, *workload, i);
        measure_peers(measuring, workload->test(), i);
      }
    }
  }

  static std::unique_ptr<BenchWorkload> prepare(Measuring& measuring, const BenchTest& test) {
    if (test.depth > 0) measuring.terminal.status(test.name() + ": filling the context");
    auto workload = std::make_unique<BenchWorkload>(measuring.engine, test, measuring.cancellation);
    measuring.terminal.status(test.name() + ": warming up");
    workload->run();
    return workload;
  }

  void measure_ours(Measuring& measuring, BenchWorkload& workload, uint32_t round) const {
    const BenchTest& test = workload.test();
    measuring.terminal.status(fmt::format("{}: {} of {}", test.name(), round + 1, repeat_));
    double bandwidth = 0;
    if (test.generate > 0) {
      measuring.peak.pause();
      bandwidth = measuring.engine.measure_read_bandwidth();
      measuring.peak.resume();
      measuring.report.read_bytes_per_second.push_back(bandwidth);
    }
    measuring.others.begin();
    const BenchTimes times = workload.run();
    measuring.others.finish();
    const double prompt = double(test.prompt) * test.sequences();
    const double generated = double(test.generate) * test.sequences();
    if (test.is_served) {
      measuring.report.row(test).speeds.push_back((prompt + generated) / times.served_seconds);
      return;
    }
    if (prompt > 0) {
      measuring.report.row(test.prompt_part()).speeds.push_back(prompt / times.prompt_seconds);
    }
    if (generated > 0) {
      BenchRow& row = measuring.report.row(test.generation_part());
      row.speeds.push_back(generated / times.generate_seconds);
      const uint32_t length = test.depth + test.prompt + test.generate / 2;
      const double bytes = measuring.engine.generation_step_bytes(test.sequences(), length);
      row.read_shares.push_back(bytes * test.generate / times.generate_seconds / bandwidth);
    }
    if (prompt > 0 && generated > 0) {
      measuring.report.row(test).speeds.push_back((prompt + generated) /
                                                  (times.prompt_seconds + times.generate_seconds));
    }
  }

  void measure_peers(Measuring& measuring, const BenchTest& test, uint32_t round) const {
    BenchReport& report = measuring.report;
    for (size_t i = 0; i < measuring.peers.size(); ++i) {
      const BenchPeer& peer = measuring.peers[i];
      measuring.terminal.status(
          fmt::format("{}: {} of {}: {}", test.name(), round + 1, repeat_, peer.name()));
      measuring.others.begin();
      const BenchSpeeds speeds =
          peer.measure(test, report.model, report.threads, kv_type_, measuring.cancellation);
      measuring.others.finish();
      const auto add = [&](const BenchTest& part, const std::optional<double>& speed) {
        if (speed) report.row(part).peer_speeds[i].push_back(*speed);
      };
      add(test.prompt_part(), speeds.prompt);
      add(test.generation_part(), speeds.generation);
      add(test, speeds.total);
    }
  }

  EngineOptions engine_options(const std::string& model, const std::vector<BenchTest>& tests,
                               bool all_at_once, const CancellationToken& cancellation,
                               Terminal& terminal) const {
    EngineOptions options;
    uint64_t most_tokens = 0;
    uint64_t all_tokens = 0;
    uint32_t all_sequences = 0;
    for (const BenchTest& test : tests) {
      options.context_length =
          std::max(options.context_length, static_cast<uint32_t>(test.length()));
      options.max_sequences = std::max(options.max_sequences, test.sequences());
      const uint64_t blocks = (test.length() + kKvBlockTokens - 1) / kKvBlockTokens;
      const uint64_t tokens = test.sequences() * blocks * kKvBlockTokens;
      most_tokens = std::max(most_tokens, tokens);
      all_tokens += tokens;
      all_sequences += test.sequences();
    }
    options.max_batch_tokens = std::max(options.max_batch_tokens, options.max_sequences);
    if (all_at_once) options.max_sequences = all_sequences;
    options.kv_capacity_tokens = all_at_once ? all_tokens : most_tokens;
    options.threads = threads_;
    options.kv_type = kv_type_named(kv_type_);
    options.profile = profile_wanted();
    options.on_progress = [&](float share) {
      cancellation.throw_if_cancelled();
      terminal.status(fmt::format("loading {} {:.0f} %", model, share * 100));
    };
    return options;
  }

  static constexpr size_t kMaxNumbers = 64;  // of one flag

  std::vector<std::string> models_;
  std::vector<std::string> peers_;
  std::vector<uint32_t> prompt_ = {512};
  std::vector<uint32_t> generate_ = {64};
  std::vector<uint32_t> depth_ = {0};
  std::vector<uint32_t> users_;  // empty: no test of users
  uint32_t repeat_ = 3;
  uint32_t threads_ = 0;
  std::string kv_type_ = "f16";
  bool is_served_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() {
  return std::make_unique<BenchCommand>();
}

}  // namespace omg::cli
