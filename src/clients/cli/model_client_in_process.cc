// SPDX-License-Identifier: Apache-2.0
//
// The model client that needs no daemon: a model of runtimes/native in this process. The one file
// of the commands that knows it.
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "clients/cli/format.h"
#include "clients/cli/local_model.h"
#include "clients/cli/model_client.h"
#include "clients/cli/profile.h"
#include "daemon/lifecycle/settings_merge.h"
#include "runtimes/native/native_model.h"

namespace omg::cli {
namespace {

/// Hands an answer from the model's thread to the one that waits for it: showing it may take time,
/// or throw, and neither is the model's business.
class AnswerQueue {
 public:
  omg::AnswerSink sink() {
    omg::AnswerSink sink;
    sink.on_piece = [this](AnswerPiece&& piece) {
      const std::lock_guard lock(mutex_);
      pieces_.push_back(std::move(piece));
      came_.notify_one();
    };
    sink.on_end = [this](const Error* error, const AnswerResult& result) {
      const std::lock_guard lock(mutex_);
      if (error != nullptr) error_ = *error;
      result_ = result;
      came_.notify_one();
    };
    return sink;
  }

  /// The next piece; nothing once the answer has ended.
  std::optional<AnswerPiece> next() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return !pieces_.empty() || result_; });
    if (pieces_.empty()) return std::nullopt;
    AnswerPiece piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
  }
  void wait_for_end() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return result_.has_value(); });
  }
  /// After the end.
  AnswerResult result() {
    if (error_) throw *error_;
    return std::move(*result_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<AnswerPiece> pieces_;
  std::optional<Error> error_;
  std::optional<AnswerResult> result_;
};

/// What is layered on the files of a model of the store.
ModelSettings settings_of(const LocalModel& local) {
  return local.stored ? local.stored->model().settings : ModelSettings();
}

class InProcessClient : public ModelClient {
 public:
  InProcessClient(std::string model, LocalModel local, std::unique_ptr<NativeModel> native, Log log)
      : model_(std::move(model)),
        local_(std::move(local)),
        native_(std::move(native)),
        log_(std::move(log)),
        load_duration_(native_->facts().load_duration) {
    log_load();
  }

  ~InProcessClient() override {
    try {
      print_profile(native_->engine());
    } catch (const std::bad_alloc&) {
      // No memory to say it with.
    }
  }

  const std::string& model() const override { return model_; }
  std::optional<std::string> chat_template() const override {
    if (const ChatTemplate* chat = native_->chat_template()) return chat->source();
    // One that is there but does not parse is an error, which rendering tells.
    if (native_->file().metadata().contains("tokenizer.chat_template")) {
      ChatPrompt prompt;
      prompt.messages.push_back({{"role", "user"}, {"content", ""}});
      native_->render(prompt);
    }
    return std::nullopt;
  }
  void check_thinking(std::string_view value) const override {
    const TemplateCapabilities none;
    const TemplateCapabilities* capabilities = native_->capabilities();
    thinking_variables(capabilities ? *capabilities : none, value);
  }
  uint32_t context_length() const override { return native_->facts().context_length; }

  AnswerStatistics chat(const ChatCall& call, const AnswerSink& sink) override {
    ChatPrompt prompt;
    prompt.messages = call.messages;
    prompt.thinking = call.thinking;
    const auto show = [&sink](const AnswerPiece& piece) {
      for (const OutputEvent& event : piece.events) {
        if (event.kind == OutputEvent::Kind::kReasoning) sink(AnswerPart::kReasoning, event.text);
        if (event.kind == OutputEvent::Kind::kContent) sink(AnswerPart::kContent, event.text);
      }
    };
    return answer(std::move(prompt), call.parameters, call.cancellation, show);
  }

  AnswerStatistics generate(const GenerateCall& call, const TextSink& sink) override {
    TextPrompt prompt;
    prompt.text = call.prompt;
    const auto show = [&sink](const AnswerPiece& piece) {
      if (!piece.text.empty()) sink(piece.text);
    };
    return answer(std::move(prompt), call.parameters, call.cancellation, show);
  }

 private:
  template <class Prompt, class Show>
  AnswerStatistics answer(Prompt prompt, const Parameters& parameters,
                          const CancellationToken& cancellation, const Show& show) {
    ModelCall call;
    call.prompt = std::move(prompt);
    call.parameters = parameters;
    MergedCall merged =
        merge_settings(settings_of(local_), std::move(call), native_->facts().context_length);
    merged.request.options.cancellation = cancellation;
    AnswerQueue queue;
    const Canceller cancel = native_->answer(std::move(merged.request), queue.sink());
    try {
      while (const auto piece = queue.next()) show(*piece);
    } catch (...) {
      cancel();
      queue.wait_for_end();
      throw;
    }
    AnswerStatistics all = statistics(queue.result());
    all.warnings.insert(all.warnings.begin(), merged.warnings.begin(), merged.warnings.end());
    return all;
  }

  AnswerStatistics statistics(const AnswerResult& result) {
    AnswerStatistics statistics;
    statistics.finish_reason = finish_reason_name(result.finish_reason);
    statistics.prompt_tokens = result.prompt_tokens;
    statistics.cached_tokens = result.cached_tokens;
    statistics.generated_tokens = result.generated_tokens;
    // Only the first answer waited for the model to load.
    statistics.load_duration = std::exchange(load_duration_, {});
    statistics.total_duration = result.total_duration + statistics.load_duration;
    statistics.prompt_duration = result.prompt_duration;
    statistics.generation_duration = result.generation_duration;
    statistics.warnings = result.warnings;
    if (log_.writes(LogLevel::kDebug)) {
      log_.write(
          LogLevel::kDebug,
          fmt::format("answered in {}: {} prompt tokens ({} computed before), {} generated, "
                      "ended by {}",
                      format_duration(result.total_duration), result.prompt_tokens,
                      result.cached_tokens, result.generated_tokens, statistics.finish_reason));
    }
    return statistics;
  }

  void log_load() const {
    if (!log_.writes(LogLevel::kInfo)) return;
    const Engine& engine = native_->engine();
    const ModelFacts& facts = native_->facts();
    log_.write(
        LogLevel::kInfo,
        fmt::format("loaded {} in {}: {}, {} threads, context of {} tokens, weights {}, "
                    "cache {}, working memory {}",
                    model_, format_duration(load_duration_), isa_name(engine.isa()),
                    engine.threads(), facts.context_length, format_bytes(facts.weights_bytes),
                    format_bytes(facts.kv_bytes), format_bytes(facts.scratch_bytes)));
  }

  std::string model_;
  LocalModel local_;  // its files are kept while they are in use
  std::unique_ptr<NativeModel> native_;
  Log log_;
  std::chrono::nanoseconds load_duration_;
};

}  // namespace

std::unique_ptr<ModelClient> open_model_here(const std::string& model, const LoadOptions& options) {
  Log log = Log::from_environment();
  LocalModel local = find_local_model(model);
  ModelLoadOptions load;
  load.path = local.path;
  load.chat_template = template_of(settings_of(local));
  load.context_length = options.context_length;
  load.max_sequences = 1;
  load.threads = options.threads;
  load.kv_type = options.kv_type;
  NativeLoadOptions native;
  native.profile = profile_wanted();
  native.on_progress = options.on_progress;
  std::unique_ptr<NativeModel> loaded = NativeModel::load(load, native);
  return std::make_unique<InProcessClient>(model, std::move(local), std::move(loaded),
                                           std::move(log));
}

}  // namespace omg::cli
