// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <set>

namespace omg {
namespace {

TEST(Error, EveryCodeHasItsOwnNameAndAFailingExitCode) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_TRUE(names.insert(error_name(code)).second) << error_name(code);
    EXPECT_EQ(error_code_named(error_name(code)), code);
    EXPECT_NE(exit_code(code), 0);
    EXPECT_GE(http_status(code), 400);
  }
}

TEST(Error, SystemErrorsKeepTheirCause) {
  EXPECT_EQ(system_error("open x", ENOENT).code(), ErrorCode::kNotFound);
  EXPECT_EQ(system_error("write x", ENOSPC).code(), ErrorCode::kOutOfMemory);
  EXPECT_EQ(system_error("read x", EIO).code(), ErrorCode::kIo);
  EXPECT_STREQ(system_error("open x", ENOENT).what(), "open x: No such file or directory");
}

}  // namespace
}  // namespace omg
