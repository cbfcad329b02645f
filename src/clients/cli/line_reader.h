// SPDX-License-Identifier: Apache-2.0
//
// Lines from a person at a terminal: editing, history that outlives the program, completion of
// commands, and pasted text of many lines taken as one. Over libedit.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace omg::cli {

class LineReader {
 public:
  enum class Status { kLine, kInterrupted, kEnd };
  struct Result {
    Status status;
    std::string text;  // without the line end
  };

  /// `history_path`: where lines are kept between runs; "" for nowhere. `completions`: words that
  /// Tab completes at the beginning of a line.
  LineReader(const std::string& history_path, std::vector<std::string> completions);
  LineReader(const LineReader&) = delete;
  ~LineReader();

  /// Waits for a line. Ctrl-C gives kInterrupted, with what stood in the line; Ctrl-D on an empty
  /// line kEnd.
  Result read(const std::string& prompt);
  void set_history_enabled(bool enabled);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// $XDG_STATE_HOME/ohmygpu/history, or below ~/.local/state; "" when there is no home. Makes the
/// folders, readable by the user alone.
std::string default_history_path();

}  // namespace omg::cli
