// SPDX-License-Identifier: Apache-2.0
//
// What is asked of a loaded model, and what comes back: plain data that goes through a runtime
// whatever it is, a session in this process or a worker behind a socket.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/sample/sampler.h"
#include "text/tools/output_parser.h"

namespace omg {

/// A language that the answer must belong to; text/grammar has the details.
struct AnswerFormat {
  enum class Kind { kFree, kJsonObject, kJsonSchema, kRegex, kGbnf };
  Kind kind = Kind::kFree;
  json::value schema;  // kJsonSchema
  std::string source;  // kRegex, kGbnf
};

/// Whether the model may, or must, call tools.
struct ToolUse {
  enum class Choice { kAuto, kNone, kRequired };
  Choice choice = Choice::kAuto;
  std::string name;      // kRequired: this one; "": any
  bool parallel = true;  // more than one call in an answer
};

inline constexpr size_t kMaxStops = 64;
inline constexpr size_t kMaxStopBytes = 1024;

struct GenerateOptions {
  SamplingOptions sampling;
  /// The answer ends before any of these; none of their text is shown, even split between tokens.
  /// The first to be complete wins. At most kMaxStops, of 1 to kMaxStopBytes bytes of UTF-8.
  std::vector<std::string> stop;
  int32_t max_tokens = -1;  // -1: until the context is full; 0: only the prompt is computed
  AnswerFormat format;
  /// Tokens that prompt and answer may take together; 0, or more than the run has: the run's. A
  /// prompt that takes them all still has an answer, of the one token that follows it.
  uint32_t context_length = 0;
  /// A prompt of more tokens is cut: of a chat the oldest messages, but for the system's and the
  /// last; of a text the oldest tokens. What was cut is reported. Otherwise it is
  /// Error(kContextLengthExceeded) with both numbers.
  bool cut_prompt = false;
  /// When the context is full, all but the first `keep_tokens` and the newer half are forgotten,
  /// and the answer goes on. Needs max_tokens >= 0: an answer without any end is no answer.
  bool shift_context = false;
  uint32_t keep_tokens = 4;
  /// Report the ids of prompt and answer at the end.
  bool return_tokens = false;
  CancellationToken cancellation;
};

/// Error(kInvalidArgument) naming the field that is out of its range.
void validate(const GenerateOptions& options);

/// A conversation, and all else that the template may ask for.
struct ChatPrompt {
  json::array messages;  // objects {role, content, …} as in the OpenAI API; at least one
  json::array tools;     // as in the OpenAI API
  ToolUse tool_use;
  /// "": as the template does by itself; else "true", "false" or a level (thinking_variables()).
  std::string thinking;
  /// May replace add_generation_prompt (true), but not messages or tools.
  json::object template_variables;
  /// Take reasoning and tool calls out of the answer: pieces then have events, and their text shows
  /// the markers, too, that are control tokens.
  bool parse_output = true;
};

/// A text to go on with.
struct TextPrompt {
  std::string text;
  /// Fill in between `text` and this, with the tokens that the model has for it
  /// (Error(kUnsupported) if it has none).
  std::optional<std::string> suffix;
  bool parse_special = true;  // control tokens in the text are recognised
};

/// Tokens as they are.
struct TokenPrompt {
  std::vector<int32_t> tokens;
};

struct AnswerRequest {
  std::variant<ChatPrompt, TextPrompt, TokenPrompt> prompt;
  /// Stand before the prompt (Ollama's `context`); ids of the vocabulary.
  std::vector<int32_t> context;
  GenerateOptions options;
};

/// A token of an answer, with the bytes that it stands for: they need not be whole characters.
struct AnswerToken {
  struct Alternative {
    int32_t token = 0;
    std::string bytes;
    float logprob = 0;
  };
  int32_t token = 0;
  std::string bytes;
  float logprob = 0;
  std::vector<Alternative> top;  // most likely first
};

/// One piece of an answer: whole UTF-8 characters.
struct AnswerPiece {
  std::string text;
  uint32_t token_count = 0;  // whose text became certain with this piece
  /// Those, where SamplingOptions::top_logprobs asks for them.
  std::vector<AnswerToken> tokens;
  /// The same text taken apart, where ChatPrompt::parse_output asks for it. May come with empty
  /// text, when what was held back becomes certain.
  OutputEvents events;
};

/// What ends an answer.
enum class FinishReason { kStop, kLength, kCancelled };
std::string_view finish_reason_name(FinishReason reason);

struct AnswerResult {
  FinishReason finish_reason = FinishReason::kStop;
  std::string stop_sequence;  // which one was met, if any
  uint64_t seed = 0;          // draws the same tokens again
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;     // of the prompt, found in the KV cache
  uint32_t generated_tokens = 0;  // without the one that ends the answer
  uint32_t cut_messages = 0;      // GenerateOptions::cut_prompt
  uint32_t cut_tokens = 0;
  uint32_t context_shifts = 0;
  std::chrono::nanoseconds load_duration{};        // until the model was there; by who loads it
  std::chrono::nanoseconds queue_duration{};       // from there until its first step began
  std::chrono::nanoseconds prompt_duration{};      // from there until the first logits
  std::chrono::nanoseconds generation_duration{};  // all after that
  std::chrono::nanoseconds total_duration{};       // with rendering and tokenising
  /// How the request was adapted to what the model can do, a sentence each.
  std::vector<std::string> warnings;
  std::vector<int32_t> tokens;  // of prompt and answer, where return_tokens asks for them
};

/// Where an answer goes. Calls come one at a time, in order, from any thread, and everybody else's
/// answers may wait for them: they must be quick, must not throw, and may not call the model.
struct AnswerSink {
  std::function<void(AnswerPiece&& piece)> on_piece;
  /// Exactly once, last, also when cancelled (which is a result, no error) or when the model is
  /// gone. `error` is null when there is a result; else the result says how far it came.
  std::function<void(const Error* error, const AnswerResult& result)> on_end;
};

/// Ends an answer within a step of the engine. May be called at any time, from any thread, more
/// than once, also when the answer, or the model, is gone. Does not wait.
using Canceller = std::function<void()>;

/// A conversation as it goes to the model.
struct RenderedChat {
  std::string prompt;
  std::vector<std::string> warnings;
};

}  // namespace omg
