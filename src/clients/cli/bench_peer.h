// SPDX-License-Identifier: Apache-2.0
//
// Another engine on the same model file: llama.cpp's llama-bench, or that of a fork such as
// ik_llama.cpp, run as a program for one test at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/child_process.h"
#include "clients/cli/bench_workload.h"

namespace omg::cli {

/// Tokens per second of all sequences together; absent: not measured.
struct BenchSpeeds {
  std::optional<double> prompt;
  std::optional<double> generation;
  std::optional<double> total;
};

class BenchPeer {
 public:
  /// `path` of llama-bench; asks it for its help, to learn what it can measure. Error(kNotFound)
  /// when it is not there, Error(kUnsupported) when it is something else.
  BenchPeer(std::string path, const CancellationToken& cancellation);

  const std::string& path() const { return path_; }
  /// The folder that the program was built in, such as "llama.cpp": all of them have one name.
  const std::string& name() const { return name_; }

  /// Runs one test once. What this peer cannot measure stays absent (ik_llama.cpp has no prompts
  /// behind a context, neither has users there). For users, llama-batched-bench beside `path` is
  /// run. `kv_type`: "f16" or "f32". Error(kIo) names a peer that fails or prints something else.
  BenchSpeeds measure(const BenchTest& test, const std::string& model, uint32_t threads,
                      const std::string& kv_type, const CancellationToken& cancellation) const;

 private:
  ProcessResult run(std::vector<std::string> command, const std::string& kv_type,
                    const CancellationToken& cancellation) const;
  BenchSpeeds measure_users(const BenchTest& test, const std::string& model, uint32_t threads,
                            const std::string& kv_type,
                            const CancellationToken& cancellation) const;

  std::string path_;
  std::string name_;
  bool has_depth_ = false;             // -d, as llama.cpp has it
  bool has_generation_after_ = false;  // -gp, as ik_llama.cpp has it
};

}  // namespace omg::cli
