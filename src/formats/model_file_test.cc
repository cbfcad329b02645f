// SPDX-License-Identifier: Apache-2.0
#include "formats/model_file.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace omg {
namespace {

TEST(ModelFile, FindsTensorsAndCounts) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("omg_model_file_test_" + std::to_string(::getpid()));
  std::ofstream(path) << std::string(64, 'x');
  std::vector<MappedFile> files;
  files.push_back(MappedFile::open(path));
  std::filesystem::remove(path);
  const auto bytes = files.front().bytes();
  std::vector<TensorView> tensors = {
      {"a", WeightType::kF32, 2, {2, 3, 1, 1}, bytes.subspan(0, 24), 0},
      {"b", WeightType::kF16, 1, {4, 1, 1, 1}, bytes.subspan(32, 8), 0}};
  Metadata metadata;
  metadata.set_string("general.architecture", "llama");
  const ModelFile first(std::move(files), std::move(metadata), std::move(tensors));
  const ModelFile& model = first;

  EXPECT_EQ(model.path(), path);
  EXPECT_EQ(model.tensor("a").rows(), 3u);
  EXPECT_EQ(model.find_tensor("b")->elements(), 4u);
  EXPECT_EQ(model.find_tensor("c"), nullptr);
  EXPECT_EQ(model.parameter_count(), 10u);
  EXPECT_EQ(model.total_bytes(), 32u);
  EXPECT_EQ(model.metadata().get_string("general.architecture"), "llama");
  model.release(model.tensor("b"));
  EXPECT_EQ(model.tensor("b").bytes[0], std::byte{'x'});
  try {
    model.tensor("c");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("'c'"), std::string::npos);
  }
}

}  // namespace
}  // namespace omg
