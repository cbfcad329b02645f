// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/report.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace omg::cli::doctor {
namespace {

/// Without styles, also where a person runs the tests.
Terminal plain() {
  ::setenv("NO_COLOR", "1", 1);
  return Terminal();
}

TEST(Wrapped, BreaksAtWordsButNotInCommands) {
  EXPECT_EQ(wrapped("one two three", 0, 2), "one two three");
  EXPECT_EQ(wrapped("one two three", 10, 2), "one two\n  three");
  EXPECT_EQ(wrapped("run 'omg gc now' please", 14, 2), "run\n  'omg gc now'\n  please");
  EXPECT_EQ(wrapped("Ollama's own words", 12, 0), "Ollama's own\nwords");
  EXPECT_EQ(wrapped("", 10, 2), "");
}

TEST(Report, TextHasEveryPartAndASummary) {
  const Terminal terminal = plain();
  const Findings findings = {ok("memory", "enough"),
                             warning("hub", "silent", "no models come", "wait"),
                             problem("store", "read-only", "nothing is kept", "mount it")};
  EXPECT_EQ(report_text(findings, terminal, 0),
            "  ✓ memory   enough\n"
            "  ! hub      silent\n"
            "             no models come\n"
            "             → wait\n"
            "  ✗ store    read-only\n"
            "             nothing is kept\n"
            "             → mount it\n"
            "\n"
            "1 problem, 1 warning.\n");
  EXPECT_EQ(report_text({ok("memory", "enough")}, terminal, 0),
            "  ✓ memory   enough\n\nAll is well.\n");
}

TEST(Report, JsonHasLevelsAndCounts) {
  const json::object report =
      report_json({ok("memory", "enough"), problem("store", "read-only", "why", "mount it")});
  EXPECT_EQ(report.at("problems"), 1);
  EXPECT_EQ(report.at("warnings"), 0);
  const json::array& checks = report.at("checks").as_array();
  EXPECT_EQ(checks.at(0).at("level"), "ok");
  EXPECT_TRUE(checks.at(0).at("fix").is_null());
  EXPECT_EQ(checks.at(1).at("level"), "problem");
  EXPECT_EQ(checks.at(1).at("fix"), "mount it");
}

}  // namespace
}  // namespace omg::cli::doctor
