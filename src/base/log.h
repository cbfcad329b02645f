// SPDX-License-Identifier: Apache-2.0
//
// Lines for whoever looks after a running program: what it did, when, and what it found strange.
// Errors of a request are not logged but thrown, and reach the one who asked. There is no global
// log: main() makes one and hands it on.
#pragma once

#include <memory>
#include <string_view>

namespace spdlog {
class logger;
}

namespace omg {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

/// Writes to standard error, a line each: time in UTC, level, message. Control characters in
/// messages come out as "?", so that a name from outside cannot forge a line. Thread-safe; movable.
class Log {
 public:
  explicit Log(LogLevel least);
  /// The level that the variable OMG_LOG names: debug, info, warn, error or off; warn when it is
  /// not set. Error(kUsage) for anything else.
  static Log from_environment();
  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;
  ~Log();

  /// To save the work of making a message that nobody will read.
  bool writes(LogLevel level) const;
  void write(LogLevel level, std::string_view message) const;

 private:
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace omg
