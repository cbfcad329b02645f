// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/profile.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>

#include "base/error.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

/// "0.84", "12.3", "456": three digits.
std::string three_digits(double value) {
  if (value < 10) return fmt::format("{:.2f}", value);
  if (value < 100) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

/// "1.23 G" of something; "-" for none.
std::string amount(double value) {
  if (value <= 0) return "-";
  const char* units[] = {"", " k", " M", " G", " T", " P"};
  size_t unit = 0;
  for (; value >= 999.5 && unit < 5; ++unit) value /= 1000;
  return three_digits(value) + units[unit];
}

std::string per_second(double value, double seconds) {
  return value > 0 && seconds > 0 ? three_digits(value / seconds * 1e-9) : "-";
}

/// How near an operation came to what the machine can do, and which limit it is that it would hit
/// first: "87 % read".
std::string of_limit(const OperationProfile& operation, const MachineLimits& limits) {
  const double least = operation.work.least_seconds(limits);
  if (least <= 0 || operation.seconds <= 0) return "-";
  const Work reading{operation.work.bytes, 0, 0};
  const char* limit = "read";
  if (reading.least_seconds(limits) < least) {
    const Work integers{0, operation.work.int8_ops, 0};
    limit = integers.least_seconds(limits) * 2 > least ? "int8" : "f32";
  }
  return fmt::format("{:.0f} % {:<4}", least / operation.seconds * 100, limit);
}

void add_row(Table& table, const std::string& name, const OperationProfile& operation,
             const PhaseProfile& phase, const MachineLimits& limits) {
  const double operations = operation.work.int8_ops + operation.work.float_ops;
  const double seconds = operation.seconds;
  table.add_row({name, operation.calls > 0 ? fmt::format("{}", operation.calls) : "-",
                 fmt::format("{:.1f}", seconds * 1e3),
                 fmt::format("{:.1f} %", phase.seconds > 0 ? seconds / phase.seconds * 100 : 0),
                 amount(operation.work.bytes), amount(operations),
                 per_second(operation.work.bytes, seconds), per_second(operations, seconds),
                 of_limit(operation, limits)});
}

std::string phase_text(std::string_view name, const PhaseProfile& phase,
                       const MachineLimits& limits) {
  std::vector<size_t> order;
  OperationProfile all;
  OperationProfile rest;
  rest.seconds = phase.seconds;
  for (size_t i = 0; i < kOperations; ++i) {
    const OperationProfile& operation = phase.operations[i];
    if (operation.calls == 0) continue;
    order.push_back(i);
    all.calls += operation.calls;
    all.work += operation.work;
    rest.seconds -= operation.seconds;
  }
  all.seconds = phase.seconds;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double seconds[] = {phase.operations[a].seconds, phase.operations[b].seconds};
    return seconds[0] > seconds[1] || (seconds[0] == seconds[1] && a < b);
  });
  Table table({{"OPERATION"},
               {"CALLS", Align::kRight},
               {"MS", Align::kRight},
               {"SHARE", Align::kRight},
               {"BYTES", Align::kRight},
               {"OPS", Align::kRight},
               {"GB/S", Align::kRight},
               {"GOP/S", Align::kRight},
               {"OF LIMIT", Align::kRight}});
  for (const size_t i : order) {
    const std::string operation(operation_name(static_cast<Operation>(i)));
    add_row(table, operation, phase.operations[i], phase, limits);
  }
  add_row(table, "between operations", rest, phase, limits);
  add_row(table, "all", all, phase, limits);
  return fmt::format("\n{}: {} tokens in {} step{}, {:.3f} s, {:.1f} tokens/s\n\n", name,
                     phase.tokens, phase.steps, phase.steps == 1 ? "" : "s", phase.seconds,
                     phase.seconds > 0 ? double(phase.tokens) / phase.seconds : 0) +
         table.to_string();
}

}  // namespace

bool profile_wanted() {
  const char* variable = std::getenv("OMG_PROFILE");
  const std::string_view value = variable == nullptr ? "" : variable;
  if (value.empty() || value == "0") return false;
  if (value == "1") return true;
  throw Error(ErrorCode::kUsage, fmt::format("OMG_PROFILE is '{}': it can be 1, to show where the "
                                             "time went, or 0",
                                             printable(value.substr(0, 50))));
}

std::string profile_text(const Profile& profile, uint32_t threads) {
  const MachineLimits& limits = profile.limits;
  const auto giga = [](double value) { return value > 0 ? three_digits(value * 1e-9) : "?"; };
  std::string text = fmt::format(
      "\nLimits of {} thread{}: {} GB/s read from memory, {} Gop/s int8, {} Gop/s f32\n", threads,
      threads == 1 ? "" : "s", giga(limits.read_bytes_per_second), giga(limits.int8_ops_per_second),
      giga(limits.float_ops_per_second));
  if (profile.prompt.steps > 0) text += phase_text("Prompt", profile.prompt, limits);
  if (profile.generation.steps > 0) text += phase_text("Generation", profile.generation, limits);
  return text;
}

void print_profile(const Engine& engine) {
  const Profile* profile = engine.profile();
  if (profile == nullptr || profile->prompt.steps + profile->generation.steps == 0) return;
  Terminal terminal;
  terminal.err(profile_text(*profile, engine.threads()));
}

}  // namespace omg::cli
