// SPDX-License-Identifier: Apache-2.0
//
// Real vocabularies: every text of the reference gives exactly its ids.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/reader.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {
namespace {

std::string reference(const std::string& path) {
  return reference_dir().string() + "/" + path;
}

std::unique_ptr<Tokenizer> load(const std::string& path) {
  return make_tokenizer(gguf::open(path).metadata());
}

class ReferenceVocabulary : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(reference("tokenizers")))
      GTEST_SKIP() << "no reference folder at " << reference_dir();
  }
};

TEST_P(ReferenceVocabulary, EncodesEveryTextToItsIds) {
  const std::string name = GetParam();
  const auto tokenizer = load(reference("tokenizers/" + name + ".gguf"));
  const json::value cases = parse_json_file(reference("tokenizers/" + name + ".json"));
  size_t passed = 0;
  for (const json::value& item : cases.as_array()) {
    const std::string text(item.at("text").as_string());
    std::vector<TokenId> ids;
    for (const json::value& id : item.at("ids").as_array())
      ids.push_back(static_cast<TokenId>(id.as_int64()));
    const std::vector<TokenId> got = tokenizer->encode(text);
    EXPECT_EQ(got, ids) << "text: " << text;
    // BERT's vocabulary forgets case, accents and spaces.
    if (name != "bert-bge") {
      EXPECT_EQ(tokenizer->decode(got), text);
    }
    passed += got == ids;
  }
  EXPECT_GT(cases.as_array().size(), 30u);
  RecordProperty("passed", static_cast<int>(passed));
  RecordProperty("cases", static_cast<int>(cases.as_array().size()));
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceVocabulary,
                         testing::Values("bert-bge", "deepseek-coder", "gpt-2", "llama-bpe",
                                         "llama-spm", "phi-3", "refact"),
                         [](const auto& param_info) {
                           std::string name = param_info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// The reference's tiny models have vocabularies of a few hundred tokens.
TEST(ReferenceTokenizer, LoadsEveryModelsVocabulary) {
  if (!std::filesystem::exists(reference("architectures")))
    GTEST_SKIP() << "no reference folder at " << reference_dir();
  size_t models = 0;
  for (const char* folder : {"architectures", "models"}) {
    for (const auto& file : std::filesystem::directory_iterator(reference(folder))) {
      if (file.path().extension() != ".gguf") continue;
      const auto tokenizer = load(file.path().string());
      for (const TokenId id : tokenizer->encode("Once upon a time, \xF0\x9F\x98\x80!")) {
        ASSERT_GE(id, 0);
        ASSERT_LT(static_cast<size_t>(id), tokenizer->vocab_size());
      }
      ++models;
    }
  }
  EXPECT_GT(models, 10u);
}

}  // namespace
}  // namespace omg
