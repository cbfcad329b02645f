// SPDX-License-Identifier: Apache-2.0
//
// Calls on models that load, idle, are cancelled, lost and shut down, with a clock that stands
// still unless a test moves it.
#include "daemon/lifecycle/lifecycle.h"

#include <gtest/gtest.h>

#include "daemon/lifecycle/lifecycle_test_support.h"

namespace omg::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using Seconds = std::chrono::seconds;
using Lines = std::vector<std::string>;

class LifecycleTest : public LifecycleFixture {};

TEST_F(LifecycleTest, LoadsOnceForAllWhoAsk) {
  add_model("a").waits_to_load = true;
  std::vector<Outcome> outcomes(16);
  for (Outcome& outcome : outcomes) ask(outcome, "a");
  wait_for([&] { return loads("a") == 1; }, "it loads");
  EXPECT_EQ(run_of("a").state, RunState::kStarting);
  EXPECT_EQ(run_of("a").answers, 16u);
  clock_.advance(Seconds(3));
  machine_.open_gate("a");
  for (Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.error(), "");
    EXPECT_EQ(outcome.text(), "hello world");
    EXPECT_EQ(outcome.result().load_duration, Seconds(3));
    EXPECT_EQ(outcome.result().total_duration, Seconds(3));
    EXPECT_EQ(outcome.result().warnings, Lines({"from the model"}));
  }
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(loads("a"), 1);
  const RunInfo run = run_of("a");
  EXPECT_EQ(run.state, RunState::kRunning);
  EXPECT_EQ(run.activity.running, 7u);
  ASSERT_TRUE(run.facts);
  EXPECT_EQ(run.planned_bytes,
            run.facts->weights_bytes + run.facts->scratch_bytes + run.facts->kv_bytes);
}

TEST_F(LifecycleTest, NamesOfTheSameFilesShareARunWithTheirOwnSettings) {
  add_model("a");
  ModelSettings settings;
  settings.system = "be brief";
  settings.parameters = {{"temperature", 0.5}, {"num_gpu", 1}};
  add_model("b", "a", settings);
  EXPECT_EQ(ask_now("a"), "");
  Outcome outcome;
  ModelCall second = call("b");
  second.parameters.context_length = 1 << 20;
  lifecycle().answer(second, outcome.sink());
  ASSERT_EQ(outcome.error(), "");
  EXPECT_EQ(loads("a"), 1);
  EXPECT_EQ(lifecycle().runs().size(), 1u);
  ASSERT_EQ(machine_.asked.size(), 2u);
  EXPECT_EQ(std::get<ChatPrompt>(machine_.asked[0].prompt).messages.size(), 1u);
  EXPECT_EQ(std::get<ChatPrompt>(machine_.asked[1].prompt).messages.size(), 2u);
  EXPECT_FLOAT_EQ(machine_.asked[1].options.sampling.temperature, 0.5f);
  EXPECT_EQ(machine_.asked[1].options.context_length, 8192u);
  const Lines warnings = outcome.result().warnings;
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_NE(warnings[0].find("num_gpu"), std::string::npos);
  EXPECT_NE(warnings[1].find("8192"), std::string::npos);
  EXPECT_EQ(warnings[2], "from the model");
}

TEST_F(LifecycleTest, AnotherTemplateIsAnotherRun) {
  add_model("a");
  ModelSettings settings;
  settings.chat_template = "{{ messages }}";
  settings.template_syntax = "jinja";
  add_model("b", "a", settings);
  settings.template_syntax = "go";
  add_model("c", "a", settings);
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(ask_now(name), "");
  EXPECT_EQ(running(), Lines({"a", "b"}));
}

TEST_F(LifecycleTest, WhatIsNotHereIsNotFound) {
  Outcome outcome;
  ask(outcome, "nothing");
  EXPECT_EQ(outcome.code(), ErrorCode::kNotFound);
  EXPECT_THROW(lifecycle().unload("nothing"), Error);
  EXPECT_THROW(lifecycle().set_pinned("nothing", true), Error);
  EXPECT_THROW(lifecycle().run_log("run-77", 5), Error);
  EXPECT_EQ(told(), Lines({"answer_finished "}));
}

TEST_F(LifecycleTest, IdleModelsAreUnloadedAfterTheirKeepAlive) {
  add_model("a");
  EXPECT_EQ(ask_now("a"), "");
  clock_.advance(minutes(4));
  EXPECT_EQ(ask_now("a"), "");  // renews it
  clock_.advance(minutes(4));
  EXPECT_EQ(running(), Lines({"a"}));
  const auto left = *run_of("a").expires_at - std::chrono::system_clock::now();
  EXPECT_LE(left, Seconds(61));
  EXPECT_GT(left, Seconds(50));
  clock_.advance(minutes(1));
  wait_until_gone("a");
  wait_until_told("run_stopped idle a", 1);
  EXPECT_EQ(told(), Lines({"run_started a", "run_loaded a", "answer_finished a",
                           "answer_finished a", "run_stopped idle a"}));
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(loads("a"), 2);
}

TEST_F(LifecycleTest, AKeepAliveCountsForLaterRequestsToo) {
  add_model("a");
  EXPECT_EQ(ask_now("a", Seconds(1)), "");
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(run_of("a").keep_alive, Seconds(1));
  clock_.advance(Seconds(1));
  wait_until_gone("a");

  EXPECT_EQ(ask_now("a", Seconds(-1)), "");
  EXPECT_EQ(run_of("a").expires_at, std::nullopt);
  clock_.advance(std::chrono::hours(10000));
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(running(), Lines({"a"}));
  EXPECT_EQ(ask_now("a", milliseconds(0)), "");
  wait_until_gone("a");
  EXPECT_EQ(loads("a"), 2);
}

TEST_F(LifecycleTest, TheKeepAliveBeginsWhenTheLastAnswerEnds) {
  add_model("a").waits_to_answer = true;
  Outcome first;
  Outcome second;
  ask(first, "a", milliseconds(0));
  ask(second, "a");
  wait_for([&] { return run_of("a").state == RunState::kRunning; }, "loaded");
  clock_.advance(minutes(30));
  EXPECT_EQ(run_of("a").answers, 2u);
  EXPECT_EQ(run_of("a").expires_at, std::nullopt);
  machine_.open_gate("a");
  EXPECT_EQ(first.error(), "");
  EXPECT_EQ(second.error(), "");
  wait_until_gone("a");
  wait_until_told("run_stopped idle a", 1);
}

TEST_F(LifecycleTest, LoadingRenewsTheKeepAlive) {
  add_model("a");
  Outcome loaded;
  lifecycle().load("a", std::nullopt, loaded.on_loaded());
  EXPECT_EQ(loaded.error(), "");
  clock_.advance(minutes(4));
  Outcome again;
  lifecycle().load("a", minutes(2), again.on_loaded());
  EXPECT_EQ(again.error(), "");
  EXPECT_EQ(again.result().load_duration, Seconds(0));
  clock_.advance(Seconds(100));
  EXPECT_EQ(running(), Lines({"a"}));
  clock_.advance(Seconds(20));
  wait_until_gone("a");
  EXPECT_EQ(loads("a"), 1);
}

TEST_F(LifecycleTest, UnloadWaitsForAnswersAndNewOnesLoadAgain) {
  add_model("a").waits_to_answer = true;
  EXPECT_FALSE(lifecycle().unload("a"));
  Outcome under_way;
  ask(under_way, "a");
  wait_for([&] { return run_of("a").state == RunState::kRunning; }, "loaded");
  EXPECT_TRUE(lifecycle().unload("a"));
  EXPECT_EQ(run_of("a").state, RunState::kStopping);
  Outcome next;
  ask(next, "a");
  wait_for([&] { return loads("a") == 2; }, "loads again");
  EXPECT_FALSE(under_way.has_ended());
  machine_.open_gate("a");
  EXPECT_EQ(under_way.error(), "");
  EXPECT_EQ(next.error(), "");
  wait_for([&] { return lifecycle().runs().size() == 1; }, "the old one goes");
  wait_until_told("run_stopped asked a", 1);
}

TEST_F(LifecycleTest, UnloadOfWhatIsLoadingServesThoseWhoWait) {
  add_model("a").waits_to_load = true;
  Outcome waits;
  ask(waits, "a");
  wait_for([&] { return loads("a") == 1; }, "it loads");
  EXPECT_TRUE(lifecycle().unload("a"));
  machine_.open_gate("a");
  EXPECT_EQ(waits.error(), "");
  wait_until_gone("a");

  machine_.change("a", [](Script& script) { script.waits_to_load = true; });
  Outcome load;
  lifecycle().load("a", std::nullopt, load.on_loaded());
  wait_for([&] { return loads("a") == 2; }, "it loads");
  EXPECT_TRUE(lifecycle().unload("a"));
  EXPECT_EQ(load.code(), ErrorCode::kUnavailable);
  wait_until_gone("a");
  EXPECT_EQ(machine_.cancelled_loads, 1);
}

TEST_F(LifecycleTest, CancelledWhileLoadingItEndsAtOnceAndTheLoadWithTheLast) {
  add_model("a").waits_to_load = true;
  Outcome first;
  Outcome second;
  const Canceller cancel_first = ask(first, "a");
  const Canceller cancel_second = ask(second, "a");
  wait_for([&] { return loads("a") == 1; }, "it loads");
  cancel_first();
  EXPECT_TRUE(first.has_ended());
  EXPECT_EQ(first.error(), "");
  EXPECT_EQ(first.result().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(run_of("a").state, RunState::kStarting);
  cancel_second();
  cancel_second();
  EXPECT_TRUE(second.has_ended());
  wait_until_gone("a");
  EXPECT_EQ(machine_.cancelled_loads, 1);
  wait_until_told("run_stopped unwanted a", 1);
  machine_.open_gate("a");
  EXPECT_EQ(ask_now("a"), "");
}

TEST_F(LifecycleTest, ALoadThatWasAskedForGoesOnAlone) {
  add_model("a").waits_to_load = true;
  Outcome load;
  Outcome answer;
  const Canceller cancel_load = lifecycle().load("a", std::nullopt, load.on_loaded());
  const Canceller cancel_answer = ask(answer, "a");
  cancel_answer();
  cancel_load();
  EXPECT_EQ(load.code(), ErrorCode::kCancelled);
  machine_.open_gate("a");
  wait_for([&] { return running() == Lines({"a"}); }, "loaded");
  clock_.advance(minutes(5));
  wait_until_gone("a");
}

TEST_F(LifecycleTest, CancelledUnderWayItEnds) {
  add_model("a").waits_to_answer = true;
  Outcome outcome;
  const Canceller cancel = ask(outcome, "a");
  wait_for([&] { return run_of("a").state == RunState::kRunning; }, "loaded");
  cancel();
  EXPECT_EQ(outcome.error(), "");
  EXPECT_EQ(outcome.result().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(run_of("a").answers, 0u);
  lifecycle_.reset();
  cancel();  // of what is gone
  EXPECT_EQ(outcome.ends(), 1);
}

TEST_F(LifecycleTest, AFailedLoadFailsAllWhoWaitAndIsTriedAgainForTheNext) {
  Script& script = add_model("a");
  script.waits_to_load = true;
  script.load_error = Error(ErrorCode::kCorrupt, "the file is broken");
  std::vector<Outcome> outcomes(5);
  for (Outcome& outcome : outcomes) ask(outcome, "a");
  machine_.open_gate("a");
  for (Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.code(), ErrorCode::kCorrupt);
    EXPECT_EQ(outcome.error(), "the file is broken");
  }
  wait_for([&] { return run_of("a").state == RunState::kError; }, "failed");
  EXPECT_EQ(loads("a"), 1);
  EXPECT_NE(run_of("a").error.find("broken"), std::string::npos);
  EXPECT_EQ(run_of("a").planned_bytes, 0u);
  machine_.change("a", [](Script& changed) { changed.load_error.reset(); });
  EXPECT_EQ(ask_now("a"), "");
  EXPECT_EQ(run_of("a").restarts, 1u);
  EXPECT_EQ(lifecycle().runs().size(), 1u);
  wait_until_told("run_stopped load_failed a", 1);
}

TEST_F(LifecycleTest, ALostModelIsTriedAgainLaterAndLater) {
  add_model("a").waits_to_answer = true;
  Outcome under_way;
  ask(under_way, "a");
  wait_for([&] { return run_of("a").state == RunState::kRunning; }, "loaded");
  const std::string id = run_of("a").id;
  machine_.crash("a", "killed by signal 9");
  EXPECT_EQ(under_way.code(), ErrorCode::kUnavailable);
  EXPECT_EQ(under_way.error(), "killed by signal 9");
  machine_.open_gate("a");
  EXPECT_EQ(ask_now("a"), "");  // the next request is served
  EXPECT_EQ(run_of("a").id, id);
  machine_.crash("a", "killed by signal 9");
  for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60}) {
    wait_for([&] { return run_of("a").state == RunState::kError; }, "lost");
    EXPECT_NE(run_of("a").error.find("signal 9"), std::string::npos);
    clock_.advance(Seconds(wait) - milliseconds(1));
    Outcome early;
    ask(early, "a");
    EXPECT_EQ(early.code(), ErrorCode::kUnavailable);
    EXPECT_NE(early.error().find("signal 9"), std::string::npos);
    clock_.advance(milliseconds(1));
    EXPECT_EQ(ask_now("a"), "");
    EXPECT_EQ(run_of("a").id, id);
    machine_.crash("a", "killed by signal 9");
  }
  wait_for([&] { return run_of("a").state == RunState::kError; }, "lost");
  EXPECT_EQ(run_of("a").restarts, 9u);
  wait_until_told("run_crashed a", 10);
  wait_until_told("run_stopped crashed a", 10);
  // A minute of health makes it good.
  clock_.advance(minutes(1));
  EXPECT_EQ(ask_now("a"), "");
  clock_.advance(minutes(1));
  machine_.crash("a", "killed by signal 9");
  wait_for([&] { return run_of("a").state == RunState::kError; }, "lost");
  EXPECT_EQ(ask_now("a"), "");
}

TEST_F(LifecycleTest, WhatWasLostAndIsNotAskedForIsForgottenButForItsLog) {
  add_model("a");
  EXPECT_EQ(ask_now("a"), "");
  const std::string id = run_of("a").id;
  machine_.crash("a", "killed");
  wait_for([&] { return run_of("a").state == RunState::kError; }, "lost");
  clock_.advance(minutes(10));
  wait_until_gone("a");
  const Lines log = lifecycle().run_log(id, 100);
  EXPECT_NE(std::find(log.begin(), log.end(), "loading a"), log.end());
  EXPECT_EQ(lifecycle().run_log(id, 1).size(), 1u);
}

TEST_F(LifecycleTest, ALoadWithoutProgressIsGivenUp) {
  add_model("a").waits_to_load = true;
  Outcome outcome;
  ask(outcome, "a");
  wait_for([&] { return loads("a") == 1; }, "it loads");
  clock_.advance(minutes(4));
  wait_for([&] { return run_of("a").state == RunState::kStarting; }, "it goes on");
  clock_.advance(minutes(1));
  EXPECT_EQ(outcome.code(), ErrorCode::kUnavailable);
  EXPECT_NE(outcome.error().find("300 s"), std::string::npos) << outcome.error();
  wait_until_gone("a");
}

TEST_F(LifecycleTest, OnlySoManyWait) {
  options_.max_waiting = 3;
  add_model("a").waits_to_load = true;
  std::vector<Outcome> outcomes(4);
  for (Outcome& outcome : outcomes) ask(outcome, "a");
  EXPECT_TRUE(outcomes[3].has_ended());
  EXPECT_EQ(outcomes[3].code(), ErrorCode::kUnavailable);
  machine_.open_gate("a");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcomes[i].error(), "");
  EXPECT_EQ(ask_now("a"), "");
}

TEST_F(LifecycleTest, AModelStaysWhileItIsUsed) {
  add_model("a");
  std::atomic<bool> may_go = false;
  std::atomic<bool> is_inside = false;
  size_t tokens = 0;
  std::thread user([&] {
    lifecycle().load("a", std::nullopt, nullptr);
    wait_for([&] { return running() == Lines({"a"}); }, "loaded");
    lifecycle().with_model("a", [&](const Error* error, Model* model) {
      ASSERT_EQ(error, nullptr);
      is_inside = true;
      while (!may_go) std::this_thread::yield();
      tokens = model->tokenize("four", {}).size();
    });
  });
  wait_for([&] { return is_inside.load(); }, "used");
  EXPECT_TRUE(lifecycle().unload("a"));
  EXPECT_EQ(run_of("a").state, RunState::kStopping);
  may_go = true;
  user.join();
  EXPECT_EQ(tokens, 4u);
  wait_until_gone("a");
  bool has_failed = false;
  lifecycle().with_model("nothing", [&](const Error* error, Model* model) {
    has_failed = error && error->code() == ErrorCode::kNotFound && !model;
  });
  EXPECT_TRUE(has_failed);
}

TEST_F(LifecycleTest, ShutdownLetsAnswersEndAndRefusesNewOnes) {
  add_model("a").waits_to_answer = true;
  add_model("b").waits_to_load = true;
  Outcome under_way;
  Outcome waits;
  ask(under_way, "a");
  wait_for([&] { return run_of("a").state == RunState::kRunning; }, "loaded");
  ask(waits, "b");
  std::thread stopper([&] { lifecycle().shutdown(Seconds(10)); });
  EXPECT_EQ(waits.code(), ErrorCode::kUnavailable);
  Outcome late;
  ask(late, "a");
  EXPECT_EQ(late.code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(under_way.has_ended());
  machine_.open_gate("a");
  EXPECT_EQ(under_way.text(), "hello world");
  stopper.join();
  EXPECT_TRUE(lifecycle().runs().empty());
  wait_until_told("run_stopped shutdown a", 1);
}

TEST_F(LifecycleTest, ShutdownCancelsWhatTakesTooLong) {
  add_model("a").waits_to_answer = true;
  Outcome outcome;
  ask(outcome, "a");
  wait_for([&] { return run_of("a").state == RunState::kRunning; }, "loaded");
  std::thread stopper([&] { lifecycle().shutdown(Seconds(10)); });
  std::deque<Outcome> late;
  do {
    ask(late.emplace_back(), "a");
  } while (!late.back().has_ended());
  EXPECT_EQ(late.back().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(outcome.has_ended());
  while (!outcome.has_ended()) {
    clock_.advance(Seconds(10));
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(outcome.result().finish_reason, FinishReason::kCancelled);
  stopper.join();
  for (Outcome& one : late) EXPECT_EQ(one.ends(), 1);
}

TEST_F(LifecycleTest, EachModelHasAFileForItsPrompts) {
  const auto file_of = [&](const std::string& model) {
    EXPECT_EQ(ask_now(model), "");
    return run_of(model).facts->prefix_storage;
  };
  add_model("none");
  EXPECT_EQ(file_of("none"), "");
  lifecycle_.reset();
  options_.prefix_bytes = 100 * kMiB;
  options_.prefix_folder = folder_ / "prefixes";
  add_model("a");
  add_model("other", "a");  // the same weights: the same run
  add_model("b");
  const std::string a = file_of("a");
  EXPECT_TRUE(a.starts_with(options_.prefix_folder + "/")) << a;
  EXPECT_NE(file_of("b"), a);
  EXPECT_EQ(ask_now("other"), "");
  EXPECT_EQ(lifecycle().runs().size(), 2u);
  // A folder that cannot be made costs the storage and nothing else.
  lifecycle_.reset();
  options_.prefix_folder = "/proc/nothing/prefixes";
  EXPECT_EQ(file_of("a"), "");
}

TEST_F(LifecycleTest, OptionsThatMakeNoSenseAreRefused) {
  options_.kv_type = "f17";
  EXPECT_THROW(lifecycle(), Error);
  options_.kv_type = "f16";
  options_.max_sequences = 0;
  EXPECT_THROW(lifecycle(), Error);
}

TEST(ServiceEventsTest, ObserversHearUntilTheyEnd) {
  ServiceEvents events;
  int heard = 0;
  auto first = events.observe([&](const ServiceEvent&) { heard += 1; });
  {
    auto second = events.observe([&](const ServiceEvent&) { heard += 10; });
    events.emit({});
  }
  events.emit({});
  EXPECT_EQ(heard, 12);
  first = {};
  events.emit({});
  EXPECT_EQ(heard, 12);
}

}  // namespace
}  // namespace omg::testing
