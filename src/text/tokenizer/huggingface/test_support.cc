// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/test_support.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/vocabulary.h"

namespace omg::testing {
namespace {

struct Tokens {
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  std::vector<float> scores;
};

Tokens read(const Metadata& metadata) {
  Tokens tokens;
  for (const std::string_view text : metadata.get_strings("tokenizer.ggml.tokens"))
    tokens.texts.emplace_back(text);
  tokens.types = metadata.find_i32_array("tokenizer.ggml.token_type")
                     .value_or(std::vector<int32_t>(tokens.texts.size(), 1));
  tokens.scores = metadata.find_f32_array("tokenizer.ggml.scores")
                      .value_or(std::vector<float>(tokens.texts.size(), 0));
  return tokens;
}

bool is_type(const Tokens& tokens, size_t id, TokenType type) {
  return tokens.types[id] == static_cast<int32_t>(type);
}

json::array added_tokens(const Tokens& tokens) {
  json::array added;
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    // "</s>" is a control token whatever a model file says.
    const bool control = is_type(tokens, id, TokenType::kControl) ||
                         is_type(tokens, id, TokenType::kUnknown) || tokens.texts[id] == "</s>";
    if (!control && !is_type(tokens, id, TokenType::kUserDefined)) continue;
    added.push_back({{"id", id},
                     {"content", tokens.texts[id]},
                     {"special", control},
                     {"normalized", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"single_word", false}});
  }
  return added;
}

/// Without the user-defined tokens, which are added.
json::object vocabulary(const Tokens& tokens) {
  json::object vocab;
  vocab.reserve(tokens.texts.size());
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    if (!is_type(tokens, id, TokenType::kUserDefined)) vocab[tokens.texts[id]] = id;
  }
  return vocab;
}

/// Every way to make a token of two others, the best token first; of one token's by the ids of its
/// parts.
json::array merges_of_scores(const Tokens& tokens) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < tokens.texts.size(); ++id) ids.emplace(tokens.texts[id], id);
  struct Rule {
    size_t result, left, right;
  };
  std::vector<Rule> rules;
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    if (!is_type(tokens, id, TokenType::kNormal)) continue;
    const std::string_view text = tokens.texts[id];
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const auto left = ids.find(text.substr(0, cut));
      const auto right = ids.find(text.substr(cut));
      if (left != ids.end() && right != ids.end())
        rules.push_back({id, left->second, right->second});
    }
  }
  std::sort(rules.begin(), rules.end(), [&](const Rule& a, const Rule& b) {
    if (tokens.scores[a.result] != tokens.scores[b.result])
      return tokens.scores[a.result] > tokens.scores[b.result];
    if (a.result != b.result) return a.result < b.result;
    return std::pair(a.left, a.right) < std::pair(b.left, b.right);
  });
  json::array merges;
  for (const Rule& rule : rules)
    merges.push_back(
        {json::string(tokens.texts[rule.left]), json::string(tokens.texts[rule.right])});
  return merges;
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
}

void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_varint(out, field << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

void put_integer(std::string& out, uint32_t field, uint64_t value) {
  put_varint(out, field << 3);
  put_varint(out, value);
}

void put_float(std::string& out, uint32_t field, float value) {
  put_varint(out, field << 3 | 5);
  auto bits = std::bit_cast<uint32_t>(value);
  for (int i = 0; i < 4; ++i, bits >>= 8) out += static_cast<char>(bits & 0xFF);
}

}  // namespace

json::value split_by(std::initializer_list<const char*> expressions) {
  json::array steps;
  for (const char* expression : expressions) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", expression}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

json::object byte_level_json(const Metadata& metadata, json::value pre_tokenizer) {
  const Tokens tokens = read(metadata);
  json::array merges;
  for (const std::string_view line : metadata.get_strings("tokenizer.ggml.merges"))
    merges.push_back(json::string(line));
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens(tokens)},
          {"normalizer", nullptr},
          {"pre_tokenizer", std::move(pre_tokenizer)},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", vocabulary(tokens)},
            {"merges", std::move(merges)}}}};
}

json::object sentencepiece_json(const Metadata& metadata) {
  const Tokens tokens = read(metadata);
  return {{"version", "1.0"},
          {"added_tokens", added_tokens(tokens)},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", kSpaceMark}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single",
             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
              {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocabulary(tokens)},
            {"merges", merges_of_scores(tokens)}}}};
}

json::object word_piece_json(const Metadata& metadata) {
  Tokens tokens = read(metadata);
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    std::string& text = tokens.texts[id];
    if (text.starts_with(kSpaceMark)) {
      text.erase(0, kSpaceMark.size());
    } else if (is_type(tokens, id, TokenType::kNormal)) {
      text = "##" + text;
    }
  }
  return {{"version", "1.0"},
          {"added_tokens", added_tokens(tokens)},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", true},
            {"strip_accents", nullptr},
            {"lowercase", true}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor",
           {{"type", "BertProcessing"}, {"sep", {"[SEP]", 102}}, {"cls", {"[CLS]", 101}}}},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", vocabulary(tokens)}}}};
}

std::string sentencepiece_model(const Metadata& metadata) {
  const Tokens tokens = read(metadata);
  std::string out;
  for (size_t id = 0; id < tokens.texts.size(); ++id) {
    std::string piece;
    put_bytes(piece, 1, tokens.texts[id]);
    put_float(piece, 2, tokens.scores[id]);
    put_integer(piece, 3, static_cast<uint64_t>(tokens.types[id]));
    put_bytes(out, 1, piece);
  }
  std::string trainer;
  put_integer(trainer, 3, 2);   // BPE
  put_integer(trainer, 35, 1);  // byte_fallback
  put_bytes(out, 2, trainer);
  std::string normalizer;
  put_bytes(normalizer, 1, "identity");
  put_integer(normalizer, 3, 1);  // add_dummy_prefix
  put_integer(normalizer, 4, 0);  // remove_extra_whitespaces
  put_bytes(out, 3, normalizer);
  return out;
}

}  // namespace omg::testing
