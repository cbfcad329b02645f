// SPDX-License-Identifier: Apache-2.0
//
// Several models under one budget: who goes for whom, who waits, and who never fits.
#include <gtest/gtest.h>

#include "daemon/lifecycle/lifecycle_test_support.h"
#include "daemon/lifecycle/plan_run.h"
#include "engine/memory_plan.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg::testing {
namespace {

using Seconds = std::chrono::seconds;
using Lines = std::vector<std::string>;

/// Models of 10 MiB and 1 for scratch, with a cache of 1 to 32 MiB.
class LifecycleMemoryTest : public LifecycleFixture {
 protected:
  LifecycleMemoryTest() { options_.max_sequences = 1; }
  void add_models(const Lines& names) {
    for (const std::string& name : names) {
      add_model(name).needs = RunNeeds{10 * kMiB, kMiB, 1024, 1024};  // 12 MiB
    }
  }
};

TEST_F(LifecycleMemoryTest, TheRunIsShapedByThePlan) {
  options_.memory_budget = 31 * kMiB;
  options_.max_sequences = 8;
  add_model("a").needs = RunNeeds{10 * kMiB, kMiB, 1024, 1u << 20};
  EXPECT_EQ(ask_now("a"), "");
  const RunInfo run = run_of("a");
  EXPECT_EQ(run.facts->context_length, 10240u);  // half of 20 MiB
  EXPECT_EQ(run.facts->kv_capacity_tokens, 10240u);
  EXPECT_EQ(run.planned_bytes, 21 * kMiB);
}

TEST_F(LifecycleMemoryTest, TheIdleOneThatIsCheapestGoes) {
  options_.memory_budget = 36 * kMiB;
  add_models({"a", "b", "c", "d"});
  for (const char* name : {"b", "a", "c"}) {
    EXPECT_EQ(ask_now(name), "");
    clock_.advance(Seconds(10));
  }
  EXPECT_EQ(running(), Lines({"a", "b", "c"}));
  machine_.script("d").load_time = Seconds(100);
  EXPECT_EQ(ask_now("d"), "");  // all load in no time, so the cost is 0: the first in order
  wait_until_told("run_stopped evicted b", 1);
  EXPECT_EQ(running(), Lines({"a", "c", "d"}));
  EXPECT_EQ(ask_now("b"), "");  // d is the newest, and dear: not that
  EXPECT_EQ(running(), Lines({"b", "c", "d"}));
}

TEST_F(LifecycleMemoryTest, PinnedAndBusyOnesStay) {
  options_.memory_budget = 36 * kMiB;
  add_models({"a", "b", "c", "d"});
  machine_.script("b").waits_to_answer = true;
  lifecycle().set_pinned("a", true);
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_TRUE(run_of("a").is_pinned);
  EXPECT_EQ(run_of("a").expires_at, std::nullopt);
  Outcome busy;
  ask(busy, "b");
  wait_for([&] { return running() == Lines({"a", "b"}); }, "loaded");
  EXPECT_EQ(ask_now("c"), "");
  EXPECT_EQ(ask_now("d"), "");
  EXPECT_EQ(running(), Lines({"a", "b", "d"}));
  machine_.open_gate("b");
  EXPECT_EQ(busy.error(), "");
  clock_.advance(std::chrono::hours(1));
  wait_until_gone("b");
  wait_until_gone("d");
  EXPECT_EQ(running(), Lines({"a"}));
  lifecycle().set_pinned("a", false);
  EXPECT_EQ(running(), Lines({"a"}));
  clock_.advance(std::chrono::minutes(5));
  wait_until_gone("a");
}

TEST_F(LifecycleMemoryTest, OneWaitsForABusyOne) {
  options_.memory_budget = 12 * kMiB;
  add_models({"a", "b"});
  machine_.script("a").waits_to_answer = true;
  Outcome first;
  Outcome second;
  ask(first, "a");
  wait_for([&] { return running() == Lines({"a"}); }, "loaded");
  ask(second, "b");
  wait_for([&] { return lifecycle().runs().size() == 2; }, "it waits");
  EXPECT_FALSE(second.has_ended());
  machine_.open_gate("a");
  EXPECT_EQ(first.error(), "");
  EXPECT_EQ(second.error(), "");
  wait_until_told("run_stopped evicted a", 1);
}

TEST_F(LifecycleMemoryTest, AModelThatIsAlwaysBusyGivesWayAfterAWhile) {
  options_.memory_budget = 12 * kMiB;
  add_models({"a", "b"});
  machine_.script("a").waits_to_answer = true;
  Outcome first;
  Outcome other;
  Outcome third;
  ask(first, "a");
  wait_for([&] { return running() == Lines({"a"}); }, "loaded");
  ask(other, "b");
  wait_for([&] { return lifecycle().runs().size() == 2; }, "it waits");
  wait_for([&] { return run_of("b").planned_bytes > 0; }, "it is planned");
  clock_.advance(Seconds(9));
  EXPECT_EQ(run_of("a").state, RunState::kRunning);
  clock_.advance(Seconds(1));
  wait_for([&] { return run_of("a").state == RunState::kStopping; }, "it gives way");
  ask(third, "a");  // comes after b
  EXPECT_FALSE(other.has_ended());
  machine_.open_gate("a");
  EXPECT_EQ(first.error(), "");
  EXPECT_EQ(other.error(), "");
  EXPECT_EQ(third.error(), "");
  EXPECT_EQ(loads("a"), 2);
  EXPECT_EQ(loads("b"), 1);
}

TEST_F(LifecycleMemoryTest, WhatFitsBesideNeedNotWaitBehindWhatDoesNot) {
  options_.memory_budget = 30 * kMiB;
  add_models({"a", "small"});
  machine_.script("a").waits_to_answer = true;
  add_model("large").needs = RunNeeds{26 * kMiB, kMiB, 1024, 1024};
  Outcome busy;
  Outcome large;
  ask(busy, "a");
  wait_for([&] { return running() == Lines({"a"}); }, "loaded");
  ask(large, "large");
  wait_for([&] { return lifecycle().runs().size() == 2 && run_of("large").planned_bytes > 0; },
           "it waits");
  EXPECT_EQ(ask_now("small"), "");
  machine_.open_gate("a");
  EXPECT_EQ(large.error(), "");
  EXPECT_EQ(running(), Lines({"large"}));
}

TEST_F(LifecycleMemoryTest, WhatNeverFitsIsToldWithTheNumbers) {
  options_.memory_budget = 20 * kMiB;
  add_models({"a"});
  add_model("large").needs = RunNeeds{30 * kMiB, 2 * kMiB, 1024, 1u << 20};
  EXPECT_EQ(ask_now("a"), "");
  Outcome outcome;
  ask(outcome, "large");
  EXPECT_EQ(outcome.code(), ErrorCode::kOutOfMemory);
  const std::string text = outcome.error();
  for (const char* part : {"36 MiB", "30 MiB", "20 MiB", "weights of up to 14 MiB would fit"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_EQ(running(), Lines({"a"})) << "nobody goes for what does not fit anyway";
  EXPECT_EQ(loads("large"), 0);
}

TEST_F(LifecycleMemoryTest, WhatDoesNotFitBesidePinnedOnesIsToldWhichTheyAre) {
  options_.memory_budget = 20 * kMiB;
  add_models({"a", "b"});
  lifecycle().set_pinned("a", true);
  EXPECT_EQ(ask_now("a"), "");
  const std::string text = ask_now("b");
  EXPECT_NE(text.find("12 MiB of 'a', pinned"), std::string::npos) << text;
  EXPECT_TRUE(lifecycle().unload("a"));
  EXPECT_EQ(ask_now("b"), "");
}

TEST_F(LifecycleMemoryTest, OnlySoManyAreLoaded) {
  options_.max_loaded_models = 2;
  add_models({"a", "b", "c"});
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(ask_now(name), "");
    clock_.advance(Seconds(1));
  }
  EXPECT_EQ(running().size(), 2u);
  EXPECT_EQ(machine_.most_live, 2u);
  lifecycle().set_pinned("b", true);
  lifecycle().set_pinned("c", true);
  EXPECT_NE(ask_now("a").find("at most 2"), std::string::npos);
}

TEST_F(LifecycleMemoryTest, TwoLoadAtOnceWhereBothFit) {
  add_models({"a", "b"});
  machine_.script("a").waits_to_load = true;
  machine_.script("b").waits_to_load = true;
  Outcome first;
  Outcome second;
  ask(first, "a");
  ask(second, "b");
  wait_for([&] { return loads("a") == 1 && loads("b") == 1; }, "both load");
  machine_.open_gate("b");
  EXPECT_EQ(second.error(), "");
  EXPECT_FALSE(first.has_ended());
  machine_.open_gate("a");
  EXPECT_EQ(first.error(), "");
}

TEST_F(LifecycleMemoryTest, TheMachinesMemoryIsAskedBeforeEachLoad) {
  std::atomic<uint64_t> all_but_others = 30 * kMiB;
  options_.memory_budget = 0;
  options_.memory_reserve = 2 * kMiB;
  options_.usable_memory = [&] {
    std::lock_guard lock(machine_.mutex);
    return all_but_others - machine_.live_bytes;
  };
  add_models({"a", "b", "c"});
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(ask_now("b"), "");
  EXPECT_EQ(running(), Lines({"a", "b"}));
  all_but_others = 26 * kMiB;  // other programs took the rest: it is a swap
  EXPECT_EQ(ask_now("c"), "");
  EXPECT_EQ(running(), Lines({"b", "c"}));
  all_but_others = 24 * kMiB;  // and more: there is room for one
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(running(), Lines({"a"}));
  EXPECT_TRUE(lifecycle().unload("a"));
  wait_until_gone("a");
  all_but_others = 10 * kMiB;
  EXPECT_NE(ask_now("a").find("8 MiB can be used"), std::string::npos);
  all_but_others = 14 * kMiB;
  EXPECT_EQ(ask_now("a"), "");
}

TEST(PlanRunTest, IsThePlanOfTheFile) {
  TemporaryFolder folder;
  const std::string path = folder / "model.gguf";
  model_maker::make_model(model_maker::preset("tiny-llama"), path);
  const MemoryPlan plan = plan_memory(open_model_file(path),
                                      {.max_sequences = 3, .threads = 2, .kv_type = KvType::kQ8_0});
  const RunNeeds needs = plan_run(path, 2, 3, "q8_0");
  EXPECT_EQ(needs.weights_bytes, plan.weights_bytes);
  EXPECT_EQ(needs.scratch_bytes, plan.scratch_bytes);
  EXPECT_EQ(needs.kv_bytes_per_token, plan.kv_bytes_per_token);
  EXPECT_GT(needs.weights_bytes, 0u);
  EXPECT_GT(needs.max_context, 0u);
  EXPECT_THROW(plan_run(path, 2, 3, "f17"), Error);
}

TEST(RunKeyTest, IsOfWhatIsLoaded) {
  StoredModel model{StoreName("a")};
  Artifact weights;
  weights.role = "weights";
  weights.digest = sha256("w");
  Artifact license;
  license.role = "license";
  license.digest = sha256("l");
  model.artifacts = {weights};
  const std::string key = run_key(model);
  model.artifacts = {weights, license};
  model.settings.system = "S";
  EXPECT_EQ(run_key(model), key);
  model.settings.chat_template = "T";
  EXPECT_NE(run_key(model), key);
  model.settings = {};
  model.artifacts[0].digest = sha256("v");
  EXPECT_NE(run_key(model), key);
  model.artifacts[0].digest.reset();
  model.artifacts[0].reference = FileReference{"/x", FileOwner::kUser, 1, 2, 3};
  const std::string of_reference = run_key(model);
  model.artifacts[0].reference->modified_ns = 4;
  EXPECT_NE(run_key(model), of_reference);
}

}  // namespace
}  // namespace omg::testing
