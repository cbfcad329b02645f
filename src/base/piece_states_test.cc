// SPDX-License-Identifier: Apache-2.0
#include "base/piece_states.h"

#include <gtest/gtest.h>
#include <random>

namespace omg {
namespace {

std::vector<std::byte> random_bytes(uint64_t size) {
  std::mt19937_64 random(size);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// Feeds bytes in steps that do not divide a piece.
template <typename Hasher>
void feed(Hasher& hasher, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t step = std::min<size_t>(bytes.size(), 77'777);
    hasher.update(bytes.first(step));
    bytes = bytes.subspan(step);
  }
}

Digest digest_of(std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(bytes);
  return hasher.digest();
}

TEST(PieceStates, FindEachDamagedPieceAndNoOther) {
  for (const uint64_t size :
       {kPieceBytes - 1, kPieceBytes, kPieceBytes + 1, 3 * kPieceBytes, 3 * kPieceBytes + 100}) {
    const std::vector<std::byte> good = random_bytes(size);
    PieceHasher hasher;
    feed(hasher, good);
    EXPECT_EQ(hasher.digest(), digest_of(good));
    const std::string kept = piece_states_to_bytes(hasher.states());
    EXPECT_EQ(kept.size(), piece_states_size(size));
    const auto states = piece_states_from_bytes(kept, size);
    ASSERT_TRUE(states);
    EXPECT_EQ(*states, hasher.states());

    PieceChecker unchanged(*states, hasher.digest());
    feed(unchanged, good);
    EXPECT_TRUE(unchanged.finish().empty());
    for (const uint64_t at : {uint64_t{0}, size / 2, size - 1}) {
      std::vector<std::byte> bad = good;
      bad[at] ^= std::byte{1};
      PieceChecker checker(*states, hasher.digest());
      feed(checker, bad);
      const uint64_t begin = at / kPieceBytes * kPieceBytes;
      EXPECT_EQ(checker.finish(),
                (std::vector<FileRange>{{begin, std::min(size, begin + kPieceBytes)}}))
          << size << " at " << at;
    }
  }
}

TEST(PieceStates, JoinNeighbours) {
  std::vector<std::byte> bytes = random_bytes(4 * kPieceBytes);
  PieceHasher hasher;
  feed(hasher, bytes);
  for (const uint64_t piece : {0, 1, 3}) bytes[piece * kPieceBytes] ^= std::byte{0x80};
  PieceChecker checker(hasher.states(), hasher.digest());
  feed(checker, bytes);
  EXPECT_EQ(checker.finish(),
            (std::vector<FileRange>{{0, 2 * kPieceBytes}, {3 * kPieceBytes, 4 * kPieceBytes}}));
}

TEST(PieceStates, AreOfOneSizeOfFile) {
  EXPECT_FALSE(piece_states_from_bytes("x", 10));
  EXPECT_TRUE(piece_states_from_bytes("", 10));
  EXPECT_TRUE(piece_states_from_bytes("", 0));
  EXPECT_TRUE(piece_states_from_bytes("", kPieceBytes));
  EXPECT_FALSE(piece_states_from_bytes("", kPieceBytes + 1));
  EXPECT_FALSE(piece_states_from_bytes(std::string(32, 'x'), kPieceBytes));
}

TEST(PieceStates, ContinueBeyondFourGibibits) {
  // The count of bits has two words: 2^29 bytes carry into the second.
  const std::vector<std::byte> block(1u << 20);
  Sha256 whole;
  for (int i = 0; i < 513; ++i) whole.update(block);
  Sha256 first;
  for (int i = 0; i < 512; ++i) first.update(block);
  Sha256 second = Sha256::continued(first.state(), 512ull << 20);
  second.update(block);
  EXPECT_EQ(second.digest(), whole.digest());
}

}  // namespace
}  // namespace omg
