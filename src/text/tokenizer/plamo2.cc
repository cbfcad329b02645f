// SPDX-License-Identifier: Apache-2.0
//
// Costs are whole numbers, so sums are exact and ties are real: the longest token wins them.
// Source: the model's own tokenizer, https://huggingface.co/pfnet/plamo-2-1b.
#include "text/tokenizer/plamo2.h"

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/tokenizer_base.h"

namespace omg {
namespace {

constexpr double kScale = 1e4;
constexpr int64_t kUnknownCost = 10'000'000;
constexpr int64_t kMaxCost = 20'000'000;  // tokens that cost so much are never used

class Plamo2Tokenizer final : public TokenizerBase {
 public:
  explicit Plamo2Tokenizer(const Metadata& metadata)
      : TokenizerBase(metadata,
                      {.bos = 1, .eos = 2, .unknown = 0, .padding = 3, .never_adds = true}),
        trie_(make_trie()) {
    costs_.resize(vocabulary_.size());
    for (size_t i = 0; i < costs_.size(); ++i) {
      const float score = vocabulary_.scores().empty() ? 0.0f : vocabulary_.scores()[i];
      const double cost = -std::round(static_cast<double>(score) * kScale);
      costs_[i] = std::abs(cost) < kMaxCost ? static_cast<int64_t>(cost) : kMaxCost;
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      const std::string text = byte_text(static_cast<uint8_t>(byte));
      byte_tokens_[byte] = vocabulary_.find(text);
      if (byte_tokens_[byte] >= 0) continue;
      throw Error(ErrorCode::kCorrupt,
                  "cannot read the vocabulary: key 'tokenizer.ggml.tokens' "
                  "has no token " +
                      text +
                      "; the model file is damaged or "
                      "was made wrongly");
    }
  }

  bool strips_leading_space() const override { return false; }

 private:
  struct Best {  // cheapest way from a place to the end
    int64_t cost;
    TokenId token;  // -1: the character's bytes
    uint32_t length;
  };

  ByteTrie make_trie() const {
    std::vector<ByteTrie::Entry> entries;
    for (size_t i = 0; i < vocabulary_.size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      if (vocabulary_.type(id) != TokenType::kByte) entries.push_back({vocabulary_.text(id), id});
    }
    return ByteTrie(entries);
  }

  void encode_plain(std::string_view text, bool after_special,
                    std::vector<TokenId>& output) const override;
  std::string plain_bytes(std::string_view text) const override { return std::string(text); }

  const ByteTrie trie_;
  std::vector<int64_t> costs_;
  std::array<TokenId, 256> byte_tokens_{};
};

void Plamo2Tokenizer::encode_plain(std::string_view all, bool /*after_special*/,
                                   std::vector<TokenId>& output) const {
  const std::string repaired = replace_invalid_utf8(all);
  std::string_view text = repaired;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // byte order mark
  std::vector<Best> best(text.size() + 1, {0, -1, 0});
  for (size_t i = text.size(); i-- > 0;) {
    if ((text[i] & 0xC0) == 0x80) continue;  // inside a character
    const uint32_t character = decode_utf8(text, i).size;
    Best& here = best[i];
    here = {std::numeric_limits<int64_t>::max(), -1, character};
    ByteTrie::Node node = ByteTrie::kRoot;
    for (size_t end = i; end < text.size();) {
      node = trie_.step(node, static_cast<uint8_t>(text[end++]));
      if (node == ByteTrie::kNone) break;
      const TokenId token = trie_.value(node);
      if (token < 0 || costs_[static_cast<size_t>(token)] >= kMaxCost) continue;
      if (end < text.size() && (text[end] & 0xC0) == 0x80) continue;
      const int64_t cost = best[end].cost + costs_[static_cast<size_t>(token)];
      if (cost <= here.cost) here = {cost, token, static_cast<uint32_t>(end - i)};
    }
    const int64_t unknown = best[i + character].cost + kUnknownCost;
    if (unknown < here.cost) here = {unknown, -1, character};
  }
  for (size_t i = 0; i < text.size(); i += best[i].length) {
    if (best[i].token >= 0) {
      output.push_back(best[i].token);
      continue;
    }
    for (size_t k = 0; k < best[i].length; ++k)
      output.push_back(byte_tokens_[static_cast<uint8_t>(text[i + k])]);
  }
}

}  // namespace

std::unique_ptr<Tokenizer> make_plamo2_tokenizer(const Metadata& metadata) {
  return std::make_unique<Plamo2Tokenizer>(metadata);
}

}  // namespace omg
