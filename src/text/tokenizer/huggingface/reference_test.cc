// SPDX-License-Identifier: Apache-2.0
//
// Real vocabularies, written as Hugging Face files, give the same ids as the model files that they
// come from: all cases of the reference, and texts that are hard for tokenizers.
#include <algorithm>
#include <boost/json/value_to.hpp>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/testing/reference_dir.h"
#include "base/utf8.h"
#include "formats/gguf/reader.h"
#include "text/tokenizer/huggingface/huggingface.h"
#include "text/tokenizer/huggingface/test_support.h"

namespace omg {
namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

json::value gpt2_splitter() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
}

json::value digits_then_gpt2() {
  return {{"type", "Sequence"},
          {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, gpt2_splitter()}}};
}

/// tokenizer.json as it is published for the model of that name.
json::object published(const std::string& name, const Metadata& metadata) {
  if (name == "gpt-2") return testing::byte_level_json(metadata, gpt2_splitter());
  if (name == "refact") return testing::byte_level_json(metadata, digits_then_gpt2());
  if (name == "llama-bpe") {
    json::object file = testing::byte_level_json(metadata, testing::split_by({kLlama3}));
    file["model"].as_object()["ignore_merges"] = true;
    return file;
  }
  if (name == "deepseek-coder") {
    return testing::byte_level_json(metadata,
                                    testing::split_by({"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                                       "[一-龥ࠀ-一가-퟿]+", R"(\p{N})"}));
  }
  if (name == "bert-bge") return testing::word_piece_json(metadata);
  return testing::sentencepiece_json(metadata);
}

class PublishedVocabulary : public ::testing::TestWithParam<const char*> {
 protected:
  static std::string reference(const std::string& path) {
    return reference_dir().string() + "/tokenizers/" + path;
  }
  void SetUp() override {
    if (!std::filesystem::exists(reference("")))
      GTEST_SKIP() << "no reference folder at " << reference_dir();
    const ModelFile file = gguf::open(reference(GetParam() + std::string(".gguf")));
    from_gguf_ = make_tokenizer(file.metadata());
    const json::object made = published(GetParam(), file.metadata());
    folder_.write("tokenizer.json", json::serialize(made));
    tokenizer_ = make_huggingface_tokenizer(folder_.path());
  }

  testing::TemporaryFolder folder_;
  std::unique_ptr<Tokenizer> from_gguf_, tokenizer_;
};

TEST_P(PublishedVocabulary, EncodesEveryTextToItsIds) {
  const json::value cases = parse_json_file(reference(GetParam() + std::string(".json")));
  EXPECT_GT(cases.as_array().size(), 30u);
  for (const json::value& item : cases.as_array()) {
    const std::string text(item.at("text").as_string());
    std::vector<TokenId> ids;
    for (const json::value& id : item.at("ids").as_array())
      ids.push_back(static_cast<TokenId>(id.as_int64()));
    const std::vector<TokenId> got = tokenizer_->encode(text);
    EXPECT_EQ(got, ids) << "text: " << text;
    // WordPiece's decoder here also puts punctuation back to its word.
    if (GetParam() != std::string("bert-bge")) {
      EXPECT_EQ(tokenizer_->decode(got), from_gguf_->decode(got)) << "text: " << text;
    }
  }
}

std::string random_text(std::mt19937& random, uint32_t last_point = 0x3000) {
  static constexpr const char* kParts[] = {" ",
                                           "  ",
                                           "\n",
                                           "\r\n",
                                           "\t",
                                           "a",
                                           "The",
                                           "don't",
                                           "I'LL",
                                           "x1",
                                           "123",
                                           "4567",
                                           "é",
                                           "ß",
                                           "Ж",
                                           "漢字",
                                           "한국",
                                           "🚀",
                                           "👩‍👩‍👧",
                                           "!!",
                                           "...",
                                           "_",
                                           "</s>",
                                           "\u00a0",
                                           "\u3000",
                                           "e\u0301",
                                           "▁",
                                           "<0x0A>",
                                           "=",
                                           "{}",
                                           "\\",
                                           "\u200b",
                                           "ﷺ",
                                           "İ",
                                           "٣",
                                           "Ⅷ",
                                           "½"};
  std::string text;
  const size_t parts = random() % 30;
  for (size_t i = 0; i < parts; ++i) {
    if (random() % 8 == 0) {
      const uint32_t point = random() % last_point;
      append_utf8(text, point == 0 ? 'x' : point);
    } else {
      text += kParts[random() % std::size(kParts)];
    }
  }
  return text;
}

TEST_P(PublishedVocabulary, AgreesWithTheModelFileOnRandomTexts) {
  std::mt19937 random(1);
  const bool is_bert = GetParam() == std::string("bert-bge");
  size_t texts = 0;
  for (int i = 0; i < 3000; ++i) {
    // Model files' BERT drops all marks, the original the nonspacing ones and most controls.
    const std::string text = random_text(random, is_bert ? 1 : 0x3000);
    // Of a Hangul syllable, model files' BERT keeps the first letter, the original all; and there
    // "▁" is how words begin.
    if (is_bert && (text.find("한국") != std::string::npos || text.find("▁") != std::string::npos))
      continue;
    ASSERT_EQ(tokenizer_->encode(text), from_gguf_->encode(text))
        << json::serialize(json::value(text));
    ++texts;
  }
  EXPECT_GT(texts, 1000u);
}

class PublishedByteLevel : public PublishedVocabulary {};

TEST_P(PublishedByteLevel, TextsAndBytesComeBack) {
  std::mt19937 random(2);
  size_t texts = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    if (i % 2 == 0) {
      text = random_text(random);
    } else {
      for (size_t n = random() % 20; n > 0; --n) text += static_cast<char>(random());
    }
    // Some vocabularies have no token for bytes that are rare or stand in no UTF-8.
    if (from_gguf_->decode(from_gguf_->encode(text)) != text) continue;
    ++texts;
    ASSERT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text);
    ASSERT_EQ(tokenizer_->encode(text), from_gguf_->encode(text))
        << json::serialize(json::value(replace_invalid_utf8(text)));
  }
  EXPECT_GT(texts, 1200u);
}

std::string test_name(const ::testing::TestParamInfo<const char*>& param) {
  std::string name = param.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, PublishedVocabulary,
                         ::testing::Values("deepseek-coder", "gpt-2", "llama-bpe", "llama-spm",
                                           "phi-3", "refact", "bert-bge"),
                         test_name);
INSTANTIATE_TEST_SUITE_P(All, PublishedByteLevel,
                         ::testing::Values("deepseek-coder", "gpt-2", "llama-bpe", "refact"),
                         test_name);

TEST(PublishedSentencePiece, GivesTheIdsOfTheModelFile) {
  const std::string folder = reference_dir().string() + "/tokenizers";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "no reference folder at " << reference_dir();
  const ModelFile file = gguf::open(folder + "/llama-spm.gguf");
  const auto from_gguf = make_tokenizer(file.metadata());
  testing::TemporaryFolder made;
  made.write("tokenizer.model", testing::sentencepiece_model(file.metadata()));
  const auto tokenizer = make_huggingface_tokenizer(made.path());
  const json::value cases = parse_json_file(folder + "/llama-spm.json");
  for (const json::value& item : cases.as_array()) {
    const std::string text(item.at("text").as_string());
    const auto ids = json::value_to<std::vector<TokenId>>(item.at("ids"));
    EXPECT_EQ(tokenizer->encode(text), ids) << text;
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
  const EncodeOptions options{.add_special = true, .parse_special = true};
  EXPECT_EQ(tokenizer->encode("Hi</s>", options), from_gguf->encode("Hi</s>", options));
}

}  // namespace
}  // namespace omg
