// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/block_pool.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

#include "base/error.h"

namespace omg {
namespace {

TEST(KvBlockPool, ReservesWholeBlocksAndGivesThemBack) {
  KvBlockPool pool(4, 2);
  const auto a = pool.create_sequence();
  pool.reserve(a, 1);
  EXPECT_EQ(pool.free_blocks(), 3u);
  pool.commit(a, 1);
  pool.reserve(a, kKvBlockTokens);  // 33 positions
  EXPECT_EQ(pool.blocks(a).size(), 2u);
  pool.release_unused(a);
  EXPECT_EQ(pool.blocks(a).size(), 1u);
  pool.free_sequence(a);
  EXPECT_EQ(pool.free_blocks(), 4u);
}

TEST(KvBlockPool, FailsWithoutChangingAnything) {
  KvBlockPool pool(2, 1);
  const auto a = pool.create_sequence();
  EXPECT_THROW(pool.reserve(a, 3 * kKvBlockTokens), Error);
  EXPECT_EQ(pool.free_blocks(), 2u);
  EXPECT_TRUE(pool.blocks(a).empty());
  try {
    pool.create_sequence();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
}

TEST(KvBlockPool, NoBlockIsEverInTwoPlaces) {
  constexpr uint32_t kBlocks = 64;
  KvBlockPool pool(kBlocks, 8);
  std::mt19937 random(7);
  std::vector<SequenceId> alive;
  for (int step = 0; step < 3000; ++step) {
    const uint32_t action = random() % 8;
    if (action == 0 && alive.size() < 8) {
      alive.push_back(pool.create_sequence());
    } else if (!alive.empty()) {
      const size_t which = random() % alive.size();
      const auto sequence = alive[which];
      const uint32_t tokens = random() % 100;
      if (action == 1) {
        pool.free_sequence(sequence);
        alive.erase(alive.begin() + static_cast<ptrdiff_t>(which));
      } else if (action == 2) {
        pool.truncate(sequence, random() % (pool.length(sequence) + 1));
      } else if (pool.blocks_needed(sequence, tokens) <= pool.free_blocks()) {
        pool.reserve(sequence, tokens);
        action == 3 ? pool.release_unused(sequence) : pool.commit(sequence, tokens);
      }
    }
    std::set<uint32_t> seen;
    size_t used = 0;
    for (const auto sequence : alive) {
      used += pool.blocks(sequence).size();
      seen.insert(pool.blocks(sequence).begin(), pool.blocks(sequence).end());
      ASSERT_EQ(pool.blocks(sequence).size(),
                (pool.length(sequence) + kKvBlockTokens - 1) / kKvBlockTokens);
    }
    ASSERT_EQ(seen.size(), used);
    ASSERT_EQ(used + pool.free_blocks(), kBlocks);
  }
}

}  // namespace
}  // namespace omg
