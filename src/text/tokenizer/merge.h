// SPDX-License-Identifier: Apache-2.0
//
// The merging that both kinds of BPE share: of all neighbouring symbols that may merge, the pair
// with the smallest key does, the leftmost first among equals, until none may. Short words scan an
// array; long ones (a megabyte of "a" is one word) use a heap over a linked list, n log n.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "text/tokenizer/flat_map.h"

namespace omg {

/// A run of bytes of the text being encoded. `id` is the symbol's number, -1 where it has none.
struct Symbol {
  int32_t id;
  uint32_t start;
  uint32_t length;
};

/// Memory that merging keeps between words.
struct MergeScratch {
  struct Candidate {
    uint32_t key;
    uint32_t left;    // index of the left symbol
    uint32_t length;  // bytes of both; differs from the symbols' once one of them has grown
    int32_t result;
  };
  std::vector<Merge> merges;
  std::vector<Candidate> heap;
  std::vector<uint32_t> previous, next;
};

namespace merge_detail {

template <typename FindMerge>
void merge_short(std::vector<Symbol>& symbols, std::vector<Merge>& merges, const FindMerge& find) {
  // merges[i] is that of symbols i and i + 1.
  merges.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    merges.push_back(find(symbols[i], symbols[i + 1]));
  while (!merges.empty()) {
    size_t best = 0;
    for (size_t i = 1; i < merges.size(); ++i) {
      if (merges[i].key < merges[best].key) best = i;
    }
    if (merges[best].key == Merge::kNone) return;
    symbols[best].id = merges[best].result;
    symbols[best].length += symbols[best + 1].length;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    merges.erase(merges.begin() + static_cast<ptrdiff_t>(best));
    if (best > 0) merges[best - 1] = find(symbols[best - 1], symbols[best]);
    if (best < merges.size()) merges[best] = find(symbols[best], symbols[best + 1]);
  }
}

template <typename FindMerge>
void merge_long(std::vector<Symbol>& symbols, MergeScratch& scratch, const FindMerge& find) {
  constexpr uint32_t kEnd = UINT32_MAX;
  const auto count = static_cast<uint32_t>(symbols.size());
  auto& [merges, heap, previous, next] = scratch;
  previous.resize(count);
  next.resize(count);
  heap.clear();
  const auto later = [](const MergeScratch::Candidate& a, const MergeScratch::Candidate& b) {
    return a.key != b.key ? a.key > b.key : a.left > b.left;
  };
  const auto consider = [&](uint32_t left) {
    const Symbol& a = symbols[left];
    const Symbol& b = symbols[next[left]];
    const Merge merge = find(a, b);
    if (merge.key == Merge::kNone) return false;
    heap.push_back({merge.key, left, a.length + b.length, merge.result});
    return true;
  };
  for (uint32_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? kEnd : i - 1;
    next[i] = i + 1 == count ? kEnd : i + 1;
  }
  for (uint32_t i = 0; i + 1 < count; ++i) consider(i);
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const MergeScratch::Candidate best = heap.back();
    heap.pop_back();
    const uint32_t right = next[best.left];
    // A symbol that was merged away has length 0, and one that has grown changes the sum.
    if (symbols[best.left].length == 0 || right == kEnd ||
        symbols[best.left].length + symbols[right].length != best.length) {
      continue;
    }
    symbols[best.left].id = best.result;
    symbols[best.left].length = best.length;
    symbols[right].length = 0;
    next[best.left] = next[right];
    if (next[right] != kEnd) previous[next[right]] = best.left;
    const uint32_t before = previous[best.left];
    if (before != kEnd && consider(before)) std::push_heap(heap.begin(), heap.end(), later);
    if (next[best.left] != kEnd && consider(best.left))
      std::push_heap(heap.begin(), heap.end(), later);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.length == 0; });
}

}  // namespace merge_detail

/// Words up to this many symbols are scanned: measured on English, where the mean word has 5.
inline constexpr size_t kShortWord = 32;

/// Merges in place. `find(left, right)` gives the merge of two neighbours (key kNone for none).
/// Every symbol has length > 0.
template <typename FindMerge>
void merge_symbols(std::vector<Symbol>& symbols, MergeScratch& scratch, const FindMerge& find) {
  if (symbols.size() <= kShortWord) {
    merge_detail::merge_short(symbols, scratch.merges, find);
  } else {
    merge_detail::merge_long(symbols, scratch, find);
  }
}

}  // namespace omg
