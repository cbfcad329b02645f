// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/stored_block.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace omg {
namespace {

constexpr std::string_view kMagic("OMGKVB\x01\n", 8);
constexpr uint64_t kPage = 4096;
constexpr size_t kHeaderChecked = 56;  // bytes before its digest
constexpr size_t kRecordChecked = 112;

constexpr uint64_t page_up(uint64_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

Digest zero_digest() {
  return Digest(std::array<uint8_t, Digest::kBytes>{});
}

/// Writes members one after the other.
class Out {
 public:
  explicit Out(std::byte* to) : to_(to) {}
  void bytes(const void* from, size_t size) {
    std::memcpy(to_, from, size);
    to_ += size;
  }
  template <class T>
  void number(T value) {
    bytes(&value, sizeof value);
  }
  void digest(const Digest& value) { bytes(value.bytes().data(), Digest::kBytes); }

 private:
  std::byte* to_;
};

/// Reads them in the same order. Its caller has made sure that there are enough.
class In {
 public:
  explicit In(const std::byte* from) : from_(from) {}
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, from_, sizeof value);
    from_ += sizeof value;
    return value;
  }
  Digest digest() { return Digest(number<std::array<uint8_t, Digest::kBytes>>()); }

 private:
  const std::byte* from_;
};

Digest header_check(std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(bytes.first(kHeaderChecked));
  return hasher.digest();
}

Digest record_check(const Digest& key, uint32_t slot, std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(std::as_bytes(std::span(key.bytes())));
  hasher.update(std::as_bytes(std::span(&slot, 1)));
  hasher.update(bytes.first(kRecordChecked));
  return hasher.digest();
}

}  // namespace

Digest text_after(const Digest& parent, std::span<const int32_t> tokens) {
  Sha256 hasher;
  hasher.update(std::as_bytes(std::span(parent.bytes())));
  hasher.update(std::as_bytes(tokens));
  return hasher.digest();
}

BlockFileLayout BlockFileLayout::make(const Digest& key, uint64_t block_bytes, uint64_t max_bytes) {
  BlockFileLayout layout{key, block_bytes, 0};
  const uint64_t records = max_bytes / (layout.slot_stride() + kRecordBytes);
  layout.records = static_cast<uint32_t>(std::clamp<uint64_t>(records, 1, kMaxRecords));
  return layout;
}

uint64_t BlockFileLayout::slot_stride() const {
  return page_up(block_bytes);
}

uint64_t BlockFileLayout::slot_at(uint32_t slot) const {
  return page_up(record_at(records)) + slot * slot_stride();
}

uint32_t BlockFileLayout::slots_in(uint64_t bytes) const {
  const uint64_t begin = slot_at(0);
  if (bytes <= begin) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>((bytes - begin) / slot_stride(), records));
}

StoredHeader encode_header(const BlockFileLayout& layout) {
  StoredHeader header{};
  Out out(header.data());
  out.bytes(kMagic.data(), kMagic.size());
  out.digest(layout.key);
  out.number(layout.block_bytes);
  out.number(layout.records);
  out.number(uint32_t{0});
  out.digest(header_check(header));
  return header;
}

std::optional<BlockFileLayout> decode_header(std::span<const std::byte> bytes) {
  if (bytes.size() < BlockFileLayout::kHeaderBytes) return std::nullopt;
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return std::nullopt;
  In in(bytes.data() + kMagic.size());
  BlockFileLayout layout{in.digest(), 0, 0};
  layout.block_bytes = in.number<uint64_t>();
  layout.records = in.number<uint32_t>();
  const auto nothing = in.number<uint32_t>();
  if (in.digest() != header_check(bytes) || nothing != 0) return std::nullopt;
  const bool fits = layout.block_bytes > 0 && layout.records > 0 &&
                    layout.block_bytes <= BlockFileLayout::kMaxBlockBytes &&
                    layout.records <= BlockFileLayout::kMaxRecords;
  return fits ? std::optional(layout) : std::nullopt;
}

StoredRecord encode_record(const Digest& key, uint32_t slot, const StoredBlock& block) {
  StoredRecord record{};
  Out out(record.data());
  out.digest(block.text);
  out.digest(block.parent);
  out.digest(block.data);
  out.number(block.used);
  out.number(block.position);
  out.number(uint32_t{0});
  const Digest check = record_check(key, slot, record);
  out.bytes(check.bytes().data(), BlockFileLayout::kRecordBytes - kRecordChecked);
  return record;
}

std::optional<StoredBlock> decode_record(const Digest& key, uint32_t slot,
                                         std::span<const std::byte> bytes) {
  if (bytes.size() < BlockFileLayout::kRecordBytes) return std::nullopt;
  In in(bytes.data());
  StoredBlock block{zero_digest(), zero_digest(), zero_digest()};
  block.text = in.digest();
  if (block.text == zero_digest()) return std::nullopt;  // never written: spares most the digest
  block.parent = in.digest();
  block.data = in.digest();
  block.used = in.number<uint64_t>();
  block.position = in.number<uint32_t>();
  const Digest check = record_check(key, slot, bytes);
  const bool is_right = std::memcmp(bytes.data() + kRecordChecked, check.bytes().data(),
                                    BlockFileLayout::kRecordBytes - kRecordChecked) == 0;
  return is_right ? std::optional(block) : std::nullopt;
}

}  // namespace omg
