// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/welcome.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace omg::cli {
namespace {

/// Without styles, also where a person runs the tests.
Terminal plain() {
  ::setenv("NO_COLOR", "1", 1);
  return Terminal();
}

constexpr uint64_t kGiB = uint64_t{1} << 30;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Suggestions, AreInTheCatalogueAndFit) {
  const Catalog catalog = Catalog::built_in();
  EXPECT_TRUE(suggest_models(catalog, kGiB / 2, 3).empty());
  const auto small = suggest_models(catalog, 2 * kGiB, 3);
  ASSERT_EQ(small.size(), 1u);
  EXPECT_EQ(small[0].name, "llama3.2:1b");
  EXPECT_EQ(small[0].maker, "Meta");
  for (const uint64_t memory : {4 * kGiB, 16 * kGiB, 64 * kGiB, 512 * kGiB}) {
    const auto some = suggest_models(catalog, memory, 3);
    ASSERT_EQ(some.size(), 3u);
    for (size_t i = 0; i < some.size(); ++i) {
      EXPECT_LE(some[i].memory_bytes, memory);
      EXPECT_GT(some[i].memory_bytes, some[i].download_bytes);
      const uint64_t before = i == 0 ? UINT64_MAX : some[i - 1].download_bytes;
      EXPECT_LT(some[i].download_bytes, before);
    }
  }
  // Each name of the list is one of the catalogue, with a size.
  EXPECT_EQ(suggest_models(catalog, 512 * kGiB, 100).size(), 8u);
}

TEST(Suggestions, TheLargestDownloadIsTheInverse) {
  EXPECT_EQ(estimated_largest_download(kGiB / 4), 0u);
  const uint64_t largest = estimated_largest_download(8 * kGiB);
  EXPECT_LE(estimated_run_bytes(largest), 8 * kGiB);
  EXPECT_GT(estimated_run_bytes(largest + 1000), 8 * kGiB);
}

WelcomeState fresh() {
  WelcomeState state;
  state.url = "http://127.0.0.1:11434";
  state.memory_bytes = 9 * kGiB;
  state.suggestions = suggest_models(Catalog::built_in(), state.memory_bytes, 3);
  return state;
}

TEST(Welcome, NothingIsHereYet) {
  const std::string text = welcome_text(fresh(), plain());
  EXPECT_TRUE(has(text, "Installed\n  nothing yet, but the built-in model guide\n")) << text;
  EXPECT_TRUE(has(text, "Running\n  no daemon; commands start it when they need it\n"));
  EXPECT_TRUE(has(text, "This machine can run, with 9.0 GiB of memory free\n  llama3.2:1b "));
  EXPECT_TRUE(has(text, "0.8 GB to download"));
  EXPECT_TRUE(has(text, "Next\n  omg run guide "));
  EXPECT_TRUE(has(text, "\n  omg pull llama3.2:1b "));
  EXPECT_TRUE(has(text, "\n  omg doctor "));
  EXPECT_TRUE(has(text, "omg --help\n"));
}

TEST(Welcome, WithModelsAndADaemon) {
  WelcomeState state = fresh();
  for (int i = 1; i <= 7; ++i) {
    state.installed.push_back({"model:" + std::to_string(i), kGiB, i == 1 ? "just now" : "never"});
  }
  std::string text = welcome_text(state, plain());
  EXPECT_TRUE(has(text, "  model:1                  1.0 GiB   used just now\n")) << text;
  EXPECT_TRUE(has(text, "never used"));
  EXPECT_TRUE(has(text, "and 2 more"));
  EXPECT_FALSE(has(text, "model:6"));
  EXPECT_TRUE(has(text, "Next\n  omg run model:1 "));
  EXPECT_TRUE(has(text, "\n  omg serve --detach "));
  state.daemon_runs = true;
  EXPECT_TRUE(has(welcome_text(state, plain()), "the daemon, and no model is loaded"));
  state.loaded = {{"model:1", "running", 2 * kGiB}};
  text = welcome_text(state, plain());
  EXPECT_TRUE(has(text, "Running\n  model:1                  2.0 GiB of memory\n")) << text;
  EXPECT_TRUE(has(text, "\n  omg ps "));
  EXPECT_FALSE(has(text, "omg serve --detach"));
}

TEST(Welcome, WhatIsBrokenIsSaidAndTheDoctorComesFirst) {
  WelcomeState state = fresh();
  state.store_error = "cannot read it\nat all";
  state.settings_error = "config.toml:2: no";
  const std::string text = welcome_text(state, plain());
  EXPECT_TRUE(has(text, "! config.toml:2: no\n"));
  EXPECT_TRUE(has(text, "Installed\n  ! cannot read it\\nat all\n")) << text;
  EXPECT_TRUE(has(text, "Next\n  omg doctor "));
  state.suggestions.clear();
  EXPECT_FALSE(has(welcome_text(state, plain()), "This machine can run"));
}

}  // namespace
}  // namespace omg::cli
