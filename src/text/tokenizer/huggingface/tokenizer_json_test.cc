// SPDX-License-Identifier: Apache-2.0
//
// Whole tokenizers written by hand: models, added tokens, frames, decoders and the files beside.
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/huggingface/huggingface.h"
#include "text/tokenizer/huggingface/test_support.h"

namespace omg {
namespace {

using Ids = std::vector<TokenId>;
using testing::TemporaryFolder;

json::object tokenizer(json::value model) {
  return {{"added_tokens", json::array()}, {"normalizer", nullptr}, {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},     {"decoder", nullptr},    {"model", std::move(model)}};
}

json::object bpe(json::object vocab, json::array merges) {
  return {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", std::move(merges)}};
}

std::unique_ptr<Tokenizer> load(const json::object& file) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", json::serialize(file));
  return make_huggingface_tokenizer(folder.path());
}

TEST(TokenizerJson, MergesAsStringsAndAsPairs) {
  const json::object vocab = {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"abc", 4}, {"bc", 5}};
  for (const json::array& merges : {json::array{"#version: 0.2", "b c", "a b", "ab c"},
                                    json::array{{"b", "c"}, {"a", "b"}, {"ab", "c"}}}) {
    const auto made = load(tokenizer(bpe(vocab, merges)));
    EXPECT_EQ(made->encode("abc"), (Ids{0, 5}));
    EXPECT_EQ(made->encode("abxab"), (Ids{3, 3}));  // no unknown token: x vanishes
  }
  json::object whole = bpe(vocab, {"b c", "a b", "ab c"});
  whole["ignore_merges"] = true;
  EXPECT_EQ(load(tokenizer(whole))->encode("abc"), (Ids{4}));
}

TEST(TokenizerJson, UnknownCharactersAndByteFallback) {
  json::object model = bpe({{"a", 0}, {"<unk>", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}}, {});
  model["unk_token"] = "<unk>";
  EXPECT_EQ(load(tokenizer(model))->encode("aéxa"), (Ids{0, 1, 1, 0}));
  model["fuse_unk"] = true;
  EXPECT_EQ(load(tokenizer(model))->encode("aéxa"), (Ids{0, 1, 0}));
  model["byte_fallback"] = true;
  EXPECT_EQ(load(tokenizer(model))->encode("aéxa"), (Ids{0, 2, 3, 1, 0}));
  EXPECT_EQ(load(tokenizer(model))->encode("\xC3"), (Ids{2}));
}

TEST(TokenizerJson, PrefixAndSuffixOfSymbols) {
  json::object model =
      bpe({{"a", 0}, {"b", 1}, {"b</w>", 2}, {"ab</w>", 3}, {"a</w>", 4}}, {"a b</w>"});
  model["end_of_word_suffix"] = "</w>";
  json::object file = tokenizer(model);
  file["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  file["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
  const auto made = load(file);
  EXPECT_EQ(made->encode("ab bb a"), (Ids{3, 1, 2, 4}));
  EXPECT_EQ(made->decode(Ids{3, 1, 2}), "ab bb ");

  json::object later = bpe({{"a", 0}, {"##b", 1}, {"ab", 2}, {"b", 3}}, {"a ##b"});
  later["continuing_subword_prefix"] = "##";
  EXPECT_EQ(load(tokenizer(later))->encode("abb"), (Ids{2, 1}));
}

TEST(TokenizerJson, WordPiece) {
  json::object file = tokenizer(
      {{"type", "WordPiece"},
       {"unk_token", "[UNK]"},
       {"max_input_chars_per_word", 5},
       {"vocab", {{"[UNK]", 0}, {"un", 1}, {"##able", 2}, {"##a", 3}, {"a", 4}, {",", 5}}}});
  file["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  file["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  const auto made = load(file);
  EXPECT_EQ(made->encode("una a,"), (Ids{1, 3, 4, 5}));
  EXPECT_EQ(made->encode("unable"), (Ids{0}));  // six characters
  EXPECT_EQ(made->encode("unx"), (Ids{0}));
  EXPECT_EQ(made->decode(Ids{1, 2, 4, 5}), "unable a,");
}

TEST(TokenizerJson, UnigramTakesTheBestSum) {
  json::array vocab;
  for (const auto& [text, score] :
       {std::pair{"<unk>", 0.0}, std::pair{"a", -1.0}, std::pair{"b", -1.0}, std::pair{"ab", -2.5},
        std::pair{"aa", -1.5}}) {
    vocab.push_back(json::array{text, score});
  }
  const auto made =
      load(tokenizer(json::object{{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}));
  EXPECT_EQ(made->encode("ab"), (Ids{1, 2}));
  EXPECT_EQ(made->encode("aab"), (Ids{4, 2}));
  EXPECT_EQ(made->encode("axyb"), (Ids{1, 0, 2}));  // unknown characters in a row are one
}

TEST(TokenizerJson, WordLevelAndNoDecoder) {
  json::object file = tokenizer(
      {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", {{"?", 0}, {"a", 1}, {"b", 2}}}});
  file["pre_tokenizer"] = {{"type", "Whitespace"}};
  const auto made = load(file);
  EXPECT_EQ(made->encode("a c b"), (Ids{1, 0, 2}));
  EXPECT_EQ(made->decode(Ids{1, 2}), "a b");
}

json::object words(json::array added) {
  json::object file = tokenizer({{"type", "WordLevel"},
                                 {"unk_token", "?"},
                                 {"vocab", {{"?", 0}, {"a", 1}, {"b", 2}, {"<m>", 3}}}});
  file["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  file["added_tokens"] = std::move(added);
  return file;
}

TEST(TokenizerJson, AddedTokens) {
  const EncodeOptions special{.parse_special = true};
  const auto plain = load(words({{{"id", 4}, {"content", "<x>"}, {"special", false}},
                                 {{"id", 5}, {"content", "<x>y"}, {"special", false}},
                                 {{"id", 6}, {"content", "</s>"}, {"special", true}}}));
  EXPECT_EQ(plain->encode("a<x>b"), (Ids{1, 4, 2}));
  EXPECT_EQ(plain->encode("a<x>yb"), (Ids{1, 5, 2}));  // the longest
  EXPECT_EQ(plain->encode("a</s>"), (Ids{0}));
  EXPECT_EQ(plain->encode("a</s>", special), (Ids{1, 6}));
  EXPECT_TRUE(plain->is_control(6));
  EXPECT_FALSE(plain->is_control(4));
  EXPECT_TRUE(plain->is_end_of_generation(6));
  EXPECT_EQ(plain->token_bytes(6), "");
  EXPECT_EQ(plain->token_bytes(6, true), "</s>");
  EXPECT_EQ(plain->vocab_size(), 7u);
  EXPECT_THROW(plain->token_bytes(7), Error);
}

TEST(TokenizerJson, AddedTokensAndWhatIsAroundThem) {
  json::object file = words({{{"id", 4}, {"content", "<l>"}, {"lstrip", true}},
                             {{"id", 5}, {"content", "<r>"}, {"rstrip", true}},
                             {{"id", 6}, {"content", "w"}, {"single_word", true}}});
  // Without a pre-tokenizer every byte left over would show.
  file["pre_tokenizer"] = nullptr;
  const auto made = load(file);
  EXPECT_EQ(made->encode("a \u3000<l>b"), (Ids{1, 4, 2}));
  EXPECT_EQ(made->encode("a<l> b"), (Ids{1, 4, 0}));
  EXPECT_EQ(made->encode("a<r> \nb"), (Ids{1, 5, 2}));
  EXPECT_EQ(made->encode("a <r>b"), (Ids{0, 5, 2}));
  EXPECT_EQ(made->encode("w"), (Ids{6}));
  EXPECT_EQ(made->encode("w-"), (Ids{6, 0}));
  EXPECT_EQ(made->encode("wa"), (Ids{0}));
  EXPECT_EQ(made->encode("éw"), (Ids{0}));
}

TEST(TokenizerJson, NormalizedTokensAreFoundInNormalizedText) {
  json::object file = words({{{"id", 4}, {"content", "YES"}, {"normalized", true}},
                             {{"id", 5}, {"content", "NO"}, {"normalized", false}}});
  file["normalizer"] = {{"type", "Lowercase"}};
  const auto made = load(file);
  EXPECT_EQ(made->encode("A yEs NO no"), (Ids{1, 4, 5, 0}));
}

TEST(TokenizerJson, Frames) {
  const EncodeOptions framed{.add_special = true};
  json::object file = words({{{"id", 4}, {"content", "[CLS]"}, {"special", true}},
                             {{"id", 5}, {"content", "[SEP]"}, {"special", true}}});
  EXPECT_EQ(load(file)->encode("a", framed), (Ids{1}));
  file["post_processor"] = {
      {"type", "BertProcessing"}, {"sep", {"[SEP]", 5}}, {"cls", {"[CLS]", 4}}};
  EXPECT_EQ(load(file)->encode("a", framed), (Ids{4, 1, 5}));
  EXPECT_EQ(load(file)->encode("a"), (Ids{1}));
  const json::object one = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "[CLS]"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"[CLS]", {{"id", "[CLS]"}, {"ids", {4}}, {"tokens", {"[CLS]"}}}}}}};
  file["post_processor"] = {{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, one}}};
  const auto made = load(file);
  EXPECT_EQ(made->encode("", framed), (Ids{4}));
  EXPECT_TRUE(made->special_tokens().add_bos);
  EXPECT_EQ(made->special_tokens().bos, 4);
  EXPECT_FALSE(made->special_tokens().add_eos);
}

TEST(TokenizerJson, FilesBesideIt) {
  const TemporaryFolder folder;
  json::object file = words({{{"id", 4}, {"content", "<s>"}, {"special", true}}});
  folder.write("tokenizer.json", json::serialize(file));
  folder.write("tokenizer_config.json", R"({
      "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true, "add_eos_token": true,
      "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "<m>", "pad_token": null,
      "added_tokens_decoder": {"5": {"content": "<|tool|>", "special": true}}})");
  folder.write("special_tokens_map.json", R"({"unk_token": "?", "bos_token": "b"})");
  folder.write("added_tokens.json", R"({"<more>": 9})");
  folder.write("generation_config.json", R"({"eos_token_id": [3, 5, 4000000]})");
  const auto made = make_huggingface_tokenizer(folder.path());
  const EncodeOptions options{.add_special = true, .parse_special = true};
  EXPECT_EQ(made->encode("a<|tool|>", options), (Ids{4, 1, 5, 3}));
  EXPECT_EQ(made->special_tokens().bos, 4);
  EXPECT_EQ(made->special_tokens().eos, 3);
  EXPECT_EQ(made->special_tokens().unknown, 0);
  EXPECT_FALSE(made->special_tokens().padding);
  EXPECT_TRUE(made->is_control(3));
  EXPECT_TRUE(made->is_end_of_generation(3));
  EXPECT_TRUE(made->is_end_of_generation(5));
  EXPECT_FALSE(made->find_token("<more>"));  // the list in tokenizer_config.json is the newer one
  // The file itself names the folder too.
  EXPECT_EQ(make_huggingface_tokenizer(folder.path() + "/tokenizer.json")->vocab_size(), 6u);
  folder.write("tokenizer_config.json", "{}");
  const auto older = make_huggingface_tokenizer(folder.path());
  EXPECT_EQ(older->vocab_size(), 10u);
  EXPECT_EQ(older->find_token("<more>"), 9);
  EXPECT_EQ(older->encode("a<more>"), (Ids{1, 9}));
  EXPECT_EQ(older->token_text(7), "");
  EXPECT_EQ(older->token_bytes(7), "");
}

TEST(TokenizerJson, DecodersByTheToken) {
  json::object model = bpe({{"▁a", 0}, {"b", 1}, {"<0xE6>", 2}, {"<0xBC>", 3}, {"<0xA2>", 4}}, {});
  json::object file = tokenizer(model);
  file["decoder"] = {{"type", "Sequence"},
                     {"decoders",
                      {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                       {{"type", "ByteFallback"}},
                       {{"type", "Fuse"}},
                       {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
  const auto made = load(file);
  EXPECT_EQ(made->decode(Ids{0, 1, 2, 3, 4, 0}), "ab漢 a");
  StreamingDetokenizer stream(*made);
  EXPECT_EQ(stream.push(2), "");
  EXPECT_EQ(stream.push(3), "");
  EXPECT_EQ(stream.push(4), "漢");
  file["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "never"}};
  EXPECT_EQ(load(file)->decode(Ids{0, 1, 0}), " ab a");
  file["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
  EXPECT_EQ(load(file)->decode(Ids{0, 1, 0}), "ab a");
  file["decoder"] = {{"type", "Sequence"},
                     {"decoders", {{{"type", "Fuse"}}, {{"type", "ByteFallback"}}}}};
  EXPECT_THROW(load(file), Error);
}

TEST(ChatTemplates, WhereverTheyStand) {
  const TemporaryFolder folder;
  EXPECT_TRUE(read_huggingface_templates(folder.path()).empty());
  EXPECT_FALSE(is_huggingface_path(folder.path()));
  folder.write("chat_template.json", R"({"chat_template": "from json"})");
  EXPECT_EQ(default_template(read_huggingface_templates(folder.path()))->source, "from json");
  folder.write("tokenizer_config.json", R"({"chat_template": "é {{ x }}\n"})");
  EXPECT_EQ(default_template(read_huggingface_templates(folder.path()))->source, "é {{ x }}\n");
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "tool_use", "template": "t"},
                                     {"name": "default", "template": "d"}]})");
  EXPECT_EQ(read_huggingface_templates(folder.path()).size(), 2u);
  EXPECT_EQ(default_template(read_huggingface_templates(folder.path()))->source, "d");
  folder.write("chat_template.jinja", "from file");
  folder.write("additional_chat_templates/rag.jinja", "rag");
  const auto templates = read_huggingface_templates(folder.path());
  ASSERT_EQ(templates.size(), 2u);
  EXPECT_EQ(templates[0].source, "from file");
  EXPECT_EQ(templates[1].name, "rag");
  EXPECT_TRUE(is_huggingface_path(folder.path()));
}

TEST(ChatTemplates, WithoutADefault) {
  const TemporaryFolder folder;
  folder.write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "a", "template": "1"}, {"name": "b", "template": "2"}]})");
  EXPECT_EQ(default_template(read_huggingface_templates(folder.path())), nullptr);
  folder.write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_THROW(read_huggingface_templates(folder.path()), Error);
}

}  // namespace
}  // namespace omg
