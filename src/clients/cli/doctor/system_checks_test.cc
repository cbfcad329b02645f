// SPDX-License-Identifier: Apache-2.0
//
// Limits, the clock, and the configuration.
#include "clients/cli/doctor/system_checks.h"

#include <gtest/gtest.h>

#include "clients/cli/doctor/settings_checks.h"

namespace omg::cli::doctor {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(CheckOpenFiles, AgainstWhatIsConfigured) {
  LimitState state;
  state.connections = 1024;
  EXPECT_EQ(check_open_files(state).text, "no limit");
  state.open_files = 65536;
  EXPECT_EQ(check_open_files(state).level, Level::kOk);
  state.open_files = 1024;
  EXPECT_EQ(check_open_files(state).level, Level::kWarning);
  EXPECT_TRUE(has(check_open_files(state).why, "beyond about 896 are not served"));
  state.open_files = 64;
  EXPECT_EQ(check_open_files(state).level, Level::kProblem);
  EXPECT_TRUE(has(check_open_files(state).fix, "LimitNOFILE"));
}

TEST(CheckAddressSpace, OnlyWhereThereIsALimit) {
  LimitState state;
  EXPECT_FALSE(check_address_space(state).has_value());
  state.address_space = uint64_t{4} << 30;
  ASSERT_TRUE(check_address_space(state).has_value());
  EXPECT_EQ(check_address_space(state)->level, Level::kWarning);
  EXPECT_EQ(check_address_space(state)->text, "a process may have 4.0 GiB");
}

TEST(CheckClock, AgainstAHubAndAlone) {
  constexpr int64_t kNow = 1'800'000'000;  // 2027
  EXPECT_EQ(check_clock({kNow, std::nullopt, ""}).level, Level::kOk);
  EXPECT_EQ(check_clock({3600, std::nullopt, ""}).level, Level::kProblem) << "1970";
  EXPECT_EQ(check_clock({kNow, kNow + 20, "hub"}).level, Level::kOk);
  const Finding behind = check_clock({kNow, kNow + 1200, "hub"});
  EXPECT_EQ(behind.level, Level::kWarning);
  EXPECT_EQ(behind.text, "20 minutes behind what hub says (2027-01-15 08:20 UTC)");
  const Finding ahead = check_clock({kNow + 86400 * 40, kNow, "hub"});
  EXPECT_EQ(ahead.level, Level::kProblem);
  EXPECT_TRUE(has(ahead.text, "40 days ahead of"));
  EXPECT_TRUE(has(ahead.fix, "timedatectl"));
}

TEST(ParseHttpDate, AsServersWriteIt) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_FALSE(parse_http_date("Sunday"));
  EXPECT_FALSE(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT and more"));
  EXPECT_FALSE(parse_http_date(""));
}

TEST(CheckSettings, WhatCannotBeMeant) {
  SettingsState state;
  state.file = "/c/config.toml";
  ASSERT_EQ(check_settings(state).size(), 1u);
  EXPECT_TRUE(has(check_settings(state)[0].text, "no file /c/config.toml"));
  state.file_exists = true;
  EXPECT_EQ(check_settings(state)[0].text, "/c/config.toml");
  state.error = "/c/config.toml:2: there is no setting 'prot'";
  Findings findings = check_settings(state);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Level::kProblem);
  EXPECT_EQ(findings[0].text, state.error);
  EXPECT_TRUE(has(findings[0].fix, "that line"));
  state.error = "OMG_PORT: port cannot be 'x'";
  EXPECT_TRUE(has(check_settings(state)[0].fix, "that variable"));
  state.catalog_error = "line 3";
  state.hub_error = "the token for Hugging Face cannot be used";
  look_at_named_file("tls_key", "/nonexistent/key.pem", state.unreadable_files);
  look_at_named_file("tls_certificate", "", state.unreadable_files);
  findings = check_settings(state);
  ASSERT_EQ(findings.size(), 4u);
  EXPECT_EQ(findings[2].text, state.hub_error);
  EXPECT_EQ(findings[3].text, "tls_key is '/nonexistent/key.pem': No such file or directory");
}

}  // namespace
}  // namespace omg::cli::doctor
