// SPDX-License-Identifier: Apache-2.0
//
// A machine of models that follow a script, with a clock that stands still: what the lifecycle's
// tests hold it against.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/testing/temporary_folder.h"
#include "daemon/lifecycle/lifecycle.h"
#include "store/store.h"

namespace omg::testing {

inline constexpr uint64_t kMiB = 1 << 20;

/// Stands still but for advance(). Waits end after a millisecond of real time at most, so nothing
/// has to be told that it moved.
class FakeClock final : public LifecycleClock {
 public:
  TimePoint now() const override { return TimePoint(std::chrono::nanoseconds(time_.load())); }
  void wait_until(std::condition_variable& wake, std::unique_lock<std::mutex>& lock,
                  TimePoint when) const override {
    if (now() < when) wake.wait_for(lock, std::chrono::milliseconds(1));
  }
  void advance(std::chrono::nanoseconds duration) { time_ += duration.count(); }

 private:
  std::atomic<int64_t> time_{std::chrono::nanoseconds(std::chrono::hours(1000)).count()};
};

/// What a model of the fake machine does.
struct Script {
  RunNeeds needs{10 * kMiB, kMiB, 1024, 8192};
  bool waits_to_load = false;    // until open_gate()
  bool waits_to_answer = false;  // until open_gate(), or cancelled
  std::optional<Error> load_error;
  std::chrono::nanoseconds load_time{};  // that the clock advances by
};

class FakeMachine;

/// Answers on a thread of its own: two pieces, and an end that tells what was asked.
class FakeModel final : public Model {
 public:
  FakeModel(FakeMachine& machine, std::string name, const ModelLoadOptions& options,
            ModelHooks hooks);
  ~FakeModel() override;

  const ModelFacts& facts() const override { return facts_; }
  Canceller answer(AnswerRequest request, AnswerSink sink) override;
  std::vector<int32_t> tokenize(std::string_view text, const TokenizeOptions&) override {
    return std::vector<int32_t>(text.size());
  }
  std::string detokenize(std::span<const int32_t> tokens) override {
    return std::string(tokens.size(), 'x');
  }
  RenderedChat render(const ChatPrompt&) override { return {}; }
  ModelActivity activity() const override {
    ModelActivity activity;
    activity.running = 7;
    return activity;
  }

 private:
  struct Job {
    AnswerRequest request;
    AnswerSink sink;
    bool is_cancelled = false;
  };
  /// Outlives the model, for cancellers.
  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::shared_ptr<Job>> jobs;
    bool ends = false;
    std::optional<Error> lost;
  };
  friend class FakeMachine;
  void work();
  /// The next that is to be ended now, if any.
  std::deque<std::shared_ptr<Job>>::iterator next_job();

  FakeMachine& machine_;
  const std::string name_;
  const ModelHooks hooks_;
  ModelFacts facts_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread thread_;
};

/// Where fake models live; counts what they take.
class FakeMachine {
 public:
  Script& script(const std::string& name) { return scripts_[name]; }  // before it is used
  Script script_of(const std::string& name) {
    std::lock_guard lock(mutex);
    return scripts_.at(name);
  }
  void change(const std::string& name, const std::function<void(Script&)>& by) {
    std::lock_guard lock(mutex);
    by(scripts_[name]);
    changed.notify_all();
  }
  void open_gate(const std::string& name) {
    change(name, [](Script& script) { script.waits_to_load = script.waits_to_answer = false; });
  }
  static std::string name_of(const std::string& path) {
    const std::string file = path.substr(path.rfind('/') + 1);
    return file.substr(0, file.rfind(".gguf"));
  }
  RunNeeds plan(const std::string& path) { return script_of(name_of(path)).needs; }

  std::unique_ptr<Model> load(const ModelLoadOptions& options, const ModelHooks& hooks) {
    const std::string name = name_of(options.path);
    std::optional<Error> error;
    {
      std::unique_lock lock(mutex);
      ++loads[name];
      changed.notify_all();
      while (scripts_.at(name).waits_to_load && !hooks.cancellation.is_cancelled()) {
        changed.wait_for(lock, std::chrono::milliseconds(1));
      }
      last_hooks[name] = hooks;
      error = scripts_.at(name).load_error;
      if (clock) clock->advance(scripts_.at(name).load_time);
    }
    if (hooks.on_log) hooks.on_log("loading " + name);
    if (hooks.cancellation.is_cancelled()) {
      ++cancelled_loads;
      throw Error(ErrorCode::kCancelled, "the load was cancelled");
    }
    if (error) throw Error(*error);
    return std::make_unique<FakeModel>(*this, name, options, hooks);
  }
  /// As when its worker is killed.
  void crash(const std::string& name, const std::string& why) {
    std::shared_ptr<FakeModel::State> state;
    {
      std::lock_guard lock(mutex);
      const auto found = live.find(name);
      if (found == live.end()) return;
      state = found->second->state_;
    }
    std::lock_guard lock(state->mutex);
    if (!state->lost) state->lost = Error(ErrorCode::kUnavailable, why);
    state->wake.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, int> loads;        // by name
  std::map<std::string, FakeModel*> live;  // by name
  std::map<std::string, ModelHooks> last_hooks;
  std::vector<AnswerRequest> asked;
  bool keeps_requests = true;
  uint64_t live_bytes = 0;
  uint64_t most_live_bytes = 0;
  size_t live_models = 0;
  size_t most_live = 0;
  std::atomic<int> cancelled_loads = 0;
  FakeClock* clock = nullptr;

 private:
  std::map<std::string, Script> scripts_;
};

inline FakeModel::FakeModel(FakeMachine& machine, std::string name, const ModelLoadOptions& options,
                            ModelHooks hooks)
    : machine_(machine), name_(std::move(name)), hooks_(std::move(hooks)) {
  const RunNeeds needs = machine_.script_of(name_).needs;
  facts_.name = name_;
  facts_.context_length = options.context_length;
  facts_.weights_bytes = needs.weights_bytes;
  facts_.scratch_bytes = needs.scratch_bytes;
  facts_.kv_capacity_tokens = options.kv_capacity_tokens;
  facts_.kv_bytes = needs.kv_bytes_per_token * options.kv_capacity_tokens;
  facts_.prefix_storage = options.prefix_storage.path;
  {
    std::lock_guard lock(machine_.mutex);
    machine_.live[name_] = this;
    machine_.live_bytes += facts_.weights_bytes + facts_.scratch_bytes + facts_.kv_bytes;
    machine_.most_live_bytes = std::max(machine_.most_live_bytes, machine_.live_bytes);
    machine_.most_live = std::max(machine_.most_live, ++machine_.live_models);
  }
  thread_ = std::thread([this] { work(); });
}

inline FakeModel::~FakeModel() {
  {
    std::lock_guard lock(machine_.mutex);
    const auto found = machine_.live.find(name_);
    if (found != machine_.live.end() && found->second == this) machine_.live.erase(found);
    --machine_.live_models;
  }
  {
    std::lock_guard lock(state_->mutex);
    state_->ends = true;
    state_->wake.notify_all();
  }
  thread_.join();
  std::lock_guard lock(machine_.mutex);
  machine_.live_bytes -= facts_.weights_bytes + facts_.scratch_bytes + facts_.kv_bytes;
}

inline Canceller FakeModel::answer(AnswerRequest request, AnswerSink sink) {
  auto job = std::make_shared<Job>();
  {
    std::lock_guard lock(machine_.mutex);
    if (machine_.keeps_requests) machine_.asked.push_back(request);
  }
  job->request = std::move(request);
  job->sink = std::move(sink);
  std::lock_guard lock(state_->mutex);
  state_->jobs.push_back(job);
  state_->wake.notify_all();
  return [state = state_, weak = std::weak_ptr<Job>(job)] {
    std::lock_guard inner(state->mutex);
    if (const auto found = weak.lock()) found->is_cancelled = true;
    state->wake.notify_all();
  };
}

inline std::deque<std::shared_ptr<FakeModel::Job>>::iterator FakeModel::next_job() {
  const bool waits = machine_.script_of(name_).waits_to_answer;
  return std::find_if(state_->jobs.begin(), state_->jobs.end(), [&](const auto& job) {
    return !waits || state_->ends || state_->lost || job->is_cancelled;
  });
}

inline void FakeModel::work() {
  bool has_told = false;
  for (;;) {
    std::shared_ptr<Job> job;
    std::optional<Error> lost;
    bool is_cancelled = false;
    {
      std::unique_lock lock(state_->mutex);
      auto next = next_job();
      while (next == state_->jobs.end() && !state_->ends && !(state_->lost && !has_told)) {
        state_->wake.wait_for(lock, std::chrono::milliseconds(1));
        next = next_job();
      }
      lost = state_->lost;
      if (next != state_->jobs.end()) {
        job = *next;
        is_cancelled = job->is_cancelled || state_->ends;
        state_->jobs.erase(next);
      } else if (state_->ends) {
        return;
      }
    }
    if (lost && !has_told) {
      has_told = true;
      hooks_.on_exit(*lost);
    }
    if (!job) continue;
    AnswerResult result;
    result.warnings = {"from the model"};
    if (lost) {
      job->sink.on_end(&*lost, result);
      continue;
    }
    if (is_cancelled) {
      result.finish_reason = FinishReason::kCancelled;
    } else {
      for (const char* text : {"hello ", "world"}) {
        AnswerPiece piece;
        piece.text = text;
        job->sink.on_piece(std::move(piece));
      }
      result.generated_tokens = 2;
    }
    job->sink.on_end(nullptr, result);
  }
}

/// What came of an answer, a load or a use.
class Outcome {
 public:
  AnswerSink sink() {
    return {[this](AnswerPiece&& piece) {
              std::lock_guard lock(mutex_);
              EXPECT_EQ(ends_, 0);
              text_ += piece.text;
            },
            [this](const Error* error, const AnswerResult& result) { end(error, result); }};
  }
  ModelService::OnLoaded on_loaded() {
    return [this](const Error* error, std::chrono::nanoseconds took) {
      AnswerResult result;
      result.load_duration = took;
      end(error, result);
    };
  }
  bool has_ended() {
    std::lock_guard lock(mutex_);
    return ends_ > 0;
  }
  /// Waits for the end; "" or the error's message.
  std::string error() {
    std::unique_lock lock(mutex_);
    const bool in_time = wake_.wait_for(lock, std::chrono::seconds(60), [&] { return ends_ > 0; });
    EXPECT_TRUE(in_time) << "it never ended";
    return error_ ? error_->what() : "";
  }
  std::optional<ErrorCode> code() {
    error();
    return error_ ? std::optional(error_->code()) : std::nullopt;
  }
  AnswerResult result() {
    error();
    return result_;
  }
  std::string text() {
    error();
    return text_;
  }
  int ends() {
    std::lock_guard lock(mutex_);
    return ends_;
  }

 private:
  void end(const Error* error, const AnswerResult& result) {
    std::lock_guard lock(mutex_);
    if (error) error_ = *error;
    result_ = result;
    EXPECT_EQ(++ends_, 1);
    wake_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  int ends_ = 0;
  std::optional<Error> error_;
  AnswerResult result_;
  std::string text_;
};

class LifecycleFixture : public ::testing::Test {
 protected:
  LifecycleFixture()
      : store_(Store::open({folder_ / "models", nullptr, nullptr})), log_(LogLevel::kOff) {
    machine_.clock = &clock_;
    options_.memory_budget = 1024 * kMiB;
    options_.plan = [this](const std::string& path) { return machine_.plan(path); };
    subscription_ = events_.observe([this](const ServiceEvent& event) {
      std::lock_guard lock(events_mutex_);
      told_.push_back(event);
    });
  }
  ~LifecycleFixture() override { lifecycle_.reset(); }

  /// A model `name` whose file is that of `file` ("": its own).
  Script& add_model(const std::string& name, const std::string& file = "",
                    const ModelSettings& settings = {}) {
    const std::string base = file.empty() ? name : file;
    Lease lease;
    StoredModel model{StoreName(name)};
    Artifact artifact;
    const std::string bytes = "weights of " + base;
    artifact.digest = store_.put_bytes(bytes, lease);
    artifact.size = bytes.size();
    artifact.filename = base + ".gguf";
    artifact.format = "gguf";
    artifact.role = "weights";
    model.artifacts.push_back(artifact);
    model.settings = settings;
    store_.publish(model);
    return machine_.script(base);
  }
  Lifecycle& lifecycle() {
    if (!lifecycle_) {
      lifecycle_ = std::make_unique<Lifecycle>(
          store_,
          [this](const ModelLoadOptions& options, ModelHooks hooks) {
            return machine_.load(options, hooks);
          },
          options_, log_, events_, &clock_);
    }
    return *lifecycle_;
  }
  static ModelCall call(const std::string& model, std::optional<KeepAlive> keep_alive = {}) {
    ModelCall made;
    made.model = model;
    ChatPrompt chat;
    chat.messages.push_back({{"role", "user"}, {"content", "hi"}});
    made.prompt = chat;
    made.keep_alive = keep_alive;
    return made;
  }
  Canceller ask(Outcome& outcome, const std::string& model,
                std::optional<KeepAlive> keep_alive = {}) {
    return lifecycle().answer(call(model, keep_alive), outcome.sink());
  }
  /// Asks and waits; the error's message or "".
  std::string ask_now(const std::string& model, std::optional<KeepAlive> keep_alive = {}) {
    Outcome outcome;
    ask(outcome, model, keep_alive);
    return outcome.error();
  }
  int loads(const std::string& name) {
    std::lock_guard lock(machine_.mutex);
    return machine_.loads[name];
  }
  std::vector<std::string> running() {
    std::vector<std::string> names;
    for (const RunInfo& run : lifecycle().runs()) {
      if (run.state == RunState::kRunning) names.push_back(run.model.name.str());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  RunInfo run_of(const std::string& model) {
    for (const RunInfo& run : lifecycle().runs()) {
      if (run.model.name.str() == model) return run;
    }
    ADD_FAILURE() << "no run of " << model;
    return {};
  }
  /// Real time passes until it is so.
  static void wait_for(const std::function<bool()>& condition, const char* what) {
    for (int i = 0; i < 30000 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(condition()) << what;
  }
  void wait_until_gone(const std::string& model) {
    wait_for(
        [&] {
          const auto runs = lifecycle().runs();
          return std::none_of(runs.begin(), runs.end(),
                              [&](const RunInfo& run) { return run.model.name.str() == model; });
        },
        "the run goes");
  }
  /// "run_stopped idle a", in order.
  std::vector<std::string> told() {
    std::lock_guard lock(events_mutex_);
    std::vector<std::string> lines;
    for (const ServiceEvent& event : told_) {
      std::string line(event_kind_name(event.kind));
      if (event.cause != ServiceEvent::Cause::kNone) {
        line += " " + std::string(event_cause_name(event.cause));
      }
      lines.push_back(line + " " + event.model);
    }
    return lines;
  }
  size_t times_told(const std::string& line) {
    const auto lines = told();
    return static_cast<size_t>(std::count(lines.begin(), lines.end(), line));
  }

  /// Events come shortly after what they tell of.
  void wait_until_told(const std::string& line, size_t times) {
    wait_for([&] { return times_told(line) >= times; }, line.c_str());
    EXPECT_EQ(times_told(line), times) << line;
  }

  /// In memory where there is such a place: what a disk takes to sync is no matter here.
  static std::filesystem::path place() {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code ignored;
    return std::filesystem::is_directory(memory, ignored) ? memory
                                                          : std::filesystem::temp_directory_path();
  }

  TemporaryFolder folder_{place()};
  Store store_;
  Log log_;
  FakeClock clock_;
  FakeMachine machine_;
  LifecycleOptions options_;
  std::mutex events_mutex_;
  std::vector<ServiceEvent> told_;
  ServiceEvents events_;
  ServiceEvents::Subscription subscription_;
  std::unique_ptr<Lifecycle> lifecycle_;
};

}  // namespace omg::testing
