// SPDX-License-Identifier: Apache-2.0
//
// The built-in model as a file; real ones have the tests of gguf/.
#include "formats/open_model_file.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "builtin/builtin.h"

namespace omg {
namespace {

TEST(OpenModelFileTest, TheBuiltInOneHasVocabularyAndTemplate) {
  const std::string path(kGuidePath);
  const ModelFile file = open_model_file(path);
  EXPECT_EQ(file.path(), path);
  EXPECT_EQ(file.metadata().find_string("general.architecture"), "llama");
  EXPECT_TRUE(file.metadata().find_string("tokenizer.chat_template"));
  EXPECT_TRUE(file.metadata().find_array("tokenizer.ggml.tokens"));
  EXPECT_GT(file.parameter_count(), 1'000'000u);
}

// Whoever loads a model lets its pages go tensor by tensor; these come back from the program.
TEST(OpenModelFileTest, TheBuiltInOneIsTheSameAfterItsPagesWereLetGo) {
  {
    const ModelFile file = open_model_file(std::string(kGuidePath));
    for (const TensorView& tensor : file.tensors()) file.release(tensor);
  }
  Sha256 hasher;
  hasher.update(*builtin_bytes(kGuidePath));
  EXPECT_EQ(hasher.digest(), guide_digest());
}

}  // namespace
}  // namespace omg
