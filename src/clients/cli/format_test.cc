// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/format.h"

#include <gtest/gtest.h>

#include "clients/cli/statistics.h"
#include "clients/cli/table.h"
#include "clients/cli/word_wrap.h"

namespace omg::cli {
namespace {

using std::chrono::nanoseconds;

TEST(Format, Counts) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1K");
  EXPECT_EQ(format_count(262'656), "262.66K");
  EXPECT_EQ(format_count(999'994), "999.99K");
  EXPECT_EQ(format_count(999'996), "1M");
  EXPECT_EQ(format_count(1'235'814'432), "1.24B");
  EXPECT_EQ(format_count(671'000'000'000), "671B");
}

TEST(Format, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(5ull << 40), "5.0 TiB");
}

TEST(Format, Gigabytes) {
  EXPECT_EQ(format_gigabytes(810'000'000), "0.8 GB");
  EXPECT_EQ(format_gigabytes(4'680'000'000), "4.7 GB");
  EXPECT_EQ(format_gigabytes(9'960'000'000), "10 GB");
  EXPECT_EQ(format_gigabytes(42'500'000'000), "42 GB");
}

// The expected texts are what Go's time.Duration.String() prints.
TEST(Format, DurationsAsGoPrintsThem) {
  EXPECT_EQ(format_duration(nanoseconds(0)), "0s");
  EXPECT_EQ(format_duration(nanoseconds(1)), "1ns");
  EXPECT_EQ(format_duration(nanoseconds(1100)), "1.1µs");
  EXPECT_EQ(format_duration(nanoseconds(2'200'000)), "2.2ms");
  EXPECT_EQ(format_duration(nanoseconds(12'345'678)), "12.345678ms");
  EXPECT_EQ(format_duration(nanoseconds(3'300'000'000)), "3.3s");
  EXPECT_EQ(format_duration(nanoseconds(245'000'000'000)), "4m5s");
  EXPECT_EQ(format_duration(nanoseconds(245'001'000'000)), "4m5.001s");
  EXPECT_EQ(format_duration(nanoseconds(18'367'001'000'000)), "5h6m7.001s");
  EXPECT_EQ(format_duration(nanoseconds(480'000'000'001)), "8m0.000000001s");
  EXPECT_EQ(format_duration(nanoseconds(3'600'000'000'000)), "1h0m0s");
  EXPECT_EQ(format_duration(nanoseconds(-1'500'000)), "-1.5ms");
}

TEST(Format, PrintableLeavesNothingThatSteersATerminal) {
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(printable("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(printable("\xc2\x9b"), "\\x9b");  // CSI as one character
  EXPECT_EQ(printable("ü\xff"), "ü\xef\xbf\xbd");
}

TEST(Statistics, LinesWithoutAValueAreLeftOut) {
  AnswerStatistics statistics;
  statistics.total_duration = nanoseconds(2'000'000'000);
  statistics.prompt_tokens = 3;
  statistics.prompt_duration = nanoseconds(500'000'000);
  EXPECT_EQ(format_statistics(statistics),
            "total duration:       2s\n"
            "prompt eval count:    3 token(s)\n"
            "prompt eval duration: 500ms\n"
            "prompt eval rate:     6.00 tokens/s\n");
}

TEST(Table, ColumnsAlign) {
  const Terminal terminal;
  Table table({{"NAME"}, {"SIZE", Align::kRight}});
  table.add_row({"a", "1"});
  table.add_row({"long name", "12345"});
  EXPECT_EQ(table.to_string(terminal),
            "NAME         SIZE\n"
            "a               1\n"
            "long name   12345\n");
}

TEST(Sections, KeysAlignAndEmptyValuesLeaveNoSpaces) {
  const Terminal terminal;
  Sections sections;
  sections.begin("One");
  sections.add("a key", "x");
  sections.begin("Two");
  sections.add("nothing", "");
  EXPECT_EQ(sections.to_string(terminal),
            "  One\n"
            "    a key              x\n"
            "\n"
            "  Two\n"
            "    nothing\n");
}

/// What stands on a screen after `output`: only line ends, "back N" and "erase to the end" occur.
std::string on_screen(const std::string& output) {
  std::vector<std::string> lines = {""};
  for (size_t i = 0; i < output.size(); ++i) {
    if (output[i] == '\n') {
      lines.emplace_back();
    } else if (output[i] == '\x1b') {
      size_t end = i + 2;
      while (std::isdigit(static_cast<unsigned char>(output[end]))) ++end;
      if (output[end] == 'D') {
        std::string& line = lines.back();
        line.resize(line.size() - std::stoul(output.substr(i + 2)));
      }
      i = end;
    } else {
      lines.back() += output[i];
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "|";
  return text;
}

std::string wrapped(int columns, const std::vector<std::string>& pieces) {
  WordWrapper wrapper(columns);
  std::string output;
  for (const std::string& piece : pieces) output += wrapper.push(piece);
  return on_screen(output);
}

TEST(WordWrap, AWordThatGrowsTooLongMovesToTheNextLine) {
  EXPECT_EQ(wrapped(11, {"one two", " thr", "ee four"}), "one two |three four|");
  EXPECT_EQ(wrapped(11, {"one", "\n", "two three four"}), "one|two three |four|");
}

TEST(WordWrap, ASpaceAtTheEndOfALineDisappears) {
  EXPECT_EQ(wrapped(11, {"0123456789 abc"}), "0123456789|abc|");
}

TEST(WordWrap, AWordLongerThanALineIsCut) {
  EXPECT_EQ(wrapped(6, {"abcdefghijkl"}), "abcde|fghij|kl|");
  EXPECT_EQ(wrapped(6, {"a bcdefghijkl"}), "a |bcdef|ghijk|l|");
}

TEST(WordWrap, ControlCharactersAreLeftOut) {
  EXPECT_EQ(wrapped(20, {"a\x1b[2Jb\x07\r"}), "a[2Jb|");
}

}  // namespace
}  // namespace omg::cli
