// SPDX-License-Identifier: Apache-2.0
//
// Any bytes through both kinds of tokenizer: nothing crashes, every id exists, and what was encoded
// decodes to the same bytes.
#include <cstdlib>

#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/tokenizer_test_vocabulary.h"

namespace {

using namespace omg;

std::vector<std::unique_ptr<Tokenizer>> make_tokenizers() {
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  auto builder = omg::testing::small_byte_level();
  builder.add("<|c|>", TokenType::kControl);
  builder.add("<u>", TokenType::kUserDefined);
  for (const std::string_view pre : pre_tokenizer_names()) {
    if (!find_pre_tokenizer(pre).raw_text)
      tokenizers.push_back(make_tokenizer(builder.byte_level(std::string(pre))));
  }
  return tokenizers;
}

void check(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto byte_level = make_tokenizers();
  static const auto sentencepiece =
      make_tokenizer(omg::testing::small_sentencepiece().sentencepiece());
  if (size < 2) return 0;
  const Tokenizer& tokenizer = *byte_level[data[0] % byte_level.size()];
  const EncodeOptions options = {.add_special = (data[1] & 1) != 0,
                                 .parse_special = (data[1] & 2) != 0};
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);

  const auto ids = tokenizer.encode(text, options);
  check(tokenizer.decode(ids, true) == text);
  StreamingDetokenizer stream(tokenizer);
  for (const TokenId id : ids) stream.push(id);
  stream.finish();

  for (const TokenId id : sentencepiece->encode(text, options)) sentencepiece->token_bytes(id);
  return 0;
}
