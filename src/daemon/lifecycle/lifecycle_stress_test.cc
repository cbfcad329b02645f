// SPDX-License-Identifier: Apache-2.0
//
// Many who ask, cancel, load, use, pin and unload at once, while models crash and fail, in memory
// for two models of three: each call ends exactly once, nobody waits for ever, and the budget
// holds.
#include <gtest/gtest.h>
#include <random>

#include "daemon/lifecycle/lifecycle_test_support.h"

namespace omg::testing {
namespace {

constexpr int kThreads = 64;
constexpr int kCallsEach = 40;

class LifecycleStressTest : public LifecycleFixture {
 protected:
  /// What one user does.
  void use(int seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    const auto draw = [&](uint32_t below) { return random() % below; };
    std::vector<std::unique_ptr<Outcome>> outcomes;
    for (int i = 0; i < kCallsEach; ++i) {
      const std::string model(1, static_cast<char>('a' + draw(3)));
      auto outcome = std::make_unique<Outcome>();
      std::optional<KeepAlive> keep_alive;
      if (draw(10) == 0) keep_alive = KeepAlive(draw(3) * 1000);
      Canceller cancel;
      const uint32_t what = draw(20);
      if (what < 14) {
        cancel = ask(*outcome, model, keep_alive);
      } else if (what < 16) {
        cancel = lifecycle().load(model, keep_alive, outcome->on_loaded());
      } else {
        cancel = lifecycle().with_model(
            model, [&, told = outcome->on_loaded()](const Error* error, Model* used) {
              if (used) {
                EXPECT_EQ(used->tokenize("abc", {}).size(), 3u);
              }
              told(error, {});
            });
      }
      if (draw(4) == 0) cancel();
      if (draw(30) == 0) lifecycle().unload(model);
      if (draw(40) == 0) machine_.crash(model, "killed");
      if (draw(30) == 0) lifecycle().runs();
      if (draw(2) == 0) outcome->error();
      outcomes.push_back(std::move(outcome));
    }
    for (auto& outcome : outcomes) {
      outcome->error();
      const auto code = outcome->code();
      if (code && *code != ErrorCode::kUnavailable && *code != ErrorCode::kCancelled) {
        ADD_FAILURE() << outcome->error();
      }
      ++ended_;
    }
    kept_[static_cast<size_t>(seed)] = std::move(outcomes);  // an end too many would show
  }

  std::atomic<int> ended_ = 0;
  std::vector<std::vector<std::unique_ptr<Outcome>>> kept_{kThreads};
};

TEST_F(LifecycleStressTest, EveryCallEndsOnceAndTheBudgetHolds) {
  options_.memory_budget = 32 * kMiB;
  options_.max_sequences = 1;
  options_.max_waiting = 1000;
  machine_.keeps_requests = false;
  for (const char* name : {"a", "b", "c"}) {
    add_model(name).needs = RunNeeds{10 * kMiB, kMiB, 1024, 4096};  // 15 MiB
  }
  lifecycle();
  std::atomic<bool> is_over = false;
  std::thread time([&] {
    while (!is_over) {
      clock_.advance(std::chrono::milliseconds(200));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::vector<std::thread> users;
  for (int i = 0; i < kThreads; ++i) users.emplace_back([this, i] { use(i); });
  for (std::thread& user : users) user.join();
  EXPECT_EQ(ended_, kThreads * kCallsEach);
  lifecycle().shutdown(std::chrono::seconds(1));
  is_over = true;
  time.join();
  EXPECT_EQ(machine_.live_bytes, 0u);
  EXPECT_LE(machine_.most_live_bytes, 32 * kMiB);
  EXPECT_EQ(machine_.most_live, 2u);
  for (const auto& outcomes : kept_) {
    for (const auto& outcome : outcomes) EXPECT_EQ(outcome->ends(), 1);
  }
  // What was told adds up.
  std::map<std::string, size_t> kinds;
  {
    std::lock_guard lock(events_mutex_);
    for (const ServiceEvent& event : told_) ++kinds[std::string(event_kind_name(event.kind))];
  }
  EXPECT_EQ(kinds["run_started"], kinds["run_stopped"]);
  EXPECT_LE(kinds["run_loaded"], kinds["run_started"]);
  EXPECT_GT(kinds["run_crashed"], 0u);
}

TEST_F(LifecycleStressTest, ItMayBeDestroyedAtAnyMoment) {
  options_.memory_budget = 32 * kMiB;
  add_model("a");
  for (int round = 0; round < 20; ++round) {
    std::vector<Outcome> outcomes(8);
    std::vector<Canceller> cancellers;
    for (Outcome& outcome : outcomes) cancellers.push_back(ask(outcome, "a"));
    std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
    std::thread late([&] {
      for (const Canceller& cancel : cancellers) cancel();
    });
    lifecycle_.reset();
    late.join();
    for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.ends(), 1);
  }
  EXPECT_EQ(machine_.live_bytes, 0u);
}

}  // namespace
}  // namespace omg::testing
