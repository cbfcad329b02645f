// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf/reader.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/open_model_file.h"

namespace omg::gguf {
namespace {

TEST(GgufReader, OpensEveryReferenceModel) {
  const std::filesystem::path folder = OMG_REFERENCE_DIR;
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no reference data at " << folder;
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    ++count;
    const ModelFile model = open_model_file(entry.path());
    EXPECT_FALSE(model.metadata().get_string("tokenizer.ggml.model").empty());
    EXPECT_FALSE(model.metadata().get_strings("tokenizer.ggml.tokens").empty());
    if (entry.path().parent_path().filename() == "tokenizers") continue;
    EXPECT_FALSE(model.metadata().get_string("general.architecture").empty());
    EXPECT_GT(model.tensor("token_embd.weight").rows(), 1u);
    EXPECT_GT(model.parameter_count(), 1000u);
  }
  EXPECT_GE(count, 20);
}

}  // namespace
}  // namespace omg::gguf
