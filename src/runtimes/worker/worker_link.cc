// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_link.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace omg {
namespace {

using std::chrono::milliseconds;

/// While answers are under way, their cancellation tokens are looked at so often.
constexpr milliseconds kCancelLook{50};
constexpr milliseconds kWatch{1000};
/// After this much silence a worker is asked whether it is there.
constexpr milliseconds kPingAfter{5000};
/// Of what callers want to send and the worker does not read.
constexpr size_t kMaxOutbox = size_t{512} << 20;
constexpr size_t kReadBytes = size_t{64} << 10;
/// In one turn, so that the log and the clock come to their right.
constexpr int kReadsInTurn = 16;
constexpr size_t kLastLines = 20;

Error to_error(const Failure& failure) {
  return Error(failure.code, failure.message);
}

}  // namespace

WorkerLink::WorkerLink(WorkerOptions options)
    : options_(std::move(options)), log_(options_.on_log), wake_fd_(::eventfd(0, EFD_CLOEXEC)) {
  if (wake_fd_ < 0) throw system_error("cannot start a model's process", errno);
}

WorkerLink::~WorkerLink() {
  ::close(wake_fd_);
}

// ---- callers

void WorkerLink::wait_until_loaded() {
  std::unique_lock lock(mutex_);
  while (state_ == State::kLoading) {
    changed_.wait_for(lock, kCancelLook);
    if (options_.cancellation.is_cancelled()) options_.cancellation.throw_if_cancelled();
  }
  if (load_error_) throw *load_error_;
}

Error WorkerLink::gone_error() const {
  return Error(ErrorCode::kUnavailable,
               gone_reason_ + ": its answers are lost; ask again, and see its log (omg logs)");
}

void WorkerLink::wake() {
  const uint64_t one = 1;
  // Fails only when it is full of wakes.
  if (::write(wake_fd_, &one, sizeof one) < 0) return;
}

void WorkerLink::flush() {
  while (socket_ >= 0 && sent_ < outbox_.size()) {
    const ssize_t count = ::send(socket_, outbox_.data() + sent_, outbox_.size() - sent_,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    // A worker that is gone is noticed by who reads.
    if (count < 0) return;
    sent_ += static_cast<size_t>(count);
  }
  outbox_.clear();
  sent_ = 0;
  if (outbox_.capacity() > (size_t{1} << 20)) outbox_.shrink_to_fit();
}

void WorkerLink::send(const std::string& frames) {
  if (outbox_.size() - sent_ > kMaxOutbox) {
    throw Error(ErrorCode::kUnavailable,
                "the model's process is behind with reading requests; try again later");
  }
  const bool was_empty = outbox_.empty();
  outbox_ += frames;
  // Others' bytes that wait are the thread's to send.
  if (!was_empty) return;
  flush();
  if (!outbox_.empty()) wake();
}

uint64_t WorkerLink::answer(const AnswerRequest& request, AnswerSink sink) {
  std::optional<Error> error;
  try {
    std::string frame;
    const uint64_t id = ++last_id_;
    put_frame(frame, FrameType::kAnswer, id, request, kLimitsToWorker);
    auto pending = std::make_unique<PendingAnswer>();
    pending->cancellation = request.options.cancellation;
    const std::lock_guard lock(mutex_);
    if (state_ != State::kReady) throw gone_error();
    PendingAnswer& answer = *pending;
    answers_.emplace(id, std::move(pending));
    try {
      send(frame);
    } catch (...) {
      answers_.erase(id);
      throw;
    }
    // Nothing of it is received before the lock is released.
    answer.sink = std::move(sink);
    // From now on its token is looked at.
    if (answers_.size() == 1) wake();
    return id;
  } catch (const Error& thrown) {
    error = thrown;
  } catch (const std::bad_alloc&) {
    error = Error(ErrorCode::kOutOfMemory, "no memory for a request; try again later");
  }
  if (sink.on_end) sink.on_end(&*error, AnswerResult());
  return 0;
}

void WorkerLink::cancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(id);
  if (found == answers_.end() || found->second->is_cancelled) return;
  found->second->is_cancelled = true;
  std::string frame;
  put_frame(frame, FrameType::kCancel, id);
  try {
    send(frame);
  } catch (const Error&) {
    found->second->is_cancelled = false;
  }
}

ModelActivity WorkerLink::activity() {
  auto future = call<ModelActivity>(FrameType::kActivity, std::string(), FrameType::kActivityIs);
  if (future.wait_for(std::chrono::seconds(1)) == std::future_status::ready) {
    const ModelActivity activity = result_of(future.get());
    const std::lock_guard lock(mutex_);
    return last_activity_ = activity;
  }
  const std::lock_guard lock(mutex_);
  return last_activity_;
}

void WorkerLink::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_wanted_ = true;
  }
  wake();
}

// ---- the thread

void WorkerLink::start() {
  process_ = std::make_unique<WorkerProcess>(
      options_.binary, std::vector<std::string>{"ohmygpu", "worker", "--fd", "3", "--parent",
                                                std::to_string(::getpid())});
  pid_ = process_->pid();
  LoadCall load;
  load.version = OMG_VERSION;
  load.sandbox = options_.sandbox;
  load.options = options_.load;
  std::string frame;
  put_frame(frame, FrameType::kLoad, 0, load, kLimitsToWorker);
  const std::lock_guard lock(mutex_);
  socket_ = process_->socket();
  send(frame);
}

void WorkerLink::run() {
  try {
    start();
    loop();
  } catch (const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!load_error_) load_error_ = error;
  } catch (const std::bad_alloc&) {
    condemn("there was no memory for what it sent");
  }
  bury();
}

void WorkerLink::loop() {
  last_watch_ = Clock::now();
  while (true) {
    bool wants_to_write = false;
    {
      const std::lock_guard lock(mutex_);
      wants_to_write = !outbox_.empty() && socket_is_open_;
    }
    // poll() passes over negative descriptors.
    const auto to_write = static_cast<short>(wants_to_write ? POLLOUT : 0);
    std::array<pollfd, 4> polled = {
        {{socket_is_open_ ? process_->socket() : -1, static_cast<short>(POLLIN | to_write), 0},
         {process_->output(), POLLIN, 0},
         {wake_fd_, POLLIN, 0},
         {process_->ended_fd(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), next_wait());
    if (polled[2].revents != 0) {
      uint64_t wakes = 0;
      if (::read(wake_fd_, &wakes, sizeof wakes) < 0) continue;
    }
    if (polled[0].revents != 0) read_socket();
    if (polled[1].revents != 0) read_output();
    if ((polled[0].revents & POLLOUT) != 0) {
      const std::lock_guard lock(mutex_);
      flush();
    }
    const bool may_have_ended = polled[3].revents != 0 || process_->ended_fd() < 0;
    if ((may_have_ended || !socket_is_open_) && process_->poll_end()) return;
    const Clock::time_point now = Clock::now();
    if (now - last_cancel_look_ >= kCancelLook) look_for_cancelled();
    watch_silence(now);
    stop_by_degrees(now);
  }
}

int WorkerLink::next_wait() {
  const std::lock_guard lock(mutex_);
  const bool is_watched =
      stop_wanted_ || !answers_.empty() || !socket_is_open_ || process_->ended_fd() < 0;
  return static_cast<int>((is_watched ? kCancelLook : kWatch).count());
}

void WorkerLink::read_socket() {
  for (int turn = 0; turn < kReadsInTurn && socket_is_open_; ++turn) {
    char* room = reader_.room(kReadBytes);
    const size_t size = reader_.room_size();
    const ssize_t count = ::recv(process_->socket(), room, size, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      // It has closed its end: it has ended, or will not be of use.
      socket_is_open_ = false;
      if (!process_->poll_end() && condemned_.empty()) process_->send_signal(SIGKILL);
      return;
    }
    silence_ = {};
    is_pinged_ = false;
    reader_.filled(static_cast<size_t>(count));
    if (!condemned_.empty()) return;
    try {
      for (Frame frame; reader_.next(frame);) receive(frame);
    } catch (const Error& error) {
      return condemn("it sent what is no answer: " + std::string(error.what()));
    }
    if (static_cast<size_t>(count) < size) return;  // that was all
  }
}

void WorkerLink::read_output() {
  char buffer[16384];
  for (int turn = 0; turn < kReadsInTurn; ++turn) {
    const ssize_t count = ::read(process_->output(), buffer, sizeof buffer);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return process_->close_output();
    log_.feed({buffer, static_cast<size_t>(count)});
  }
}

WorkerLink::PendingAnswer& WorkerLink::answer_named(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(id);
  if (found == answers_.end()) {
    throw Error(ErrorCode::kCorrupt, "nobody asked for answer " + std::to_string(id));
  }
  // Only this thread removes answers, so it stays.
  return *found->second;
}

void WorkerLink::receive(const Frame& frame) {
  switch (frame.type) {
    case FrameType::kPiece:
      return receive_piece(frame);
    case FrameType::kEnd:
      return receive_end(frame);
    case FrameType::kPong:
      return take_nothing(frame);
    case FrameType::kProgress: {
      const float share = take_content<float>(frame);
      if (!(share >= 0 && share <= 1)) throw Error(ErrorCode::kCorrupt, "progress is no share");
      if (options_.on_progress) options_.on_progress(share);
      return;
    }
    case FrameType::kReady:
      return receive_ready(frame);
    case FrameType::kFailed:
      return receive_failure(frame);
    default:
      return receive_reply(frame);
  }
}

void WorkerLink::receive_piece(const Frame& frame) {
  PendingAnswer& answer = answer_named(frame.id);
  AnswerPiece piece = take_content<AnswerPiece>(frame);
  answer.tokens += piece.token_count;
  if (answer.sink.on_piece) answer.sink.on_piece(std::move(piece));
}

void WorkerLink::receive_end(const Frame& frame) {
  answer_named(frame.id);
  const AnswerEnd end = take_content<AnswerEnd>(frame);
  std::unique_ptr<PendingAnswer> answer;
  {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(frame.id);
    answer = std::move(found->second);
    answers_.erase(found);
  }
  if (!answer->sink.on_end) return;
  if (!end.error) return answer->sink.on_end(nullptr, end.result);
  const Error error = to_error(*end.error);
  answer->sink.on_end(&error, end.result);
}

void WorkerLink::receive_ready(const Frame& frame) {
  WorkerReady ready = take_content<WorkerReady>(frame);
  const std::lock_guard lock(mutex_);
  if (state_ != State::kLoading) throw Error(ErrorCode::kCorrupt, "it became ready twice");
  ready_ = std::move(ready);
  state_ = State::kReady;
  log_.note("ready; sandbox: " + ready_.sandbox);
  changed_.notify_all();
}

void WorkerLink::receive_failure(const Frame& frame) {
  const Failure failure = take_content<Failure>(frame);
  PendingCall call;
  {
    const std::lock_guard lock(mutex_);
    if (frame.id == 0) {
      if (state_ != State::kLoading) throw Error(ErrorCode::kCorrupt, "it failed when loaded");
      load_error_ = to_error(failure);
      process_->send_signal(SIGKILL);  // it has nothing more to do
      return;
    }
    const auto found = calls_.find(frame.id);
    if (found == calls_.end()) throw Error(ErrorCode::kCorrupt, "nobody asked for what failed");
    call = std::move(found->second);
    calls_.erase(found);
  }
  call.fail(failure);
}

void WorkerLink::receive_reply(const Frame& frame) {
  std::function<void(const Frame&)> take;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(frame.id);
    if (found == calls_.end() || found->second.reply != frame.type) {
      throw Error(ErrorCode::kCorrupt, "nobody asked for such a reply");
    }
    take = found->second.take;
  }
  take(frame);  // the call stays when this throws, and fails with all others
  const std::lock_guard lock(mutex_);
  calls_.erase(frame.id);
}

void WorkerLink::look_for_cancelled() {
  last_cancel_look_ = Clock::now();
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, answer] : answers_) {
      if (!answer->is_cancelled && answer->cancellation.is_cancelled()) ids.push_back(id);
    }
  }
  for (const uint64_t id : ids) cancel(id);
}

void WorkerLink::watch_silence(Clock::time_point now) {
  // What this thread slept longer than it meant to, it was not running, and perhaps nobody was.
  silence_ += std::min<Clock::duration>(now - last_watch_, 2 * kWatch);
  last_watch_ = now;
  if (silence_ >= kPingAfter && !is_pinged_) {
    is_pinged_ = true;
    std::string frame;
    put_frame(frame, FrameType::kPing, 0);
    const std::lock_guard lock(mutex_);
    if (outbox_.empty()) send(frame);  // else it has something to read already
  }
  if (silence_ < options_.hang_limit || !condemned_.empty()) return;
  if (process_->is_stopped()) {
    silence_ = {};
    is_pinged_ = false;
    return;
  }
  condemn("it did not react for " +
          std::to_string(std::chrono::duration_cast<milliseconds>(silence_).count()) + " ms");
}

void WorkerLink::stop_by_degrees(Clock::time_point now) {
  {
    const std::lock_guard lock(mutex_);
    if (!stop_wanted_) return;
    if (!stop_began_) {
      stop_began_ = now;
      std::string frame;
      put_frame(frame, FrameType::kStop, 0);
      if (state_ == State::kReady) {
        outbox_ += frame;
        flush();
      } else {
        stop_degree_ = 2;  // loading has nothing to bring to an end
        process_->send_signal(SIGKILL);
      }
    }
  }
  const Clock::duration waited = now - *stop_began_;
  if (stop_degree_ == 0 && waited >= options_.stop_grace) {
    stop_degree_ = 1;
    process_->send_signal(SIGTERM);
  }
  if (stop_degree_ == 1 && waited >= options_.stop_grace + options_.stop_grace / 2) {
    stop_degree_ = 2;
    process_->send_signal(SIGKILL);
  }
}

void WorkerLink::condemn(const std::string& reason) {
  if (!condemned_.empty()) return;
  condemned_ = reason;
  log_.note("killed, because " + reason);
  process_->send_signal(SIGKILL);
}

void WorkerLink::bury() {
  WorkerExit exit;
  exit.reason = "the model's process could not be started";
  if (process_) {
    if (!process_->poll_end()) process_->send_signal(SIGKILL);
    const ProcessEnd end = process_->wait_for_end();
    // What it said last is still in the socket and the pipe.
    if (socket_is_open_) read_socket();
    if (process_->output() >= 0) read_output();
    log_.finish();
    exit.signal = end.signal;
    exit.exit_code = end.exit_code;
    exit.reason = "the model's process " + end_text(end);
    if (!condemned_.empty()) exit.reason = "the model's process was killed because " + condemned_;
  }
  exit.last_lines = log_.lines(kLastLines);
  bool was_ready = false;
  bool was_stopped = false;
  std::optional<Error> error;
  {
    const std::lock_guard lock(mutex_);
    was_ready = state_ == State::kReady;
    was_stopped = stop_wanted_;
    gone_reason_ = was_stopped ? "the model was unloaded" : exit.reason;
    socket_ = -1;
    outbox_.clear();
    sent_ = 0;
    if (!was_ready && !load_error_) {
      std::string lines;
      for (const std::string& line : exit.last_lines) lines += "\n  " + line;
      load_error_ = Error(ErrorCode::kUnavailable,
                          exit.reason + " while it loaded the model" +
                              (exit.signal == SIGKILL ? ", perhaps for want of memory" : "") +
                              (lines.empty() ? "; it printed nothing" : "; it printed:" + lines));
    }
    state_ = State::kGone;
    if (!was_stopped) error = gone_error();
  }
  // Before the answers end: whoever then asks again must not be given to what is gone.
  if (was_ready && !was_stopped && options_.on_exit) options_.on_exit(exit);
  end_answers(error);
  changed_.notify_all();
}

void WorkerLink::end_answers(const std::optional<Error>& error) {
  std::unordered_map<uint64_t, std::unique_ptr<PendingAnswer>> answers;
  std::unordered_map<uint64_t, PendingCall> calls;
  Failure gone;
  {
    const std::lock_guard lock(mutex_);
    answers.swap(answers_);
    calls.swap(calls_);
    const Error why = gone_error();
    gone = {why.code(), why.what()};
  }
  for (auto& [id, answer] : answers) {
    if (!answer->sink.on_end) continue;
    AnswerResult result;
    result.finish_reason = FinishReason::kCancelled;
    result.generated_tokens = answer->tokens;
    answer->sink.on_end(error ? &*error : nullptr, result);
  }
  for (auto& [id, call] : calls) call.fail(gone);
}

}  // namespace omg
