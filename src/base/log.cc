// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <string>
#include <utility>

#include "base/error.h"

namespace omg {
namespace {

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLevels = {
    {{"debug", LogLevel::kDebug},
     {"info", LogLevel::kInfo},
     {"warn", LogLevel::kWarn},
     {"error", LogLevel::kError},
     {"off", LogLevel::kOff}}};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

}  // namespace

Log::Log(LogLevel least)
    : logger_(std::make_unique<spdlog::logger>("omg",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_level(to_spdlog(least));
  logger_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
  logger_->flush_on(spdlog::level::debug);
}

Log Log::from_environment() {
  const char* variable = std::getenv("OMG_LOG");
  const std::string_view name = variable == nullptr ? "" : variable;
  if (name.empty()) return Log(LogLevel::kWarn);
  for (const auto& [known, level] : kLevels) {
    if (known == name) return Log(level);
  }
  throw Error(ErrorCode::kUsage, "OMG_LOG=" + std::string(name) +
                                     ": no such level; take debug, info, warn, error or off");
}

Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;
Log::~Log() = default;

bool Log::writes(LogLevel level) const {
  return level != LogLevel::kOff && logger_->should_log(to_spdlog(level));
}

void Log::write(LogLevel level, std::string_view message) const {
  if (!writes(level)) return;
  std::string line(message);
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  logger_->log(to_spdlog(level), line);
}

}  // namespace omg
