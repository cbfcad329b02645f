// SPDX-License-Identifier: Apache-2.0
//
// The seam between commands and models. Commands that talk to a model know this interface alone;
// behind it stands the daemon, or a model in this process.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/json.h"
#include "clients/sdk/daemon_client.h"
#include "runtimes/parameters.h"

namespace omg::cli {

/// How a model is loaded.
struct LoadOptions {
  uint32_t context_length = 0;  // 0: the model's maximum, or what memory allows
  /// The daemon's: "5m", "-1", … as Ollama reads them; "": as it is configured.
  std::string keep_alive;
  /// In this process, though the model is one of the store.
  bool direct = false;
  // In this process alone: the daemon has settings of its own for these.
  uint32_t threads = 0;         // 0: all that this process may use
  std::string kv_type = "f16";  // a name in kKvTypes
  /// Share of the weights that is loaded, 0 to 1. May throw to stop.
  std::function<void(float)> on_progress;
};

struct ChatCall {
  json::array messages;  // {role, content, …} as in the OpenAI API
  std::string thinking;  // "": as the template does by itself; else "true", "false" or a level
  Parameters parameters;
  CancellationToken cancellation;
};

struct GenerateCall {
  std::string prompt;
  Parameters parameters;
  CancellationToken cancellation;
};

/// What an answer took.
struct AnswerStatistics {
  std::string finish_reason;  // "stop", "length" or "cancelled"
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // of the prompt, not computed again
  uint32_t generated_tokens = 0;
  std::chrono::nanoseconds total_duration{};
  std::chrono::nanoseconds load_duration{};  // 0 when the model was there already
  std::chrono::nanoseconds prompt_duration{};
  std::chrono::nanoseconds generation_duration{};
  /// How the conversation was adapted to the model, a sentence each.
  std::vector<std::string> warnings;
};

/// Gets the answer as it comes, in whole UTF-8 characters.
using TextSink = std::function<void(std::string_view)>;
/// The same for a chat, in its parts.
enum class AnswerPart { kReasoning, kContent };
using AnswerSink = std::function<void(AnswerPart, std::string_view)>;

/// Not thread-safe: one call at a time.
class ModelClient {
 public:
  virtual ~ModelClient() = default;
  /// What the user named.
  virtual const std::string& model() const = 0;
  /// Source of the chat template; nothing when the model has none. Throws the error of one that
  /// does not parse.
  virtual std::optional<std::string> chat_template() const = 0;
  /// Error(kUnsupported | kInvalidArgument) if ChatCall::thinking cannot be this.
  virtual void check_thinking(std::string_view value) const = 0;
  virtual uint32_t context_length() const = 0;

  /// Answers a conversation. Error(kUnsupported) when the model has no template;
  /// Error(kContextLengthExceeded) with both numbers when it does not fit.
  virtual AnswerStatistics chat(const ChatCall& call, const AnswerSink& sink) = 0;
  /// Continues a text, with no template; BOS as the model wants it.
  virtual AnswerStatistics generate(const GenerateCall& call, const TextSink& sink) = 0;
};

/// Loads a model into this process. Error(kNotFound) says what a model may be named by.
std::unique_ptr<ModelClient> open_model_here(const std::string& model, const LoadOptions& options);
/// A model of the store, loaded by the daemon that listens there.
std::unique_ptr<ModelClient> open_model_in_daemon(const DaemonAddress& address,
                                                  const std::string& model,
                                                  const LoadOptions& options);

}  // namespace omg::cli
