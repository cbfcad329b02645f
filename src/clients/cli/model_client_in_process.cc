// SPDX-License-Identifier: Apache-2.0
//
// The model client that needs no daemon: a session of runtimes/native in this process. The one file
// of the commands that knows the session.
#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "clients/cli/format.h"
#include "clients/cli/local_model.h"
#include "clients/cli/model_client.h"
#include "clients/cli/options.h"
#include "clients/cli/profile.h"
#include "runtimes/native/session.h"

namespace omg::cli {
namespace {

template <typename Target, typename Source>
void assign(Target& target, const std::optional<Source>& source) {
  if (source) target = static_cast<Target>(*source);
}

GenerateOptions to_generate_options(const Parameters& parameters,
                                    const CancellationToken& cancellation) {
  GenerateOptions options;
  assign(options.sampling.temperature, parameters.temperature);
  assign(options.sampling.top_k, parameters.top_k);
  assign(options.sampling.top_p, parameters.top_p);
  assign(options.sampling.min_p, parameters.min_p);
  assign(options.sampling.typical_p, parameters.typical_p);
  assign(options.sampling.repeat_penalty, parameters.repeat_penalty);
  assign(options.sampling.presence_penalty, parameters.presence_penalty);
  assign(options.sampling.frequency_penalty, parameters.frequency_penalty);
  assign(options.sampling.repeat_last_n, parameters.repeat_last_n);
  assign(options.sampling.seed, parameters.seed);
  assign(options.max_tokens, parameters.max_tokens);
  options.stop = parameters.stop;
  options.cancellation = cancellation;
  return options;
}

class InProcessClient : public ModelClient {
 public:
  InProcessClient(std::string model, LocalModel local, std::unique_ptr<Session> session, Log log)
      : model_(std::move(model)),
        local_(std::move(local)),
        session_(std::move(session)),
        log_(std::move(log)),
        load_duration_(session_->load_duration()) {
    log_load();
  }

  ~InProcessClient() override {
    try {
      print_profile(session_->engine());
    } catch (const std::bad_alloc&) {
      // No memory to say it with.
    }
  }

  const std::string& model() const override { return model_; }
  std::optional<std::string> chat_template() const override {
    if (const ChatTemplate* chat = session_->chat_template()) return chat->source();
    // One that is there but does not parse is an error, which rendering tells.
    if (session_->file().metadata().contains("tokenizer.chat_template")) {
      ChatRequest request;
      request.messages.push_back({{"role", "user"}, {"content", ""}});
      session_->render(request);
    }
    return std::nullopt;
  }
  json::object thinking_variables(std::string_view value) const override {
    const TemplateCapabilities none;
    const TemplateCapabilities* capabilities = session_->capabilities();
    return omg::thinking_variables(capabilities ? *capabilities : none, value);
  }
  uint32_t context_length() const override { return session_->engine().context_length(); }

  AnswerStatistics chat(const ChatCall& call, const AnswerSink& sink) override {
    ChatRequest request;
    request.messages = call.messages;
    request.template_variables = call.template_variables;
    request.options = to_generate_options(call.parameters, call.cancellation);
    request.parse_output = true;
    const auto show = [&sink](const GenerationPiece& piece) {
      for (const OutputEvent& event : piece.events) {
        if (event.kind == OutputEvent::Kind::kReasoning) sink(AnswerPart::kReasoning, event.text);
        if (event.kind == OutputEvent::Kind::kContent) sink(AnswerPart::kContent, event.text);
      }
    };
    return statistics(session_->chat(request, show));
  }

  AnswerStatistics generate(const GenerateCall& call, const TextSink& sink) override {
    GenerateRequest request;
    request.prompt = call.prompt;
    request.options = to_generate_options(call.parameters, call.cancellation);
    return statistics(session_->generate(request, piece_sink(sink)));
  }

 private:
  static PieceSink piece_sink(const TextSink& sink) {
    return [&sink](const GenerationPiece& piece) {
      if (!piece.text.empty()) sink(piece.text);
    };
  }

  AnswerStatistics statistics(const GenerationResult& result) {
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
    Engine& engine = session_->engine();
    const MemoryUse memory = engine.memory_use();
    log_.write(
        LogLevel::kInfo,
        fmt::format("loaded {} in {}: {}, {} threads, context of {} tokens, weights {}, "
                    "cache {}, working memory {}",
                    model_, format_duration(load_duration_), isa_name(engine.isa()),
                    engine.threads(), engine.context_length(), format_bytes(memory.weights_bytes),
                    format_bytes(memory.kv_bytes), format_bytes(memory.scratch_bytes)));
  }

  std::string model_;
  LocalModel local_;  // its files are kept while they are in use
  std::unique_ptr<Session> session_;
  Log log_;
  std::chrono::nanoseconds load_duration_;
};

}  // namespace

std::unique_ptr<ModelClient> open_model_here(const std::string& model, const LoadOptions& options) {
  Log log = Log::from_environment();
  EngineOptions engine;
  engine.context_length = options.context_length;
  engine.threads = options.threads;
  engine.kv_type = kv_type_named(options.kv_type);
  engine.profile = profile_wanted();
  engine.on_progress = options.on_progress;
  LocalModel local = find_local_model(model);
  std::unique_ptr<Session> session = Session::load(local.path, engine);
  return std::make_unique<InProcessClient>(model, std::move(local), std::move(session),
                                           std::move(log));
}

}  // namespace omg::cli
