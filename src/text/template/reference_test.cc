// SPDX-License-Identifier: Apache-2.0
//
// Published chat templates with conversations that Jinja2 rendered, compared byte for byte.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "text/template/chat_template.h"

namespace omg {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// "2026-01-31T12:00:00" as local time.
std::chrono::sys_seconds parse_time(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0;
  int hour = 0, minute = 0, second = 0;
  const int fields =
      std::sscanf(text.c_str(), "%d-%u-%uT%d:%d:%d", &year, &month, &day, &hour, &minute, &second);
  EXPECT_EQ(fields, 6) << text;
  using namespace std::chrono;
  return sys_days{std::chrono::year{year} / static_cast<int>(month) / static_cast<int>(day)} +
         hours{hour} + minutes{minute} + seconds{second};
}

/// What raise_exception said, which our message must carry word for word.
std::string raised_words(const std::string& error) {
  constexpr std::string_view kPrefix = "TemplateError: ";
  return error.rfind(kPrefix, 0) == 0 ? error.substr(kPrefix.size()) : "";
}

void check_case(const ChatTemplate& chat_template, const json::object& example,
                const RenderOptions& options) {
  const auto& context = example.at("context").as_object();
  const json::value* error = example.if_contains("error");
  if (!error) {
    EXPECT_EQ(chat_template.render(context, options),
              std::string(example.at("output").as_string()));
    return;
  }
  try {
    const std::string text = chat_template.render(context, options);
    ADD_FAILURE() << "expected an error, " << error->as_string() << ", got: " << text;
  } catch (const Error& caught) {
    const std::string words = raised_words(std::string(error->as_string()));
    EXPECT_NE(std::string(caught.what()).find(words), std::string::npos) << caught.what();
  }
}

TEST(ChatTemplateReference, RendersWhatJinjaRenders) {
  const std::filesystem::path folder = reference_dir() / "chat_templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no reference data in " << folder;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    const json::value document = parse_json_file(file.string());
    const std::string name(document.at("template").as_string());
    RenderOptions options;
    options.now = parse_time(std::string(document.at("now").as_string()));
    try {
      const auto chat_template = ChatTemplate::parse(read_file(folder / name));
      for (const auto& example : document.at("cases").as_array()) {
        SCOPED_TRACE(name + ": " + std::string(example.at("name").as_string()));
        try {
          check_case(chat_template, example.as_object(), options);
        } catch (const Error& error) {
          ADD_FAILURE() << error.what();
        }
      }
    } catch (const Error& error) {
      ADD_FAILURE() << name << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace omg
