// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/bench_report.h"

#include <algorithm>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>

#include "clients/cli/format.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

std::string range(const std::vector<double>& samples) {
  const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
  return fmt::format("{:.2f}", *low) + "-" + fmt::format("{:.2f}", *high);
}

json::object spread(const std::vector<double>& samples) {
  const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
  return {{"median", median(samples)}, {"min", *low}, {"max", *high}};
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string read_share(const BenchRow& row) {
  return row.read_shares.empty() ? "-" : fmt::format("{:.0f} %", median(row.read_shares) * 100);
}

bool has_read_shares(const BenchReport& report) {
  return std::any_of(report.rows.begin(), report.rows.end(),
                     [](const BenchRow& row) { return !row.read_shares.empty(); });
}

Table make_table(const BenchReport& report) {
  const bool alone = report.peer_names.empty();
  std::vector<Table::Column> columns = {{"TEST"}};
  const auto add = [&](const std::string& heading) { columns.push_back({heading, Align::kRight}); };
  add(alone ? "TOKENS/S" : "OHMYGPU");
  if (alone) {
    add("MIN");
    add("MAX");
  } else {
    add("RANGE");
  }
  for (const std::string& name : report.peer_names) {
    add(upper(name));
    add("RANGE");
    add("RATIO");
  }
  if (has_read_shares(report)) add("OF MEMORY");
  return Table(std::move(columns));
}

std::vector<std::string> cells(const BenchReport& report, const BenchRow& row) {
  const double ours = median(row.speeds);
  std::vector<std::string> cells = {row.test.name(), fmt::format("{:.2f}", ours)};
  if (report.peer_names.empty()) {
    const auto [low, high] = std::minmax_element(row.speeds.begin(), row.speeds.end());
    cells.push_back(fmt::format("{:.2f}", *low));
    cells.push_back(fmt::format("{:.2f}", *high));
  } else {
    cells.push_back(range(row.speeds));
  }
  for (const std::vector<double>& theirs : row.peer_speeds) {
    if (theirs.empty()) {
      cells.insert(cells.end(), {"-", "-", "-"});
      continue;
    }
    cells.push_back(fmt::format("{:.2f}", median(theirs)));
    cells.push_back(range(theirs));
    cells.push_back(fmt::format("{:.2f}x", ours / median(theirs)));
  }
  if (has_read_shares(report)) cells.push_back(read_share(row));
  return cells;
}

}  // namespace

BenchRow& BenchReport::row(const BenchTest& test) {
  for (BenchRow& row : rows) {
    if (row.test.name() == test.name()) return row;
  }
  BenchRow& added = rows.emplace_back();
  added.test = test;
  added.peer_speeds.resize(peer_names.size());
  return added;
}

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const size_t half = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[half] : (samples[half - 1] + samples[half]) / 2;
}

json::array to_json(const BenchReport& report) {
  json::array array;
  for (const BenchRow& row : report.rows) {
    json::object object = {{"model", report.model},
                           {"test", row.test.name()},
                           {"tokens_per_second", spread(row.speeds)},
                           {"samples", json::value_from(row.speeds)},
                           {"prompt", row.test.prompt},
                           {"generate", row.test.generate},
                           {"depth", row.test.depth},
                           {"batch", row.test.sequences()},
                           {"threads", report.threads},
                           {"repetitions", row.speeds.size()},
                           {"isa", report.isa},
                           {"kv_type", report.kv_type},
                           {"load_seconds", report.load_seconds},
                           {"weights_bytes", report.weights_bytes},
                           {"kv_bytes", report.kv_bytes},
                           {"peak_resident_bytes", report.peak_resident_bytes},
                           {"others_share", report.others_share}};
    if (!row.read_shares.empty()) {
      object["memory_share"] = median(row.read_shares);
      object["read_bytes_per_second"] = median(report.read_bytes_per_second);
    }
    json::array peers;
    for (size_t i = 0; i < row.peer_speeds.size(); ++i) {
      const std::vector<double>& theirs = row.peer_speeds[i];
      json::object peer = {{"name", report.peer_names[i]}, {"path", report.peer_paths[i]}};
      peer["tokens_per_second"] = theirs.empty() ? json::value() : json::value(spread(theirs));
      peer["ratio"] =
          theirs.empty() ? json::value() : json::value(median(row.speeds) / median(theirs));
      peer["samples"] = json::value_from(theirs);
      peers.push_back(std::move(peer));
    }
    if (!peers.empty()) object["peers"] = std::move(peers);
    array.push_back(std::move(object));
  }
  return array;
}

std::string to_text(const BenchReport& report, const Terminal& terminal) {
  std::string text = fmt::format("{}: {} {}, {} thread{}, {}\n\n", printable(report.model),
                                 report.family, format_count(report.parameters), report.threads,
                                 report.threads == 1 ? "" : "s", report.isa);
  Table table = make_table(report);
  for (const BenchRow& row : report.rows) table.add_row(cells(report, row));
  text += table.to_string(terminal);
  text += fmt::format("\nloaded in {:.2f} s (page cache warm), {} of weights, peak memory {}\n",
                      report.load_seconds, format_bytes(report.weights_bytes),
                      format_bytes(report.peak_resident_bytes));
  if (has_read_shares(report)) {
    text += fmt::format(
        "of memory: what generation reads, of the {:.1f} GB/s that a plain loop reads here\n",
        median(report.read_bytes_per_second) * 1e-9);
  }
  return text;
}

}  // namespace omg::cli
