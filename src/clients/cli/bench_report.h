// SPDX-License-Identifier: Apache-2.0
//
// What `omg bench` found out about one model, as a table and as JSON.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "clients/cli/bench_peer.h"
#include "clients/cli/bench_workload.h"
#include "clients/cli/terminal.h"

namespace omg::cli {

/// A line of the results. Samples stand in the order of the rounds; a peer that cannot measure the
/// test has none.
struct BenchRow {
  BenchTest test;
  std::vector<double> speeds;                    // tokens per second, of all sequences together
  std::vector<std::vector<double>> peer_speeds;  // of each peer
  std::vector<double> read_shares;               // of generation: of what reading memory allows
};

struct BenchReport {
  std::string model;  // path
  std::string family;
  uint64_t parameters = 0;
  uint32_t threads = 0;
  std::string isa;
  std::string kv_type;
  double load_seconds = 0;
  uint64_t weights_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t peak_resident_bytes = 0;
  std::vector<double> read_bytes_per_second;  // samples; empty: not measured
  std::vector<std::string> peer_names;
  std::vector<std::string> peer_paths;
  double others_share = 0;  // of the processors, at most, during a measurement
  std::vector<BenchRow> rows;

  /// The row of the test; a new one at the end if there is none yet.
  BenchRow& row(const BenchTest& test);
};

double median(std::vector<double> samples);

/// One object for each row.
json::array to_json(const BenchReport& report);
std::string to_text(const BenchReport& report, const Terminal& terminal);

}  // namespace omg::cli
