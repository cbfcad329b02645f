// SPDX-License-Identifier: Apache-2.0
//
// Any bytes through every kind of tokenizer: nothing crashes, every id exists, what comes out of
// the stream is whole characters, and byte-level kinds decode to the same bytes. Sometimes the
// first bytes are a normalisation table instead.
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"

namespace {

using namespace omg;

using Tokenizers = std::vector<std::unique_ptr<Tokenizer>>;

/// Those that give any bytes back.
Tokenizers make_byte_level() {
  Tokenizers tokenizers;
  auto builder = omg::testing::small_byte_level();
  builder.add("<|c|>", TokenType::kControl);
  builder.add("<u>", TokenType::kUserDefined);
  for (const std::string_view pre : pre_tokenizer_names()) {
    if (!find_pre_tokenizer(pre).raw_text)
      tokenizers.push_back(make_tokenizer(builder.byte_level(std::string(pre))));
  }
  tokenizers.push_back(make_tokenizer(omg::testing::small_rwkv().plain("rwkv")));
  return tokenizers;
}

Tokenizers make_others() {
  Tokenizers tokenizers;
  tokenizers.push_back(make_tokenizer(omg::testing::small_sentencepiece().sentencepiece()));
  tokenizers.push_back(make_tokenizer(omg::testing::small_unigram().plain("t5")));
  Metadata merging = omg::testing::small_unigram().plain("t5");
  merging.set_bool("tokenizer.ggml.add_space_prefix", true);
  merging.set_bool("tokenizer.ggml.remove_extra_whitespaces", true);
  tokenizers.push_back(make_tokenizer(merging));
  tokenizers.push_back(make_tokenizer(omg::testing::small_word_piece().plain("bert")));
  tokenizers.push_back(make_tokenizer(omg::testing::small_plamo2().plain("plamo2")));
  auto builder = omg::testing::small_byte_level();
  for (const char* text : {"<dna>", "</dna>", "<oov>", "ACGTAC\uE000"}) builder.add(text);
  Metadata dna = builder.byte_level("gpt-2");
  dna.set_string("tokenizer.ggml.model", "hybriddna");
  tokenizers.push_back(make_tokenizer(dna));
  Metadata spaceless = builder.byte_level("whitespace");
  spaceless.set_string("tokenizer.ggml.model", "whitespace");
  tokenizers.push_back(make_tokenizer(spaceless));
  for (const char* pre : {"gemma4", "sarvam-moe", "whitespace"})
    tokenizers.push_back(make_tokenizer(builder.byte_level(pre)));
  return tokenizers;
}

void check(bool condition) {
  if (!condition) std::abort();
}

/// A unigram vocabulary with a table of any bytes: refused or harmless.
void try_charsmap(std::string_view table, std::string_view text) {
  Metadata metadata = omg::testing::small_unigram().plain("t5");
  const MetadataArray array = {
      MetadataType::kU8, table.size(), std::as_bytes(std::span(table.data(), table.size())), {}};
  metadata.add("tokenizer.ggml.precompiled_charsmap", {MetadataType::kArray, array});
  try {
    const auto tokenizer = make_tokenizer(metadata);
    tokenizer->decode(tokenizer->encode(text));
  } catch (const Error&) {
  }
}

void check_stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamingDetokenizer stream(tokenizer, true);
  for (const TokenId id : ids) {
    tokenizer.token_text(id);
    check(is_valid_utf8(stream.push(id)));
  }
  check(is_valid_utf8(stream.finish()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Tokenizers byte_level = make_byte_level();
  static const Tokenizers others = make_others();
  if (size < 2) return 0;
  const EncodeOptions options = {.add_special = (data[1] & 1) != 0,
                                 .parse_special = (data[1] & 2) != 0};
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  if ((data[1] & 0xF0) == 0xF0) {
    try_charsmap(std::string_view(text).substr(0, text.size() / 2),
                 std::string_view(text).substr(text.size() / 2));
    return 0;
  }

  const Tokenizer& tokenizer = *byte_level[data[0] % byte_level.size()];
  const auto ids = tokenizer.encode(text, options);
  check(tokenizer.decode(ids, true) == text);
  check_stream(tokenizer, ids);
  const Tokenizer& other = *others[data[0] % others.size()];
  check_stream(other, other.encode(text, options));
  return 0;
}
