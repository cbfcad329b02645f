// SPDX-License-Identifier: Apache-2.0
//
// A process that goes on in the background, and whoever started it, who waits until it is ready.
#pragma once

#include <string>

namespace omg::cli {

/// Forks when it is made: before any thread. The child leaves terminal and session, and writes what
/// it says to a log file; the parent waits.
class Detached {
 public:
  /// Makes the log's folder if it is missing. Throws Error.
  explicit Detached(const std::string& log_path);
  ~Detached();
  Detached(const Detached&) = delete;
  Detached& operator=(const Detached&) = delete;

  bool is_parent() const { return is_parent_; }

  /// The parent's: what the child said when it was ready. Throws what it failed with.
  std::string wait_until_ready();
  /// The child's, one of the two, once.
  void tell_ready(const std::string& message);
  void tell_failure(const std::string& why);

 private:
  void tell(char kind, const std::string& message);

  const std::string log_path_;
  bool is_parent_ = false;
  int pipe_ = -1;  // this side's end
};

}  // namespace omg::cli
