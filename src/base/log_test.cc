// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <regex>

#include "base/error.h"

namespace omg {
namespace {

std::string written(LogLevel least, LogLevel level, std::string_view message) {
  const Log log(least);
  testing::internal::CaptureStderr();
  log.write(level, message);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesALineWithTimeAndLevel) {
  const std::string line = written(LogLevel::kInfo, LogLevel::kWarn, "a {} %v thing");
  const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning a \{\} %v thing\n)");
  EXPECT_TRUE(std::regex_match(line, form)) << line;
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  EXPECT_EQ(written(LogLevel::kWarn, LogLevel::kInfo, "x"), "");
  EXPECT_NE(written(LogLevel::kWarn, LogLevel::kError, "x"), "");
  EXPECT_EQ(written(LogLevel::kOff, LogLevel::kError, "x"), "");
  EXPECT_FALSE(Log(LogLevel::kInfo).writes(LogLevel::kDebug));
  EXPECT_TRUE(Log(LogLevel::kDebug).writes(LogLevel::kDebug));
  EXPECT_FALSE(Log(LogLevel::kDebug).writes(LogLevel::kOff));
}

TEST(Log, AMessageStaysOneLine) {
  const std::string line = written(LogLevel::kInfo, LogLevel::kInfo, "a\nb\x1b[2Jc\r");
  EXPECT_NE(line.find("info a?b?[2Jc?\n"), std::string::npos) << line;
}

TEST(Log, TakesItsLevelFromTheEnvironment) {
  setenv("OMG_LOG", "debug", 1);
  EXPECT_TRUE(Log::from_environment().writes(LogLevel::kDebug));
  setenv("OMG_LOG", "loud", 1);
  try {
    Log::from_environment();
    ADD_FAILURE() << "a level that there is not was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string_view(error.what()).find("OMG_LOG=loud"), std::string_view::npos);
  }
  unsetenv("OMG_LOG");
  EXPECT_FALSE(Log::from_environment().writes(LogLevel::kInfo));
  EXPECT_TRUE(Log::from_environment().writes(LogLevel::kWarn));
}

}  // namespace
}  // namespace omg
