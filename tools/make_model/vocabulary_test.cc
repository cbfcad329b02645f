// SPDX-License-Identifier: Apache-2.0
#include "tools/make_model/vocabulary.h"

#include <gtest/gtest.h>
#include <set>

#include "base/utf8.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::model_maker {
namespace {

const std::vector<std::string> kTexts = {
    "The quick brown fox jumps over the lazy dog.",
    "  spaces,\ttabs\n\n\nand lines\r\n",
    "Zwölf Boxkämpfer; 北京 🙂 1234567890",
    "{\"json\": [1, 2.5e-3, null]}",
    "",
};

Metadata vocabulary_of(std::string_view name, TokenizerKind kind, uint32_t size) {
  Options options = preset(name);
  options.tokenizer = kind;
  options.vocabulary = size;
  Metadata metadata;
  add_vocabulary(complete(options), metadata);
  return metadata;
}

class VocabularyTest : public ::testing::TestWithParam<std::tuple<std::string_view, bool>> {
 protected:
  Metadata make(uint32_t size) const {
    const auto [name, is_byte_level] = GetParam();
    return vocabulary_of(
        name, is_byte_level ? TokenizerKind::kByteLevel : TokenizerKind::kSentencePiece, size);
  }
};

TEST_P(VocabularyTest, TokensAreDifferentAndComplete) {
  for (const uint32_t size : {400u, 512u, 32064u, 151936u}) {
    const Metadata metadata = make(size);
    const auto& tokens = metadata.get_strings("tokenizer.ggml.tokens");
    const std::set<std::string_view> unique(tokens.begin(), tokens.end());
    EXPECT_EQ(tokens.size(), size);
    EXPECT_EQ(unique.size(), size);
    EXPECT_EQ(metadata.find_i32_array("tokenizer.ggml.token_type")->size(), size);
    for (const auto token : tokens) ASSERT_TRUE(is_valid_utf8(token));
    EXPECT_LT(metadata.get_u32("tokenizer.ggml.eos_token_id"), size);
    EXPECT_LT(metadata.get_u32("tokenizer.ggml.bos_token_id"), size);
    EXPECT_FALSE(metadata.get_string("tokenizer.chat_template").empty());
  }
}

TEST_P(VocabularyTest, AnyTextComesBack) {
  for (const uint32_t size : {400u, 32064u}) {
    const auto tokenizer = make_tokenizer(make(size));
    for (const auto& text : kTexts) {
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    }
    std::string bytes;
    for (int i = 0; i < 256; ++i) append_utf8(bytes, static_cast<uint32_t>(i * 97));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(bytes)), bytes);
  }
}

TEST_P(VocabularyTest, EnglishTakesAboutAsManyTokensAsInTrainedVocabularies) {
  const std::string text =
      "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
      "age of foolishness, it was the epoch of belief, it was the epoch of incredulity";
  const auto tokenizer = make_tokenizer(make(128256));
  const auto count = static_cast<double>(tokenizer->encode(text).size());
  EXPECT_GT(static_cast<double>(text.size()) / count, 2.0);
  EXPECT_LT(static_cast<double>(text.size()) / count, 6.0);
}

TEST_P(VocabularyTest, SpecialTokensAreFoundAndEndAnswers) {
  const Metadata metadata = make(512);
  const auto tokenizer = make_tokenizer(metadata);
  const auto& tokens = metadata.get_strings("tokenizer.ggml.tokens");
  const auto eos = metadata.get_u32("tokenizer.ggml.eos_token_id");
  EXPECT_TRUE(tokenizer->is_end_of_generation(static_cast<TokenId>(eos)));
  EncodeOptions options;
  options.parse_special = true;
  const auto ids = tokenizer->encode(std::string(tokens[eos]).append("b"), options);
  EXPECT_NE(std::find(ids.begin(), ids.end(), static_cast<TokenId>(eos)), ids.end());
}

INSTANTIATE_TEST_SUITE_P(Families, VocabularyTest,
                         ::testing::Combine(::testing::Values("tiny-llama", "tiny-qwen2",
                                                              "tiny-gemma2", "tiny-phi2",
                                                              "tiny-phi3"),
                                            ::testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).substr(5)) +
                                  (std::get<1>(test.param) ? "_bpe" : "_spm");
                         });

TEST(ByteLevelVocabulary, EachMergeMakesATokenOfTokens) {
  const Metadata metadata = vocabulary_of("tiny-llama", TokenizerKind::kByteLevel, 151936);
  const auto& tokens = metadata.get_strings("tokenizer.ggml.tokens");
  const auto& merges = metadata.get_strings("tokenizer.ggml.merges");
  std::set<std::string> known(tokens.begin(), tokens.begin() + 256);
  for (size_t i = 0; i < merges.size(); ++i) {
    const size_t space = merges[i].find(' ');
    ASSERT_NE(space, std::string_view::npos);
    const std::string left(merges[i].substr(0, space)), right(merges[i].substr(space + 1));
    ASSERT_TRUE(known.contains(left)) << merges[i];
    ASSERT_TRUE(known.contains(right)) << merges[i];
    ASSERT_EQ(left + right, tokens[256 + i]);
    known.insert(left + right);
  }
}

TEST(ByteLevelVocabulary, SpecialsStandWherePublishedOnesDo) {
  const Metadata llama = vocabulary_of("llama-3.2-1b", TokenizerKind::kByteLevel, 128256);
  const auto& tokens = llama.get_strings("tokenizer.ggml.tokens");
  EXPECT_EQ(tokens[0], "!");
  EXPECT_EQ(tokens[128000], "<|begin_of_text|>");
  EXPECT_EQ(tokens[128006], "<|start_header_id|>");
  EXPECT_EQ(tokens[128009], "<|eot_id|>");
  EXPECT_EQ(tokens[128255], "<|reserved_special_token_247|>");
  const Metadata qwen = vocabulary_of("qwen2.5-0.5b", TokenizerKind::kByteLevel, 151936);
  EXPECT_EQ(qwen.get_u32("tokenizer.ggml.bos_token_id"), 151643u);
  EXPECT_EQ(qwen.get_u32("tokenizer.ggml.eos_token_id"), 151645u);
}

}  // namespace
}  // namespace omg::model_maker
