// SPDX-License-Identifier: Apache-2.0
#include "builtin/builtin.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"

namespace omg {
namespace {

TEST(BuiltinTest, TheBytesHaveTheDigestOfTheBuild) {
  const auto bytes = builtin_bytes(kGuidePath);
  ASSERT_TRUE(bytes);
  Sha256 hasher;
  hasher.update(*bytes);
  EXPECT_EQ(hasher.digest(), guide_digest());
}

TEST(BuiltinTest, OnlyItsOwnPathStandsForIt) {
  for (const char* path : {"", "guide", "guide.gguf", "/proc/self/exe", "/proc/self/exe/",
                           "/proc/self/exe/other.gguf", "/proc/self/exe/guide.gguf/x"}) {
    EXPECT_FALSE(builtin_bytes(path)) << path;
  }
}

TEST(BuiltinTest, NoFileCanHaveItsPath) {
  try {
    MappedFile::open(std::string(kGuidePath));
    FAIL() << "a file was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
  }
}

}  // namespace
}  // namespace omg
