// SPDX-License-Identifier: Apache-2.0
//
// Round trips through published templates.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <sstream>

#include "base/testing/reference_dir.h"
#include "text/tools/round_trip.h"

namespace omg {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ToolsReference, WhatATemplateWritesComesBack) {
  const std::filesystem::path folder = reference_dir() / "chat_templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no reference data in " << folder;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".jinja") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  size_t whole = 0;
  for (const std::filesystem::path& file : files) {
    SCOPED_TRACE(file.stem().string());
    const auto chat_template = ChatTemplate::parse(read_file(file));
    const ToolFormat format = probe_tool_format(chat_template);
    std::string row;
    for (const testing::Turn& turn : testing::turns()) {
      const std::string result = testing::check_turn(chat_template, format, turn);
      whole += result == "ok";
      row += " " + turn.name + ":" + result;
    }
    std::cout << file.stem().string() << " " << call_syntax_name(format.syntax) << row << "\n";
  }
  EXPECT_GT(whole, files.size() * 7);  // most templates can write most turns
}

}  // namespace
}  // namespace omg
