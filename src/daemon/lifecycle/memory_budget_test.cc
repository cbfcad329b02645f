// SPDX-License-Identifier: Apache-2.0
//
// Who gets how much, in numbers that can be checked by hand, and over a range of all of them.
#include "daemon/lifecycle/memory_budget.h"

#include <gtest/gtest.h>
#include <random>

namespace omg {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(ShapeRun, GivesTheWholeContextWhereItFitsInHalfOfWhatRemains) {
  // 1024 MiB less 100 leave 924; half of it, at 1 KiB a token, is 473088 tokens.
  const RunNeeds needs{90 * kMiB, 10 * kMiB, 1024, 131072};
  const auto shape = shape_run(needs, 1024 * kMiB, 64);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->context_length, 131072u);
  EXPECT_EQ(shape->kv_capacity_tokens, 473088u);
  EXPECT_EQ(shape->bytes, 100 * kMiB + 462 * kMiB);
}

TEST(ShapeRun, TakesNoMoreThanAllSequencesCanUse) {
  const RunNeeds needs{90 * kMiB, 10 * kMiB, 1024, 8192};
  const auto shape = shape_run(needs, 1024 * kMiB, 4);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->context_length, 8192u);
  EXPECT_EQ(shape->kv_capacity_tokens, 4u * 8192);
}

TEST(ShapeRun, CutsTheContextToHalfOfWhatRemains) {
  const RunNeeds needs{90 * kMiB, 10 * kMiB, 1024, 131072};
  const auto shape = shape_run(needs, 120 * kMiB, 64);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->context_length, 10240u);  // 10 MiB
  EXPECT_EQ(shape->kv_capacity_tokens, 10240u);
}

TEST(ShapeRun, TakesMoreThanHalfOnlyForTheLeast) {
  const RunNeeds needs{90 * kMiB, 10 * kMiB, 1024, 131072};
  const auto shape = shape_run(needs, 104 * kMiB, 64);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->context_length, kLeastContext);
  EXPECT_EQ(shape->bytes, 104 * kMiB);
  EXPECT_FALSE(shape_run(needs, 104 * kMiB - 1, 64));
}

TEST(ShapeRun, AModelOfAShortContextNeedsNoMoreThanThat) {
  const RunNeeds needs{90 * kMiB, 10 * kMiB, 1024, 500};
  EXPECT_EQ(least_bytes(needs), 100 * kMiB + 512 * 1024);
  const auto shape = shape_run(needs, least_bytes(needs), 64);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->context_length, 500u);
  EXPECT_EQ(shape->kv_capacity_tokens, 512u);
}

TEST(ShapeRun, NumbersBeyondCountingDoNotFit) {
  const RunNeeds needs{UINT64_MAX - 5, 10, UINT64_MAX, 500};
  EXPECT_EQ(least_bytes(needs), UINT64_MAX);
  EXPECT_FALSE(shape_run(needs, UINT64_MAX - 1, 64));
}

TEST(ShapeRun, NeverGivesMoreThanThereIs) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    const RunNeeds needs{random() % (64 * kMiB), random() % kMiB, 1 + random() % 5000,
                         static_cast<uint32_t>(random() % 200000)};
    const uint64_t free = random() % (256 * kMiB);
    const auto shape = shape_run(needs, free, static_cast<uint32_t>(random() % 100));
    ASSERT_EQ(shape.has_value(), least_bytes(needs) <= free);
    if (!shape) continue;
    EXPECT_LE(shape->bytes, free);
    EXPECT_GE(shape->bytes, least_bytes(needs));
    EXPECT_GE(shape->kv_capacity_tokens, shape->context_length);
    EXPECT_EQ(shape->kv_capacity_tokens % kKvBlockTokens, 0u);
    EXPECT_GE(shape->context_length,
              std::min(needs.max_context ? needs.max_context : kLeastContext, kLeastContext));
  }
}

using Candidates = std::vector<EvictionCandidate>;

TEST(ChooseVictims, TakesWhatWasIdleLongest) {
  const Candidates candidates = {{100, 5, 10}, {100, 5, 1000}, {100, 5, 100}};
  EXPECT_EQ(choose_victims(candidates, 1, 0), std::vector<size_t>({1}));
  EXPECT_EQ(choose_victims(candidates, 150, 0), std::vector<size_t>({1, 2}));
}

TEST(ChooseVictims, TakesWhatLoadsQuickly) {
  const Candidates candidates = {{100, 60, 60}, {100, 1, 60}};
  EXPECT_EQ(choose_victims(candidates, 1, 0), std::vector<size_t>({1}));
}

TEST(ChooseVictims, TakesWhatFreesMostForItsCost) {
  const Candidates candidates = {{100, 2, 60}, {1000, 4, 60}};
  EXPECT_EQ(choose_victims(candidates, 50, 0), std::vector<size_t>({1}));
}

TEST(ChooseVictims, SparesWhoTurnsOutNotToBeNeeded) {
  // The first is cheapest, but does not free enough; the second alone does.
  const Candidates candidates = {{100, 0.1, 60}, {1000, 10, 60}};
  EXPECT_EQ(choose_victims(candidates, 900, 0), std::vector<size_t>({1}));
  EXPECT_EQ(choose_victims(candidates, 900, 2), std::vector<size_t>({0, 1}));
}

TEST(ChooseVictims, TakesNobodyWhereAllAreNotEnough) {
  const Candidates candidates = {{100, 1, 60}, {100, 1, 60}};
  EXPECT_FALSE(choose_victims(candidates, 201, 0));
  EXPECT_FALSE(choose_victims(candidates, 1, 3));
  EXPECT_FALSE(choose_victims({}, 1, 0));
}

TEST(ChooseVictims, TakesNobodyWhereNothingIsMissing) {
  const Candidates candidates = {{100, 1, 60}};
  EXPECT_EQ(choose_victims(candidates, 0, 0), std::vector<size_t>());
}

TEST(FormatMemory, IsReadable) {
  EXPECT_EQ(format_memory(3ull << 30), "3.0 GiB");
  EXPECT_EQ(format_memory(20 * kMiB), "20 MiB");
  EXPECT_EQ(format_memory(17), "17 bytes");
}

}  // namespace
}  // namespace omg
