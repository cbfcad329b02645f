// SPDX-License-Identifier: Apache-2.0
//
// Under which names model files have the tokens for filling in what is missing in a text. Few files
// name them by a key, so well-known texts are looked for as well.
#pragma once

#include <array>
#include <string_view>

namespace omg {

struct FillInName {
  std::string_view key;                   // of the token's id in metadata
  std::string_view older_key;             // "": none
  std::array<std::string_view, 8> texts;  // unused ones are ""
};

/// What stands before the text, before that which follows the hole, and before the answer.
inline constexpr FillInName kFillInPrefix = {
    "tokenizer.ggml.fim_pre_token_id",
    "tokenizer.ggml.prefix_token_id",
    {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
     "<|code_prefix|>", "<|prefix|>"}};
inline constexpr FillInName kFillInSuffix = {
    "tokenizer.ggml.fim_suf_token_id",
    "tokenizer.ggml.suffix_token_id",
    {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
     "<|code_suffix|>", "<|suffix|>"}};
inline constexpr FillInName kFillInMiddle = {
    "tokenizer.ggml.fim_mid_token_id",
    "tokenizer.ggml.middle_token_id",
    {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
     "<|code_middle|>", "<|middle|>"}};

/// Padding, and what stands before a repository's name and between files.
inline constexpr std::array<FillInName, 3> kFillInEnds = {
    {{"tokenizer.ggml.fim_pad_token_id",
      "",
      {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
     {"tokenizer.ggml.fim_rep_token_id",
      "",
      {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
     {"tokenizer.ggml.fim_sep_token_id", "", {"<|file_sep|>"}}}};

}  // namespace omg
