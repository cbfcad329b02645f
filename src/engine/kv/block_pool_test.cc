// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/block_pool.h"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

#include "base/error.h"

namespace omg {
namespace {

constexpr uint32_t kBlock = kKvBlockTokens;

std::vector<int32_t> tokens_from(int32_t first, uint32_t count) {
  std::vector<int32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) tokens[i] = first + static_cast<int32_t>(i);
  return tokens;
}

/// A pool over memory that remembers what was written where, as a backend would.
class Cache {
 public:
  Cache(uint32_t blocks, uint32_t sequences) : pool(blocks, sequences), memory_(blocks) {}

  /// False where there is no room; nothing has changed then.
  bool append(SequenceId sequence, const std::vector<int32_t>& tokens) {
    std::vector<KvBlockCopy> copies;
    bool has_room = true;
    try {
      pool.reserve(sequence, static_cast<uint32_t>(tokens.size()), copies);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
      has_room = false;
    }
    for (const KvBlockCopy& copy : copies) memory_[copy.to] = memory_[copy.from];
    if (!has_room) return false;
    const uint32_t begin = pool.length(sequence);
    for (uint32_t i = 0; i < tokens.size(); ++i) {
      const uint32_t at = begin + i;
      memory_[pool.blocks(sequence)[at / kBlock]][at % kBlock] = tokens[i];
    }
    pool.commit(sequence, tokens);
    return true;
  }

  std::vector<int32_t> text(SequenceId sequence) const {
    std::vector<int32_t> tokens;
    for (uint32_t at = 0; at < pool.length(sequence); ++at) {
      tokens.push_back(memory_[pool.blocks(sequence)[at / kBlock]][at % kBlock]);
    }
    return tokens;
  }

  KvBlockPool pool;

 private:
  std::vector<PrefixTree::Tokens> memory_;
};

TEST(KvBlockPool, ReservesWholeBlocksAndGivesThemBack) {
  KvBlockPool pool(4, 2);
  std::vector<KvBlockCopy> copies;
  const auto a = pool.create_sequence();
  pool.reserve(a, 1, copies);
  EXPECT_EQ(pool.free_blocks(), 3u);
  pool.commit(a, tokens_from(0, 1));
  pool.reserve(a, kBlock, copies);  // 33 positions
  EXPECT_EQ(pool.blocks(a).size(), 2u);
  pool.release_unused(a);
  EXPECT_EQ(pool.blocks(a).size(), 1u);
  pool.free_sequence(a);
  EXPECT_EQ(pool.free_blocks(), 4u);
  EXPECT_TRUE(copies.empty());
}

TEST(KvBlockPool, FailsWithoutChangingAnything) {
  KvBlockPool pool(2, 1);
  std::vector<KvBlockCopy> copies;
  const auto a = pool.create_sequence();
  EXPECT_THROW(pool.reserve(a, 3 * kBlock, copies), Error);
  EXPECT_EQ(pool.free_blocks(), 2u);
  EXPECT_TRUE(pool.blocks(a).empty());
  try {
    pool.create_sequence();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
}

TEST(KvBlockPool, GivesABeginningToThoseWhoShareIt) {
  Cache cache(16, 4);
  const auto a = cache.pool.create_sequence();
  cache.append(a, tokens_from(0, 3 * kBlock + 5));
  const auto b = cache.pool.create_sequence();
  auto text = tokens_from(0, 3 * kBlock + 5);
  text[2 * kBlock + 1] = -1;
  EXPECT_EQ(cache.pool.attach_prefix(b, text), 2 * kBlock);
  EXPECT_EQ(cache.pool.blocks(b)[1], cache.pool.blocks(a)[1]);
  EXPECT_EQ(cache.pool.free_blocks(), 12u);
  // Also when the first one is gone, and only whole blocks.
  cache.pool.free_sequence(a);
  cache.pool.free_sequence(b);
  EXPECT_EQ(cache.pool.free_blocks(), 16u);
  const auto c = cache.pool.create_sequence();
  EXPECT_EQ(cache.pool.attach_prefix(c, tokens_from(0, 3 * kBlock - 1)), 2 * kBlock);
  EXPECT_EQ(cache.text(c), tokens_from(0, 2 * kBlock));
  EXPECT_EQ(cache.pool.free_blocks(), 14u);
}

TEST(KvBlockPool, EqualTextsBecomeOne) {
  Cache cache(8, 2);
  const auto a = cache.pool.create_sequence();
  const auto b = cache.pool.create_sequence();
  for (int i = 0; i < 3; ++i) {
    cache.append(a, tokens_from(i * 20, 20));
    cache.append(b, tokens_from(i * 20, 20));
  }
  EXPECT_EQ(cache.pool.blocks(a)[0], cache.pool.blocks(b)[0]);
  EXPECT_NE(cache.pool.blocks(a)[1], cache.pool.blocks(b)[1]);  // not full yet
  EXPECT_EQ(cache.pool.free_blocks(), 5u);
}

TEST(KvBlockPool, ASharedBlockIsCopiedBeforeItIsWrittenOver) {
  Cache cache(8, 2);
  const auto a = cache.pool.create_sequence();
  cache.append(a, tokens_from(0, 2 * kBlock));
  const auto b = cache.pool.create_sequence();
  cache.pool.attach_prefix(b, tokens_from(0, 2 * kBlock));
  cache.pool.truncate(b, kBlock + 3);
  EXPECT_EQ(cache.pool.blocks_needed(b, 1), 1u);
  cache.append(b, {-7});
  EXPECT_EQ(cache.text(a), tokens_from(0, 2 * kBlock));
  auto expected = tokens_from(0, kBlock + 3);
  expected.push_back(-7);
  EXPECT_EQ(cache.text(b), expected);
  // Alone, it writes over what it had, and that is forgotten.
  cache.pool.free_sequence(b);
  cache.pool.truncate(a, kBlock + 3);
  EXPECT_EQ(cache.pool.blocks_needed(a, 1), 0u);
  cache.append(a, {-8});
  const auto c = cache.pool.create_sequence();
  EXPECT_EQ(cache.pool.attach_prefix(c, tokens_from(0, 2 * kBlock)), kBlock);
}

TEST(KvBlockPool, GivesUpWhatWasUsedLongestAgoEndsFirst) {
  Cache cache(6, 2);
  for (const int32_t first : {0, 1000}) {
    const auto sequence = cache.pool.create_sequence();
    cache.append(sequence, tokens_from(first, 3 * kBlock));
    cache.pool.free_sequence(sequence);
  }
  auto sequence = cache.pool.create_sequence();
  cache.append(sequence, tokens_from(5000, kBlock));  // takes the place of the first one's end
  cache.pool.free_sequence(sequence);
  sequence = cache.pool.create_sequence();
  EXPECT_EQ(cache.pool.attach_prefix(sequence, tokens_from(0, 3 * kBlock)), 2 * kBlock);
  cache.pool.free_sequence(sequence);
  sequence = cache.pool.create_sequence();
  EXPECT_EQ(cache.pool.attach_prefix(sequence, tokens_from(1000, 3 * kBlock)), 3 * kBlock);
}

/// Whatever happens, each sequence reads back what was written to it, and blocks are counted right.
TEST(KvBlockPool, KeepsAllTextsRightUnderRandomUse) {
  constexpr uint32_t kBlocks = 40;
  Cache cache(kBlocks, 8);
  std::mt19937 random(7);
  std::map<SequenceId, std::vector<int32_t>> texts;
  uint64_t attached = 0;
  uint64_t refused = 0;
  const auto random_text = [&] {  // few different beginnings, so that many are shared
    std::vector<int32_t> text;
    const uint32_t length = 1 + random() % (4 * kBlock);
    while (text.size() < length) text.push_back(static_cast<int32_t>(random() % 40 == 0));
    return text;
  };
  for (int step = 0; step < 20000; ++step) {
    const uint32_t action = random() % 6;
    if (action == 0 && texts.size() < 8) {
      const auto sequence = cache.pool.create_sequence();
      auto text = random_text();
      const uint32_t there = cache.pool.attach_prefix(sequence, text);
      attached += there;
      text.resize(there);
      texts[sequence] = text;
    } else if (!texts.empty()) {
      const auto it = std::next(texts.begin(), static_cast<int>(random() % texts.size()));
      auto& [sequence, text] = *it;
      if (action == 1) {
        cache.pool.free_sequence(sequence);
        texts.erase(it);
      } else if (action == 2) {
        const uint32_t length = random() % (static_cast<uint32_t>(text.size()) + 1);
        cache.pool.truncate(sequence, length);
        text.resize(length);
      } else {
        const auto more = random_text();
        const auto needed = cache.pool.blocks_needed(sequence, static_cast<uint32_t>(more.size()));
        const bool fits = needed <= cache.pool.free_blocks();
        ASSERT_EQ(cache.append(sequence, more), fits);
        if (fits) text.insert(text.end(), more.begin(), more.end());
        refused += fits ? 0 : 1;
      }
    }
    std::set<uint32_t> in_use;
    for (const auto& [sequence, text] : texts) {
      ASSERT_EQ(cache.text(sequence), text) << step;
      const auto blocks = cache.pool.blocks(sequence);
      ASSERT_EQ(blocks.size(), (text.size() + kBlock - 1) / kBlock);
      in_use.insert(blocks.begin(), blocks.end());
    }
    ASSERT_EQ(in_use.size() + cache.pool.free_blocks(), kBlocks) << step;
  }
  EXPECT_GT(attached, 10000u);
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace omg
