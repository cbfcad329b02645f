// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/word_piece_model.h"

#include <algorithm>
#include <utility>

namespace omg {
namespace {

std::vector<ByteTrie::Entry> entries_of(std::span<const WordPieceModel::Piece> pieces) {
  std::vector<ByteTrie::Entry> entries;
  entries.reserve(pieces.size());
  for (const WordPieceModel::Piece& piece : pieces) entries.push_back({piece.text, piece.id});
  return entries;
}

}  // namespace

WordPieceModel::WordPieceModel(std::span<const Piece> pieces, WordPieceOptions options)
    : trie_(entries_of(pieces)), options_(std::move(options)) {
  for (const char c : options_.continuation_prefix) {
    continuation_ = trie_.step(continuation_, static_cast<uint8_t>(c));
    if (continuation_ == ByteTrie::kNone) break;
  }
}

bool WordPieceModel::too_long(std::string_view word) const {
  if (options_.max_characters == 0 || word.size() <= options_.max_characters) return false;
  const auto characters = std::count_if(
      word.begin(), word.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  return static_cast<size_t>(characters) > options_.max_characters;
}

void WordPieceModel::encode(std::string_view word, std::string& scratch,
                            std::vector<TokenId>& output) const {
  if (word.empty()) return;
  const size_t before = output.size();
  bool known = !too_long(word);
  if (known) scratch.assign(options_.word_prefix).append(word);
  const std::string_view text = scratch;
  for (size_t i = 0; known && i < text.size();) {
    ByteTrie::Match match;
    const ByteTrie::Node from = i == 0 ? ByteTrie::kRoot : continuation_;
    if (from != ByteTrie::kNone) match = trie_.longest(text.substr(i), from);
    known = match.length > 0;
    if (known) output.push_back(match.value);
    i += match.length;
  }
  if (known) return;
  output.resize(before);
  if (options_.unknown >= 0) output.push_back(options_.unknown);
}

}  // namespace omg
