// SPDX-License-Identifier: Apache-2.0
//
// The two hash tables of the tokenizers: from a text to a number and from a pair of symbols to
// their merge. Open addressing with linear probing in one flat array, at most half full: a lookup
// touches one or two cache lines, and filling 256k entries takes a few milliseconds.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace omg {

inline uint64_t mix_hash(uint64_t value) {
  value ^= value >> 32;
  value *= 0x9E3779B97F4A7C15u;
  return value ^ (value >> 29);
}

inline uint64_t hash_bytes(std::string_view text) {
  uint64_t hash = text.size() * 0xD6E8FEB86659FD93u;
  const char* data = text.data();
  size_t left = text.size();
  for (; left >= 8; left -= 8, data += 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    hash = mix_hash(hash ^ word) * 0xA24BAED4963EE407u;
  }
  uint64_t tail = 0;
  for (size_t i = 0; i < left; ++i) tail |= uint64_t{static_cast<uint8_t>(data[i])} << (8 * i);
  return mix_hash(hash ^ tail);
}

/// Text to a number >= 0. Keys are views: whoever owns the map keeps their bytes in place.
class StringMap {
 public:
  struct Entry {
    std::string_view key;
    int32_t value;
  };

  /// Sets many at once, in order, with the misses of neighbouring entries overlapping.
  void set_all(std::span<const Entry> entries) {
    constexpr size_t kAhead = 16;
    std::array<uint64_t, kAhead> hashes;
    rebuild(std::bit_ceil((size_ + entries.size()) * 2 + 16));
    for (size_t i = 0; i < entries.size() + kAhead; ++i) {
      if (i >= kAhead) set(entries[i - kAhead], hashes[i % kAhead]);
      if (i >= entries.size()) continue;
      hashes[i % kAhead] = hash_bytes(entries[i].key);
      prefetch_slot(hashes[i % kAhead]);
    }
  }

  /// The last value set for a key stays.
  void set(std::string_view key, int32_t value) {
    if ((size_ + 1) * 2 > slots_.size()) rebuild(std::bit_ceil(size_ * 4 + 16));
    set({key, value}, hash_bytes(key));
  }

  /// -1 when absent.
  int32_t find(std::string_view key) const { return find(key, hash_bytes(key)); }
  int32_t find(std::string_view key, uint64_t hash) const {
    return slots_.empty() ? -1 : slots_[locate(key, hash)].value;
  }

  // For many look-ups at once: first the slots, then the keys in them, then find(). A vocabulary is
  // larger than the L2 cache, and so its misses overlap.
  void prefetch_slot(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }
  void prefetch_key(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(slots_[hash & (slots_.size() - 1)].data);
  }

 private:
  struct Slot {
    const char* data = nullptr;
    uint32_t size = 0;
    int32_t value = -1;
  };

  void set(const Entry& entry, uint64_t hash) {
    Slot& slot = slots_[locate(entry.key, hash)];
    if (slot.value < 0) ++size_;
    slot = {entry.key.data(), static_cast<uint32_t>(entry.key.size()), entry.value};
  }

  size_t locate(std::string_view key, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t i = hash & mask;
    while (slots_[i].value >= 0 && std::string_view(slots_[i].data, slots_[i].size) != key)
      i = (i + 1) & mask;
    return i;
  }

  void rebuild(size_t capacity) {
    std::vector<Slot> old(capacity);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.value < 0) continue;
      const std::string_view key(slot.data, slot.size);
      slots_[locate(key, hash_bytes(key))] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

/// What two neighbouring symbols become; the smaller key goes first.
struct Merge {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t key = kNone;
  int32_t result = -1;
};

/// Pair of symbols (both >= 0) to their merge. Sized once.
class MergeMap {
 public:
  explicit MergeMap(size_t entries) : slots_(std::bit_ceil(entries * 2 + 16)) {}

  /// The first merge added for a pair stays.
  void add(int32_t left, int32_t right, Merge merge) {
    Slot& slot = slots_[locate(pair(left, right))];
    if (slot.merge.key == Merge::kNone) slot = {pair(left, right), merge};
  }

  void prefetch(int32_t left, int32_t right) const {
    __builtin_prefetch(&slots_[home(pair(left, right))]);
  }

  Merge find(int32_t left, int32_t right) const { return slots_[locate(pair(left, right))].merge; }

 private:
  struct Slot {
    uint64_t pair = 0;
    Merge merge;
  };

  static uint64_t pair(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }

  size_t home(uint64_t key) const {
    return mix_hash(key * 0xA24BAED4963EE407u) & (slots_.size() - 1);
  }

  size_t locate(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t i = home(key);
    while (slots_[i].merge.key != Merge::kNone && slots_[i].pair != key) i = (i + 1) & mask;
    return i;
  }

  std::vector<Slot> slots_;
};

}  // namespace omg
