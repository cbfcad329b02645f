// SPDX-License-Identifier: Apache-2.0
#include "hub/transfer/chunk_plan.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

namespace omg {
namespace {

constexpr uint64_t kMiB = 1u << 20;

ChunkPlanOptions options(size_t workers = 4) {
  ChunkPlanOptions result;
  result.granule = kMiB;
  result.workers = workers;
  return result;
}

TEST(ChunkLength, FallsWithWhatIsLeft) {
  const ChunkPlanOptions some = options(8);
  EXPECT_EQ(chunk_length(uint64_t{40} << 30, some), 32 * kMiB);  // never more than the most
  EXPECT_EQ(chunk_length(512 * kMiB, some), 16 * kMiB);
  EXPECT_EQ(chunk_length(65 * kMiB, some), 3 * kMiB);  // whole granules
  EXPECT_EQ(chunk_length(10 * kMiB, some), 2 * kMiB);  // never less than the least
  EXPECT_EQ(chunk_length(5, some), 5u);
  EXPECT_EQ(chunk_length(0, some), 0u);
}

TEST(ChunkPlan, HandsOutTheFileInOrder) {
  ChunkPlan plan(100 * kMiB + 7, {}, options());
  uint64_t end = 0;
  for (size_t worker = 0; worker < 4; ++worker) {
    const auto chunk = plan.take(worker, 0);
    ASSERT_TRUE(chunk);
    EXPECT_EQ(chunk->begin, end);
    EXPECT_EQ(chunk->end % kMiB, 0u);
    end = chunk->end;
  }
  EXPECT_EQ(plan.front(), 0u);
  EXPECT_EQ(plan.done_bytes(), 0u);
}

TEST(ChunkPlan, FrontIsTheSlowestWorkers) {
  ChunkPlan plan(100 * kMiB, {}, options());
  const auto first = plan.take(0, 0);
  const auto second = plan.take(1, 0);
  plan.advance(1, second->end - second->begin);
  plan.give_back(1);
  plan.advance(0, 100);
  EXPECT_EQ(plan.front(), 100u);
  plan.advance(0, first->end - 100);
  EXPECT_EQ(plan.front(), second->end);
  EXPECT_EQ(plan.done_bytes(), second->end);
}

TEST(ChunkPlan, TellsWhichGranulesAreWhole) {
  ChunkPlan plan(3 * kMiB + 5, {}, options(1));
  ASSERT_EQ(plan.take(0, 0)->end, 2 * kMiB);
  EXPECT_TRUE(plan.advance(0, kMiB - 1).empty());
  EXPECT_EQ(plan.advance(0, 1), std::vector<uint64_t>{0});
  EXPECT_TRUE(plan.advance(0, 5).empty());
  EXPECT_EQ(plan.advance(0, kMiB - 5), std::vector<uint64_t>{1});
  plan.give_back(0);
  ASSERT_EQ(plan.take(0, 0)->begin, 2 * kMiB);
  EXPECT_EQ(plan.advance(0, kMiB + 5), (std::vector<uint64_t>{2, 3}));  // the last one is short
  EXPECT_TRUE(plan.is_finished());
  EXPECT_EQ(plan.front(), plan.size());
}

TEST(ChunkPlan, AFailedChunkGoesOnToTheByte) {
  ChunkPlan plan(8 * kMiB, {}, options());
  plan.take(0, 0);
  plan.advance(0, kMiB + 3);
  plan.give_back(0);
  const auto again = plan.take(2, 0);
  EXPECT_EQ(again->begin, kMiB + 3);
  EXPECT_EQ(again->end % kMiB, 0u);
  EXPECT_EQ(plan.advance(2, kMiB - 3), std::vector<uint64_t>{1});  // whole with its first part
}

TEST(ChunkPlan, LeavesOutWhatIsThere) {
  ChunkPlan plan(6 * kMiB, {true, false, false, true, true, false}, options(1));
  EXPECT_EQ(plan.done_bytes(), 3 * kMiB);
  EXPECT_EQ(plan.front(), kMiB);
  const auto first = plan.take(0, 0);
  EXPECT_EQ(first->begin, kMiB);
  EXPECT_EQ(first->end, 3 * kMiB);
  EXPECT_EQ(plan.take(1, 0)->begin, 5 * kMiB);
  EXPECT_FALSE(plan.take(2, 0));
}

TEST(ChunkPlan, TakesHalfOfWhatASlowOneHasLeft) {
  ChunkPlan plan(8 * kMiB, {false, false, false, false, false, false, false, false}, [] {
    ChunkPlanOptions one = options(1);
    one.least_chunk = 8 * kMiB;
    return one;
  }());
  plan.take(0, 0);
  plan.advance(0, kMiB);
  EXPECT_FALSE(plan.take(1, 1.9)) << "too early to tell";
  EXPECT_FALSE(plan.take(1, 0.1));
  const auto stolen = plan.take(1, 10);  // 10 s for 1 MiB, 7 are left
  ASSERT_TRUE(stolen);
  EXPECT_EQ(stolen->begin, 5 * kMiB);
  EXPECT_EQ(stolen->end, 8 * kMiB);
  EXPECT_EQ(plan.end_of(0), 5 * kMiB);
  // What the slow one brings beyond its new end does not count.
  plan.advance(0, 6 * kMiB);
  EXPECT_EQ(plan.position_of(0), 5 * kMiB);
  EXPECT_EQ(plan.done_bytes(), 5 * kMiB);
}

TEST(ChunkPlan, LeavesAFastOneAlone) {
  ChunkPlan plan(2 * kMiB, {}, options(1));
  plan.take(0, 0);
  plan.advance(0, kMiB);
  EXPECT_FALSE(plan.take(1, 1.9));
  EXPECT_FALSE(plan.take(1, 1.5));
}

TEST(ChunkPlan, TakesAllFromOneThatStandsStill) {
  ChunkPlan plan(kMiB, {}, options(2));
  plan.take(0, 0);
  plan.advance(0, 10);
  const auto stolen = plan.take(1, 60);
  ASSERT_TRUE(stolen);
  EXPECT_EQ(stolen->begin, 10u);
  plan.advance(1, kMiB - 10);
  EXPECT_TRUE(plan.is_finished()) << "though worker 0 has not noticed";
}

TEST(ChunkPlan, TakesTheRestForAStream) {
  ChunkPlan plan(4 * kMiB, {true, false, true, false}, options());
  const auto rest = plan.take_rest(0, 0);
  EXPECT_EQ(rest.begin, kMiB);
  EXPECT_EQ(rest.end, 4 * kMiB);
  EXPECT_EQ(plan.done_bytes(), kMiB);
}

TEST(ChunkPlan, AnEmptyFileIsFinished) {
  ChunkPlan plan(0, {}, options());
  EXPECT_TRUE(plan.is_finished());
  EXPECT_EQ(plan.front(), 0u);
  EXPECT_FALSE(plan.take(0, 0));
}

// Whatever happens in whatever order: every byte is brought, none is lost, and each granule is
// called whole once all of its bytes are there.
TEST(ChunkPlan, LosesNothingInAnyOrder) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    const uint64_t size = 1 + random() % (40 * kMiB);
    const size_t granules = static_cast<size_t>((size + kMiB - 1) / kMiB);
    std::vector<bool> done(granules);
    for (size_t i = 0; i < granules; ++i) done[i] = random() % 4 == 0;
    ChunkPlan plan(size, done, options(3));
    std::vector<bool> whole = done;
    double now = 0;
    for (int steps = 0; !plan.is_finished(); ++steps) {
      ASSERT_LT(steps, 100'000);
      now += static_cast<double>(random() % 1000) / 500;
      const size_t worker = random() % 3;
      if (plan.end_of(worker) == 0 || random() % 50 == 0) {
        plan.give_back(worker);
        plan.take(worker, now);
        continue;
      }
      const uint64_t before = plan.front();
      for (const uint64_t granule : plan.advance(worker, random() % (kMiB / 2))) {
        whole.at(granule) = true;
      }
      EXPECT_GE(plan.front(), before);
      if (plan.position_of(worker) == plan.end_of(worker)) plan.give_back(worker);
    }
    EXPECT_EQ(plan.front(), size);
    EXPECT_EQ(whole, std::vector<bool>(granules, true)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace omg
