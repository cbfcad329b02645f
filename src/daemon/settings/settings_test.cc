// SPDX-License-Identifier: Apache-2.0
//
// Which source wins, what each refuses, and that changing one value of a file leaves the rest.
#include "daemon/settings/settings.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/testing/temporary_folder.h"

namespace omg {
namespace {

using namespace std::chrono_literals;
using testing::TemporaryFolder;

class SettingsTest : public ::testing::Test {
 protected:
  Settings load() {
    SettingsSources sources;
    sources.file = file;
    sources.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    sources.flags = flags;
    return Settings::load(files, sources);
  }
  std::string error() {
    try {
      load();
    } catch (const Error& failure) {
      EXPECT_EQ(failure.code(), ErrorCode::kInvalidArgument);
      return failure.what();
    }
    return "";
  }
  void write(const std::string& text) {
    make_folders(files, folder_of(file));
    write_file_atomically(files, file + ".t", file, text);
  }
  std::string read() { return read_file(files, file, 1 << 20); }

  TemporaryFolder folder;
  RealFileSystem files;
  std::string file = folder / "config/config.toml";
  std::map<std::string, std::string> variables;
  std::map<std::string, std::string> flags;
};

TEST(SettingTable, MakesSense) {
  std::set<std::string_view> names, groups;
  std::string_view group;
  for (const SettingInfo& info : setting_table()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    if (info.group != group) {
      EXPECT_TRUE(groups.insert(info.group).second) << info.group;
    }
    group = info.group;
    EXPECT_FALSE(info.help.empty()) << info.name;
    EXPECT_TRUE(info.environment.starts_with("OMG_") || !info.ollama.empty()) << info.name;
    EXPECT_EQ(checked_setting(info, info.default_text), info.default_text) << info.name;
    EXPECT_FALSE(setting_takes(info).empty());
  }
}

TEST_F(SettingsTest, HasDefaults) {
  const Settings settings = load();
  EXPECT_EQ(settings.text("host"), "127.0.0.1");
  EXPECT_EQ(settings.integer("port"), 11434);
  EXPECT_EQ(settings.duration("keep_alive"), 5min);
  EXPECT_EQ(settings.integer("max_body"), 32 << 20);
  EXPECT_TRUE(settings.boolean("loopback_open"));
  EXPECT_TRUE(settings.list("origins").empty());
  EXPECT_EQ(settings.value("port").source, SettingSource::kBuiltIn);
  EXPECT_EQ(settings.key_file(), folder / "config/keys.json");
  EXPECT_THROW(settings.text("nope"), Error);
  EXPECT_THROW(settings.integer("host"), Error);
}

TEST_F(SettingsTest, StrongerSourcesWin) {
  write("# mine\nport = 1000\nkeep_alive = \"7m\"\nmax_body = \"1.5 GiB\"\n");
  variables = {{"OLLAMA_KEEP_ALIVE", "8m"}, {"OMG_PORT", "2000"}};
  EXPECT_EQ(load().integer("port"), 2000);
  EXPECT_EQ(load().duration("keep_alive"), 8min);
  EXPECT_EQ(load().integer("max_body"), int64_t{1536} << 20);
  variables["OMG_KEEP_ALIVE"] = "9m";
  flags = {{"port", "3000"}};
  const Settings settings = load();
  EXPECT_EQ(settings.duration("keep_alive"), 9min);
  const auto& port = settings.explain("port");
  ASSERT_EQ(port.size(), 4u);
  EXPECT_EQ(port[0].text, "11434");
  EXPECT_EQ(port[1].from, file + ":2");
  EXPECT_EQ(port[2].from, "OMG_PORT");
  EXPECT_EQ(port[3].from, "--port");
  EXPECT_EQ(port[3].text, "3000");
  EXPECT_EQ(settings.explain("keep_alive")[2].from, "OLLAMA_KEEP_ALIVE");
  variables["OMG_PORT"] = "";
  EXPECT_EQ(load().explain("port").size(), 3u) << "an empty variable is none";
}

TEST_F(SettingsTest, TakesHostsApartAsOllamaDoes) {
  struct Case {
    const char* text;
    const char* host;
    int port;
  };
  for (const Case& each : std::initializer_list<Case>{{"0.0.0.0", "0.0.0.0", 11434},
                                                      {"0.0.0.0:8080", "0.0.0.0", 8080},
                                                      {":8080", "127.0.0.1", 8080},
                                                      {"http://box", "box", 80},
                                                      {"https://box/", "box", 443},
                                                      {"http://box:81/path", "box", 81},
                                                      {"[::1]:82", "::1", 82},
                                                      {"[::1]", "::1", 11434},
                                                      {"::1", "::1", 11434},
                                                      {"example.com:", "example.com", 11434}}) {
    for (const char* variable : {"OLLAMA_HOST", "OMG_HOST"}) {
      variables = {{variable, each.text}};
      const Settings settings = load();
      EXPECT_EQ(settings.text("host"), each.host) << each.text;
      EXPECT_EQ(settings.integer("port"), each.port) << each.text;
    }
  }
  variables = {{"OLLAMA_HOST", "box:1"}, {"OMG_HOST", "chest:2"}, {"OMG_PORT", "3"}};
  EXPECT_EQ(load().text("host"), "chest");
  EXPECT_EQ(load().integer("port"), 3);
  variables = {{"OLLAMA_HOST", "box:99999"}};
  EXPECT_NE(error().find("OLLAMA_HOST: port cannot be '99999'"), std::string::npos);
}

TEST_F(SettingsTest, ReadsEveryKind) {
  write(
      "host = \"::1\"\nport = 0\nmodels = \"/a b/ü\"\nkeep_alive = -1\nload_timeout = 90\n"
      "loopback_open = false\nkv_type = \"q8_0\"\nmemory_budget = 1024\n"
      "origins = [ \"https://a.example\",\n  \"app://x\" ] # two\nhosts = \"a.example\"\n");
  const Settings settings = load();
  EXPECT_EQ(settings.text("models"), "/a b/ü");
  EXPECT_LT(settings.duration("keep_alive"), 0s);
  EXPECT_EQ(settings.duration("load_timeout"), 90s);
  EXPECT_FALSE(settings.boolean("loopback_open"));
  EXPECT_EQ(settings.integer("memory_budget"), 1024);
  EXPECT_EQ(settings.list("origins"), (std::vector<std::string>{"https://a.example", "app://x"}));
  EXPECT_EQ(settings.list("hosts"), std::vector<std::string>{"a.example"});
  variables = {{"OMG_ORIGINS", " a , b,,c "},
               {"OMG_LOOPBACK_OPEN", "on"},
               {"OMG_KEEP_ALIVE", "forever"},
               {"OMG_MAX_BODY", "64k"}};
  EXPECT_EQ(load().list("origins"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(load().boolean("loopback_open"));
  EXPECT_LT(load().duration("keep_alive"), 0s);
  EXPECT_EQ(load().integer("max_body"), 65536);
}

TEST_F(SettingsTest, RefusesFilesThatMakeNoSense) {
  struct Case {
    const char* text;
    const char* named;
  };
  for (const Case& each : std::initializer_list<Case>{
           {"prot = 1\n", ":1: there is no setting 'prot'; did you mean port"},
           {"\n\nport = 70000\n", ":3: port cannot be '70000': it is a whole number from 0 to"},
           {"port = \"80\"\n", ":1: port has a wrong type"},
           {"port = 1.5\n", "wrong type"},
           {"port = true\n", "wrong type"},
           {"port = [1]\n", "wrong type"},
           {"port = 1979-05-27\n", "wrong type"},
           {"loopback_open = \"yes\"\n", "wrong type"},
           {"origins = [1]\n", "wrong type"},
           {"origins = [\"a,b\"]\n", "wrong type"},
           {"origins = [\"a b\"]\n", "origins cannot be"},
           {"models = \"relative\"\n", "an absolute path"},
           {"kv_type = \"f16 q8_0\"\n", "one of f16, q8_0"},
           {"keep_alive = \"soon\"\n", "keep_alive cannot be 'soon'"},
           {"max_body = \"5 parsecs\"\n", "max_body cannot be"},
           {"max_body = \"1KiB\"\n", "from 64KiB to 4GiB"},
           {"max_body = \"-1\"\n", "max_body cannot be"},
           {"max_body = \"99999999999999999999T\"\n", "max_body cannot be"},
           {"host = \"\"\n", "host cannot be ''"},
           {"host = \"a\\nb\"\n", "host cannot be"},
           {"api_key = \"omg-x\"\n", "OMG_API_KEY"},
           {"[server]\nport = 1\n", "there is no setting 'server'"},
           {"port.x = 1\n", "port has a wrong type"},
           {"port = 1\nport = 2\n", ":2: "},
           {"port = \n", ":1: "},
           {"port", ":1: "},
           {"\xff\n", ":1: "}}) {
    write(each.text);
    const std::string message = error();
    EXPECT_TRUE(message.starts_with(file)) << each.text << message;
    EXPECT_NE(message.find(each.named), std::string::npos) << each.text << message;
  }
  write("");
  for (const auto& [name, text] : std::map<std::string, std::string>{
           {"OMG_PORT", "x"}, {"OLLAMA_MAX_QUEUE", "0"}, {"OLLAMA_KV_CACHE_TYPE", "q5"}}) {
    variables = {{name, text}};
    EXPECT_TRUE(error().starts_with(name + ": ")) << error();
  }
  variables.clear();
  flags = {{"max_queue", "-1"}};
  EXPECT_TRUE(error().starts_with("--max-queue: max_queue cannot be '-1'"));
}

TEST_F(SettingsTest, ChangesOneLineAndNothingElse) {
  const std::string before =
      "# How this box is set up.\r\n\r\n  port   =   1000   # the old one\n"
      "origins = [\n  \"https://ä.example\", # first\n]\n"
      "models = '/ä/ö'   # \"ü\"\n# keep_alive = \"1m\"\n\"threads\" = 2";
  write(before);
  set_in_file(files, file, "port", " 2000 ");
  EXPECT_EQ(read(), std::string(before).replace(before.find("1000"), 4, "2000"));
  write(before);
  set_in_file(files, file, "models", "/with \"quotes\" and \\");
  EXPECT_EQ(load().text("models"), "/with \"quotes\" and \\");
  EXPECT_NE(read().find("models = \"/with \\\"quotes\\\" and \\\\\"   # \"ü\"\n"),
            std::string::npos)
      << read();
  write(before);
  set_in_file(files, file, "origins", "a,b");
  EXPECT_NE(read().find("origins = [\"a\", \"b\"]\nmodels"), std::string::npos) << read();
  write(before);
  set_in_file(files, file, "threads", "4");
  EXPECT_TRUE(read().ends_with("\"threads\" = 4")) << read();
  write(before);
  set_in_file(files, file, "keep_alive", "10m");
  EXPECT_EQ(read(), before + "\nkeep_alive = \"10m\"\n");
  write(before);
  EXPECT_TRUE(unset_in_file(files, file, "origins"));
  EXPECT_EQ(read(),
            "# How this box is set up.\r\n\r\n  port   =   1000   # the old one\n"
            "models = '/ä/ö'   # \"ü\"\n# keep_alive = \"1m\"\n\"threads\" = 2");
  EXPECT_TRUE(unset_in_file(files, file, "threads"));
  EXPECT_FALSE(unset_in_file(files, file, "threads"));
  EXPECT_EQ(load().integer("threads"), 0);
}

TEST_F(SettingsTest, MakesTheFileAndKeepsLinks) {
  set_in_file(files, file, "keep_alive", "-1");
  EXPECT_EQ(read(), "keep_alive = \"-1\"\n");
  EXPECT_LT(load().duration("keep_alive"), 0s);
  set_in_file(files, file, "memory_budget", "8GiB");
  set_in_file(files, file, "load_timeout", "90");
  set_in_file(files, file, "loopback_open", "no");
  EXPECT_EQ(read(),
            "keep_alive = \"-1\"\nmemory_budget = \"8GiB\"\nload_timeout = 90\n"
            "loopback_open = false\n");
  const std::string link = folder / "link.toml";
  ASSERT_EQ(::symlink(file.c_str(), link.c_str()), 0);
  set_in_file(files, link, "port", "1");
  EXPECT_EQ(files.info(link)->kind, FileInfo::Kind::kLink);
  EXPECT_EQ(load().integer("port"), 1);
}

TEST_F(SettingsTest, WritesNothingThatCannotBeRead) {
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"port", "x"}, {"models", "relative"}, {"api_key", "omg-x"}, {"prot", "1"}}) {
    EXPECT_THROW(set_in_file(files, file, name, text), Error) << name;
  }
  EXPECT_FALSE(files.info(file));
  write("port = \n");
  EXPECT_THROW(set_in_file(files, file, "threads", "1"), Error);
  EXPECT_EQ(read(), "port = \n");
}

TEST_F(SettingsTest, AFileThatIsNamedMustBeThere) {
  SettingsSources sources;
  sources.file = file;
  sources.file_must_exist = true;
  sources.variable = [](const std::string&) { return std::nullopt; };
  EXPECT_THROW(Settings::load(files, sources), Error);
  write("");
  EXPECT_NO_THROW(Settings::load(files, sources));
}

}  // namespace
}  // namespace omg
