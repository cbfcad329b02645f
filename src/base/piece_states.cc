// SPDX-License-Identifier: Apache-2.0
#include "base/piece_states.h"

#include <algorithm>

namespace omg {
namespace {

constexpr size_t kStateBytes = sizeof(Sha256::State);

uint64_t count_of(uint64_t file_size) {
  return file_size == 0 ? 0 : (file_size - 1) / kPieceBytes;
}

}  // namespace

uint64_t piece_states_size(uint64_t file_size) {
  return count_of(file_size) * kStateBytes;
}

std::string piece_states_to_bytes(const PieceStates& states) {
  std::string bytes;
  bytes.reserve(states.size() * kStateBytes);
  for (const Sha256::State& state : states) {
    for (const uint32_t word : state) {
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift & 255);
    }
  }
  return bytes;
}

std::optional<PieceStates> piece_states_from_bytes(std::string_view bytes, uint64_t file_size) {
  if (bytes.size() != piece_states_size(file_size)) return std::nullopt;
  PieceStates states(count_of(file_size));
  size_t at = 0;
  for (Sha256::State& state : states) {
    for (uint32_t& word : state) {
      word = 0;
      for (int i = 0; i < 4; ++i) word = word << 8 | static_cast<unsigned char>(bytes[at++]);
    }
  }
  return states;
}

void PieceHasher::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    // A state belongs to a piece that is followed by something.
    if (position_ > 0 && position_ % kPieceBytes == 0) states_.push_back(hasher_.state());
    const uint64_t room = kPieceBytes - position_ % kPieceBytes;
    const auto part = bytes.first(std::min<uint64_t>(room, bytes.size()));
    hasher_.update(part);
    position_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

void PieceChecker::end_piece(bool is_good) {
  if (is_good) return;
  const uint64_t begin = (position_ - 1) / kPieceBytes * kPieceBytes;
  if (!damaged_.empty() && damaged_.back().end == begin) {
    damaged_.back().end = position_;
  } else {
    damaged_.push_back({begin, position_});
  }
}

void PieceChecker::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const uint64_t piece = position_ / kPieceBytes;
    if (position_ > 0 && position_ % kPieceBytes == 0 && piece <= states_.size()) {
      const Sha256::State& wanted = states_[piece - 1];
      const bool is_good = hasher_.state() == wanted;
      end_piece(is_good);
      if (!is_good) hasher_ = Sha256::continued(wanted, position_);
    }
    const uint64_t room = kPieceBytes - position_ % kPieceBytes;
    const auto part = bytes.first(std::min<uint64_t>(room, bytes.size()));
    hasher_.update(part);
    position_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

std::vector<FileRange> PieceChecker::finish() {
  if (position_ > 0) end_piece(hasher_.digest() == digest_);
  return std::move(damaged_);
}

}  // namespace omg
