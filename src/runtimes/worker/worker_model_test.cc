// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_model.h"

#include <condition_variable>
#include <csignal>
#include <fstream>
#include <future>
#include <gtest/gtest.h>
#include <mutex>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/error.h"
#include "runtimes/worker/wire.h"
#include "runtimes/worker/worker_process.h"

namespace omg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

WorkerOptions fake(const std::string& path) {
  WorkerOptions options;
  options.load.path = path;
  return options;
}

AnswerRequest ask(const std::string& text) {
  AnswerRequest request;
  request.prompt = TextPrompt{text};
  return request;
}

/// An answer as it comes.
class Heard {
 public:
  AnswerSink sink() {
    AnswerSink sink;
    sink.on_piece = [this](AnswerPiece&& piece) {
      const std::lock_guard lock(mutex_);
      EXPECT_FALSE(has_ended_);
      text_ += piece.text;
      pieces_.push_back(std::move(piece));
      changed_.notify_all();
    };
    sink.on_end = [this](const Error* error, const AnswerResult& result) {
      const std::lock_guard lock(mutex_);
      EXPECT_FALSE(has_ended_) << "ended twice";
      has_ended_ = true;
      // A copy would share its text with the other thread's.
      if (error != nullptr) error_.emplace(error->code(), std::string(error->what()));
      result_ = result;
      changed_.notify_all();
    };
    return sink;
  }
  bool wait_for_pieces(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20),
                             [&] { return has_ended_ || pieces_.size() >= count; });
  }
  bool wait_for_end() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return has_ended_; });
  }
  // When it has ended.
  const std::string& text() const { return text_; }
  const std::optional<Error>& error() const { return error_; }
  const AnswerResult& result() const { return result_; }
  const std::vector<AnswerPiece>& pieces() const { return pieces_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::vector<AnswerPiece> pieces_;
  bool has_ended_ = false;
  std::optional<Error> error_;
  AnswerResult result_;
};

std::string counted(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + " ";
  return text;
}

std::string answer_of(Model& model, const std::string& prompt) {
  Heard heard;
  model.answer(ask(prompt), heard.sink());
  EXPECT_TRUE(heard.wait_for_end());
  EXPECT_FALSE(heard.error()) << heard.error()->what();
  return heard.text();
}

TEST(WorkerModelTest, ServesAsAModelInThisProcessWould) {
  WorkerOptions options = fake("fake:100");
  std::vector<float> shares;
  options.on_progress = [&](float share) { shares.push_back(share); };
  const auto model = start_worker(std::move(options));
  EXPECT_EQ(shares.back(), 1.0F);
  EXPECT_EQ(model->facts().family, "fake");
  EXPECT_EQ(model->facts().name, "\xff any bytes");
  EXPECT_EQ(model->facts().context_length, 4096U);
  EXPECT_GT(model->pid(), 0);
  EXPECT_FALSE(model->sandbox().empty());

  EXPECT_EQ(model->tokenize("ab", {}), (std::vector<int32_t>{1, 'a', 'b'}));
  EXPECT_EQ(model->tokenize("ab", {false, true}), (std::vector<int32_t>{'a', 'b'}));
  EXPECT_EQ(model->tokenize("", {false, true}), std::vector<int32_t>());
  const std::vector<int32_t> tokens = {'h', 255};
  EXPECT_EQ(model->detokenize(tokens), "h\xff");
  ChatPrompt chat;
  chat.messages = {json::object{{"role", "user"}}};
  const RenderedChat rendered = model->render(chat);
  EXPECT_EQ(rendered.prompt, R"([{"role":"user"}])");
  EXPECT_EQ(rendered.warnings, std::vector<std::string>{"a warning"});
  try {
    model->tokenize("throw", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_STREQ(error.what(), "no such text");
  }

  Heard heard;
  AnswerRequest request = ask("count 5");
  request.options.sampling.top_logprobs = 0;
  model->answer(std::move(request), heard.sink());
  ASSERT_TRUE(heard.wait_for_end());
  EXPECT_EQ(heard.text(), counted(5));
  EXPECT_EQ(heard.result().finish_reason, FinishReason::kStop);
  EXPECT_EQ(heard.result().generated_tokens, 5U);
  EXPECT_EQ(heard.pieces()[0].tokens[0].top[0].bytes, "\xf0");
  EXPECT_GE(model->activity().steps, 5U);

  Heard wrong;
  model->answer(ask("nonsense"), wrong.sink());
  ASSERT_TRUE(wrong.wait_for_end());
  ASSERT_TRUE(wrong.error());
  EXPECT_EQ(wrong.error()->code(), ErrorCode::kInvalidArgument);
}

TEST(WorkerModelTest, ManyAnswersAtOnceStayApart) {
  std::vector<Heard> heard(64);
  const auto model = start_worker(fake("fake:100"));
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = caller; i < 64; i += 4) {
        model->answer(ask("count " + std::to_string(i)), heard[static_cast<size_t>(i)].sink());
        if (i % 8 == 0) model->tokenize("between", {});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (int i = 0; i < 64; ++i) {
    Heard& one = heard[static_cast<size_t>(i)];
    ASSERT_TRUE(one.wait_for_end());
    EXPECT_FALSE(one.error());
    EXPECT_EQ(one.text(), counted(i));
  }
  // An answer is told to have ended before it is taken off the list.
  const auto patience = Clock::now() + seconds(30);
  while (model->activity().running > 0 && Clock::now() < patience) std::this_thread::yield();
  EXPECT_EQ(model->activity().running, 0U);
}

TEST(WorkerModelTest, ALargePromptArrives) {
  const auto model = start_worker(fake("fake:0"));
  const std::string text(2 << 20, 'x');
  EXPECT_EQ(model->tokenize(text, {false, true}).size(), text.size());
  EXPECT_EQ(model->tokenize(text, {false, true}).back(), 'x');
}

TEST(WorkerModelTest, CancelsByTheCallAndByTheToken) {
  const auto model = start_worker(fake("fake:1000"));
  Heard by_call;
  const Canceller cancel = model->answer(ask("count 1000000"), by_call.sink());
  Heard by_token;
  AnswerRequest request = ask("busy");
  CancellationToken token = request.options.cancellation;
  model->answer(std::move(request), by_token.sink());
  Heard goes_on;
  model->answer(ask("count 300"), goes_on.sink());
  ASSERT_TRUE(by_call.wait_for_pieces(3));
  const auto start = Clock::now();
  cancel();
  cancel();
  ASSERT_TRUE(by_call.wait_for_end());
  EXPECT_LT(Clock::now() - start, seconds(1));
  EXPECT_FALSE(by_call.error());
  EXPECT_EQ(by_call.result().finish_reason, FinishReason::kCancelled);
  token.cancel();
  ASSERT_TRUE(by_token.wait_for_end());
  EXPECT_LT(Clock::now() - start, seconds(2));
  EXPECT_EQ(by_token.result().finish_reason, FinishReason::kCancelled);
  ASSERT_TRUE(goes_on.wait_for_end());
  EXPECT_EQ(goes_on.text(), counted(300));
  cancel();  // it has ended
}

TEST(WorkerModelTest, StoppingEndsAnswersAsCancelledAndLeavesNoProcess) {
  Heard heard;
  Canceller cancel;
  pid_t pid = 0;
  const auto start = Clock::now();
  {
    WorkerOptions options = fake("fake:1000");
    options.on_exit = [](const WorkerExit&) { ADD_FAILURE() << "it was told to"; };
    const auto model = start_worker(std::move(options));
    pid = model->pid();
    cancel = model->answer(ask("count 1000000"), heard.sink());
    ASSERT_TRUE(heard.wait_for_pieces(3));
  }
  ASSERT_TRUE(heard.wait_for_end());  // already
  EXPECT_LT(Clock::now() - start, seconds(8));
  EXPECT_FALSE(heard.error());
  EXPECT_EQ(heard.result().finish_reason, FinishReason::kCancelled);
  EXPECT_GE(heard.result().generated_tokens, 3U);  // from the worker, which was still polite
  EXPECT_NE(::kill(pid, 0), 0) << "not even a zombie";
  cancel();  // the model is gone
}

TEST(WorkerModelTest, AWorkerThatDoesNotStopIsKilled) {
  WorkerOptions options = fake("hostile:deaf");
  options.stop_grace = milliseconds(100);
  auto model = start_worker(std::move(options));
  const pid_t pid = model->pid();
  // SIGTERM does nothing to a process that is stopped.
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  const auto start = Clock::now();
  model.reset();
  EXPECT_GE(Clock::now() - start, milliseconds(150));
  EXPECT_LT(Clock::now() - start, seconds(5));
  EXPECT_NE(::kill(pid, 0), 0);
}

/// Has 16 answers under way when `prompt` ends the process.
void expect_crash(const std::string& prompt, const std::string& how) {
  SCOPED_TRACE(prompt);
  std::promise<WorkerExit> exited;
  WorkerOptions options = fake("fake:2000");
  options.on_exit = [&](const WorkerExit& exit) { exited.set_value(exit); };
  std::vector<Heard> heard(16);
  Heard last;
  const auto model = start_worker(std::move(options));
  for (Heard& one : heard) model->answer(ask("count 1000000"), one.sink());
  for (Heard& one : heard) ASSERT_TRUE(one.wait_for_pieces(2));
  if (!prompt.empty()) model->answer(ask(prompt), last.sink());
  if (prompt.empty()) ::kill(model->pid(), SIGKILL);
  if (!prompt.empty()) {
    ASSERT_TRUE(last.wait_for_pieces(3));
  }
  const auto start = Clock::now();
  for (Heard& one : heard) {
    ASSERT_TRUE(one.wait_for_end());
    ASSERT_TRUE(one.error());
    EXPECT_EQ(one.error()->code(), ErrorCode::kUnavailable);
    EXPECT_NE(std::string(one.error()->what()).find(how), std::string::npos) << one.error()->what();
    EXPECT_GE(one.result().generated_tokens, 2U);
  }
  EXPECT_LT(Clock::now() - start, seconds(1));
  const WorkerExit exit = exited.get_future().get();
  EXPECT_NE(exit.reason.find(how), std::string::npos) << exit.reason;
  EXPECT_NE(::kill(model->pid(), 0), 0);
  Heard late;
  model->answer(ask("count 1"), late.sink());
  ASSERT_TRUE(late.wait_for_end());
  EXPECT_EQ(late.error()->code(), ErrorCode::kUnavailable);
  EXPECT_THROW(model->tokenize("x", {}), Error);
  EXPECT_THROW(model->activity(), Error);
}

TEST(WorkerModelTest, ACrashFailsItsAnswersWithinASecond) {
  expect_crash("", "signal 9 (Killed)");
  expect_crash("exit 7", "exited with code 7");
  expect_crash("kill", "signal 9");
}

TEST(WorkerModelTest, SoDoesAnAbortOrAWildPointer) {
  expect_crash("abort", "signal 6 (Aborted)");
  expect_crash("segv", "signal 11 (Segmentation fault)");
}

std::optional<Error> error_of_starting(WorkerOptions options) {
  try {
    start_worker(std::move(options));
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "it started";
  return std::nullopt;
}

TEST(WorkerModelTest, WhatLoadingThrowsThereIsThrownHere) {
  const auto refused = error_of_starting(fake("fake:refuses"));
  EXPECT_EQ(refused->code(), ErrorCode::kCorrupt);
  EXPECT_STREQ(refused->what(), "the file is damaged: on purpose");

  const auto died = error_of_starting(fake("fake:dies"));
  EXPECT_EQ(died->code(), ErrorCode::kUnavailable);
  EXPECT_NE(std::string(died->what()).find("signal 9"), std::string::npos) << died->what();
  EXPECT_NE(std::string(died->what()).find("about to die"), std::string::npos) << died->what();

  WorkerOptions missing = fake("fake:0");
  missing.binary = "/nowhere/ohmygpu";
  EXPECT_EQ(error_of_starting(std::move(missing))->code(), ErrorCode::kNotFound);

  WorkerOptions cancelled = fake("fake:endless");
  CancellationToken token = cancelled.cancellation;
  cancelled.on_progress = [&](float share) {
    if (share > 0.05F) token.cancel();
  };
  EXPECT_EQ(error_of_starting(std::move(cancelled))->code(), ErrorCode::kCancelled);
}

TEST(WorkerModelTest, WhatIsNoAnswerEndsTheWorker) {
  for (const std::string how :
       {"magic", "type", "length", "nobody's piece", "nobody's end", "nobody's reply",
        "nobody's failure", "ready twice", "failed when ready", "cut content", "two ends",
        "not UTF-8", "half a frame", "wrong reply"}) {
    SCOPED_TRACE(how);
    std::promise<WorkerExit> exited;
    WorkerOptions options = fake("hostile:" + how);
    options.on_exit = [&](const WorkerExit& exit) { exited.set_value(exit); };
    const auto model = start_worker(std::move(options));
    Heard heard;
    model->answer(ask("anything"), heard.sink());
    if (how == "wrong reply") {
      EXPECT_THROW(model->tokenize("x", {}), Error);
    }
    ASSERT_TRUE(heard.wait_for_end());
    EXPECT_EQ(heard.text(), "first");
    if (how != "two ends") {
      ASSERT_TRUE(heard.error());
      EXPECT_EQ(heard.error()->code(), ErrorCode::kUnavailable);
    }
    const WorkerExit exit = exited.get_future().get();
    const char* reason = how == "half a frame" ? "exited with code 5" : "sent what is no answer";
    EXPECT_NE(exit.reason.find(reason), std::string::npos) << exit.reason;
    EXPECT_NE(::kill(model->pid(), 0), 0);
  }
  EXPECT_EQ(error_of_starting(fake("hostile:noise at load"))->code(), ErrorCode::kUnavailable);
  EXPECT_EQ(error_of_starting(fake("hostile:shut at load"))->code(), ErrorCode::kUnavailable);
}

TEST(WorkerModelTest, AWorkerThatIsDeafIsKilledButNotOneThatIsStopped) {
  std::promise<WorkerExit> exited;
  WorkerOptions options = fake("hostile:deaf");
  options.hang_limit = milliseconds(1500);
  options.on_exit = [&](const WorkerExit& exit) { exited.set_value(exit); };
  const auto model = start_worker(std::move(options));
  ASSERT_EQ(::kill(model->pid(), SIGSTOP), 0);
  auto future = exited.get_future();
  EXPECT_EQ(future.wait_for(milliseconds(2500)), std::future_status::timeout);
  ASSERT_EQ(::kill(model->pid(), SIGCONT), 0);
  ASSERT_EQ(future.wait_for(seconds(10)), std::future_status::ready);
  const WorkerExit exit = future.get();
  EXPECT_NE(exit.reason.find("did not react"), std::string::npos) << exit.reason;
}

size_t resident_mebibytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoul(line.c_str() + 6, nullptr, 10) / 1024;
  }
  return 0;
}

TEST(WorkerModelTest, ADaemonThatDoesNotReadCostsTheWorkerLittleMemory) {
  const auto model = start_worker(fake("fake:0"));
  const size_t before = resident_mebibytes(model->pid());
  std::promise<void> go_on;
  std::shared_future<void> may_go_on = go_on.get_future().share();
  Heard slow;
  AnswerSink sink = slow.sink();
  sink.on_piece = [may_go_on](AnswerPiece&&) { may_go_on.wait(); };
  model->answer(ask("flood 10000"), std::move(sink));  // 625 MiB
  Heard small;
  model->answer(ask("count 5"), small.sink());
  size_t most = 0;
  size_t last = 0;
  // Until it grows no more.
  for (int still = 0; still < 5;) {
    std::this_thread::sleep_for(milliseconds(50));
    const size_t now = resident_mebibytes(model->pid());
    most = std::max(most, now);
    still = now == last ? still + 1 : 0;
    last = now;
  }
  EXPECT_GT(most, before + 8) << "it never had to wait";
  EXPECT_LT(most, before + 200);
  go_on.set_value();
  ASSERT_TRUE(slow.wait_for_end());
  ASSERT_TRUE(slow.error());
  EXPECT_EQ(slow.error()->code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(small.wait_for_end());
  EXPECT_EQ(answer_of(*model, "count 3"), counted(3)) << "and goes on";
}

TEST(WorkerModelTest, WhatItPrintsIsKept) {
  std::mutex mutex;
  std::vector<std::string> seen;
  WorkerOptions options = fake("fake:0");
  options.on_log = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    seen.emplace_back(line);
  };
  const auto model = start_worker(std::move(options));
  EXPECT_EQ(answer_of(*model, "print"), "printed");
  const auto has_all = [](const std::vector<std::string>& lines) {
    size_t found = 0;
    for (const char* wanted : {"line 0", "line 1", "line 2", "?[31mto standard output"}) {
      found += static_cast<size_t>(std::count(lines.begin(), lines.end(), wanted));
    }
    return found == 4;
  };
  for (int i = 0; i < 200 && !has_all(model->log_lines()); ++i) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_TRUE(has_all(model->log_lines()));
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(has_all(seen));
}

TEST(WorkerModelTest, InheritsNeitherSecretsNorDescriptors) {
  ::setenv("HF_TOKEN", "secret", 1);
  ::setenv("OMG_TEST_VARIABLE", "kept", 1);
  const int leaked = ::dup(2);  // not close-on-exec
  WorkerOptions options = fake("fake:0");
  options.sandbox = false;  // which would forbid looking
  const auto model = start_worker(std::move(options));
  EXPECT_EQ(answer_of(*model, "environment"), "none kept");
  EXPECT_EQ(answer_of(*model, "descriptors"), "0 1 2 3 ");
  ::close(leaked);
  ::unsetenv("HF_TOKEN");
  ::unsetenv("OMG_TEST_VARIABLE");
}

/// Kills a daemon of ours; its worker must follow.
void expect_no_orphan(const std::string& path) {
  SCOPED_TRACE(path);
  int output[2];
  ASSERT_EQ(::pipe(output), 0);
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    ::dup2(output[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "worker_test", "daemon", path.c_str(), nullptr);
    ::_exit(99);
  }
  ::close(output[1]);
  pollfd polled{output[0], POLLIN, 0};
  ASSERT_EQ(::poll(&polled, 1, 20000), 1);
  char text[32] = {};
  ASSERT_GT(::read(output[0], text, sizeof text - 1), 0);
  ::close(output[0]);
  const pid_t worker = std::atoi(text);
  ASSERT_GT(worker, 1);
  ASSERT_EQ(::kill(worker, 0), 0);
  ::kill(daemon, SIGKILL);
  ASSERT_EQ(::waitpid(daemon, nullptr, 0), daemon);
  const auto start = Clock::now();
  // It has become ours (PR_SET_CHILD_SUBREAPER).
  while (::waitpid(worker, nullptr, WNOHANG) != worker) {
    ASSERT_LT(Clock::now() - start, seconds(2)) << "the worker lives on";
    std::this_thread::sleep_for(milliseconds(5));
  }
}

TEST(WorkerModelTest, NoWorkerOutlivesItsDaemon) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  expect_no_orphan("fake:endless");  // while it loads
  expect_no_orphan("fake:1000");     // while it computes
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

TEST(WorkerModelTest, AWorkerWhoseSocketEndsEndsToo) {
  // Without the signal that its parent's death would send.
  WorkerProcess process("/proc/self/exe",
                        {"ohmygpu", "worker", "--fd", "3", "--parent", std::to_string(::getpid())});
  LoadCall load;
  load.version = OMG_VERSION;
  load.options.path = "fake:endless";
  std::string frame;
  put_frame(frame, FrameType::kLoad, 0, load, kLimitsToWorker);
  ASSERT_EQ(::send(process.socket(), frame.data(), frame.size(), 0),
            static_cast<ssize_t>(frame.size()));
  pollfd polled{process.socket(), POLLIN, 0};
  ASSERT_EQ(::poll(&polled, 1, 20000), 1);  // it loads
  EXPECT_FALSE(process.poll_end());
  ::shutdown(process.socket(), SHUT_RDWR);
  const ProcessEnd end = process.wait_for_end();
  EXPECT_EQ(end.exit_code, 0) << end_text(end);
  // Nor does it begin for a parent that is not the one who wanted it.
  WorkerProcess orphan("/proc/self/exe", {"ohmygpu", "worker", "--fd", "3", "--parent", "1"});
  EXPECT_EQ(orphan.wait_for_end().exit_code, 0);
}

}  // namespace
}  // namespace omg
