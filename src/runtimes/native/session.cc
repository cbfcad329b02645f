// SPDX-License-Identifier: Apache-2.0
//
// The life of one request: render, tokenise, find what the KV cache holds already, prefill in
// chunks, then sample and show token by token.
#include "runtimes/native/session.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/utf8.h"
#include "runtimes/native/answer_stream.h"
#include "text/template/conversation.h"
#include "text/tools/probe.h"
#include "text/tools/tag_text.h"

namespace omg {
namespace {

using Clock = std::chrono::steady_clock;

/// A sequence of the engine together with the tokens that it holds.
class CachedSequence {
 public:
  explicit CachedSequence(Engine& engine) : engine_(engine), id_(engine.create_sequence()) {
    tokens_.reserve(engine.context_length());  // nothing may fail between a step and its record
  }
  ~CachedSequence() { engine_.free_sequence(id_); }
  CachedSequence(const CachedSequence&) = delete;
  CachedSequence& operator=(const CachedSequence&) = delete;

  /// Forgets all but the longest common beginning with `prompt`, its last token excepted: that one
  /// is computed again to have its logits. Returns how many tokens are kept.
  uint32_t keep_common_prefix(std::span<const TokenId> prompt) {
    const size_t limit = std::min(tokens_.size(), prompt.size() - 1);
    size_t common = 0;
    while (common < limit && tokens_[common] == prompt[common]) ++common;
    if (common < tokens_.size()) {
      engine_.truncate_sequence(id_, static_cast<uint32_t>(common));
      tokens_.resize(common);
    }
    return static_cast<uint32_t>(common);
  }

  /// Runs tokens through the model. Returns the logits of the last `logits_count`.
  std::span<float> append(std::span<const TokenId> tokens, uint32_t logits_count) {
    const SequenceChunk chunk{id_, tokens, logits_count};
    const std::span<float> logits = engine_.step({&chunk, 1});
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    return logits;
  }

 private:
  Engine& engine_;
  SequenceId id_;
  std::vector<TokenId> tokens_;
};

bool has_tool_calls(const json::array& messages) {
  return std::any_of(messages.begin(), messages.end(), [](const json::value& message) {
    return message.is_object() && message.get_object().contains("tool_calls");
  });
}

/// The markers of a format that are control tokens of the vocabulary, and would not be shown.
std::vector<TokenId> marker_tokens(const ToolFormat& format, const Tokenizer& tokenizer) {
  std::vector<TokenId> tokens;
  const auto add = [&](std::string_view marker) {
    const std::optional<TokenId> token = tokenizer.find_token(marker);
    if (token && tokenizer.is_control(*token)) tokens.push_back(*token);
  };
  std::vector<std::string> texts = marker_texts(format);
  for (const std::string& text : texts) {
    add(text);
    for (const std::string& tag : split_tags(text)) add(tag);
  }
  return tokens;
}

class NativeSession final : public Session {
 public:
  explicit NativeSession(SessionParts parts) : parts_(std::move(parts)) {
    if (!parts_.chat_template) return;
    const SpecialTokens& special = parts_.tokenizer->special_tokens();
    const std::string bos = special_text(special.bos);
    const std::string eos = special_text(special.eos);
    capabilities_ = probe_capabilities(*parts_.chat_template, {bos, eos});
    format_ = probe_tool_format(*parts_.chat_template, {bos, eos});
    marker_tokens_ = marker_tokens(*format_, *parts_.tokenizer);
  }

  const ModelFile& file() const override { return *parts_.file; }
  const Tokenizer& tokenizer() const override { return *parts_.tokenizer; }
  Engine& engine() override { return *parts_.engine; }
  const ChatTemplate* chat_template() const override {
    return parts_.chat_template ? &*parts_.chat_template : nullptr;
  }
  const TemplateCapabilities* capabilities() const override {
    return capabilities_ ? &*capabilities_ : nullptr;
  }
  const ToolFormat* tool_format() const override { return format_ ? &*format_ : nullptr; }
  std::chrono::nanoseconds load_duration() const override { return parts_.load_duration; }

  RenderedChat render(const ChatRequest& request) const override;
  GenerationResult chat(const ChatRequest& request, const PieceSink& sink) override;
  GenerationResult generate(const GenerateRequest& request, const PieceSink& sink) override;

 private:
  std::vector<TokenId> encode_prompt(std::string_view text, bool parse_special) const;
  std::string special_text(std::optional<TokenId> token) const;
  GenerationResult answer(std::span<const TokenId> prompt, const GenerateOptions& options,
                          const PieceSink& sink, std::span<const TokenId> shown_tokens);
  GenerationResult parse_answer(const ChatRequest& request, std::string_view prompt,
                                std::span<const TokenId> tokens, const PieceSink& sink);
  std::span<float> prefill(std::span<const TokenId> prompt, const GenerateOptions& options,
                           GenerationResult& result);
  void decode(std::span<float> logits, uint32_t most_tokens, Sampler& sampler,
              const GenerateOptions& options, const PieceSink& sink,
              std::span<const TokenId> shown_tokens, GenerationResult& result);

  SessionParts parts_;
  std::optional<TemplateCapabilities> capabilities_;  // these three with a template
  std::optional<ToolFormat> format_;
  std::vector<TokenId> marker_tokens_;
  std::optional<CachedSequence> sequence_;  // from the first request on
};

std::string NativeSession::special_text(std::optional<TokenId> token) const {
  return token ? std::string(parts_.tokenizer->token_text(*token)) : std::string();
}

RenderedChat NativeSession::render(const ChatRequest& request) const {
  if (parts_.template_error) throw *parts_.template_error;
  if (!parts_.chat_template) {
    throw Error(ErrorCode::kUnsupported,
                "the conversation cannot be rendered: the model has no chat template, and none is "
                "known for its family and vocabulary; use a prompt without one");
  }
  if (request.messages.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "messages is empty: give at least one message");
  }
  AdaptedConversation adapted = adapt_conversation(*capabilities_, request.messages, request.tools);
  const SpecialTokens& special = parts_.tokenizer->special_tokens();
  json::object context;
  context["messages"] = std::move(adapted.messages);
  if (!request.tools.empty()) {
    context["tools"] = request.tools;
  } else if (capabilities_->absent_is_none) {
    context["tools"] = nullptr;
  }
  if (capabilities_->absent_is_none) context["documents"] = nullptr;
  context["add_generation_prompt"] = true;
  context["bos_token"] = special_text(special.bos);
  context["eos_token"] = special_text(special.eos);
  for (const auto& variable : request.template_variables) {
    if (variable.key() == "messages" || variable.key() == "tools") {
      throw Error(ErrorCode::kInvalidArgument, "template_variables holds '" +
                                                   std::string(variable.key()) +
                                                   "': that is a field of its own");
    }
    context.insert_or_assign(variable.key(), variable.value());
  }
  RenderedChat rendered{parts_.chat_template->render(context), std::move(adapted.warnings)};
  if (!parts_.default_template.empty()) {
    rendered.warnings.push_back("the model file has no chat template: '" + parts_.default_template +
                                "', which is usual for its family, is "
                                "used");
  }
  return rendered;
}

/// BOS as the model wants it, unless the text has brought its own (chat templates do). EOS is never
/// added, even for models that want it around texts: an answer would end before it began.
std::vector<TokenId> NativeSession::encode_prompt(std::string_view text, bool parse_special) const {
  const SpecialTokens& special = parts_.tokenizer->special_tokens();
  std::vector<TokenId> tokens = parts_.tokenizer->encode(text, {.parse_special = parse_special});
  if (special.add_bos && special.bos && (tokens.empty() || tokens.front() != *special.bos)) {
    tokens.insert(tokens.begin(), *special.bos);
  }
  return tokens;
}

GenerationResult NativeSession::chat(const ChatRequest& request, const PieceSink& sink) {
  const auto start = Clock::now();
  validate(request.options);
  RenderedChat rendered = render(request);
  const std::vector<TokenId> prompt = encode_prompt(rendered.prompt, true);
  GenerationResult result = request.parse_output
                                ? parse_answer(request, rendered.prompt, prompt, sink)
                                : answer(prompt, request.options, sink, {});
  result.warnings = std::move(rendered.warnings);
  result.total_duration = Clock::now() - start;
  return result;
}

/// Answers, and takes the text apart as it comes.
GenerationResult NativeSession::parse_answer(const ChatRequest& request, std::string_view prompt,
                                             std::span<const TokenId> tokens,
                                             const PieceSink& sink) {
  OutputParserOptions options;
  options.tools = request.tools;
  options.parse_calls = !request.tools.empty() || has_tool_calls(request.messages);
  options.starts_in_reasoning = opens_reasoning(*format_, prompt);
  OutputParser parser(*format_, options);
  const PieceSink parsing = [&](const GenerationPiece& piece) {
    GenerationPiece parsed = piece;
    parser.feed(piece.text, parsed.events);
    if (sink) sink(parsed);
  };
  GenerationResult result = answer(tokens, request.options, parsing, marker_tokens_);
  GenerationPiece last;
  parser.finish(last.events);
  if (sink && !last.events.empty()) sink(last);
  return result;
}

GenerationResult NativeSession::generate(const GenerateRequest& request, const PieceSink& sink) {
  const auto start = Clock::now();
  validate(request.options);
  const std::vector<TokenId> prompt = encode_prompt(request.prompt, request.parse_special);
  GenerationResult result = answer(prompt, request.options, sink, {});
  result.total_duration = Clock::now() - start;
  return result;
}

GenerationResult NativeSession::answer(std::span<const TokenId> prompt,
                                       const GenerateOptions& options, const PieceSink& sink,
                                       std::span<const TokenId> shown_tokens) {
  if (prompt.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt is empty: this model does not begin texts with a token of its own; "
                "give at least one character");
  }
  const uint32_t context = parts_.engine->context_length();
  if (prompt.size() >= context) {
    throw Error(ErrorCode::kContextLengthExceeded,
                "the prompt has " + std::to_string(prompt.size()) + " tokens, the context holds " +
                    std::to_string(context) + ": shorten it or raise --ctx");
  }
  Sampler sampler(options.sampling);
  for (const TokenId token : prompt) sampler.accept(token);

  GenerationResult result;
  result.prompt_tokens = static_cast<uint32_t>(prompt.size());
  const auto start = Clock::now();
  const std::span<float> logits = prefill(prompt, options, result);
  const auto prefilled = Clock::now();
  result.prompt_duration = prefilled - start;
  if (result.finish_reason == FinishReason::kCancelled) return result;

  const uint32_t room = context - result.prompt_tokens;
  const uint32_t most_tokens =
      options.max_tokens < 0 ? room : std::min(room, static_cast<uint32_t>(options.max_tokens));
  decode(logits, most_tokens, sampler, options, sink, shown_tokens, result);
  result.generation_duration = Clock::now() - prefilled;
  return result;
}

/// Returns the logits of the last token; none when cancelled.
std::span<float> NativeSession::prefill(std::span<const TokenId> prompt,
                                        const GenerateOptions& options, GenerationResult& result) {
  if (!sequence_) sequence_.emplace(*parts_.engine);
  result.cached_tokens = sequence_->keep_common_prefix(prompt);
  auto rest = prompt.subspan(result.cached_tokens);
  while (true) {
    if (options.cancellation.is_cancelled()) {
      result.finish_reason = FinishReason::kCancelled;
      return {};
    }
    const auto chunk = rest.first(std::min<size_t>(rest.size(), parts_.engine->max_batch_tokens()));
    rest = rest.subspan(chunk.size());
    const std::span<float> logits = sequence_->append(chunk, rest.empty() ? 1 : 0);
    if (rest.empty()) return logits;
  }
}

void NativeSession::decode(std::span<float> logits, uint32_t most_tokens, Sampler& sampler,
                           const GenerateOptions& options, const PieceSink& sink,
                           std::span<const TokenId> shown_tokens, GenerationResult& result) {
  AnswerStream stream(*parts_.tokenizer, options.stop, sink, shown_tokens);
  // Some models compute more logits than there are tokens, for the sake of round matrices.
  const size_t vocab = std::min(parts_.tokenizer->vocab_size(), logits.size());
  TokenId last_token = 0;  // sampled, not yet run through the model
  result.finish_reason = FinishReason::kLength;
  while (result.generated_tokens < most_tokens) {
    if (options.cancellation.is_cancelled()) {
      result.finish_reason = FinishReason::kCancelled;
      break;
    }
    if (logits.empty()) logits = sequence_->append({&last_token, 1}, 1);
    SampledToken sampled = sampler.sample(logits.first(vocab));
    logits = {};
    last_token = sampled.token;
    if (parts_.tokenizer->is_end_of_generation(last_token)) {
      result.finish_reason = FinishReason::kStop;
      break;
    }
    sampler.accept(last_token);
    ++result.generated_tokens;
    if (!stream.push(std::move(sampled))) {
      result.finish_reason = FinishReason::kStop;
      result.stop_sequence = *stream.stop_sequence();
      break;
    }
  }
  stream.finish();
}

}  // namespace

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

void validate(const GenerateOptions& options) {
  validate(options.sampling);
  if (options.max_tokens < -1) {
    throw Error(ErrorCode::kInvalidArgument,
                "max_tokens is " + std::to_string(options.max_tokens) +
                    ": it must be -1 (until the context is full), 0 or more");
  }
  if (options.stop.size() > kMaxStops) {
    throw Error(ErrorCode::kInvalidArgument, "stop has " + std::to_string(options.stop.size()) +
                                                 " strings: at most " + std::to_string(kMaxStops) +
                                                 " are possible");
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty() || stop.size() > kMaxStopBytes || !is_valid_utf8(stop)) {
      throw Error(ErrorCode::kInvalidArgument, "stop has a string of " +
                                                   std::to_string(stop.size()) +
                                                   " bytes: each must be UTF-8 text of 1 to " +
                                                   std::to_string(kMaxStopBytes) + " bytes");
    }
  }
}

std::unique_ptr<Session> Session::create(SessionParts parts) {
  return std::make_unique<NativeSession>(std::move(parts));
}

}  // namespace omg
