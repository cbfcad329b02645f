// SPDX-License-Identifier: Apache-2.0
//
// Sequences of numbers, each kept once: equal content is an equal id.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace omg::grammar {

class Interner {
 public:
  Interner() : slots_(64, kFree) {}

  /// Id of this content, and whether it is new. Ids count from 0.
  std::pair<uint32_t, bool> intern(std::span<const uint64_t> words) {
    const uint64_t hash = hash_of(words);
    size_t slot = hash & (slots_.size() - 1);
    for (; slots_[slot] != kFree; slot = (slot + 1) & (slots_.size() - 1)) {
      const Entry& entry = entries_[slots_[slot]];
      if (entry.hash == hash && std::ranges::equal(words, content(slots_[slot]))) {
        return {slots_[slot], false};
      }
    }
    const auto id = static_cast<uint32_t>(entries_.size());
    slots_[slot] = id;
    entries_.push_back({hash, words_.size(), static_cast<uint32_t>(words.size())});
    words_.insert(words_.end(), words.begin(), words.end());
    if (entries_.size() * 2 > slots_.size()) grow();
    return {id, true};
  }

  /// Valid until the next new content.
  std::span<const uint64_t> content(uint32_t id) const {
    return std::span(words_).subspan(entries_[id].begin, entries_[id].size);
  }
  size_t size() const { return entries_.size(); }
  size_t memory_bytes() const {
    return words_.size() * sizeof(uint64_t) + entries_.size() * sizeof(Entry) +
           slots_.size() * sizeof(uint32_t);
  }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;
  struct Entry {
    uint64_t hash;
    size_t begin;
    uint32_t size;
  };

  static uint64_t hash_of(std::span<const uint64_t> words) {
    uint64_t hash = 0x9e3779b97f4a7c15u + words.size();
    for (const uint64_t word : words) {
      hash = (hash ^ word) * 0xff51afd7ed558ccdu;
      hash ^= hash >> 32;
    }
    return hash;
  }

  void grow() {
    slots_.assign(slots_.size() * 2, kFree);
    for (uint32_t id = 0; id < entries_.size(); ++id) {
      size_t slot = entries_[id].hash & (slots_.size() - 1);
      while (slots_[slot] != kFree) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = id;
    }
  }

  std::vector<uint64_t> words_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;
};

}  // namespace omg::grammar
