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
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/engine.h"
#include "engine/sample/sampler.h"
#include "text/template/capabilities.h"
#include "text/template/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tools/output_parser.h"
#include "text/tools/tool_format.h"

namespace omg {

/// What ends an answer.
enum class FinishReason { kStop, kLength, kCancelled };
std::string_view finish_reason_name(FinishReason reason);

struct GenerateOptions {
  SamplingOptions sampling;
  /// The answer ends before any of these; none of their text is shown, even split between tokens.
  /// The first to be complete wins. At most kMaxStops, of 1 to kMaxStopBytes bytes of UTF-8.
  std::vector<std::string> stop;
  int32_t max_tokens = -1;  // -1: until the context is full; 0: only the prompt is computed
  CancellationToken cancellation;
};
inline constexpr size_t kMaxStops = 64;
inline constexpr size_t kMaxStopBytes = 1024;

/// Error(kInvalidArgument) naming the field that is out of its range.
void validate(const GenerateOptions& options);

/// One piece of an answer: whole UTF-8 characters.
struct GenerationPiece {
  std::string text;
  std::vector<SampledToken> tokens;  // those whose text became certain with this piece
  /// The same text taken apart, where ChatRequest::parse_output asks for it. May come with empty
  /// text, when what was held back becomes certain.
  OutputEvents events;
};
using PieceSink = std::function<void(const GenerationPiece&)>;

struct GenerationResult {
  FinishReason finish_reason = FinishReason::kStop;
  std::string stop_sequence;  // which one was met, if any
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;                      // of the prompt, found in the KV cache
  uint32_t generated_tokens = 0;                   // without the one that ends the answer
  std::chrono::nanoseconds prompt_duration{};      // until the first logits
  std::chrono::nanoseconds generation_duration{};  // all after that
  std::chrono::nanoseconds total_duration{};       // with rendering and tokenising
  /// How the conversation was adapted to what the template can express, a sentence each.
  std::vector<std::string> warnings;
};

/// What chat() renders: messages, and all else that the template may ask for.
struct ChatRequest {
  json::array messages;  // objects {role, content, …} as in the OpenAI API; at least one
  json::array tools;
  /// E.g. enable_thinking. May replace add_generation_prompt (true), but not messages or tools.
  json::object template_variables;
  /// Take reasoning and tool calls out of the answer: pieces then have events, and their text shows
  /// the markers, too, that are control tokens.
  bool parse_output = false;
  GenerateOptions options;
};

/// A conversation as it goes to the model.
struct RenderedChat {
  std::string prompt;
  std::vector<std::string> warnings;
};

struct GenerateRequest {
  std::string prompt;
  bool parse_special = true;  // control tokens in the prompt are recognised
  GenerateOptions options;
};

/// What a session is made of. The engine may refer to the file.
struct SessionParts {
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::optional<Error> template_error;  // why there is none, when the model names one
  std::string default_template;         // name of the family's, where the file brings none
  std::unique_ptr<Engine> engine;
  std::chrono::nanoseconds load_duration{};
};

/// Not thread-safe: one request at a time (the daemon's batching comes above the engine). After an
/// exception, a sink's too, the session answers the next request as if nothing had happened.
class Session {
 public:
  /// Loads a model file. A chat template that does not parse is no error yet: render() and chat()
  /// throw it.
  static std::unique_ptr<Session> load(const std::string& path, const EngineOptions& options);
  static std::unique_ptr<Session> create(SessionParts parts);
  virtual ~Session() = default;

  virtual const ModelFile& file() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual Engine& engine() = 0;
  /// Null when the model has none, or one that does not parse.
  virtual const ChatTemplate* chat_template() const = 0;
  /// What the template can express, and how it writes calls and reasoning. Null without a template.
  virtual const TemplateCapabilities* capabilities() const = 0;
  virtual const ToolFormat* tool_format() const = 0;
  virtual std::chrono::nanoseconds load_duration() const = 0;

  /// The prompt that chat() would send. Error(kUnsupported) when the model has no template, or one
  /// that cannot express the conversation.
  virtual RenderedChat render(const ChatRequest& request) const = 0;
  /// Answers a conversation. Tokens shared with the previous request's are not computed again.
  /// Error(kContextLengthExceeded) with both numbers when the prompt does not leave room for a
  /// token. A cancelled request is a result, not an error.
  virtual GenerationResult chat(const ChatRequest& request, const PieceSink& sink) = 0;
  /// Continues a text; BOS as the model wants it, and only once. Error(kInvalidArgument) when the
  /// prompt has no tokens.
  virtual GenerationResult generate(const GenerateRequest& request, const PieceSink& sink) = 0;
};

}  // namespace omg
