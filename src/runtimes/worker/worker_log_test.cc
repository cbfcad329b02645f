// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_log.h"

#include <gtest/gtest.h>

namespace omg {
namespace {

TEST(WorkerLogTest, LinesWhateverTheCuts) {
  std::vector<std::string> seen;
  WorkerLog log([&](std::string_view line) { seen.emplace_back(line); });
  log.feed("on");
  log.feed("e\ntwo\n\nthr");
  log.feed("ee");
  log.finish();
  EXPECT_EQ(seen, (std::vector<std::string>{"one", "two", "", "three"}));
  EXPECT_EQ(log.lines(), seen);
  EXPECT_EQ(log.lines(1), std::vector<std::string>{"three"});
}

TEST(WorkerLogTest, IsBoundedAndHasNoControlCharacters) {
  size_t seen = 0;
  WorkerLog log([&](std::string_view) { ++seen; });
  log.feed("\x1b[2J\tred\r\xff\n");
  EXPECT_EQ(log.lines().back(), "?[2J red?\xef\xbf\xbd");
  log.feed(std::string(100000, 'x'));
  log.feed("\n");
  EXPECT_EQ(log.lines().back().size(), kMaxLogLineBytes + std::string(" …").size());
  for (int i = 0; i < 5000; ++i) log.feed("line\n");
  log.finish();
  EXPECT_LE(log.lines().size(), kMaxLogLines);
  // At most so many a second; this took less than three.
  EXPECT_LE(seen, 3 * (kMaxLogLinesPerSecond + 1) + 1);
  EXPECT_NE(log.lines().back().find("lines were left out"), std::string::npos);
}

}  // namespace
}  // namespace omg
