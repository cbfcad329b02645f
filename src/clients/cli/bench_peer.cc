// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/bench_peer.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <sstream>

#include "base/child_process.h"
#include "base/error.h"
#include "base/json.h"
#include "clients/cli/format.h"

namespace omg::cli {
namespace {

/// "…/llama.cpp/build/bin/llama-bench" is "llama.cpp".
std::string folder_name(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal().parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path()) {
    const std::string name = folder.filename().string();
    if (name != "bin" && name != "Release" && !name.starts_with("build")) return printable(name);
  }
  return printable(path);
}

/// The last line that says something.
std::string last_line(const std::string& text) {
  std::istringstream lines(text);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last.empty() ? "nothing" : "'" + printable(last.substr(0, 200)) + "'";
}

[[noreturn]] void fail_output(const std::string& program, const std::string& expected,
                              const std::string& out) {
  throw Error(ErrorCode::kIo, fmt::format("{} printed no {}: its last line is {}; is it a "
                                          "llama-bench of a version that this program knows?",
                                          program, expected, last_line(out)));
}

int64_t field(const json::object& row, std::string_view name) {
  const json::value* value = row.if_contains(name);
  if (value == nullptr || !value->is_int64()) return 0;  // forks leave out what they do not know
  return value->as_int64();
}

/// The speed of the one row of llama-bench's JSON that is about such a test.
double find_speed(const std::string& program, const std::string& out, int64_t prompt,
                  int64_t generate) {
  boost::system::error_code failure;
  const json::value document = boost::json::parse(out, failure);
  if (failure || !document.is_array()) fail_output(program, "JSON array", out);
  for (const json::value& item : document.as_array()) {
    if (!item.is_object()) continue;
    const json::object& row = item.as_object();
    if (field(row, "n_prompt") != prompt || field(row, "n_gen") != generate) continue;
    const json::value* speed = row.if_contains("avg_ts");
    if (speed == nullptr || !speed->is_number()) continue;
    const double value = speed->to_number<double>();
    if (std::isfinite(value) && value > 0) return value;
  }
  fail_output(program, fmt::format("speed of {} prompt and {} generated tokens", prompt, generate),
              out);
}

/// A line of llama-batched-bench's table: PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG, T, S.
std::optional<std::vector<double>> parse_row(const std::string& line) {
  if (!line.starts_with('|')) return std::nullopt;
  std::istringstream cells(line.substr(1));
  std::vector<double> numbers;
  for (std::string cell; std::getline(cells, cell, '|');) {
    std::istringstream words(cell);
    double number = 0;
    if (!(words >> number)) return std::nullopt;
    numbers.push_back(number);
  }
  if (numbers.size() != 10) return std::nullopt;
  return numbers;
}

std::optional<BenchSpeeds> find_row(const std::string& out, const BenchTest& test) {
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    const auto row = parse_row(line);
    if (!row || (*row)[0] != test.prompt || (*row)[1] != test.generate || (*row)[2] != test.users) {
      continue;
    }
    const BenchSpeeds speeds{(*row)[5], (*row)[7], (*row)[9]};
    if (std::min({*speeds.prompt, *speeds.generation, *speeds.total}) > 0) return speeds;
  }
  return std::nullopt;
}

}  // namespace

BenchPeer::BenchPeer(std::string path, const CancellationToken& cancellation)
    : path_(std::move(path)), name_(folder_name(path_)) {
  const ProcessResult help = run_process({path_, "--help"}, cancellation);
  const std::string text = help.out + help.err;
  if (text.find("--n-prompt") == std::string::npos) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} is no llama-bench: its --help does not mention --n-prompt; give "
                            "the path of llama.cpp's llama-bench, or of a fork's",
                            path_));
  }
  has_depth_ = text.find("--n-depth") != std::string::npos;
  has_generation_after_ = text.find("-gp ") != std::string::npos;
}

ProcessResult BenchPeer::run(std::vector<std::string> command, const std::string& kv_type,
                             const CancellationToken& cancellation) const {
  for (const char* flag : {"-ctk", "-ctv"}) {
    command.emplace_back(flag);
    command.push_back(kv_type);
  }
  ProcessResult result = run_process(command, cancellation);
  if (result.exit_code != 0) {
    throw Error(
        ErrorCode::kIo,
        fmt::format("{} ended with {}: it said {}; this was its command: {}", command.front(),
                    result.exit_code, last_line(result.err.empty() ? result.out : result.err),
                    fmt::join(command, " ")));
  }
  return result;
}

BenchSpeeds BenchPeer::measure(const BenchTest& test, const std::string& model, uint32_t threads,
                               const std::string& kv_type,
                               const CancellationToken& cancellation) const {
  if (test.users > 0) return measure_users(test, model, threads, kv_type, cancellation);
  std::vector<std::string> command = {path_, "-m", model, "-t", std::to_string(threads)};
  const auto add = [&](std::initializer_list<std::string> more) {
    command.insert(command.end(), more);
  };
  add({"-r", "1", "-o", "json"});
  const bool by_depth = test.depth == 0 || has_depth_;
  if (!by_depth && (test.prompt > 0 || !has_generation_after_)) return {};
  int64_t shown_prompt = test.prompt;
  if (by_depth) {
    add({"-p", std::to_string(test.prompt), "-n", std::to_string(test.generate)});
    if (test.depth > 0) add({"-d", std::to_string(test.depth)});
  } else {
    add({"-p", "0", "-n", "0", "-gp", fmt::format("{},{}", test.depth, test.generate)});
    shown_prompt = test.depth;
  }
  const std::string out = run(std::move(command), kv_type, cancellation).out;
  const double speed = find_speed(path_, out, shown_prompt, test.generate);
  BenchSpeeds speeds;
  (test.prompt > 0 ? speeds.prompt : speeds.generation) = speed;
  return speeds;
}

BenchSpeeds BenchPeer::measure_users(const BenchTest& test, const std::string& model,
                                     uint32_t threads, const std::string& kv_type,
                                     const CancellationToken& cancellation) const {
  if (test.depth > 0 || test.prompt == 0 || test.generate == 0) return {};
  const auto folder = std::filesystem::path(path_).parent_path();
  const std::string program = (folder / "llama-batched-bench").string();
  if (!std::filesystem::exists(program)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("there is no {}: to compare many users (-b), llama-batched-bench must "
                            "stand beside llama-bench; build it too, or leave out -b",
                            program));
  }
  const uint64_t context = test.users * test.length();
  const std::vector<std::string> command = {program,
                                            "-m",
                                            model,
                                            "-t",
                                            std::to_string(threads),
                                            "-c",
                                            std::to_string(context),
                                            "-npp",
                                            std::to_string(test.prompt),
                                            "-ntg",
                                            std::to_string(test.generate),
                                            "-npl",
                                            std::to_string(test.users)};
  ProcessResult result;
  // It prints from a thread that its end sometimes outruns: one of four runs was without its row.
  for (int attempt = 0; attempt < 5; ++attempt) {
    result = run(command, kv_type, cancellation);
    if (const auto speeds = find_row(result.out, test)) return *speeds;
    if (const auto speeds = find_row(result.err, test)) return *speeds;  // ik_llama.cpp's
  }
  fail_output(program, fmt::format("row of its table for {} users", test.users), result.out);
}

}  // namespace omg::cli
