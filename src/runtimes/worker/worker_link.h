// SPDX-License-Identifier: Apache-2.0
//
// The daemon's end of the line to a worker: what callers and the worker's thread here share. The
// thread starts the process, reads, writes what callers could not at once, watches, and buries.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "runtimes/worker/frame.h"
#include "runtimes/worker/wire.h"
#include "runtimes/worker/worker_log.h"
#include "runtimes/worker/worker_model.h"
#include "runtimes/worker/worker_process.h"

namespace omg {

class WorkerLink {
 public:
  using Clock = std::chrono::steady_clock;

  explicit WorkerLink(WorkerOptions options);
  ~WorkerLink();
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  // For callers; thread-safe.

  /// Throws what became of the load.
  void wait_until_loaded();
  const WorkerReady& ready() const { return ready_; }  // after that
  pid_t pid() const { return pid_; }
  const WorkerLog& log() const { return log_; }
  /// The answer's number; 0 when it has ended already.
  uint64_t answer(const AnswerRequest& request, AnswerSink sink);
  void cancel(uint64_t id);
  /// What comes of a call. A failure travels as data: an exception that two threads hold has a
  /// count that the thread sanitizer cannot see.
  template <class Result>
  using Outcome = std::variant<Result, Failure>;
  template <class Result, class Content>
  std::future<Outcome<Result>> call(FrameType type, const Content& content, FrameType reply);
  /// Throws the failure.
  template <class Result>
  static Result result_of(Outcome<Result> outcome) {
    if (const auto* failure = std::get_if<Failure>(&outcome)) {
      throw Error(failure->code, failure->message);
    }
    return std::get<Result>(std::move(outcome));
  }
  ModelActivity activity();
  /// Asks the thread to end answers and process.
  void stop();

  /// The thread; returns when the process is gone.
  void run();

 private:
  enum class State { kLoading, kReady, kGone };
  struct PendingAnswer {
    AnswerSink sink;
    CancellationToken cancellation;
    bool is_cancelled = false;  // the worker was told
    uint32_t tokens = 0;        // that came
  };
  struct PendingCall {
    FrameType reply{};
    std::function<void(const Frame& frame)> take;
    std::function<void(const Failure& failure)> fail;
  };

  // Callers'.
  void send(const std::string& frames);  // mutex_ held
  void flush();                          // mutex_ held
  void wake();
  Error gone_error() const;  // mutex_ held

  // The thread's.
  void start();
  void loop();
  int next_wait();
  void read_socket();
  void read_output();
  void receive(const Frame& frame);
  void receive_piece(const Frame& frame);
  void receive_end(const Frame& frame);
  void receive_reply(const Frame& frame);
  void receive_failure(const Frame& frame);
  void receive_ready(const Frame& frame);
  PendingAnswer& answer_named(uint64_t id);
  void look_for_cancelled();
  void watch_silence(Clock::time_point now);
  void stop_by_degrees(Clock::time_point now);
  void condemn(const std::string& reason);
  void bury();
  void end_answers(const std::optional<Error>& error);

  WorkerOptions options_;
  WorkerLog log_;
  WorkerReady ready_;  // written before state_ becomes kReady, then constant
  std::atomic<pid_t> pid_{-1};
  std::atomic<uint64_t> last_id_{0};
  int wake_fd_ = -1;

  mutable std::mutex mutex_;  // guards what stands from here
  std::condition_variable changed_;
  State state_ = State::kLoading;
  std::optional<Error> load_error_;
  std::string gone_reason_;
  bool stop_wanted_ = false;
  std::string outbox_;
  size_t sent_ = 0;  // of the outbox
  int socket_ = -1;  // while it is open
  std::unordered_map<uint64_t, std::unique_ptr<PendingAnswer>> answers_;
  std::unordered_map<uint64_t, PendingCall> calls_;
  ModelActivity last_activity_;  // to here

  // The thread's.
  std::unique_ptr<WorkerProcess> process_;
  FrameReader reader_{kLimitsFromWorker};
  std::string condemned_;  // why it was killed
  bool socket_is_open_ = true;
  Clock::duration silence_{};
  Clock::time_point last_watch_{};
  Clock::time_point last_cancel_look_{};
  bool is_pinged_ = false;
  std::optional<Clock::time_point> stop_began_;
  int stop_degree_ = 0;
};

template <class Result, class Content>
std::future<WorkerLink::Outcome<Result>> WorkerLink::call(FrameType type, const Content& content,
                                                          FrameType reply) {
  auto promise = std::make_shared<std::promise<Outcome<Result>>>();
  std::future<Outcome<Result>> future = promise->get_future();
  PendingCall call;
  call.reply = reply;
  call.take = [promise](const Frame& frame) { promise->set_value(take_content<Result>(frame)); };
  call.fail = [promise](const Failure& failure) { promise->set_value(failure); };
  std::string frame;
  const uint64_t id = ++last_id_;
  put_frame(frame, type, id, content, kLimitsToWorker);
  const std::lock_guard lock(mutex_);
  if (state_ != State::kReady) throw gone_error();
  send(frame);
  calls_.emplace(id, std::move(call));
  return future;
}

}  // namespace omg
