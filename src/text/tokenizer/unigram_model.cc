// SPDX-License-Identifier: Apache-2.0
//
// Forward over the characters, each piece that stands at one offers a way to its end. Wherever no
// piece reaches over a border, what is before it is settled: it is written out and its memory used
// again, so that the working set stays as small as a word.
#include "text/tokenizer/unigram_model.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace omg {
namespace {

constexpr double kUnreached = -std::numeric_limits<double>::max();
constexpr double kMaxScore = 1e30;  // sums over 4 GiB stay finite

/// By the first byte alone, so that broken text moves on too.
size_t character_length(char first) {
  const auto byte = static_cast<uint8_t>(first);
  if (byte < 0xC0) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

std::vector<ByteTrie::Entry> entries_of(std::span<const UnigramPiece> pieces) {
  std::vector<ByteTrie::Entry> entries;
  entries.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i)
    entries.push_back({pieces[i].text, static_cast<int32_t>(i)});
  return entries;
}

}  // namespace

UnigramModel::UnigramModel(std::span<const UnigramPiece> pieces, UnigramOptions options)
    : trie_(entries_of(pieces)), options_(std::move(options)) {
  for (const UnigramPiece& piece : pieces) {
    ids_.push_back(piece.id);
    scores_.push_back(std::clamp(piece.score, -kMaxScore, kMaxScore));
  }
}

/// Offers every piece that stands at text[start]; `best` is about the stretch that begins at
/// `base`.
void UnigramModel::extend(std::string_view text, size_t start, size_t base,
                          std::vector<Best>& best) const {
  const size_t from = start - base;
  const double score = best[from].score;
  const auto offer = [&](size_t length, TokenId id, double added) {
    const size_t end = from + length;
    if (end >= best.size()) best.resize(end + 1, {kUnreached, -1, 0});
    if (score + added > best[end].score)
      best[end] = {score + added, id, static_cast<uint32_t>(from)};
  };
  const size_t character = std::min(character_length(text[start]), text.size() - start);
  bool covered = false;  // a piece is just this character
  ByteTrie::Node node = ByteTrie::kRoot;
  for (size_t i = start; i < text.size();) {
    node = trie_.step(node, static_cast<uint8_t>(text[i++]));
    if (node == ByteTrie::kNone) break;
    const int32_t piece = trie_.value(node);
    if (piece < 0) continue;
    covered |= i - start == character;
    offer(i - start, ids_[static_cast<size_t>(piece)], scores_[static_cast<size_t>(piece)]);
  }
  if (!covered) offer(character, options_.unknown, options_.unknown_score);
}

void UnigramModel::encode(std::string_view text, std::vector<TokenId>& output) const {
  std::vector<Best> best = {{0, -1, 0}};
  std::vector<TokenId> reversed;
  Run run;
  size_t base = 0;
  for (size_t i = 0; i < text.size();) {
    extend(text, i, base, best);
    i += std::min(character_length(text[i]), text.size() - i);
    if (base + best.size() - 1 != i) continue;
    emit(text.substr(base, i - base), best, run, reversed, output);
    // The sum goes on: starting at 0 again would round differently.
    best.assign(1, {best.back().score, -1, 0});
    base = i;
  }
}

void UnigramModel::emit(std::string_view stretch, const std::vector<Best>& best, Run& run,
                        std::vector<TokenId>& reversed, std::vector<TokenId>& output) const {
  reversed.clear();
  const bool bytes = !options_.byte_tokens.empty();
  for (size_t end = stretch.size(); end > 0; end = best[end].start) {
    if (best[end].id != options_.unknown || !bytes) {
      reversed.push_back(best[end].id);
      continue;
    }
    for (size_t i = end; i > best[end].start; --i)
      reversed.push_back(options_.byte_tokens[static_cast<uint8_t>(stretch[i - 1])]);
  }
  for (size_t i = reversed.size(); i-- > 0;) {
    const bool unknown = !bytes && reversed[i] == options_.unknown;
    if (!(unknown && run.open) && reversed[i] >= 0) output.push_back(reversed[i]);
    run.open = unknown;
  }
}

}  // namespace omg
