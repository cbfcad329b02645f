// SPDX-License-Identifier: Apache-2.0
//
// Services that answer as a test tells them to: what the tests of dialects stand on. Everything
// happens in the caller's thread, so that tests are certain; an answer that is held goes on when
// the test says so, from any thread.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "daemon/requests/job_service.h"
#include "daemon/requests/model_catalog.h"
#include "daemon/requests/model_service.h"

namespace omg::testing {

/// A piece of text, of one token, that is content or reasoning as well.
inline AnswerPiece content_piece(std::string text) {
  AnswerPiece piece;
  piece.text = text;
  piece.token_count = 1;
  piece.events.push_back({OutputEvent::Kind::kContent, std::move(text), "", "", 0});
  return piece;
}
inline AnswerPiece reasoning_piece(std::string text) {
  AnswerPiece piece = content_piece(std::move(text));
  piece.events.front().kind = OutputEvent::Kind::kReasoning;
  return piece;
}
/// A whole tool call, in three events.
inline AnswerPiece call_piece(size_t call, std::string name, std::string arguments,
                              std::string id = "") {
  AnswerPiece piece;
  piece.text = "<call>";
  piece.token_count = 1;
  using Kind = OutputEvent::Kind;
  piece.events = {{Kind::kCallBegin, "", std::move(name), id, call},
                  {Kind::kCallArguments, std::move(arguments), "", "", call},
                  {Kind::kCallEnd, "", "", id, call}};
  return piece;
}

/// What a model says to one call.
struct ScriptedAnswer {
  std::vector<AnswerPiece> pieces;
  std::optional<Error> error;
  AnswerResult result;
  /// Ends (with `error` or `result`) only by FakeModelService::go_on(), or when cancelled.
  bool hold = false;
};

/// A result with all its numbers, so that a dialect that mixes them up is seen.
inline AnswerResult some_result(uint32_t prompt_tokens = 5, uint32_t generated_tokens = 4) {
  AnswerResult result;
  result.prompt_tokens = prompt_tokens;
  result.generated_tokens = generated_tokens;
  result.seed = 42;
  result.load_duration = std::chrono::nanoseconds(3);
  result.queue_duration = std::chrono::nanoseconds(1);
  result.prompt_duration = std::chrono::nanoseconds(20);
  result.generation_duration = std::chrono::nanoseconds(30);
  result.total_duration = std::chrono::nanoseconds(54);
  return result;
}

/// Renders a conversation as "role: content" lines, and tokenises by bytes.
class FakeModel final : public Model {
 public:
  ModelFacts loaded_facts;

  const ModelFacts& facts() const override { return loaded_facts; }
  Canceller answer(AnswerRequest, AnswerSink sink) override {
    sink.on_end(nullptr, AnswerResult{});
    return [] {};
  }
  std::vector<int32_t> tokenize(std::string_view text, const TokenizeOptions& options) override {
    std::vector<int32_t> tokens;
    if (options.add_special) tokens.push_back(256);
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
  }
  std::string detokenize(std::span<const int32_t> tokens) override {
    std::string text;
    for (const int32_t token : tokens) {
      if (token < 0 || token > 256) {
        throw Error(ErrorCode::kInvalidArgument,
                    "token " + std::to_string(token) + " is outside the vocabulary of 257");
      }
      if (token < 256) text += static_cast<char>(token);
    }
    return text;
  }
  RenderedChat render(const ChatPrompt& prompt) override {
    RenderedChat rendered;
    for (const json::value& message : prompt.messages) {
      const json::object& object = message.as_object();
      rendered.prompt += std::string(object.at("role").as_string()) + ": ";
      if (const json::value* content = object.if_contains("content");
          content != nullptr && content->is_string()) {
        rendered.prompt += std::string(content->as_string());
      }
      rendered.prompt += "\n";
    }
    return rendered;
  }
  ModelActivity activity() const override { return {}; }
};

class FakeModelService : public ModelService {
 public:
  /// Says what becomes of a call; without it the answer is "Hi" and " there".
  std::function<ScriptedAnswer(const ModelCall& call)> script;
  /// Thrown, or handed on, by load, unload and with_model for names that are not in `known`; all
  /// names are known while it is empty.
  std::vector<std::string> known;
  std::vector<RunInfo> run_list;
  std::optional<Error> load_error;
  std::chrono::nanoseconds load_duration{3};
  FakeModel model;

  std::vector<ModelCall> calls;  // as they came
  struct Load {
    std::string model;
    std::optional<KeepAlive> keep_alive;
  };
  std::vector<Load> loads;
  std::vector<std::string> unloads;
  std::map<std::string, bool> pins;
  std::map<std::string, std::vector<std::string>> logs;  // by run id

  Canceller answer(ModelCall call, AnswerSink sink) override {
    ScriptedAnswer answer = default_answer();
    if (script) answer = script(call);
    {
      const std::lock_guard lock(mutex_);
      calls.push_back(std::move(call));
    }
    for (AnswerPiece& piece : answer.pieces) sink.on_piece(std::move(piece));
    if (!answer.hold) {
      sink.on_end(answer.error ? &*answer.error : nullptr, answer.result);
      return [] {};
    }
    auto held = std::make_shared<Held>(std::move(sink), std::move(answer));
    {
      const std::lock_guard lock(mutex_);
      held_.push_back(held);
    }
    return [held] {
      AnswerResult result;
      result.finish_reason = FinishReason::kCancelled;
      held->end(nullptr, result, true);
    };
  }

  /// The oldest answer that is held says more; the last time it ends.
  void go_on(std::vector<AnswerPiece> pieces, bool end = true) {
    std::shared_ptr<Held> held;
    {
      const std::lock_guard lock(mutex_);
      held = held_.at(0);
      if (end) held_.erase(held_.begin());
    }
    for (AnswerPiece& piece : pieces) held->sink.on_piece(std::move(piece));
    if (end) {
      held->end(held->answer.error ? &*held->answer.error : nullptr, held->answer.result, false);
    }
  }
  /// Whether the oldest answer that was held has been cancelled.
  bool is_cancelled() const {
    const std::lock_guard lock(mutex_);
    if (held_.empty()) return false;
    const std::lock_guard held_lock(held_.front()->mutex);
    return held_.front()->cancelled;
  }

  Canceller load(std::string name, std::optional<KeepAlive> keep_alive, OnLoaded on_end) override {
    if (const auto unknown = unknown_name(name)) {
      on_end(&*unknown, {});
      return [] {};
    }
    loads.push_back({std::move(name), keep_alive});
    on_end(load_error ? &*load_error : nullptr, load_duration);
    return [] {};
  }
  bool unload(const std::string& name) override {
    if (const auto unknown = unknown_name(name)) throw *unknown;
    unloads.push_back(name);
    return std::any_of(run_list.begin(), run_list.end(),
                       [&](const RunInfo& run) { return run.model.name.str() == name; });
  }
  void set_pinned(const std::string& name, bool is_pinned) override {
    if (const auto unknown = unknown_name(name)) throw *unknown;
    pins[name] = is_pinned;
  }
  Canceller with_model(std::string name, UseModel use) override {
    if (const auto unknown = unknown_name(name)) {
      use(&*unknown, nullptr);
    } else if (load_error) {
      use(&*load_error, nullptr);
    } else {
      use(nullptr, &model);
    }
    return [] {};
  }
  std::vector<RunInfo> runs() const override { return run_list; }
  std::vector<std::string> run_log(const std::string& run_id, size_t max_lines) const override {
    const auto found = logs.find(run_id);
    if (found == logs.end()) {
      throw Error(ErrorCode::kNotFound, "there is no run '" + run_id + "'");
    }
    std::vector<std::string> lines = found->second;
    if (lines.size() > max_lines) {
      lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(max_lines));
    }
    return lines;
  }

 private:
  struct Held {
    AnswerSink sink;
    ScriptedAnswer answer;
    std::mutex mutex;
    bool ended = false;
    bool cancelled = false;

    Held(AnswerSink its_sink, ScriptedAnswer its_answer)
        : sink(std::move(its_sink)), answer(std::move(its_answer)) {}
    void end(const Error* error, const AnswerResult& result, bool by_cancelling) {
      {
        const std::lock_guard lock(mutex);
        if (ended) return;
        ended = true;
        cancelled = by_cancelling;
      }
      sink.on_end(error, result);
    }
  };

  static ScriptedAnswer default_answer() {
    ScriptedAnswer answer;
    answer.pieces = {content_piece("Hi"), content_piece(" there")};
    answer.result = some_result();
    return answer;
  }
  std::optional<Error> unknown_name(const std::string& name) const {
    if (known.empty() || std::find(known.begin(), known.end(), name) != known.end()) {
      return std::nullopt;
    }
    return Error(ErrorCode::kNotFound, "model '" + name + "' is not here");
  }

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Held>> held_;
};

/// Models in a list. Names may leave ":latest" out.
class FakeModelCatalog final : public ModelCatalog {
 public:
  std::vector<ModelInspection> models;
  std::map<std::string, std::string> blobs;  // by digest
  std::vector<std::pair<std::string, std::string>> copies;
  std::vector<std::string> removed;

  /// A chat model that can use tools, think and fill in, with all its facts.
  ModelInspection& add(const std::string& name) {
    ModelInspection model;
    model.model = StoredModel{StoreName(name)};
    model.model.family = "llama";
    model.model.quantization = "Q4_K_M";
    model.model.parameter_count = 1'235'814'432;
    model.model.context_length = 4096;
    model.model.capabilities = {"completion", "tools", "thinking", "insert"};
    model.model.installed_at = 1'755'770'400;  // 2025-08-21T10:00:00Z
    Artifact weights;
    weights.filename = "model.gguf";
    weights.size = 807'694'464;
    weights.digest = sha256("weights of " + name);
    weights.format = "gguf";
    weights.role = "weights";
    model.model.artifacts.push_back(weights);
    model.chat_template = "{{ messages[0].content }}";
    model.metadata = {{"general.architecture", "llama"},
                      {"general.name", "Fake"},
                      {"llama.context_length", 4096},
                      {"tokenizer.ggml.tokens", {"a", "b"}}};
    model.tensors = {{"token_embd.weight", "Q4_K", {64, 128}}};
    model.capabilities = model.model.capabilities;
    models.push_back(std::move(model));
    return models.back();
  }

  std::vector<ListedModel> list(BuiltIn built_in) const override {
    const bool is_alone = std::all_of(models.begin(), models.end(),
                                      [](const auto& one) { return one.model.is_built_in(); });
    std::vector<ListedModel> listed;
    for (const ModelInspection& model : models) {
      const bool is_wanted = !model.model.is_built_in() || built_in == BuiltIn::kAlways ||
                             (built_in == BuiltIn::kIfAlone && is_alone);
      if (is_wanted) listed.push_back({model.model, std::nullopt});
    }
    std::stable_sort(listed.begin(), listed.end(), [](const auto& a, const auto& b) {
      return a.model.installed_at > b.model.installed_at;
    });
    return listed;
  }
  StoredModel find(const std::string& name) const override { return require(name).model; }
  ModelInspection inspect(const std::string& name, bool) const override { return require(name); }
  void copy(const std::string& from, const std::string& to) override {
    require(from);
    const StoreName checked(to);
    copies.emplace_back(from, checked.str());
  }
  void remove(const std::string& name) override {
    require(name);
    removed.push_back(name);
  }

  bool has_blob(const std::string& digest) const override {
    return blobs.count(Digest::require(digest, "the blob's digest").str()) > 0;
  }
  std::unique_ptr<BlobUpload> upload(const std::string& digest) override {
    return std::make_unique<Upload>(*this, Digest::require(digest, "the blob's digest"));
  }

 private:
  class Upload final : public BlobUpload {
   public:
    Upload(FakeModelCatalog& catalog, Digest wanted) : catalog_(catalog), wanted_(wanted) {}
    void take(std::string_view piece) override { bytes_ += piece; }
    bool finish() override {
      const Digest got = sha256(bytes_);
      if (got != wanted_) {
        throw Error(ErrorCode::kInvalidArgument, "digest mismatch, expected \"" + wanted_.str() +
                                                     "\", got \"" + got.str() + "\"");
      }
      return catalog_.blobs.emplace(wanted_.str(), std::move(bytes_)).second;
    }

   private:
    FakeModelCatalog& catalog_;
    Digest wanted_;
    std::string bytes_;
  };

  const ModelInspection& require(const std::string& name) const {
    for (const std::string& spelling : {name, name + ":latest", without_latest(name)}) {
      for (const ModelInspection& model : models) {
        if (is_name(spelling) && model.model.name == StoreName(spelling)) return model;
      }
    }
    throw Error(ErrorCode::kNotFound, "model '" + name + "' is not here");
  }
  static std::string without_latest(const std::string& name) {
    return name.ends_with(":latest") ? name.substr(0, name.size() - 7) : name;
  }
  static bool is_name(const std::string& text) {
    try {
      return !StoreName(text).str().empty();
    } catch (const Error&) {
      return false;
    }
  }
};

/// Jobs that go through the states that the test gives.
class FakeJobService final : public JobService {
 public:
  /// What a watcher is told, one after another; the last should be final, or the job is held.
  std::vector<JobInfo> updates;
  std::optional<Error> start_error;

  std::vector<PullCall> pulls;
  std::vector<std::pair<std::string, bool>> pushes;  // model, insecure
  std::vector<CreateCall> creates;
  std::vector<std::string> cancelled;
  std::vector<JobInfo> job_list;  // newest first

  JobInfo start_pull(const PullCall& call, std::unique_ptr<Hold>* hold = nullptr) override {
    pulls.push_back(call);
    return start("pull", call.model, hold);
  }
  JobInfo start_push(const std::string& model, bool insecure,
                     std::unique_ptr<Hold>* hold = nullptr) override {
    pushes.emplace_back(model, insecure);
    return start("push", model, hold);
  }
  JobInfo start_create(const CreateCall& call, std::unique_ptr<Hold>* hold = nullptr) override {
    creates.push_back(call);
    return start("create", call.name, hold);
  }
  std::vector<JobInfo> jobs() const override { return job_list; }
  JobInfo job(const std::string& id) const override {
    for (const JobInfo& info : job_list) {
      if (info.id == id) return info;
    }
    throw Error(ErrorCode::kNotFound, "there is no job '" + id + "'");
  }
  void cancel(const std::string& id) override {
    job(id);
    cancelled.push_back(id);
  }
  std::unique_ptr<Subscription> watch(const std::string& id, OnUpdate on_update) override {
    const JobInfo now = job(id);
    if (updates.empty()) on_update(now);
    for (JobInfo update : updates) {
      update.id = id;
      on_update(update);
    }
    return subscribe(std::move(on_update));
  }
  std::unique_ptr<Subscription> watch_all(OnUpdate on_update) override {
    for (const JobInfo& info : job_list) on_update(info);
    return subscribe(std::move(on_update));
  }
  /// Tells all who still watch.
  void tell(const JobInfo& info) {
    for (const auto& weak : watchers_) {
      if (const auto watcher = weak.lock()) (*watcher)(info);
    }
  }
  size_t watchers() const {
    return static_cast<size_t>(std::count_if(watchers_.begin(), watchers_.end(),
                                             [](const auto& weak) { return !weak.expired(); }));
  }

 private:
  struct Watch final : Subscription {
    explicit Watch(std::shared_ptr<OnUpdate> function) : on_update(std::move(function)) {}
    std::shared_ptr<OnUpdate> on_update;
  };

  struct HeldJob final : Hold {
    HeldJob(FakeJobService& service, std::string id) : jobs(service), job(std::move(id)) {
      jobs.wanted_.insert(job);
    }
    /// The last who wants a job that runs cancels it.
    ~HeldJob() override {
      jobs.wanted_.erase(jobs.wanted_.find(job));
      if (jobs.wanted_.count(job) == 0) jobs.cancelled.push_back(job);
    }
    FakeJobService& jobs;
    const std::string job;
  };

  JobInfo start(const std::string& kind, const std::string& subject, std::unique_ptr<Hold>* hold) {
    const JobInfo info = same_or_new(kind, subject);
    if (hold) {
      *hold = std::make_unique<HeldJob>(*this, info.id);
    } else {
      wanted_.insert(info.id);
    }
    return info;
  }
  JobInfo same_or_new(const std::string& kind, const std::string& subject) {
    if (start_error) throw *start_error;
    for (const JobInfo& info : job_list) {
      const bool ended = info.state != JobState::kQueued && info.state != JobState::kRunning;
      if (info.kind == kind && info.subject == subject && !ended) return info;
    }
    JobInfo info;
    info.id = "job-" + std::to_string(job_list.size() + 1);
    info.kind = kind;
    info.subject = subject;
    info.state = JobState::kRunning;
    job_list.insert(job_list.begin(), info);
    return info;
  }
  std::unique_ptr<Subscription> subscribe(OnUpdate on_update) {
    auto watch = std::make_unique<Watch>(std::make_shared<OnUpdate>(std::move(on_update)));
    watchers_.push_back(watch->on_update);
    return watch;
  }

  std::vector<std::weak_ptr<OnUpdate>> watchers_;
  std::multiset<std::string> wanted_;  // ids: one for each hold, and for each start without
};

}  // namespace omg::testing
