// SPDX-License-Identifier: Apache-2.0
//
// What a worker prints, as lines: bounded in length, number and rate, and without control
// characters, since whoever prints them may have been taken over.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

inline constexpr size_t kMaxLogLines = 1000;      // that are remembered, the last ones
inline constexpr size_t kMaxLogLineBytes = 2048;  // the rest of a line is left out
inline constexpr size_t kMaxLogLinesPerSecond = 500;

class WorkerLog {
 public:
  using Sink = std::function<void(std::string_view line)>;

  /// `sink` (may be null) gets each line, on the thread that feeds.
  explicit WorkerLog(Sink sink) : sink_(std::move(sink)) {}

  /// From one thread.
  void feed(std::string_view bytes);
  /// The last line need not have an end.
  void finish();
  /// A line of the parent's own.
  void note(std::string_view line) { add(std::string(line)); }

  /// Thread-safe; oldest first. 0: all that there are.
  std::vector<std::string> lines(size_t most = 0) const;

 private:
  void end_line();
  void add(std::string line);

  Sink sink_;
  std::string line_;
  bool is_cut_ = false;
  std::chrono::steady_clock::time_point second_{};
  size_t in_second_ = 0;
  size_t left_out_ = 0;

  mutable std::mutex mutex_;  // guards the lines
  std::deque<std::string> lines_;
};

}  // namespace omg
