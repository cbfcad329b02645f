// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace omg {
namespace {

TEST(Utf8, EveryCodePointComesBack) {
  for (uint32_t code_point = 0; code_point <= 0x10ffff; ++code_point) {
    if (code_point >= 0xd800 && code_point <= 0xdfff) continue;
    std::string text;
    append_utf8(text, code_point);
    const auto decoded = decode_utf8(text, 0);
    ASSERT_TRUE(decoded.valid);
    ASSERT_EQ(decoded.value, code_point);
    ASSERT_EQ(decoded.size, text.size());
  }
}

TEST(Utf8, RefusesWhatTheStandardRefuses) {
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << bad;
  }
  EXPECT_TRUE(is_valid_utf8("plain, ünï, 日本, 🙂"));
}

TEST(Utf8, IncompleteSuffixIsOnlyWhatCanStillBecomeACharacter) {
  EXPECT_EQ(incomplete_utf8_suffix("ab"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xf0\x9f\x99\x82"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xf0\x9f\x99"), 3u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xf0"), 1u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xe2\x82"), 2u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xe0\x80"), 0u);  // overlong: never a character
  EXPECT_EQ(incomplete_utf8_suffix("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix(""), 0u);
}

TEST(Utf8, ReplacesInvalidBytes) {
  EXPECT_EQ(replace_invalid_utf8("a\xff z\xe2\x82"), "a\xef\xbf\xbd z\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace omg
