// SPDX-License-Identifier: Apache-2.0
#include "hub/catalog.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/error.h"

namespace omg {
namespace {

TEST(Catalog, HasTheTableOfTheSpecification) {
  const Catalog catalog = Catalog::built_in();
  EXPECT_GE(catalog.entries().size(), 24u);
  EXPECT_EQ(catalog.require({"llama3.2", "1b"}).model,
            "lmstudio-community/Llama-3.2-1B-Instruct-GGUF");
  EXPECT_EQ(catalog.require({"llama3.2", ""}).model,
            "lmstudio-community/Llama-3.2-3B-Instruct-GGUF");
  EXPECT_EQ(catalog.require({"yi", "latest"}).family, "Yi");
  EXPECT_EQ(catalog.require({"phi3", "medium"}).maker, "Microsoft");
  EXPECT_EQ(catalog.find({"llama3.2", "9b"}), nullptr);
  EXPECT_EQ(catalog.require({"qwen2.5", ""}).download_bytes, 4'680'000'000u);
  for (const CatalogEntry& entry : catalog.entries()) {
    EXPECT_TRUE(std::holds_alternative<HuggingFaceName>(parse_model_name(entry.model)))
        << entry.alias;
    EXPECT_FALSE(entry.family.empty());
    EXPECT_FALSE(entry.maker.empty());
    EXPECT_FALSE(entry.is_users);
    EXPECT_GT(entry.download_bytes, 500'000'000u) << entry.alias;
    EXPECT_LT(entry.download_bytes, 100'000'000'000u) << entry.alias;
  }
}

TEST(Catalog, SuggestsNearNames) {
  try {
    Catalog::built_in().require({"lama3", ""});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("did you mean llama3"), std::string::npos)
        << error.what();
  }
}

TEST(Catalog, UsersAddAndOverride) {
  const auto folder = std::filesystem::temp_directory_path() / "omg-catalog-test";
  std::filesystem::create_directories(folder / "ohmygpu");
  std::ofstream(folder / "ohmygpu/catalog.toml") << "[mine]\n[mine.aliases]\n"
                                                    "house = \"me/house-GGUF:Q8_0\"\n"
                                                    "\"llama3\" = \"me/other\"\n";
  setenv("XDG_CONFIG_HOME", folder.c_str(), 1);
  const Catalog catalog = Catalog::load();
  unsetenv("XDG_CONFIG_HOME");
  std::filesystem::remove_all(folder);
  EXPECT_EQ(catalog.require({"house", ""}).model, "me/house-GGUF:Q8_0");
  EXPECT_TRUE(catalog.require({"llama3", ""}).is_users);
  EXPECT_EQ(catalog.require({"llama3", ""}).model, "me/other");
  EXPECT_EQ(catalog.entries().size(), Catalog::built_in().entries().size() + 1);
  EXPECT_EQ(Catalog::load("/no/such/file").entries().size(), Catalog::built_in().entries().size());
}

TEST(Catalog, RefusesWhatIsNoneAndNamesTheLine) {
  Catalog catalog = Catalog::built_in();
  const size_t size = catalog.entries().size();
  const std::pair<const char*, const char*> cases[] = {
      {"[a\n", "line 1"},
      {"a = 1\n", "must be a table"},
      {"[a]\ntitle = \"x\"\n", "needs a table of aliases"},
      {"[a]\n[a.aliases]\nx = 5\n", "line 3"},
      {"[a]\n[a.aliases]\n\"x/y\" = \"o/r\"\n", "no alias"},
      {"[a]\n[a.aliases]\nx = \"y\"\n", "alias again"},
      {"[a]\n[a.aliases]\nx = \"../../etc\\npasswd\"\n", "line 3"},
      {"[a]\nalias = 1\n[a.aliases]\n", "none of title"},
      {"[a]\n[a.aliases]\nx = \"o/r\"\n[a.gigabytes]\nx = -1\n", "line 5"},
      {"[a]\n[a.aliases]\nx = \"o/r\"\n[a.gigabytes]\nx = \"4 GB\"\n", "such as 4.7"},
      {"[a]\ngigabytes = 3\n[a.aliases]\nx = \"o/r\"\n", "must be a table"},
  };
  for (const auto& [text, part] : cases) {
    try {
      catalog.add(text, "test.toml", true);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << text << " -> " << error.what();
      EXPECT_NE(std::string(error.what()).find("test.toml"), std::string::npos);
    }
  }
  EXPECT_EQ(catalog.entries().size(), size);
}

}  // namespace
}  // namespace omg
