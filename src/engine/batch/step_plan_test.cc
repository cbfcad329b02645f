// SPDX-License-Identifier: Apache-2.0
#include "engine/batch/step_plan.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace omg {
namespace {

using Grants = std::vector<std::pair<size_t, uint32_t>>;

SequenceNeed generating(uint32_t length) {
  return {.length = length, .pending = 1, .is_generating = true, .is_admitted = true};
}
SequenceNeed prompt(uint32_t pending) {
  return {.length = 0, .pending = pending};
}
SequenceNeed begun(uint32_t length, uint32_t pending) {
  return {.length = length, .pending = pending, .is_admitted = true};
}

StepLimits limits(uint32_t free_blocks = 1000) {
  return {.max_sequences = 8, .free_blocks = free_blocks};
}

Grants grants_of(const StepPlan& plan) {
  Grants grants;
  for (const auto& grant : plan.grants) grants.emplace_back(grant.sequence, grant.tokens);
  return grants;
}

TEST(StepPlan, GivesNothingToNobody) {
  EXPECT_TRUE(plan_step({}, limits()).grants.empty());
  EXPECT_TRUE(plan_step(std::vector{begun(10, 0)}, limits()).grants.empty());
}

TEST(StepPlan, AFullStepForPromptsAlone) {
  const std::vector needs = {begun(512, 3000), prompt(100), prompt(1000)};
  // 512 / 3 is more than the short one wants: the others share what it leaves.
  EXPECT_EQ(grants_of(plan_step(needs, limits())), (Grants{{0, 206}, {1, 100}, {2, 206}}));
}

TEST(StepPlan, ThoseThatGenerateComeFirstAndWaitLess) {
  const std::vector needs = {begun(512, 3000), generating(40), prompt(1000), generating(41)};
  EXPECT_EQ(grants_of(plan_step(needs, limits())), (Grants{{0, 64}, {1, 1}, {2, 64}, {3, 1}}));
}

TEST(StepPlan, TheMorePromptsWaitForEachThatGeneratesTheMoreTheyGet) {
  std::vector needs = {generating(40), prompt(1000), prompt(1000)};
  EXPECT_EQ(grants_of(plan_step(needs, limits())), (Grants{{0, 1}, {1, 128}, {2, 128}}));
  needs.push_back(generating(40));
  EXPECT_EQ(grants_of(plan_step(needs, limits())), (Grants{{0, 1}, {1, 64}, {2, 64}, {3, 1}}));
  needs.assign(6, prompt(1000));
  needs[0] = generating(40);
  // Never more than the step holds.
  EXPECT_EQ(grants_of(plan_step(needs, limits())),
            (Grants{{0, 1}, {1, 102}, {2, 102}, {3, 102}, {4, 102}, {5, 103}}));
}

TEST(StepPlan, ManyPromptsTakeTurnsByAge) {
  const std::vector<SequenceNeed> needs(8, prompt(1000));
  auto few = limits();
  few.max_batch_tokens = 70;  // two shares of at least 32
  EXPECT_EQ(grants_of(plan_step(needs, few)), (Grants{{0, 35}, {1, 35}}));
}

TEST(StepPlan, AdmitsAsManyAsThereArePlaces) {
  const std::vector<SequenceNeed> needs(5, prompt(10));
  auto few = limits();
  few.max_sequences = 3;
  EXPECT_EQ(grants_of(plan_step(needs, few)), (Grants{{0, 10}, {1, 10}, {2, 10}}));
}

TEST(StepPlan, ANewcomerLeavesABlockForEachOfTheOthers) {
  const std::vector needs = {generating(40), generating(40), prompt(200)};
  EXPECT_EQ(grants_of(plan_step(needs, limits(4))), (Grants{{0, 1}, {1, 1}, {2, 64}}));
  EXPECT_EQ(grants_of(plan_step(needs, limits(2))), (Grants{{0, 1}, {1, 1}}));
}

TEST(StepPlan, TheNewestGivesUpItsPlace) {
  std::vector needs = {generating(64), generating(32), generating(33)};
  needs[2].private_blocks = 2;
  StepPlan plan = plan_step(needs, limits(0));
  EXPECT_EQ(plan.preempted, std::vector<size_t>{2});
  EXPECT_EQ(grants_of(plan), (Grants{{0, 1}, {1, 1}}));
  // One that has nothing to give is no help, and then the second goes too.
  needs[2].private_blocks = 0;
  needs[1].private_blocks = 1;
  plan = plan_step(needs, limits(0));
  EXPECT_EQ(plan.preempted, (std::vector<size_t>{2, 1}));
  EXPECT_EQ(grants_of(plan), (Grants{{0, 1}}));
}

TEST(StepPlan, NobodyTakesThePlaceThatWasGivenUp) {
  std::vector needs = {generating(64), generating(31), prompt(5)};
  needs[1].private_blocks = 1;
  needs[1].copies_block = true;
  const StepPlan plan = plan_step(needs, limits(1));
  EXPECT_EQ(plan.preempted, std::vector<size_t>{1});
  EXPECT_EQ(grants_of(plan), (Grants{{0, 1}}));
}

TEST(StepPlan, ASharedBlockCostsOneMore) {
  SequenceNeed need = generating(33);
  EXPECT_EQ(blocks_to_grow(need, 1, 32), 0u);
  EXPECT_EQ(blocks_to_grow(need, 32, 32), 1u);
  need.copies_block = true;
  EXPECT_EQ(blocks_to_grow(need, 1, 32), 1u);
  EXPECT_EQ(blocks_to_grow(generating(32), 1, 32), 1u);
  EXPECT_EQ(blocks_to_grow(generating(UINT32_MAX), UINT32_MAX, 32), 1u << 27);
}

TEST(StepPlan, TheOldestGoesOnWhenNothingFits) {
  std::vector needs = {begun(32, 100), begun(64, 500)};
  needs[1].private_blocks = 2;
  const StepPlan plan = plan_step(needs, limits(0));
  EXPECT_EQ(plan.preempted, std::vector<size_t>{1});
  EXPECT_EQ(grants_of(plan), (Grants{{0, 64}}));
}

/// A cache that counts blocks, and users who come, read a prompt and generate.
struct Simulation {
  struct User {
    uint32_t prompt, answer;
    uint32_t held = 0;       // tokens in the cache
    uint32_t generated = 0;  // tokens chosen
    bool is_admitted = false;
    uint32_t waited = 0;  // steps without a token while generating

    uint32_t pending() const { return prompt + generated - held; }
    bool is_generating() const { return is_admitted && generated > 0 && pending() == 1; }
  };

  std::vector<User> users;
  uint32_t blocks = 64;
  uint32_t preemptions = 0;
  StepLimits step_limits{
      .max_batch_tokens = 128, .max_prompt_tokens_beside = 32, .max_sequences = 6};

  static uint32_t blocks_of(uint32_t tokens) { return (tokens + 31) / 32; }
  uint32_t used() const {
    uint32_t sum = 0;
    for (const User& user : users) sum += blocks_of(user.held);
    return sum;
  }

  void step() {
    std::vector<SequenceNeed> needs;
    for (const User& user : users) {
      needs.push_back({.length = user.held,
                       .pending = user.pending(),
                       .is_generating = user.is_generating(),
                       .is_admitted = user.is_admitted,
                       .private_blocks = blocks_of(user.held)});
    }
    step_limits.free_blocks = blocks - used();
    const StepPlan plan = plan_step(needs, step_limits);
    for (const size_t i : plan.preempted) {
      ASSERT_TRUE(users[i].is_admitted);
      ASSERT_NE(i, 0u) << "the oldest never gives up";
      users[i].is_admitted = false;
      users[i].held = 0;
      ++preemptions;
    }
    uint32_t tokens = 0;
    bool oldest_went_on = false;
    for (const auto& grant : plan.grants) {
      User& user = users[grant.sequence];
      ASSERT_LE(grant.tokens, user.pending());
      user.is_admitted = true;
      user.held += grant.tokens;
      tokens += grant.tokens;
      if (user.pending() == 0) ++user.generated;
      oldest_went_on |= grant.sequence == 0;
    }
    ASSERT_LE(tokens, step_limits.max_batch_tokens);
    ASSERT_LE(used(), blocks);
    const auto admitted = std::count_if(users.begin(), users.end(),
                                        [](const User& user) { return user.is_admitted; });
    ASSERT_LE(admitted, step_limits.max_sequences);
    ASSERT_TRUE(oldest_went_on || users.empty());
    std::erase_if(users, [](const User& user) { return user.generated > user.answer; });
  }
};

TEST(StepPlan, EverybodyEndsWhateverComes) {
  uint32_t preemptions = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    Simulation simulation;
    uint32_t to_come = 40;
    for (int step = 0; to_come > 0 || !simulation.users.empty(); ++step) {
      ASSERT_LT(step, 40000);
      if (to_come > 0 && (simulation.users.empty() || random() % 8 == 0)) {
        // Up to 64 blocks in all: what does not fit the cache alone is refused before.
        simulation.users.push_back({1 + static_cast<uint32_t>(random() % 1500),
                                    1 + static_cast<uint32_t>(random() % 500)});
        --to_come;
      }
      simulation.step();
      if (HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
    preemptions += simulation.preemptions;
  }
  EXPECT_GT(preemptions, 100u);  // or the test shows nothing
}

}  // namespace
}  // namespace omg
