// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/keep_alive.h"

#include <gtest/gtest.h>

namespace omg {
namespace {

using std::chrono::milliseconds;

TEST(KeepAlive, ReadsDurations) {
  EXPECT_EQ(parse_duration("5m"), milliseconds(300'000));
  EXPECT_EQ(parse_duration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1'500));
  EXPECT_EQ(parse_duration(".5s"), milliseconds(500));
  EXPECT_EQ(parse_duration("300ms2us"), milliseconds(300));
  EXPECT_EQ(parse_duration("2500\u00b5s"), milliseconds(2));
  EXPECT_EQ(parse_duration("2500\u03bcs"), milliseconds(2));
  EXPECT_EQ(parse_duration("+1s"), milliseconds(1'000));
  EXPECT_EQ(parse_duration("-1m"), milliseconds(-60'000));
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
  EXPECT_EQ(parse_duration("99999999999999999999h"), milliseconds(3'153'600'000'000));
  for (const char* text : {"", "5", "m", "-", "5x", "5m ", " 5m", "1.2.3s", ".s", "1e3s", "5 m"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(KeepAlive, ReadsNumbersAsSeconds) {
  EXPECT_EQ(keep_alive_of(30), milliseconds(30'000));
  EXPECT_EQ(keep_alive_of(0.5), milliseconds(500));
  EXPECT_EQ(keep_alive_of(-1), milliseconds(-1'000));
  EXPECT_EQ(keep_alive_of("-1"), milliseconds(-1'000));
  EXPECT_EQ(keep_alive_of("300"), milliseconds(300'000));
  EXPECT_EQ(keep_alive_of("10m"), milliseconds(600'000));
  EXPECT_EQ(keep_alive_of(1e300), milliseconds(3'153'600'000'000));
  EXPECT_EQ(keep_alive_of(true), std::nullopt);
  EXPECT_EQ(keep_alive_of("soon"), std::nullopt);
  EXPECT_EQ(keep_alive_of(json::array()), std::nullopt);
}

}  // namespace
}  // namespace omg
