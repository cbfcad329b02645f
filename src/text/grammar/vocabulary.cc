// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "text/grammar/machine.h"
#include "text/grammar/matcher.h"

namespace omg {
namespace {

constexpr uint8_t kInNoSlice = 255;
/// Longer texts are no tokens of real vocabularies; depths are 16 bits.
constexpr size_t kMaxTokenBytes = 65535;

}  // namespace

GrammarVocabulary::GrammarVocabulary(std::span<const Token> tokens) {
  std::vector<uint32_t> texts;
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    const Token& token = tokens[id];
    bytes_begin_.push_back(static_cast<uint32_t>(bytes_.size()));
    if (token.bytes.size() > kMaxTokenBytes || bytes_.size() > UINT32_MAX - kMaxTokenBytes) {
      throw Error(ErrorCode::kLimitExceeded,
                  "token " + std::to_string(id) + " of the vocabulary is too long for grammars");
    }
    bytes_ += token.bytes;
    uses_.push_back(token.use);
    if (token.use == TokenUse::kEnd) ends_.push_back(id);
    if (token.use == TokenUse::kText && !token.bytes.empty()) texts.push_back(id);
  }
  bytes_begin_.push_back(static_cast<uint32_t>(bytes_.size()));
  build_trie(std::move(texts));
  build_slice_masks();
}

/// 255 for more than slices may have.
uint8_t GrammarVocabulary::characters(uint32_t token) const {
  const std::string_view text = bytes(token);
  const auto count = std::count_if(text.begin(), text.end(),
                                   [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; });
  return count > grammar::kManyCharacters ? kInNoSlice : static_cast<uint8_t>(count);
}

void GrammarVocabulary::build_trie(std::vector<uint32_t> texts) {
  std::sort(texts.begin(), texts.end(), [this](uint32_t a, uint32_t b) {
    const int order = bytes(a).compare(bytes(b));
    return order != 0 ? order < 0 : a < b;
  });
  order_ = std::move(texts);
  std::vector<uint32_t> path;  // nodes from the root to the last one
  const auto close_to = [&](size_t depth) {
    while (path.size() > depth) {
      const Node& done = nodes_[path.back()];
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
      path.pop_back();
      if (!path.empty()) {
        auto& needs = nodes_[path.back()].needs;
        for (size_t slice = 0; slice < needs.size(); ++slice) {
          needs[slice] = std::max(needs[slice], done.needs[slice]);
        }
      }
    }
  };
  for (uint32_t i = 0; i < order_.size(); ++i) {
    const std::string_view text = bytes(order_[i]);
    longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
    size_t common = 0;
    if (i > 0) {
      const std::string_view before = bytes(order_[i - 1]);
      while (common < std::min(before.size(), text.size()) && before[common] == text[common]) {
        ++common;
      }
    }
    close_to(common);
    for (size_t depth = common; depth < text.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back(
          {0, i, static_cast<uint16_t>(depth + 1), static_cast<uint8_t>(text[depth]), {}});
    }
    const uint32_t slice = grammar::slice_of(text);
    const uint8_t needed = slice == grammar::kSlices ? kInNoSlice : characters(order_[i]);
    // What is too long for a slice has to be walked to, like what belongs to none.
    uint8_t& needs =
        nodes_[path.back()].needs[needed == kInNoSlice ? uint32_t{grammar::kPlain} : slice];
    needs = std::max(needs, needed);
  }
  close_to(0);
  // A node on the way to its first token was given that token's index; it has none of its own, as
  // the next node begins at the same.
  nodes_.push_back({0, static_cast<uint32_t>(order_.size()), 0, 0, {}});
}

void GrammarVocabulary::build_slice_masks() {
  using Lists = std::vector<std::vector<uint32_t>>;  // tokens by characters
  std::array<Lists, grammar::kSlices> tokens;
  tokens.fill(Lists(size_t{kInNoSlice}));
  for (const uint32_t token : order_) {
    const uint32_t narrowest = grammar::slice_of(bytes(token));
    const uint8_t count = characters(token);
    if (narrowest == grammar::kSlices || count == kInNoSlice) continue;
    for (uint32_t slice = 0; slice <= narrowest; ++slice) {
      tokens[slice][count].push_back(token);
      most_characters_[slice] = std::max<uint32_t>(most_characters_[slice], count);
    }
  }
  for (uint32_t slice = 0; slice < grammar::kSlices; ++slice) {
    auto& masks = slice_masks_[slice];
    masks.assign(1, std::vector<uint32_t>(mask_words()));
    for (uint32_t length = 1; length <= most_characters_[slice]; ++length) {
      // Beyond kPlainLengths there is one more mask, of all.
      if (length <= grammar::kPlainLengths + 1) masks.push_back(masks.back());
      for (const uint32_t token : tokens[slice][length]) {
        masks.back()[token / 32] |= 1u << (token % 32);
      }
    }
  }
}

}  // namespace omg
