// SPDX-License-Identifier: Apache-2.0
//
// The model client that asks the daemon: many users of one loaded model, which stays loaded when
// the command has ended.
#include <chrono>
#include <future>
#include <utility>

#include "base/error.h"
#include "clients/cli/model_client.h"
#include "clients/sdk/daemon_client.h"

namespace omg::cli {
namespace {

std::chrono::nanoseconds duration_of(const json::object& timings, std::string_view name) {
  const json::value* value = timings.if_contains(name);
  if (value == nullptr || !value->is_number()) return {};
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double, std::milli>(value->to_number<double>()));
}

uint32_t count_of(const json::object& usage, std::string_view name) {
  const json::value* value = usage.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<uint32_t>() : 0;
}

AnswerStatistics statistics_of(const json::object& end) {
  AnswerStatistics statistics;
  const json::object& timings = end.at("timings").as_object();
  const json::object& usage = end.at("usage").as_object();
  statistics.finish_reason = std::string(end.at("finish_reason").as_string());
  statistics.prompt_tokens = count_of(usage, "prompt_tokens");
  statistics.cached_tokens = count_of(usage, "cached_tokens");
  statistics.generated_tokens = count_of(usage, "generated_tokens");
  statistics.load_duration = duration_of(timings, "load_ms");
  statistics.prompt_duration = duration_of(timings, "prompt_ms");
  statistics.generation_duration = duration_of(timings, "generation_ms");
  statistics.total_duration = duration_of(timings, "total_ms");
  for (const json::value& warning : end.at("warnings").as_array()) {
    statistics.warnings.emplace_back(warning.as_string());
  }
  return statistics;
}

class DaemonModelClient final : public ModelClient {
 public:
  DaemonModelClient(const DaemonAddress& address, std::string model, const LoadOptions& options)
      : client_(address), model_(std::move(model)), context_limit_(options.context_length) {
    load(address, options);
  }

  const std::string& model() const override { return model_; }

  std::optional<std::string> chat_template() const override {
    if (!facts_.at("has_template").as_bool()) return std::nullopt;
    if (!template_) {
      const json::value shown = client_.post("/api/show", {{"model", model_}});
      template_ = std::string(shown.at("template").as_string());
    }
    return template_;
  }

  void check_thinking(std::string_view value) const override {
    if (value == "false" || facts_.at("can_think").as_bool()) return;
    throw Error(ErrorCode::kUnsupported, model_ + " does not support thinking");
  }

  uint32_t context_length() const override {
    const auto context = facts_.at("context_length").to_number<uint32_t>();
    return context_limit_ > 0 ? std::min(context, context_limit_) : context;
  }

  AnswerStatistics chat(const ChatCall& call, const AnswerSink& sink) override {
    json::object body = request_with(call.parameters);
    body["messages"] = call.messages;
    if (!call.thinking.empty()) body["thinking"] = call.thinking;
    return answer(body, sink, call.cancellation);
  }

  AnswerStatistics generate(const GenerateCall& call, const TextSink& sink) override {
    json::object body = request_with(call.parameters);
    body["prompt"] = call.prompt;
    const auto show = [&](AnswerPart, std::string_view text) { sink(text); };
    return answer(body, show, call.cancellation);
  }

 private:
  /// Waits until the model is there, and shows how far it is: one connection waits, another looks.
  void load(const DaemonAddress& address, const LoadOptions& options) {
    const auto begin = std::chrono::steady_clock::now();
    const CancellationToken cancellation;
    std::future<json::value> loaded = std::async(std::launch::async, [&, cancellation] {
      DaemonClient waiting(address);
      return waiting.post("/v1/runs", load_request(options), cancellation);
    });
    try {
      while (loaded.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
        if (options.on_progress) show_progress(options);
      }
    } catch (...) {
      auto stop = cancellation;
      stop.cancel();
      throw;
    }
    const json::value run = loaded.get();
    const json::value* facts = run.as_object().if_contains("facts");
    if (facts == nullptr || !facts->is_object()) {
      throw Error(ErrorCode::kUnavailable, "the daemon unloaded '" + model_ +
                                               "' as soon as it was loaded: other models need the "
                                               "memory; 'omg ps' shows them");
    }
    facts_ = facts->get_object();
    load_duration_ = std::chrono::steady_clock::now() - begin;
  }

  json::object load_request(const LoadOptions& options) const {
    json::object request = {{"model", model_}};
    if (!options.keep_alive.empty()) request["keep_alive"] = options.keep_alive;
    return request;
  }

  void show_progress(const LoadOptions& options) {
    const json::value runs = client_.get("/v1/runs");
    for (const json::value& run : runs.at("runs").as_array()) {
      if (run.at("state") != "starting") continue;
      options.on_progress(run.at("load_progress").to_number<float>());
      return;
    }
  }

  json::object request_with(const Parameters& parameters) const {
    Parameters all = parameters;
    if (!all.context_length && context_limit_ > 0) all.context_length = context_limit_;
    return {{"model", model_}, {"parameters", parameters_to_json(all)}};
  }

  AnswerStatistics answer(const json::object& body, const AnswerSink& sink,
                          const CancellationToken& cancellation) {
    AnswerStatistics statistics;
    bool has_ended = false;
    const auto take = [&](const json::object& event, std::string_view) {
      if (const json::value* text = event.if_contains("text")) {
        sink(AnswerPart::kContent, text->as_string());
      } else if (const json::value* reasoning = event.if_contains("reasoning")) {
        sink(AnswerPart::kReasoning, reasoning->as_string());
      } else if (event.contains("done")) {
        statistics = statistics_of(event);
        has_ended = true;
      }
    };
    try {
      client_.stream("/v1/generate_stream", body, take, cancellation);
    } catch (const Error& error) {
      // The daemon ends the answer when nobody reads it any more.
      if (error.code() != ErrorCode::kCancelled) throw;
      statistics.finish_reason = "cancelled";
      return statistics;
    }
    if (!has_ended) {
      throw Error(ErrorCode::kUnavailable,
                  "the daemon ended the answer before it was whole; its log tells why");
    }
    // Only the first answer waited for the model to load.
    statistics.load_duration += std::exchange(load_duration_, {});
    return statistics;
  }

  mutable DaemonClient client_;
  const std::string model_;
  const uint32_t context_limit_;
  json::object facts_;
  mutable std::optional<std::string> template_;
  std::chrono::nanoseconds load_duration_{};
};

}  // namespace

std::unique_ptr<ModelClient> open_model_in_daemon(const DaemonAddress& address,
                                                  const std::string& model,
                                                  const LoadOptions& options) {
  return std::make_unique<DaemonModelClient>(address, model, options);
}

}  // namespace omg::cli
