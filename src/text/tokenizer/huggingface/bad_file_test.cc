// SPDX-License-Identifier: Apache-2.0
//
// Damaged and hostile files: each gives an error that names the place, in no time.
#include <chrono>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tokenizer/huggingface/huggingface.h"
#include "text/tokenizer/huggingface/sentencepiece_file.h"
#include "text/tokenizer/huggingface/test_support.h"

namespace omg {
namespace {

using testing::TemporaryFolder;

struct Outcome {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;
};

/// The error that the tokenizer of these files gives.
Outcome fail_with(const std::string& tokenizer, const std::string& name = "tokenizer.json",
                  const std::string& config = "") {
  const TemporaryFolder folder;
  folder.write(name, tokenizer);
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  try {
    make_huggingface_tokenizer(folder.path());
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {ErrorCode::kInternal, "no error"};
}

void expect_corrupt(const std::string& tokenizer, const std::string& place) {
  const Outcome outcome = fail_with(tokenizer);
  EXPECT_EQ(outcome.code, ErrorCode::kCorrupt) << tokenizer << "\n" << outcome.what;
  EXPECT_NE(outcome.what.find(place), std::string::npos) << outcome.what;
  EXPECT_NE(outcome.what.find("tokenizer.json"), std::string::npos) << outcome.what;
}

std::string with_model(const std::string& model, const std::string& more = "") {
  return R"({"model": )" + model + more + "}";
}

TEST(BadTokenizerJson, IsNoJson) {
  const std::string whole = with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": []})");
  EXPECT_EQ(fail_with(whole).what, "no error");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(fail_with(whole.substr(0, size)).code, ErrorCode::kCorrupt) << size;
  expect_corrupt("[]", "$ is an array");
  expect_corrupt("\xff", "not valid JSON");
  expect_corrupt("{}", "no member 'model'");
  expect_corrupt(std::string(100'000, '['), "not valid JSON");
}

TEST(BadTokenizerJson, Vocabularies) {
  const auto bpe = [](const std::string& vocab, const std::string& merges = "[]") {
    return with_model(R"({"type": "BPE", "vocab": )" + vocab + R"(, "merges": )" + merges + "}");
  };
  expect_corrupt(bpe(R"({"a": 0, "b": 0})"), "the id 0 to two tokens");
  expect_corrupt(bpe(R"({"a": -1})"), "$.model.vocab");
  expect_corrupt(bpe(R"({"a": 1.5})"), "$.model.vocab");
  expect_corrupt(bpe(R"({"a": "0"})"), "$.model.vocab");
  expect_corrupt(bpe(R"({"a": 99999999999})"), "$.model.vocab");
  expect_corrupt(bpe(R"({"a": 16000000})"), "holds the id 16000000");  // no table of 16 M for it
  expect_corrupt(bpe("{}"), "has no tokens");
  expect_corrupt(bpe("[]"), "is an array, not an object");
  expect_corrupt(bpe(R"({"a": 0})", R"(["a b"])"), "[0] the text 'b', which is no token");
  expect_corrupt(bpe(R"({"a": 0, "b": 1})", R"(["a b"])"), "[0] the text 'ab'");
  expect_corrupt(bpe(R"({"a": 0})", R"(["a"])"), "[0] not two parts");
  expect_corrupt(bpe(R"({"a": 0})", R"(["a a a"])"), "[0] not two parts");
  expect_corrupt(bpe(R"({"a": 0})", R"([["a"]])"), "[0] neither");
  expect_corrupt(bpe(R"({"a": 0})", "[7]"), "[0] neither");
  expect_corrupt(bpe(R"({"a": 0})", "{}"), "$.model.merges is an object");
  expect_corrupt(with_model(
                     R"({"type": "BPE", "vocab": {"a": 0}, "continuing_subword_prefix": "##",
              "merges": ["a a"]})"),
                 "shorter than the prefix");
  EXPECT_EQ(fail_with(bpe("{\"" + std::string(2000, 'a') + "\": 0}")).code,
            ErrorCode::kLimitExceeded);
  expect_corrupt(with_model(R"({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"})"),
                 "$.model.unk_token names 'b'");
  expect_corrupt(with_model(R"({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 1})"),
                 "$.model.unk_id is 1");
  expect_corrupt(with_model(R"({"type": "Unigram", "vocab": [["a"]]})"), "[0] no pair");
  expect_corrupt(with_model(R"({"type": "Unigram", "vocab": [["a", "b"]]})"), "[0] no pair");
  EXPECT_EQ(fail_with(with_model(R"({"type": "Magic", "vocab": {}})")).code,
            ErrorCode::kUnsupported);
}

TEST(BadTokenizerJson, AddedTokens) {
  const std::string model = R"({"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"})";
  const auto added = [&](const std::string& token) {
    return with_model(model, R"(, "added_tokens": [)" + token + "]");
  };
  expect_corrupt(added(R"({"content": "x"})"), "$.added_tokens[0] has no member 'id'");
  expect_corrupt(added(R"({"id": 1, "content": "x"})"), "but it is that of 'b'");
  expect_corrupt(added(R"({"id": 5, "content": "a"})"), "the model's vocabulary 0");
  expect_corrupt(added(R"({"id": -4, "content": "x"})"), "$.added_tokens[0].id");
  expect_corrupt(added(R"({"id": 9000000, "content": "x"})"), "9000000");
  expect_corrupt(added(R"({"id": 2, "content": "x"}, {"id": 2, "content": "y"})"), "that of 'x'");
  expect_corrupt(added(R"({"id": 2, "content": "x", "special": 1})"), "special is a number");
  const Outcome outcome = fail_with(with_model(model), "tokenizer.json",
                                    R"({"added_tokens_decoder": {"1x": {"content": "y"}}})");
  EXPECT_EQ(outcome.code, ErrorCode::kCorrupt);
  EXPECT_NE(outcome.what.find("tokenizer_config.json"), std::string::npos) << outcome.what;
}

TEST(BadTokenizerJson, TheRest) {
  const std::string model = R"({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"})";
  const auto with = [&](const std::string& more) { return with_model(model, ", " + more); };
  expect_corrupt(
      with(R"("post_processor": {"type": "BertProcessing", "sep": ["a", 7], "cls": ["a", 0]})"),
      "$.post_processor.sep[1] is 7, which no token has");
  expect_corrupt(with(R"("post_processor": {"type": "TemplateProcessing", "special_tokens": {},
                         "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]})"),
                 "no member 'x'");
  expect_corrupt(with(R"("normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"})"),
                 "not base64");
  expect_corrupt(
      with(R"("normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="})"),
      "precompiled_charsmap");
  for (const char* what :
       {R"("post_processor": {"type": "X"})", R"("decoder": {"type": "CTC"})",
        R"("post_processor": {"type": "TemplateProcessing", "special_tokens": {}, "single": []})",
        R"("decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteLevel"}]})",
        R"("pre_tokenizer": {"type": "Split",
                             "pattern": {"Regex": "(?:(?:(?:a{99}){99}){99}){99}"}})"}) {
    EXPECT_EQ(fail_with(with(what)).code, ErrorCode::kUnsupported) << what;
  }
  std::string deep = R"({"type": "Sequence", "decoders": []})";
  for (int i = 0; i < 20; ++i) deep = R"({"type": "Sequence", "decoders": [)" + deep + "]}";
  expect_corrupt(with(R"("decoder": )" + deep), "inside more than 8 others");
  // Sixty-four of sixty-four of ...: refused before they are all made.
  std::string wide = R"({"type": "Punctuation"})";
  for (int level = 0; level < 3; ++level) {
    std::string steps;
    for (int i = 0; i < 64; ++i) steps += (i == 0 ? "" : ",") + wide;
    wide = R"({"type": "Sequence", "pretokenizers": [)" + steps + "]}";
  }
  EXPECT_EQ(fail_with(with(R"("pre_tokenizer": )" + wide)).code, ErrorCode::kLimitExceeded);
}

TEST(BadTokenizerJson, NoTokenizerAtAll) {
  const TemporaryFolder folder;
  try {
    make_huggingface_tokenizer(folder.path());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

/// A tokenizer.model with a few pieces.
std::string small_model() {
  Metadata metadata;
  const std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "▁", "a", "▁a"};
  const std::vector<int32_t> types = {2, 3, 3, 1, 1, 1};
  const std::vector<float> scores = {0, 0, 0, -3, -2, -1};
  metadata.set_strings("tokenizer.ggml.tokens", tokens);
  metadata.set_i32_array("tokenizer.ggml.token_type", types);
  metadata.set_f32_array("tokenizer.ggml.scores", scores);
  return testing::sentencepiece_model(metadata);
}

TEST(SentencePieceFile, IsReadWithWhatStandsBeside) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", small_model());
  const EncodeOptions options{.add_special = true, .parse_special = true};
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(make_huggingface_tokenizer(folder.path())->encode("a a", options), (Ids{1, 5, 5}));
  folder.write("tokenizer_config.json",
               R"({"add_bos_token": false, "add_eos_token": true, "eos_token": "</s>",
                   "added_tokens_decoder": {"7": {"content": "<|x|>", "special": true}}})");
  const auto tokenizer = make_huggingface_tokenizer(folder.path() + "/tokenizer.model");
  EXPECT_EQ(tokenizer->encode("a<|x|>", options), (Ids{5, 7, 2}));
  EXPECT_EQ(tokenizer->vocab_size(), 8u);
  EXPECT_TRUE(tokenizer->is_control(7));
}

TEST(SentencePieceFile, EveryCutAndEveryFlipIsSurvived) {
  const std::string whole = small_model();
  const auto survives = [](const std::string& bytes) {
    try {
      huggingface::parse_sentencepiece(bytes, "test");
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kCorrupt) << error.what();
      EXPECT_EQ(std::string(error.what()).find("test"), 27u) << error.what();
    }
  };
  for (size_t size = 0; size < whole.size(); ++size) survives(whole.substr(0, size));
  for (size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      survives(flipped);
    }
  }
}

TEST(SentencePieceFile, LiesAreNamed) {
  const auto what = [](const std::string& bytes) {
    return fail_with(bytes, "tokenizer.model").what;
  };
  EXPECT_NE(what("").find("has no pieces"), std::string::npos);
  EXPECT_NE(what(std::string("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11)).find("are left"),
            std::string::npos);
  EXPECT_NE(what(std::string(12, '\xFF')).find("more than 10 bytes"), std::string::npos);
  EXPECT_NE(what(std::string("\x0A\x03\x0A\x01", 4)).find("are left"), std::string::npos);
  EXPECT_NE(what(std::string("\x08\x01", 2)).find("wrong wire type"), std::string::npos);
  EXPECT_NE(what(std::string("\x0B", 1)).find("wire type 3"), std::string::npos);
  EXPECT_NE(what(std::string("\x00\x01", 2)).find("number 0"), std::string::npos);
  EXPECT_NE(what(std::string("\x0A\x03\x0A\x01\xFF", 5)).find("piece 0 is not UTF-8"),
            std::string::npos);
  EXPECT_NE(what(std::string("\x0A\x05\x0A\x01x\x18\x09", 7)).find("has the type 9"),
            std::string::npos);
  EXPECT_NE(what(std::string("\x0A\x08\x0A\x01x\x15\x00\x00\xC0\x7F", 10)).find("no number"),
            std::string::npos);
  EXPECT_NE(what(small_model() + std::string("\x12\x02\x18\x03", 4)).find("words or characters"),
            std::string::npos);
}

}  // namespace
}  // namespace omg
