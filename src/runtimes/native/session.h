// SPDX-License-Identifier: Apache-2.0
//
// A loaded model that answers requests: joins model file, tokenizer, chat template and engine. The
// daemon's workers and the commands that run without a daemon both drive this.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/json.h"
#include "engine/engine.h"
#include "engine/sample/sampler.h"
#include "text/template/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

/// What ends an answer.
enum class FinishReason { kStop, kLength, kCancelled };
std::string_view finish_reason_name(FinishReason reason);

struct GenerateOptions {
  SamplingOptions sampling;
  /// The answer ends before any of these; none of their text is shown, even split between tokens.
  std::vector<std::string> stop;
  int32_t max_tokens = -1;  // -1: until the context is full
  CancellationToken cancellation;
};

/// One piece of an answer: whole UTF-8 characters.
struct GenerationPiece {
  std::string text;
  std::vector<SampledToken> tokens;  // those whose text became certain with this piece
};
using PieceSink = std::function<void(const GenerationPiece&)>;

struct GenerationResult {
  FinishReason finish_reason = FinishReason::kStop;
  std::string stop_sequence;  // which one was met, if any
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // of the prompt, found in the KV cache
  uint32_t generated_tokens = 0;
  std::chrono::nanoseconds prompt_duration{};
  std::chrono::nanoseconds generation_duration{};
  std::chrono::nanoseconds total_duration{};
};

/// What chat() renders: messages, and all else that the template may ask for.
struct ChatRequest {
  json::array messages;  // objects {role, content, …} as in the OpenAI API
  json::array tools;
  json::object template_variables;  // e.g. enable_thinking
  GenerateOptions options;
};

struct GenerateRequest {
  std::string prompt;
  bool parse_special = true;  // control tokens in the prompt are recognised
  GenerateOptions options;
};

/// Not thread-safe: one request at a time (the daemon's batching comes above the engine).
class Session {
 public:
  static std::unique_ptr<Session> load(const std::string& path, const EngineOptions& options);
  virtual ~Session() = default;

  virtual const ModelFile& file() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual Engine& engine() = 0;
  /// Null when the model has none.
  virtual const ChatTemplate* chat_template() const = 0;
  virtual std::chrono::nanoseconds load_duration() const = 0;

  /// The prompt that chat() would send. Error(kUnsupported) when the model has no template.
  virtual std::string render(const ChatRequest& request) const = 0;
  /// Answers a conversation. Tokens shared with the previous request's are not computed again.
  /// Error(kContextLengthExceeded) with both numbers when the prompt does not fit.
  virtual GenerationResult chat(const ChatRequest& request, const PieceSink& sink) = 0;
  /// Continues a text; BOS as the model wants it.
  virtual GenerationResult generate(const GenerateRequest& request, const PieceSink& sink) = 0;
};

}  // namespace omg
