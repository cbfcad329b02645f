// SPDX-License-Identifier: Apache-2.0
//
// How full blocks of the KV cache stand in a file, so that a text's beginning that was computed
// once is read the next time. Nothing in the file is believed unchecked: it may be torn, cut or
// made by somebody else. What is wrong in it costs an entry, never a wrong answer.
//
//   header    4096 bytes: magic (8), key (32), bytes of a block (8), records (4), 0 (4),
//             SHA-256 of these (32), zeros
//   records   128 bytes each: text (32), parent (32), SHA-256 of the block (32), last use (8),
//             position (4), 0 (4), 16 bytes of the SHA-256 of key, slot and these
//   slots     from the next multiple of 4096 on, one for each record, as many as there is room for
//
// Numbers are as the processor has them. A record is written after its block; if only one of the
// two reached the disk, the block's digest tells. The key stands for all that the numbers of a
// block depend on besides its tokens and those before them; a text's digest is chained from it,
// block by block, so a block is found by exactly the tokens it was computed from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/digest.h"

namespace omg {

struct StoredBlock {
  Digest text;    // of all tokens up to the block's end
  Digest parent;  // up to its begin
  Digest data;    // of its bytes
  uint64_t used = 0;
  uint32_t position = 0;  // of the block in its text
};

/// The digest of a text that goes on with the tokens of one more block.
Digest text_after(const Digest& parent, std::span<const int32_t> tokens);

struct BlockFileLayout {
  static constexpr size_t kHeaderBytes = 4096;
  static constexpr size_t kRecordBytes = 128;
  static constexpr uint32_t kMaxRecords = 1 << 20;
  static constexpr uint64_t kMaxBlockBytes = uint64_t{1} << 30;

  Digest key;
  uint64_t block_bytes = 0;
  uint32_t records = 0;

  /// For a file that will never have more than `max_bytes`.
  static BlockFileLayout make(const Digest& key, uint64_t block_bytes, uint64_t max_bytes);
  uint64_t slot_stride() const;
  uint64_t record_at(uint32_t slot) const { return kHeaderBytes + uint64_t{slot} * kRecordBytes; }
  uint64_t slot_at(uint32_t slot) const;
  /// Slots in a file of so many bytes.
  uint32_t slots_in(uint64_t bytes) const;
  bool operator==(const BlockFileLayout&) const = default;
};

using StoredHeader = std::array<std::byte, BlockFileLayout::kHeaderBytes>;
using StoredRecord = std::array<std::byte, BlockFileLayout::kRecordBytes>;

StoredHeader encode_header(const BlockFileLayout& layout);
/// Nothing for what is no header, or has sizes that no file has.
std::optional<BlockFileLayout> decode_header(std::span<const std::byte> bytes);
StoredRecord encode_record(const Digest& key, uint32_t slot, const StoredBlock& block);
/// Nothing for what was not written for this slot of this file.
std::optional<StoredBlock> decode_record(const Digest& key, uint32_t slot,
                                         std::span<const std::byte> bytes);

}  // namespace omg
