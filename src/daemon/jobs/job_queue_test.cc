// SPDX-License-Identifier: Apache-2.0
//
// Jobs whose work is a function of the test's.
#include "daemon/jobs/job_queue.h"

#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <random>
#include <thread>

#include "base/error.h"
#include "store/store_test_support.h"

namespace omg {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{20};

/// A door that jobs wait at.
class Gate {
 public:
  void open() {
    const std::lock_guard guard(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  /// Until it is open, or the job is cancelled.
  void pass(JobReport& report) {
    std::unique_lock lock(mutex_);
    while (!is_open_) {
      report.cancellation().throw_if_cancelled();
      changed_.wait_for(lock, milliseconds(2));
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
};

/// What a subscription has told.
class Told {
 public:
  JobService::OnUpdate on_update() {
    return [this](const JobInfo& job) {
      const std::lock_guard guard(mutex_);
      jobs_.push_back(job);
      changed_.notify_all();
    };
  }
  bool wait_for(const std::function<bool(const std::vector<JobInfo>&)>& wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return wanted(jobs_); });
  }
  bool wait_for_end() {
    return wait_for([](const auto& jobs) {
      return !jobs.empty() && jobs.back().state != JobState::kQueued &&
             jobs.back().state != JobState::kRunning;
    });
  }
  std::vector<JobInfo> jobs() {
    const std::lock_guard guard(mutex_);
    return jobs_;
  }
  /// States and phases, without repetitions: "queued running/a done/a".
  std::string story() {
    std::string text, last;
    for (const JobInfo& job : jobs()) {
      std::string now(job_state_name(job.state));
      if (!job.phase.empty()) now += "/" + job.phase;
      if (now != last) text += (text.empty() ? "" : " ") + now;
      last = now;
    }
    return text;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<JobInfo> jobs_;
};

class JobQueueTest : public testing::StoreFixture {
 protected:
  using Work = std::function<void(const PullCall&, JobReport&)>;

  /// Pulls whose work is `work`.
  std::unique_ptr<JobQueue> make(Work work, JobQueueOptions options = {}) {
    if (!options.now) options.now = [this] { return clock.load(); };
    JobMakers makers;
    makers.pull = [work](const PullCall& call) {
      if (call.model.empty()) throw Error(ErrorCode::kInvalidArgument, "invalid model name");
      return JobTask{"pull", call.model, call.model,
                     [work, call](JobReport& report) { work(call, report); }};
    };
    makers.push = [](const std::string& model, bool) {
      return JobTask{"push", model, "", [](JobReport&) {}};
    };
    makers.create = [](const CreateCall& call) {
      return JobTask{"create", call.name, "", [](JobReport&) {}};
    };
    return std::make_unique<JobQueue>(store_, std::move(makers), std::move(options));
  }
  static JobInfo pull(JobQueue& queue, const std::string& model,
                      std::unique_ptr<JobService::Hold>* hold = nullptr) {
    PullCall call;
    call.model = model;
    return queue.start_pull(call, hold);
  }
  static JobInfo wait_for_end(JobQueue& queue, const std::string& id) {
    Told told;
    const auto watch = queue.watch(id, told.on_update());
    EXPECT_TRUE(told.wait_for_end());
    return queue.job(id);
  }
  static bool wait_until(const std::function<bool()>& wanted) {
    const auto end = steady_clock::now() + kPatience;
    while (!wanted() && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(1));
    return wanted();
  }

  Store store_ = open();
};

TEST_F(JobQueueTest, TellsStatesPhasesAndTheEnd) {
  Gate gate;
  const auto queue = make([&](const PullCall&, JobReport& report) {
    gate.pass(report);
    report.set_phase("one");
    report.set_files({{"a.gguf", "sha256:00", 100, 50}}, 50, 100);
    report.set_phase("two");
    report.warn("something else was done");
    report.set_files({{"a.gguf", "sha256:00", 100, 100}}, 100, 100);
  });
  const JobInfo begun = pull(*queue, "m");
  EXPECT_EQ(begun.kind, "pull");
  EXPECT_EQ(begun.subject, "m");
  EXPECT_EQ(begun.created_at, clock);
  EXPECT_TRUE(begun.id.starts_with("job-"));
  Told one, two;
  const auto watch_one = queue->watch(begun.id, one.on_update());
  const auto watch_two = queue->watch(begun.id, two.on_update());
  ASSERT_TRUE(one.wait_for(
      [](const auto& jobs) { return !jobs.empty() && jobs.back().state == JobState::kRunning; }));
  gate.open();
  ASSERT_TRUE(one.wait_for_end());
  ASSERT_TRUE(two.wait_for_end());
  EXPECT_TRUE(one.story().ends_with("running running/one running/two done/two")) << one.story();
  EXPECT_TRUE(two.story().ends_with("running/one running/two done/two")) << two.story();
  const JobInfo last = one.jobs().back();
  EXPECT_EQ(last.completed, 100u);
  EXPECT_EQ(last.total, 100u);
  ASSERT_EQ(last.files.size(), 1u);
  EXPECT_EQ(last.files[0].completed, 100u);
  EXPECT_EQ(last.warnings, std::vector<std::string>{"something else was done"});
  EXPECT_EQ(last.bytes_per_second, 0);
  // Of one that has ended the end alone is told.
  Told late;
  const auto watch_late = queue->watch(begun.id, late.on_update());
  ASSERT_TRUE(late.wait_for_end());
  EXPECT_EQ(late.story(), "done/two");
}

TEST_F(JobQueueTest, RunsFewAtOnceInTheOrderOfTheirCalls) {
  std::mutex mutex;
  std::vector<std::string> order;
  std::atomic<int> running = 0, most = 0;
  Gate gate;
  JobQueueOptions options;
  options.most_at_once = 2;
  options.most_waiting = 4;
  const auto queue = make(
      [&](const PullCall& call, JobReport& report) {
        {
          const std::lock_guard guard(mutex);
          order.push_back(call.model);
        }
        const int now = ++running;
        int before = most;
        while (now > before && !most.compare_exchange_weak(before, now)) {
        }
        gate.pass(report);
        --running;
      },
      options);
  std::vector<std::string> ids;
  for (const char* model : {"a", "b"}) ids.push_back(pull(*queue, model).id);
  ASSERT_TRUE(wait_until([&] { return running == 2; }));
  for (const char* model : {"c", "d", "e", "f"}) ids.push_back(pull(*queue, model).id);
  EXPECT_EQ(code_of([&] { pull(*queue, "g"); }), ErrorCode::kUnavailable);
  EXPECT_EQ(queue->job(ids[2]).state, JobState::kQueued);
  EXPECT_EQ(queue->jobs().front().subject, "f");  // newest first
  gate.open();
  for (const std::string& id : ids) EXPECT_EQ(wait_for_end(*queue, id).state, JobState::kDone);
  EXPECT_EQ(most, 2);
  std::sort(order.begin(), order.begin() + 2);  // the first two began side by side
  std::sort(order.begin() + 2, order.end());
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "c", "d", "e", "f"}));
}

TEST_F(JobQueueTest, OneQueueIsFirstInFirstOut) {
  std::mutex mutex;
  std::string order;
  Gate gate;
  JobQueueOptions options;
  options.most_at_once = 1;
  const auto queue = make(
      [&](const PullCall& call, JobReport& report) {
        gate.pass(report);
        const std::lock_guard guard(mutex);
        order += call.model;
      },
      options);
  std::string last;
  for (const char* model : {"a", "b", "c", "d", "e"}) last = pull(*queue, model).id;
  gate.open();
  wait_for_end(*queue, last);
  EXPECT_EQ(order, "abcde");
}

TEST_F(JobQueueTest, TheSamePullIsOneJob) {
  Gate gate;
  std::atomic<int> runs = 0;
  const auto queue = make([&](const PullCall&, JobReport& report) {
    ++runs;
    gate.pass(report);
  });
  const std::string id = pull(*queue, "m").id;
  EXPECT_EQ(pull(*queue, "m").id, id);
  EXPECT_NE(pull(*queue, "other").id, id);
  ASSERT_TRUE(wait_until([&] { return runs == 2; }));
  EXPECT_EQ(pull(*queue, "m").id, id);
  // One that ends because it was cancelled is none to join.
  queue->cancel(id);
  const std::string again = pull(*queue, "m").id;
  EXPECT_NE(again, id);
  gate.open();
  wait_for_end(*queue, again);
  EXPECT_NE(pull(*queue, "m").id, again);  // it had ended
  EXPECT_EQ(code_of([&] { pull(*queue, ""); }), ErrorCode::kInvalidArgument);
}

TEST_F(JobQueueTest, EndsWithTheLastWhoHoldsIt) {
  using Hold = std::unique_ptr<JobService::Hold>;
  Gate gate;
  JobQueueOptions options;
  options.most_at_once = 1;
  const auto queue = make([&](const PullCall&, JobReport& report) { gate.pass(report); }, options);
  Hold first, second, waiting;
  const std::string id = pull(*queue, "m", &first).id;
  EXPECT_EQ(pull(*queue, "m", &second).id, id);
  const std::string other = pull(*queue, "other", &waiting).id;
  ASSERT_TRUE(wait_until([&] { return queue->job(id).state == JobState::kRunning; }));
  waiting.reset();
  EXPECT_EQ(queue->job(other).state, JobState::kCancelled);
  first.reset();
  EXPECT_EQ(pull(*queue, "m", &first).id, id) << "the second still holds it";
  second.reset();
  first.reset();
  EXPECT_EQ(wait_for_end(*queue, id).state, JobState::kCancelled);

  // Somebody who does not hold it wants it to its end, whether he came before or after.
  for (const bool came_before : {true, false}) {
    if (came_before) pull(*queue, "wanted");
    const std::string wanted = pull(*queue, "wanted", &first).id;
    if (!came_before) EXPECT_EQ(pull(*queue, "wanted").id, wanted);
    first.reset();
    EXPECT_EQ(pull(*queue, "wanted").id, wanted);
    queue->cancel(wanted);
    wait_for_end(*queue, wanted);
  }
  // What has ended cannot end again; a hold may be given up after the queue is gone.
  gate.open();
  const std::string done = pull(*queue, "done", &first).id;
  EXPECT_EQ(wait_for_end(*queue, done).state, JobState::kDone);
  first.reset();
  EXPECT_EQ(queue->job(done).state, JobState::kDone);
  pull(*queue, "late", &first);
}

TEST_F(JobQueueTest, WhoJoinsWhileAnotherLeavesIsNotLeftWithAnEndedJob) {
  const auto queue = make([&](const PullCall&, JobReport& report) {
    while (!report.cancellation().is_cancelled()) std::this_thread::yield();
    report.cancellation().throw_if_cancelled();
  });
  std::atomic<int> cancelled = 0;
  const auto come_and_go = [&] {
    for (int i = 0; i < 200; ++i) {
      std::unique_ptr<JobService::Hold> hold;
      const std::string id = pull(*queue, "m", &hold).id;
      for (int look = 0; look < 3; ++look) {
        cancelled += queue->job(id).state == JobState::kCancelled ? 1 : 0;
      }
    }
  };
  std::thread one(come_and_go), two(come_and_go);
  one.join();
  two.join();
  EXPECT_EQ(cancelled, 0) << "of jobs that somebody held";
}

TEST_F(JobQueueTest, CancelsAtAnyTime) {
  Gate gate;
  JobQueueOptions options;
  options.most_at_once = 1;
  const auto queue = make([&](const PullCall&, JobReport& report) { gate.pass(report); }, options);
  const std::string running = pull(*queue, "a").id;
  const std::string waiting = pull(*queue, "b").id;
  ASSERT_TRUE(wait_until([&] { return queue->job(running).state == JobState::kRunning; }));
  queue->cancel(waiting);
  EXPECT_EQ(queue->job(waiting).state, JobState::kCancelled);  // at once
  queue->cancel(running);
  EXPECT_EQ(wait_for_end(*queue, running).state, JobState::kCancelled);
  EXPECT_FALSE(queue->job(running).error);
  queue->cancel(running);  // no error for one that has ended
  EXPECT_EQ(code_of([&] { queue->cancel("job-none"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { queue->job("job-none"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { queue->watch("job-none", [](const JobInfo&) {}); }),
            ErrorCode::kNotFound);
}

TEST_F(JobQueueTest, WhatFailsSaysWhy) {
  const auto queue = make([&](const PullCall& call, JobReport&) {
    if (call.model == "error") throw Error(ErrorCode::kNotFound, "there is no such model");
    if (call.model == "memory") throw std::bad_alloc();
    if (call.model == "bug") throw std::out_of_range("index");
    if (call.model == "odd") throw Error(ErrorCode::kCancelled, "somebody else's cancellation");
  });
  const auto ends = [&](const std::string& model) {
    return wait_for_end(*queue, pull(*queue, model).id);
  };
  const std::vector<std::tuple<std::string, ErrorCode, std::string>> cases = {
      {"error", ErrorCode::kNotFound, "there is no such model"},
      {"memory", ErrorCode::kOutOfMemory, "out of memory; close other programs and try again"},
      {"bug", ErrorCode::kInternal, "a bug: index"},
      {"odd", ErrorCode::kCancelled, "somebody else's cancellation"}};
  for (const auto& [model, code, message] : cases) {
    const JobInfo job = ends(model);
    EXPECT_EQ(job.state, JobState::kFailed);
    ASSERT_TRUE(job.error);
    EXPECT_EQ(job.error->code(), code);
    EXPECT_EQ(std::string(job.error->what()), message);
  }
  EXPECT_EQ(ends("well").state, JobState::kDone);
}

TEST_F(JobQueueTest, TellsProgressTenTimesASecond) {
  const auto queue = make([&](const PullCall&, JobReport& report) {
    const auto begin = steady_clock::now();
    for (uint64_t done = 0; steady_clock::now() - begin < milliseconds(450); ++done) {
      report.set_files({{"a", "", 1u << 30, done}}, done, 1u << 30);
      if (done % 64 == 0) std::this_thread::sleep_for(milliseconds(1));
    }
  });
  Told told;
  const auto begin = steady_clock::now();
  const auto watch = queue->watch(pull(*queue, "m").id, told.on_update());
  ASSERT_TRUE(told.wait_for_end());
  const auto took = steady_clock::now() - begin;
  const std::vector<JobInfo> jobs = told.jobs();
  const size_t most = static_cast<size_t>(took / milliseconds(100)) + 4;  // and the states
  EXPECT_LE(jobs.size(), most);
  EXPECT_GE(jobs.size(), 4u);
  EXPECT_GT(jobs[jobs.size() - 2].bytes_per_second, 0);
  for (size_t i = 1; i < jobs.size(); ++i) EXPECT_GE(jobs[i].completed, jobs[i - 1].completed);
}

TEST_F(JobQueueTest, SubscriptionsEndInsideTheirCallbacks) {
  Gate gate;
  const auto queue = make([&](const PullCall&, JobReport& report) {
    gate.pass(report);
    for (int i = 0; i < 20; ++i) report.set_phase(std::to_string(i));
  });
  const std::string id = pull(*queue, "m").id;
  // What the function holds goes with it, on the queue's own thread, and ends another there.
  struct Held {
    std::unique_ptr<JobService::Subscription> other;
    std::atomic<bool>* is_gone;
    ~Held() { *is_gone = true; }
  };
  std::atomic<bool> is_gone = false;
  std::atomic<int> calls = 0;
  std::mutex mutex;
  std::unique_ptr<JobService::Subscription> own;
  {
    auto held = std::make_shared<Held>();
    held->is_gone = &is_gone;
    held->other = queue->watch(id, [](const JobInfo&) {});
    const std::lock_guard guard(mutex);
    own = queue->watch(id, [&, held](const JobInfo& job) {
      const std::lock_guard inner(mutex);
      ++calls;
      EXPECT_EQ(queue->job(job.id).id, job.id);  // the queue may be asked
      own.reset();
    });
  }
  Told told;
  const auto watch = queue->watch(id, told.on_update());
  gate.open();
  ASSERT_TRUE(told.wait_for_end());
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(is_gone);
}

TEST_F(JobQueueTest, NothingIsCalledAfterTheEndOfASubscription) {
  std::atomic<bool> stop = false;
  const auto queue = make([&](const PullCall&, JobReport& report) {
    for (int i = 0; !stop; ++i) {
      report.set_phase(std::to_string(i));
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  const std::string id = pull(*queue, "m").id;
  for (int round = 0; round < 20; ++round) {
    const auto alive = std::make_unique<std::atomic<int>>(0);
    auto watch = queue->watch(id, [counter = alive.get()](const JobInfo&) {
      ++*counter;
      std::this_thread::sleep_for(milliseconds(1));
    });
    if (round % 2 == 0) {
      EXPECT_TRUE(wait_until([&] { return *alive > 0; }));
    }
    watch.reset();
    const int calls = *alive;
    std::this_thread::sleep_for(milliseconds(2));
    EXPECT_EQ(*alive, calls);
  }
  stop = true;
  wait_for_end(*queue, id);
}

TEST_F(JobQueueTest, AWatcherThatThrowsHarmsNobody) {
  Gate gate;
  const auto queue = make([&](const PullCall&, JobReport& report) { gate.pass(report); });
  const std::string id = pull(*queue, "m").id;
  const auto bad = queue->watch(id, [](const JobInfo&) { throw std::runtime_error("x"); });
  Told told;
  const auto watch = queue->watch(id, told.on_update());
  gate.open();
  EXPECT_TRUE(told.wait_for_end());
}

TEST_F(JobQueueTest, WatchesAllJobsAlsoThoseToCome) {
  Gate gate;
  const auto queue = make([&](const PullCall&, JobReport& report) { gate.pass(report); });
  wait_for_end(*queue, queue->start_push("gone", false).id);
  const std::string first = pull(*queue, "first").id;
  Told told;
  const auto watch = queue->watch_all(told.on_update());
  const std::string second = queue
                                 ->start_create([] {
                                   CreateCall call;
                                   call.name = "second";
                                   return call;
                                 }())
                                 .id;
  gate.open();
  EXPECT_TRUE(told.wait_for([&](const std::vector<JobInfo>& jobs) {
    size_t ended = 0;
    for (const JobInfo& job : jobs) {
      EXPECT_NE(job.subject, "gone");
      ended += job.state == JobState::kDone ? 1 : 0;
    }
    return ended == 2;
  }));
  EXPECT_EQ(told.jobs().front().id, first);
}

TEST_F(JobQueueTest, EndsWithWhatRunsAndSaysSo) {
  Told running_told, waiting_told;
  JobQueueOptions options;
  options.most_at_once = 1;
  Gate never;
  auto queue = make([&](const PullCall&, JobReport& report) { never.pass(report); }, options);
  const std::string running = pull(*queue, "a").id;
  const std::string waiting = pull(*queue, "b").id;
  auto watch_running = queue->watch(running, running_told.on_update());
  auto watch_waiting = queue->watch(waiting, waiting_told.on_update());
  ASSERT_TRUE(wait_until([&] { return queue->job(running).state == JobState::kRunning; }));
  queue.reset();
  for (Told* told : {&running_told, &waiting_told}) {
    const JobInfo last = told->jobs().back();
    EXPECT_EQ(last.state, JobState::kFailed);
    ASSERT_TRUE(last.error);
    EXPECT_TRUE(std::string(last.error->what()).starts_with("interrupted: the daemon ended"));
  }
  watch_running.reset();  // may outlive the queue
  watch_waiting.reset();
  const auto again = make([](const PullCall&, JobReport&) {});
  ASSERT_EQ(again->jobs().size(), 2u);
  EXPECT_EQ(again->job(running).state, JobState::kFailed);
}

TEST_F(JobQueueTest, RemembersWhatEndedOverRestarts) {
  JobQueueOptions options;
  options.most_ended = 3;
  std::string failed;
  {
    const auto queue = make(
        [](const PullCall& call, JobReport& report) {
          report.set_phase("at work");
          report.set_files({{"a.gguf", "sha256:11", 10, 4}}, 4, 10);
          report.warn("a warning");
          if (call.model == "bad") throw Error(ErrorCode::kCorrupt, "the bytes are wrong");
        },
        options);
    for (const char* model : {"one", "two", "three"}) {
      wait_for_end(*queue, pull(*queue, model).id);
      ++clock;
    }
    failed = pull(*queue, "bad").id;
    wait_for_end(*queue, failed);
    EXPECT_EQ(queue->jobs().size(), 3u);
  }
  EXPECT_EQ(store_.jobs().size(), 3u);
  // As a daemon that was killed leaves it, and what others keep there.
  store_.put_job(
      {"job-killed", "pull", "llama", "running", "{\"phase\":\"transferring\"}", clock + 1, 0});
  store_.put_job({"job-odd", "push", "x", "a state", "no JSON", clock - 100, 0});
  store_.put_job({"other", "import", "x", "running", "{}", clock, 0});
  options.most_ended = 100;
  const auto queue = make([](const PullCall&, JobReport&) {}, options);
  const std::vector<JobInfo> jobs = queue->jobs();
  ASSERT_EQ(jobs.size(), 5u);
  EXPECT_EQ(jobs[0].id, "job-killed");
  EXPECT_EQ(jobs[0].state, JobState::kFailed);
  EXPECT_EQ(jobs[0].phase, "transferring");
  EXPECT_EQ(std::string(jobs[0].error->what()),
            "interrupted: the daemon ended; start it again, what has arrived is kept");
  const JobInfo bad = queue->job(failed);
  EXPECT_EQ(bad.error->code(), ErrorCode::kCorrupt);
  EXPECT_EQ(std::string(bad.error->what()), "the bytes are wrong");
  EXPECT_EQ(bad.files.at(0).completed, 4u);
  EXPECT_EQ(bad.warnings, std::vector<std::string>{"a warning"});
  EXPECT_EQ(queue->job("job-odd").state, JobState::kFailed);
  EXPECT_EQ(code_of([&] { queue->job("other"); }), ErrorCode::kNotFound);
}

TEST_F(JobQueueTest, SurvivesEverythingAtOnce) {
  std::atomic<bool> stop = false;
  JobQueueOptions options;
  options.interval = milliseconds(1);
  options.most_ended = 5;
  auto queue = make(
      [&](const PullCall& call, JobReport& report) {
        for (uint64_t i = 0; i < 50 && !stop; ++i) {
          report.cancellation().throw_if_cancelled();
          report.set_files({{call.model, "", 50, i}}, i, 50);
          if (i % 16 == 0) report.set_phase(std::to_string(i));
        }
        if (call.model == "3") throw Error(ErrorCode::kIo, "the disk");
      },
      options);
  std::atomic<int> told = 0;
  const auto all = queue->watch_all([&](const JobInfo&) { ++told; });
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 3; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      std::vector<std::unique_ptr<JobService::Subscription>> watches;
      for (int i = 0; i < 120; ++i) {
        try {
          const std::string id = pull(*queue, std::to_string(random() % 8)).id;
          watches.push_back(queue->watch(id, [&](const JobInfo& job) {
            ++told;
            if (told % 7 == 0) queue->cancel(job.id);
          }));
          if (random() % 3 == 0) queue->cancel(id);
          if (watches.size() > 4) watches.erase(watches.begin() + random() % 4);
          queue->jobs();
        } catch (const Error& error) {  // forgotten, or cancelled after it was
          EXPECT_EQ(error.code(), ErrorCode::kNotFound);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Who watches is told how things stand, maybe after the threads have ended.
  const auto patience = steady_clock::now() + kPatience;
  while (told == 0 && steady_clock::now() < patience) std::this_thread::yield();
  EXPECT_GT(told, 0);
  stop = true;
  queue.reset();
}

}  // namespace
}  // namespace omg
