// SPDX-License-Identifier: Apache-2.0
//
// Special tokens, the end-of-generation set, and vocabularies that are wrong or hostile.
#include "text/tokenizer/vocabulary.h"

#include <functional>
#include <gtest/gtest.h>
#include <limits>

#include "base/error.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/splitter.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"

namespace omg {
namespace {

using testing::small_byte_level;
using testing::small_sentencepiece;
using testing::VocabularyBuilder;
using Ids = std::vector<TokenId>;

void expect_error(const Metadata& metadata, ErrorCode code, const std::string& part) {
  try {
    make_tokenizer(metadata);
    ADD_FAILURE() << "no error that names " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(SpecialTokens, ControlOnRequestAndUserDefinedAlways) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId control = builder.add("<|c|>", TokenType::kControl);
  const TokenId user = builder.add("<|u|>", TokenType::kUserDefined);
  const auto tokenizer = make_tokenizer(builder.byte_level("gpt-2"));
  const std::string text = "a<|c|>b<|u|>";
  EXPECT_EQ(tokenizer->encode(text), (Ids{'a', '<', '|', 'c', '|', '>', 'b', user}));
  EXPECT_EQ(tokenizer->encode(text, {.parse_special = true}), (Ids{'a', control, 'b', user}));
  EXPECT_EQ(tokenizer->decode(Ids{'a', control, 'b', user}), "ab<|u|>");
  EXPECT_EQ(tokenizer->decode(Ids{'a', control, 'b', user}, true), text);
  EXPECT_TRUE(tokenizer->is_control(control));
  EXPECT_FALSE(tokenizer->is_control(user));
}

TEST(SpecialTokens, LongerOnesGoFirstWhereverTheyStand) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId brief = builder.add("<x>", TokenType::kUserDefined);
  const TokenId tail = builder.add("x>yz", TokenType::kUserDefined);
  const TokenId longest = builder.add("<x>y<x>", TokenType::kUserDefined);
  const auto tokenizer = make_tokenizer(builder.byte_level("gpt-2"));
  EXPECT_EQ(tokenizer->encode("<x>y<x>"), Ids{longest});
  EXPECT_EQ(tokenizer->encode("<x>yz"), (Ids{'<', tail}));
  EXPECT_EQ(tokenizer->encode("<x><x>y"), (Ids{brief, brief, 'y'}));
}

TEST(SpecialTokens, Phi3TakesTheWhitespaceAfterThem) {
  VocabularyBuilder builder = small_sentencepiece();
  const TokenId end = builder.add("<|end|>", TokenType::kControl);
  Metadata metadata = builder.sentencepiece();
  const EncodeOptions special = {.parse_special = true};
  EXPECT_EQ(make_tokenizer(metadata)->encode("<|end|>\n", special), (Ids{end, 259, 3 + '\n'}));
  metadata.set_string("general.name", "Phi-3 mini");
  EXPECT_EQ(make_tokenizer(metadata)->encode("<|end|> \n abc", special), (Ids{end, 267}));
  EXPECT_EQ(make_tokenizer(metadata)->encode("<s>\n", special), (Ids{1, 259, 3 + '\n'}));
}

TEST(EndOfGeneration, IsTheKeysAndTheKnownTexts) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId im_end = builder.add("<|im_end|>", TokenType::kControl);
  const TokenId eot = builder.add("<|eot_id|>", TokenType::kUserDefined);
  const TokenId eom = builder.add("<|eom_id|>", TokenType::kControl);
  const TokenId pad = builder.add("<|fim_pad|>", TokenType::kControl);
  const TokenId start = builder.add("<|im_start|>", TokenType::kControl);
  const TokenId strike = builder.add("</s>");  // an ordinary word here
  Metadata metadata = builder.byte_level("gpt-2");
  metadata.set_u32("tokenizer.ggml.eos_token_id", 7);
  const auto tokenizer = make_tokenizer(metadata);
  for (const TokenId id : {im_end, eot, eom, pad, 7})
    EXPECT_TRUE(tokenizer->is_end_of_generation(id));
  for (const TokenId id : {start, strike, 8, -1, 100000})
    EXPECT_FALSE(tokenizer->is_end_of_generation(id));
  EXPECT_EQ(tokenizer->special_tokens().eot, eot);
  EXPECT_EQ(tokenizer->special_tokens().eom, eom);
  EXPECT_EQ(tokenizer->special_tokens().eos, 7);
  EXPECT_EQ(tokenizer->special_tokens().bos, std::nullopt);
  EXPECT_TRUE(tokenizer->is_control(eot));
}

TEST(EndOfGeneration, EndIsAPartWhereAnswersReturn) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId end = builder.add("<|end|>", TokenType::kControl);
  builder.add("<|call|>", TokenType::kControl);
  EXPECT_TRUE(make_tokenizer(builder.byte_level("gpt-4o"))->is_end_of_generation(end));
  const TokenId back = builder.add("<|return|>", TokenType::kControl);
  const auto tokenizer = make_tokenizer(builder.byte_level("gpt-4o"));
  EXPECT_FALSE(tokenizer->is_end_of_generation(end));
  EXPECT_TRUE(tokenizer->is_end_of_generation(back));
}

TEST(BadVocabulary, IsRefusedByKey) {
  const auto corrupt = [](const std::string& part, const std::function<void(Metadata&)>& change) {
    Metadata metadata = small_byte_level().byte_level("gpt-2");
    change(metadata);
    expect_error(metadata, ErrorCode::kCorrupt, part);
  };
  const std::vector<std::string> none;
  const std::vector<int32_t> two = {1, 1};
  const std::vector<float> two_scores = {1, 1};
  std::vector<float> nan(small_byte_level().tokens.size());
  nan[5] = std::numeric_limits<float>::quiet_NaN();
  corrupt("tokenizer.ggml.model", [](Metadata& m) { m.erase("tokenizer.ggml.model"); });
  corrupt("tokenizer.ggml.tokens", [](Metadata& m) { m.erase("tokenizer.ggml.tokens"); });
  corrupt("tokenizer.ggml.tokens",
          [&](Metadata& m) { m.set_strings("tokenizer.ggml.tokens", none); });
  corrupt("tokenizer.ggml.tokens", [](Metadata& m) { m.set_u32("tokenizer.ggml.tokens", 1); });
  corrupt("tokenizer.ggml.token_type",
          [&](Metadata& m) { m.set_i32_array("tokenizer.ggml.token_type", two); });
  corrupt("tokenizer.ggml.scores",
          [&](Metadata& m) { m.set_f32_array("tokenizer.ggml.scores", two_scores); });
  corrupt("tokenizer.ggml.scores",
          [&](Metadata& m) { m.set_f32_array("tokenizer.ggml.scores", nan); });
  corrupt("tokenizer.ggml.merges", [](Metadata& m) { m.erase("tokenizer.ggml.merges"); });
  for (const char* line : {"", "a", "ab", "a ", " a"}) {
    const std::vector<std::string> merges = {line};
    corrupt("tokenizer.ggml.merges",
            [&](Metadata& m) { m.set_strings("tokenizer.ggml.merges", merges); });
  }
  corrupt("tokenizer.ggml.eos_token_id",
          [](Metadata& m) { m.set_u32("tokenizer.ggml.eos_token_id", 264); });
  corrupt("tokenizer.ggml.bos_token_id",
          [](Metadata& m) { m.set_string("tokenizer.ggml.bos_token_id", "<s>"); });
}

TEST(BadVocabulary, UnknownKindsAreNamed) {
  for (const char* model : {"none", "no_vocab", "bpe", ""}) {
    Metadata metadata = small_byte_level().byte_level("gpt-2");
    metadata.set_string("tokenizer.ggml.model", model);
    expect_error(metadata, ErrorCode::kUnsupported,
                 std::string("tokenizer '").append(model).append("'"));
  }
  expect_error(small_byte_level().byte_level("gpt-9"), ErrorCode::kUnsupported, "'gpt-9'");
}

TEST(BadVocabulary, HarmlessOddities) {
  VocabularyBuilder builder = small_byte_level();
  const TokenId empty = builder.add("");
  builder.add("twice");
  const TokenId twice = builder.add("twice");
  const TokenId bytes = builder.add("\xFF\xC4");
  builder.add(std::string(100000, 'x'), TokenType::kUserDefined);
  builder.types[3] = 99;
  Metadata metadata = builder.byte_level("");  // no pre-tokenizer: the default one
  metadata.set_u32("tokenizer.ggml.padding_token_id", 1000000);
  metadata.set_u32("tokenizer.ggml.bos_token_id", UINT32_MAX);
  metadata.set_bool("tokenizer.ggml.add_bos_token", true);
  const auto tokenizer = make_tokenizer(metadata);
  EXPECT_EQ(tokenizer->token_text(empty), "[EMPTY_264]");
  EXPECT_EQ(tokenizer->find_token("twice"), twice);
  EXPECT_EQ(tokenizer->token_bytes(bytes), "\xFF\xC4");
  EXPECT_EQ(tokenizer->token_bytes(3), "\x03");
  EXPECT_EQ(tokenizer->special_tokens().padding, std::nullopt);
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), Ids{'a'});
  EXPECT_THROW(tokenizer->token_bytes(-1), Error);
  EXPECT_THROW(tokenizer->token_bytes(static_cast<TokenId>(tokenizer->vocab_size())), Error);
  EXPECT_THROW(tokenizer->token_text(INT32_MAX), Error);
}

std::vector<std::string> words(const char* pre, std::string_view text) {
  const Splitter splitter(find_pre_tokenizer(pre).steps);
  std::vector<size_t> ends;
  splitter.split(text, ends);
  std::vector<std::string> pieces;
  size_t start = 0;
  for (const size_t end : ends) {
    pieces.emplace_back(text.substr(start, end - start));
    start = end;
  }
  return pieces;
}

using Words = std::vector<std::string>;

TEST(PreTokenizers, CutAsTheirPatternsSay) {
  EXPECT_EQ(words("gpt-2", "I'll  go2 12345!"),
            (Words{"I", "'ll", " ", " go", "2", " 12345", "!"}));
  EXPECT_EQ(words("llama-bpe", "I'LL go 12345!\n\n x"),
            (Words{"I", "'LL", " go", " ", "123", "45", "!\n\n", " x"}));
  EXPECT_EQ(words("qwen2", "a 12\t\n b"), (Words{"a", " ", "1", "2", "\t\n", " b"}));
  EXPECT_EQ(words("starcoder", "v 12"), (Words{"v", " ", "1", "2"}));
  EXPECT_EQ(words("gpt-4o", "HelloWorld's ABCd"), (Words{"Hello", "World's", " ABCd"}));
  EXPECT_EQ(words("default", "a+b 1234"), (Words{"a", "+", "b", " ", "123", "4"}));
  EXPECT_EQ(words("deepseek-llm", "x  中文  "), (Words{"x", "  ", "中文", "  "}));
  EXPECT_EQ(words("superbpe", "n1234567"), (Words{"n", "1", "234", "567"}));
  EXPECT_EQ(words("afmoe", "n1234"), (Words{"n", "1", "234"}));
  EXPECT_EQ(words("kimi-k2", "中文abc's"), (Words{"中文", "abc's"}));
  EXPECT_EQ(words("gemma4", "a b\n\nc"), (Words{"a b", "\n\n", "c"}));
}

TEST(PreTokenizers, NewAndBrokenCharacters) {
  // U+1FAE8 (Unicode 15) is a symbol, U+31350 (15.1: CJK extension H) a letter.
  EXPECT_EQ(words("gpt-2", "!\U0001FAE8?"), Words{"!\U0001FAE8?"});
  EXPECT_EQ(words("gpt-2", "a\U00031350!"), (Words{"a\U00031350", "!"}));
  EXPECT_EQ(words("gpt-2", "a\xFF\xFE b\xC3"), (Words{"a", "\xFF\xFE", " b", "\xC3"}));
  EXPECT_EQ(words("qwen2", "\xE4\xB8"), Words{"\xE4\xB8"});
}

TEST(PreTokenizers, EveryOneCoversAnyTextInLinearTime) {
  const std::vector<std::string> units = {"a",  "A",  " ",    "\n",   "1",  "~",   "é",
                                          "a ", "\t", "\x01", "\xFF", "中", " \n", "🚀"};
  for (const std::string_view name : pre_tokenizer_names()) {
    const Splitter splitter(find_pre_tokenizer(name).steps);
    for (const std::string& unit : units) {
      std::string text;
      while (text.size() < 20000) text += unit;
      text += "中";
      std::vector<size_t> ends;
      splitter.split(text, ends);
      ASSERT_EQ(ends.back(), text.size()) << name;
      for (size_t i = 1; i < ends.size(); ++i) ASSERT_LT(ends[i - 1], ends[i]) << name;
    }
  }
}

}  // namespace
}  // namespace omg
