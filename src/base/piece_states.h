// SPDX-License-Identifier: Apache-2.0
//
// Where a file is damaged, not only whether: SHA-256's own state after each MiB, kept from when the
// file was hashed. They come for nothing, since a hasher goes through them anyway, and each step
// from one to the next is as hard to forge as the digest itself. 32 KiB for a GiB.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"

namespace omg {

/// States after each whole piece that is followed by another byte.
using PieceStates = std::vector<Sha256::State>;

inline constexpr uint64_t kPieceBytes = 1u << 20;

/// As bytes in a file, and back. Nothing where `bytes` cannot be of a file of that size.
std::string piece_states_to_bytes(const PieceStates& states);
std::optional<PieceStates> piece_states_from_bytes(std::string_view bytes, uint64_t file_size);
/// Bytes of the states of a file of that size.
uint64_t piece_states_size(uint64_t file_size);

/// Hashes a file from its begin to its end, and keeps the states.
class PieceHasher {
 public:
  void update(std::span<const std::byte> bytes);
  Digest digest() const { return hasher_.digest(); }
  const PieceStates& states() const { return states_; }

 private:
  Sha256 hasher_;
  uint64_t position_ = 0;
  PieceStates states_;
};

struct FileRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  friend bool operator==(const FileRange&, const FileRange&) = default;
};

/// Compares a file with its states and its digest. A bad piece does not spoil those after it.
class PieceChecker {
 public:
  PieceChecker(PieceStates states, const Digest& digest)
      : states_(std::move(states)), digest_(digest) {}

  void update(std::span<const std::byte> bytes);
  /// After the last byte: the damaged ranges, whole pieces (the last one may be shorter), in order;
  /// neighbours are one.
  std::vector<FileRange> finish();

 private:
  void end_piece(bool is_good);

  PieceStates states_;
  Digest digest_;
  Sha256 hasher_;
  uint64_t position_ = 0;
  std::vector<FileRange> damaged_;
};

}  // namespace omg
