// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a tokenizer.json or a tokenizer.model: an Error or a tokenizer whose every id
// exists. The first byte picks which, and the seeds: parts of valid files that the rest is put
// between, so that inputs come past the first brace.
#include <array>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "text/tokenizer/huggingface/assembled.h"
#include "text/tokenizer/huggingface/sentencepiece_file.h"

namespace {

using namespace omg;

constexpr const char* kVocabulary =
    R"({"a":0,"b":1,"ab":2,"Ġ":3,"▁":4,"<unk>":5,"##b":6,"<0x61>":7})";

/// A whole file around a part that stands for one member.
std::string file_with(uint8_t which, std::string_view part) {
  const std::string text(part);
  const std::string bpe = std::string(R"({"type":"BPE","vocab":)") + kVocabulary;
  const std::string model = R"("model":)" + bpe + R"(,"merges":["a b"],"unk_token":"<unk>"})";
  switch (which % 8) {
    case 0:
      return text;
    case 1:
      return R"({"normalizer":)" + text + "," + model + "}";
    case 2:
      return R"({"pre_tokenizer":)" + text + "," + model + "}";
    case 3:
      return R"({"decoder":)" + text + "," + model + "}";
    case 4:
      return R"({"post_processor":)" + text + "," + model + "}";
    case 5:
      return R"({"added_tokens":)" + text + "," + model + "}";
    case 6:
      return R"({"model":)" + bpe + R"(,"merges":)" + text + "}}";
    default:
      return R"({"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":)" +
             json::serialize(json::value(text)) + "}}," + model + "}";
  }
}

void use(const Tokenizer& tokenizer) {
  const std::array<std::string, 5> texts = {"", "ab a\xC3\xA9\n12 <unk>", "\xFF\xC3(",
                                            std::string(200, 'a') + "!", "ａ\u0301\u0323 漢字▁b"};
  for (const std::string& text : texts) {
    for (const bool special : {false, true}) {
      std::vector<TokenId> ids;
      try {
        ids = tokenizer.encode(text, {.add_special = special, .parse_special = special});
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kLimitExceeded) std::abort();
      }
      for (const TokenId id : ids) {
        if (id < 0 || static_cast<size_t>(id) >= tokenizer.vocab_size()) std::abort();
        tokenizer.token_bytes(id, special);
      }
    }
  }
}

void read_json(const std::string& text) {
  JsonLimits limits;
  limits.max_depth = 64;
  const json::value value = parse_json(text, "tokenizer.json", limits);
  if (!value.is_object()) return;
  use(*huggingface::read_tokenizer_json(huggingface::JsonNode(value, "tokenizer.json"), {}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] >= 0xC0) {
      use(*huggingface::make_sentencepiece_tokenizer(
          huggingface::parse_sentencepiece(rest, "tokenizer.model"), {}, "tokenizer.model"));
    } else {
      read_json(file_with(data[0], rest));
    }
  } catch (const Error&) {
  }
  return 0;
}
