// SPDX-License-Identifier: Apache-2.0
//
// Threads: the main one loads and then makes what a caller waits for (tokens, texts); one reads;
// one writes (WorkerOutbox); and those of the model, which never wait for the daemon. Only the
// reader decides, and it is never busy, so that a ping, a cancellation or the parent's end is seen
// whatever the others do.
#include "runtimes/worker/serve_worker.h"

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>

#include "base/private_file.h"
#include "runtimes/worker/frame.h"
#include "runtimes/worker/sandbox.h"
#include "runtimes/worker/wire.h"
#include "runtimes/worker/worker_outbox.h"

namespace omg {
namespace {

constexpr int kStopped = 0;
constexpr int kNotLoaded = 1;
constexpr int kNoRequest = 2;
constexpr size_t kReadBytes = size_t{64} << 10;
constexpr size_t kMaxJobs = 1024;
constexpr std::chrono::milliseconds kProgressEvery{50};
constexpr int kStorageTries = 10;
constexpr std::chrono::milliseconds kStorageTryAgain{20};

/// Without destructors: other threads are under way.
[[noreturn]] void leave(int code) {
  ::_exit(code);
}

/// Ends with the parent, however that ends.
void follow_parent(pid_t parent) {
  ::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // leave() flushes nothing
  ::prctl(PR_SET_NAME, "omg-worker", 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // It may have ended before that was said.
  if (parent > 0 && ::getppid() != parent) leave(kStopped);
  // When memory runs out, the kernel shall take this process and not the daemon.
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (::write(file, "300", 3) < 0) std::fputs("cannot offer itself to the OOM killer\n", stderr);
  ::close(file);
}

/// What is wrong, as a frame's content. Call it in a catch.
Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "out of memory: the system refused more; try a smaller model"};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal,
            std::string("internal error: ") + error.what() + "; this is a bug, please report it"};
  }
}

class WorkerServer {
 public:
  WorkerServer(int fd, const WorkerModelFactory& factory) : fd_(fd), factory_(factory) {}

  [[noreturn]] void run() {
    // No thread yet: what confines this one will confine all.
    LoadCall load = read_load();
    open_prefix_storage(load.options.prefix_storage);
    if (load.sandbox) enter_loading_sandbox(needs_of(load));
    outbox_ = std::make_unique<WorkerOutbox>(fd_, [] { leave(kStopped); });
    std::thread([this] { read(); }).detach();
    load_model(load);
    do_jobs();
  }

 private:
  struct Answer {
    uint64_t id = 0;
    std::atomic<bool> is_dropped{false};  // the daemon does not read
    Canceller cancel;                     // guarded by mutex_
  };

  // The main thread.

  LoadCall read_load() {
    Frame frame;
    if (!next_frame(frame)) leave(kStopped);
    try {
      if (frame.type != FrameType::kLoad) throw Error(ErrorCode::kCorrupt, "it is no load");
      LoadCall load = take_content<LoadCall>(frame);
      if (load.version != OMG_VERSION) {
        throw Error(ErrorCode::kCorrupt, "the daemon is version " + load.version +
                                             " and its worker " OMG_VERSION "; restart the daemon");
      }
      return load;
    } catch (const Error& error) {
      refuse(error);
    }
  }

  /// While files can be opened. A model runs as well without. Who looks at the folder has a file
  /// locked for a moment, so one that is in use is tried again.
  void open_prefix_storage(PrefixStorage& storage) {
    if (storage.path.empty()) return;
    for (int left = kStorageTries; !storage.file && left > 0; --left) {
      try {
        storage.file = open_private_file(storage.path);
      } catch (const Error& error) {
        storage_problem_ = "off: " + std::string(error.what());
        if (error.code() != ErrorCode::kUnavailable) return;
        std::this_thread::sleep_for(kStorageTryAgain);
      }
    }
    if (storage.file) storage_problem_.clear();
  }

  static SandboxNeeds needs_of(const LoadCall& load) {
    const PrefixStorage& storage = load.options.prefix_storage;
    return {.written_bytes = storage.file ? storage.max_bytes : 0};
  }

  void load_model(const LoadCall& load) {
    WorkerReady ready;
    try {
      auto last = std::chrono::steady_clock::time_point();
      const auto on_progress = [&](float share) {
        const auto now = std::chrono::steady_clock::now();
        if (share < 1 && now - last < kProgressEvery) return;
        last = now;
        send(FrameType::kProgress, 0, std::min(std::max(share, 0.0F), 1.0F));
      };
      std::unique_ptr<Model> model = factory_(load.options, on_progress);
      ready.facts = model->facts();
      if (!storage_problem_.empty()) ready.facts.prefix_storage = storage_problem_;
      ready.sandbox = load.sandbox ? enter_computing_sandbox(needs_of(load)).text : "off, as asked";
      const std::lock_guard lock(mutex_);
      model_ = std::move(model);
    } catch (...) {
      send(FrameType::kFailed, 0, current_failure());
      outbox_->wait_until_empty();
      leave(kNotLoaded);
    }
    send(FrameType::kReady, 0, ready);
  }

  [[noreturn]] void do_jobs() {
    while (true) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        has_job_.wait(lock, [this] { return is_stopping_ || !jobs_.empty(); });
        if (is_stopping_) break;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
      outbox_->wait_for_room();
    }
    model_.reset();  // ends all answers, which tell so
    outbox_->wait_until_empty();
    leave(kStopped);
  }

  // The reader.

  void read() {
    try {
      Frame frame;
      while (next_frame(frame)) {
        outbox_->wait_for_room();  // who does not read is not read from
        receive(frame);
        if (frame.type != FrameType::kStop) continue;
        // From here on nothing matters but the daemon's end.
        while (next_frame(frame)) {
        }
      }
    } catch (const Error& error) {
      refuse(error);
    } catch (const std::bad_alloc&) {
      refuse(Error(ErrorCode::kOutOfMemory, "no memory for a request"));
    }
    leave(kStopped);
  }

  /// False: the daemon is gone.
  bool next_frame(Frame& frame) {
    try {
      while (!reader_.next(frame)) {
        char* room = reader_.room(kReadBytes);
        const ssize_t count = ::recv(fd_, room, reader_.room_size(), 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        reader_.filled(static_cast<size_t>(count));
      }
      return true;
    } catch (const Error& error) {
      refuse(error);
    }
  }

  [[noreturn]] static void refuse(const Error& error) {
    std::fprintf(stderr, "the daemon sent what is no request: %s\n", error.what());
    leave(kNoRequest);
  }

  void receive(const Frame& frame) {
    switch (frame.type) {
      case FrameType::kAnswer:
        return begin_answer(frame.id, take_content<AnswerRequest>(frame));
      case FrameType::kCancel:
        return cancel(frame.id);
      case FrameType::kPing:
        return outbox_->put([](std::string& out) { put_frame(out, FrameType::kPong, 0); });
      case FrameType::kTokenize:
        return add_job(frame.id, FrameType::kTokens,
                       [this, call = take_content<TokenizeCall>(frame)] {
                         return model_->tokenize(call.text, call.options);
                       });
      case FrameType::kDetokenize:
        return add_job(frame.id, FrameType::kBytes,
                       [this, tokens = take_content<std::vector<int32_t>>(frame)] {
                         return model_->detokenize(tokens);
                       });
      case FrameType::kRender:
        return add_job(
            frame.id, FrameType::kRendered,
            [this, prompt = take_content<ChatPrompt>(frame)] { return model_->render(prompt); });
      case FrameType::kActivity:
        return tell_activity(frame.id);
      case FrameType::kStop:
        return stop();
      default:
        throw Error(ErrorCode::kCorrupt, "a model is loaded once");
    }
  }

  bool is_serving() {
    const std::lock_guard lock(mutex_);
    return model_ != nullptr && !is_stopping_;
  }

  void begin_answer(uint64_t id, AnswerRequest request) {
    if (!is_serving()) throw Error(ErrorCode::kCorrupt, "there is no model yet");
    auto answer = std::make_shared<Answer>();
    answer->id = id;
    {
      const std::lock_guard lock(mutex_);
      if (!answers_.emplace(id, answer).second) {
        throw Error(ErrorCode::kCorrupt, "an answer's number came twice");
      }
    }
    ++active_;
    AnswerSink sink;
    sink.on_piece = [this, answer](AnswerPiece&& piece) { send_piece(*answer, piece); };
    sink.on_end = [this, answer](const Error* error, const AnswerResult& result) {
      send_end(*answer, error, result);
    };
    Canceller canceller = model_->answer(std::move(request), std::move(sink));
    {
      const std::lock_guard lock(mutex_);
      answer->cancel = canceller;
    }
    if (answer->is_dropped) canceller();
  }

  void cancel(uint64_t id) {
    Canceller canceller;
    {
      const std::lock_guard lock(mutex_);
      const auto found = answers_.find(id);
      if (found == answers_.end()) return;  // it has just ended
      canceller = found->second->cancel;
    }
    if (canceller) canceller();
  }

  void tell_activity(uint64_t id) {
    if (!is_serving()) throw Error(ErrorCode::kCorrupt, "there is no model yet");
    try {
      send(FrameType::kActivityIs, id, model_->activity());
    } catch (...) {
      send(FrameType::kFailed, id, current_failure());
    }
  }

  template <class Make>
  void add_job(uint64_t id, FrameType reply, Make make) {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kMaxJobs) {
      return send(
          FrameType::kFailed, id,
          Failure{ErrorCode::kUnavailable, "too many wait for this model; try again later"});
    }
    jobs_.emplace_back([this, id, reply, make = std::move(make)] {
      try {
        send(reply, id, make());
      } catch (...) {
        send(FrameType::kFailed, id, current_failure());
      }
    });
    has_job_.notify_one();
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    if (model_ == nullptr) leave(kStopped);
    is_stopping_ = true;
    has_job_.notify_one();
  }

  // The model's threads.

  WorkerOutbox::Hurry hurry() const {
    return active_ > 1 ? WorkerOutbox::Hurry::kGather : WorkerOutbox::Hurry::kNow;
  }

  void send_piece(Answer& answer, const AnswerPiece& piece) {
    if (answer.is_dropped) return;
    bool has_room = false;
    try {
      has_room = outbox_->put_if_room(
          [&](std::string& out) {
            put_frame(out, FrameType::kPiece, answer.id, piece, kLimitsFromWorker);
          },
          hurry());
    } catch (const std::exception&) {
      // No memory, or a piece beyond all limits: the answer cannot be told.
    }
    if (has_room) return;
    answer.is_dropped = true;
    Canceller canceller;
    {
      const std::lock_guard lock(mutex_);
      canceller = answer.cancel;
    }
    if (canceller) canceller();
  }

  void send_end(Answer& answer, const Error* error, const AnswerResult& result) {
    AnswerEnd end;
    end.result = result;
    if (error != nullptr) end.error = Failure{error->code(), error->what()};
    if (answer.is_dropped) {
      end.error = Failure{ErrorCode::kUnavailable,
                          "pieces of the answer were not fetched in time: the daemon is too slow"};
      end.result.tokens.clear();
    }
    {
      const std::lock_guard lock(mutex_);
      answers_.erase(answer.id);
    }
    const WorkerOutbox::Hurry wanted = hurry();
    --active_;
    const auto put = [&](std::string& out) {
      put_frame(out, FrameType::kEnd, answer.id, end, kLimitsFromWorker);
    };
    try {
      outbox_->put(put, wanted);
    } catch (const Error& too_long) {
      end.error = Failure{too_long.code(), too_long.what()};
      end.result = AnswerResult();
      outbox_->put(put, wanted);
    }
  }

  template <class Content>
  void send(FrameType type, uint64_t id, const Content& content) {
    outbox_->put([&](std::string& out) { put_frame(out, type, id, content, kLimitsFromWorker); });
  }

  const int fd_;
  const WorkerModelFactory& factory_;
  FrameReader reader_{kLimitsToWorker};  // the main thread's, then the reader's
  std::unique_ptr<WorkerOutbox> outbox_;
  std::string storage_problem_;  // why the prefix storage cannot be used
  std::atomic<int> active_{0};   // answers

  std::mutex mutex_;  // guards what stands from here
  std::condition_variable has_job_;
  std::deque<std::function<void()>> jobs_;
  std::unordered_map<uint64_t, std::shared_ptr<Answer>> answers_;
  bool is_stopping_ = false;
  std::unique_ptr<Model> model_;  // set once, reset when nothing else can reach it
};

}  // namespace

void serve_worker(const ServeOptions& options, const WorkerModelFactory& factory) {
  follow_parent(options.parent);
  WorkerServer server(options.fd, factory);
  server.run();
}

}  // namespace omg
