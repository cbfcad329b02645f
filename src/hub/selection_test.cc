// SPDX-License-Identifier: Apache-2.0
#include "hub/selection.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace omg {
namespace {

std::vector<RemoteFile> files_of(const std::vector<std::pair<std::string, uint64_t>>& list) {
  std::vector<RemoteFile> files;
  for (const auto& [path, size] : list) {
    RemoteFile file;
    file.path = path;
    file.size = size;
    file.role = role_of_path(path);
    files.push_back(file);
  }
  return files;
}

std::vector<std::string> chosen(const std::vector<RemoteFile>& files,
                                const SelectionOptions& options = {}) {
  std::vector<std::string> paths;
  for (const size_t index : select_files(files, options, "org/repo").files) {
    paths.push_back(files.at(index).path);
  }
  return paths;
}

ErrorCode error_of(const std::vector<RemoteFile>& files, const SelectionOptions& options = {}) {
  try {
    select_files(files, options, "org/repo");
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

using Paths = std::vector<std::string>;

const auto kRepository = files_of({{"README.md", 1},
                                   {"m-Q2_K.gguf", 20},
                                   {"m-Q4_0.gguf", 38},
                                   {"m-Q4_K_M.gguf", 42},
                                   {"m-Q5_K_M.gguf", 50},
                                   {"m-Q8_0.gguf", 80},
                                   {"m-f16.gguf", 160},
                                   {"mmproj-m-f16.gguf", 5},
                                   {"imatrix.gguf", 1}});

TEST(Selection, TakesTheBestThatFits) {
  EXPECT_EQ(chosen(kRepository), Paths{"m-Q4_K_M.gguf"});
  SelectionOptions options;
  options.memory_bytes = 1000;
  EXPECT_EQ(chosen(kRepository, options), Paths{"m-Q4_K_M.gguf"});
  options.memory_bytes = 41;
  EXPECT_EQ(chosen(kRepository, options), Paths{"m-Q4_0.gguf"});
  options.memory_bytes = 37;
  EXPECT_EQ(error_of(kRepository, options), ErrorCode::kOutOfMemory);
  options.allow_low_quality = true;
  EXPECT_EQ(chosen(kRepository, options), Paths{"m-Q2_K.gguf"});
  options.memory_bytes = 19;
  EXPECT_EQ(error_of(kRepository, options), ErrorCode::kOutOfMemory);
}

TEST(Selection, KeepsTheOrderOfTheSpecification) {
  const auto choices = list_quantizations(files_of({{"a-Q8_0.gguf", 1},
                                                    {"a-Q4_0.gguf", 1},
                                                    {"a-Q4_K_S.gguf", 1},
                                                    {"a-Q2_K.gguf", 1},
                                                    {"a-Q5_K_M.gguf", 1},
                                                    {"a-Q4_K_M.gguf", 1},
                                                    {"a-F16.gguf", 1},
                                                    {"a-IQ1_S.gguf", 1},
                                                    {"a-Q3_K_M.gguf", 1}}));
  Paths names;
  for (const auto& choice : choices) names.push_back(choice.name);
  EXPECT_EQ(names, (Paths{"Q4_K_M", "Q5_K_M", "Q4_K_S", "Q4_0", "Q8_0", "Q3_K_M", "F16", "Q2_K",
                          "IQ1_S"}));
  EXPECT_TRUE(choices[7].is_low_quality);
  EXPECT_TRUE(choices[8].is_low_quality);
  EXPECT_FALSE(choices[5].is_low_quality);
}

TEST(Selection, TakesWhatIsNamed) {
  SelectionOptions options;
  options.quantization = "q8_0";
  const Selection selection = select_files(kRepository, options, "org/repo");
  EXPECT_EQ(selection.quantization, "Q8_0");
  options.quantization = "Q2_K";  // no leave needed
  EXPECT_EQ(chosen(kRepository, options), Paths{"m-Q2_K.gguf"});
  options.quantization = "Q6_K";
  try {
    select_files(kRepository, options, "org/repo");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("Q4_K_M ("), std::string::npos) << error.what();
  }
  options.quantization = "Q4_K_XL";
  EXPECT_EQ(chosen(files_of({{"a-UD-Q4_K_XL.gguf", 1}}), options), Paths{"a-UD-Q4_K_XL.gguf"});
}

TEST(Selection, TakesAllPartsOrNone) {
  auto files = files_of({{"Q4_K_M/m-Q4_K_M-00002-of-00003.gguf", 1},
                         {"Q4_K_M/m-Q4_K_M-00001-of-00003.gguf", 1},
                         {"Q4_K_M/m-Q4_K_M-00003-of-00003.gguf", 1},
                         {"m-Q8_0.gguf", 9}});
  EXPECT_EQ(chosen(files),
            (Paths{"Q4_K_M/m-Q4_K_M-00001-of-00003.gguf", "Q4_K_M/m-Q4_K_M-00002-of-00003.gguf",
                   "Q4_K_M/m-Q4_K_M-00003-of-00003.gguf"}));
  files.erase(files.begin());
  EXPECT_EQ(error_of(files), ErrorCode::kCorrupt);
  EXPECT_EQ(error_of(files_of({{"m-Q4_0-00001-of-99999.gguf", 1}})), ErrorCode::kCorrupt);
}

TEST(Selection, AsksWhereSeveralModelsShareAQuantization) {
  const auto files = files_of({{"small-Q4_0.gguf", 1}, {"large-Q4_0.gguf", 9}});
  EXPECT_EQ(error_of(files), ErrorCode::kInvalidArgument);
  SelectionOptions options;
  options.include = {"small*"};
  EXPECT_EQ(chosen(files, options), Paths{"small-Q4_0.gguf"});
  EXPECT_EQ(select_files(files, options, "x").quantization, "Q4_0");
  options.include.clear();
  options.exclude = {"small*"};
  EXPECT_EQ(chosen(files, options), Paths{"large-Q4_0.gguf"});
  options.exclude = {"*"};
  EXPECT_EQ(error_of(files, options), ErrorCode::kNotFound);
}

TEST(Selection, TakesSafetensorsWithWhatTheyNeed) {
  const auto files = files_of({{"model-00001-of-00002.safetensors", 5},
                               {"model-00002-of-00002.safetensors", 5},
                               {"consolidated.safetensors", 10},
                               {"config.json", 1},
                               {"generation_config.json", 1},
                               {"tokenizer.json", 1},
                               {"tokenizer_config.json", 1},
                               {"model.safetensors.index.json", 1},
                               {"LICENSE", 1},
                               {"README.md", 1},
                               {"pytorch_model.bin", 10},
                               {"original/params.json", 1},
                               {"onnx/config.json", 1}});
  EXPECT_EQ(chosen(files),
            (Paths{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                   "config.json", "generation_config.json", "tokenizer.json",
                   "tokenizer_config.json", "model.safetensors.index.json", "LICENSE"}));
  SelectionOptions options;
  options.quantization = "Q4_0";
  EXPECT_EQ(error_of(files, options), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(files_of({{"pytorch_model.bin", 1}})), ErrorCode::kUnsupported);
  EXPECT_EQ(error_of({}), ErrorCode::kUnsupported);
  EXPECT_EQ(error_of(files_of({{"model-00002-of-00002.safetensors", 5}})), ErrorCode::kCorrupt);
}

TEST(Glob, Matches) {
  EXPECT_TRUE(glob_matches("*.gguf", "a/b/c.gguf"));
  EXPECT_FALSE(glob_matches("a/*.gguf", "b/c.gguf"));
  EXPECT_TRUE(glob_matches("a/*.gguf", "a/b/c.gguf"));
  EXPECT_TRUE(glob_matches("*Q4_?_M*", "x-Q4_K_M.gguf"));
  EXPECT_TRUE(glob_matches("m[0-9].x", "m5.x"));
  EXPECT_FALSE(glob_matches("m[!0-9].x", "m5.x"));
  EXPECT_TRUE(glob_matches("m[ab", "m[ab"));
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_FALSE(glob_matches("", "a"));
  // Time stays quadratic, where a recursive matcher would take for ever.
  EXPECT_FALSE(glob_matches(std::string(500, '*') + "b", std::string(5000, 'a')));
  std::string stars;
  for (int i = 0; i < 100; ++i) stars += "a*";
  EXPECT_FALSE(glob_matches(stars + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace omg
