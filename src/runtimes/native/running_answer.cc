// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/running_answer.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace omg {
namespace {

Error error_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return known;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kOutOfMemory, "there was no memory left for the answer");
  } catch (const std::exception& unknown) {
    return Error(ErrorCode::kInternal, std::string("the answer failed: ") + unknown.what());
  } catch (...) {
    return Error(ErrorCode::kInternal, "the answer failed");
  }
}

/// A context of one token has none to forget.
bool can_shift(const RunningAnswerParts& parts) {
  return parts.options.shift_context && parts.context_length > 1;
}

/// Where shifting goes on beyond the context, only max_tokens ends the answer. What follows a
/// prompt that fills the context needs no place in it.
uint32_t most_tokens(const RunningAnswerParts& parts) {
  const GenerateOptions& options = parts.options;
  const uint32_t asked = options.max_tokens < 0 ? std::numeric_limits<uint32_t>::max()
                                                : static_cast<uint32_t>(options.max_tokens);
  if (can_shift(parts)) return asked;
  const auto prompt = static_cast<uint32_t>(parts.prompt.size());
  return std::min(asked, std::max(parts.context_length - prompt, 1u));
}

}  // namespace

void end_answer(const AnswerSink& sink, const Error* error, AnswerResult result,
                std::chrono::steady_clock::time_point asked) {
  result.total_duration = std::chrono::steady_clock::now() - asked;
  if (sink.on_end) sink.on_end(error, result);
}

RunningAnswer::RunningAnswer(RunningAnswerParts parts, AnswerSink sink)
    : parts_(std::move(parts)),
      sink_(std::move(sink)),
      sampler_(parts_.options.sampling),
      stream_(
          *parts_.tokenizer, parts_.options.stop, [this](AnswerPiece&& p) { show(std::move(p)); },
          parts_.parsing ? parts_.parsing->shown_tokens : std::span<const TokenId>{},
          parts_.options.sampling.top_logprobs >= 0),
      result_(std::move(parts_.result)),
      most_tokens_(most_tokens(parts_)) {
  if (parts_.parsing) parser_.emplace(*parts_.parsing->format, parts_.parsing->options);
  for (const TokenId token : parts_.prompt) sampler_.accept(token);
  result_.seed = sampler_.seed();
  result_.prompt_tokens = static_cast<uint32_t>(parts_.prompt.size());
  if (parts_.options.return_tokens) result_.tokens = parts_.prompt;
}

BatchRequest RunningAnswer::request(std::shared_ptr<RunningAnswer> answer) {
  BatchRequest request;
  request.prompt = std::move(answer->parts_.prompt);
  request.context_length = answer->parts_.context_length;
  request.sample = [answer](std::span<float> logits) { answer->sample(logits); };
  request.choose = [answer](std::span<float>) { return answer->choose(); };
  if (can_shift(answer->parts_)) {
    request.make_room = [answer](std::span<const TokenId> all) { return answer->make_room(all); };
  }
  request.is_cancelled = [answer] { return answer->is_cancelled(); };
  request.on_end = [answer](const BatchEnd& end) { answer->end(end); };
  return request;
}

bool RunningAnswer::is_cancelled() const {
  return parts_.cancelled->load(std::memory_order_relaxed) ||
         parts_.options.cancellation.is_cancelled();
}

std::optional<TokenId> RunningAnswer::finish(FinishReason reason) {
  result_.finish_reason = reason;
  return std::nullopt;
}

/// Beside those of other answers; what they share, compiled grammars, is thread-safe.
void RunningAnswer::sample(std::span<float> logits) {
  if (!first_logits_) first_logits_ = Clock::now();
  if (result_.generated_tokens >= most_tokens_) return;
  // Some models compute more logits than there are tokens, for the sake of round matrices.
  const size_t vocab = std::min(parts_.tokenizer->vocab_size(), logits.size());
  sampled_ = sample_allowed(logits.first(vocab));
}

std::optional<TokenId> RunningAnswer::choose() {
  if (!sampled_) return finish(FinishReason::kLength);
  SampledToken sampled = std::move(*sampled_);
  sampled_.reset();
  const TokenId token = sampled.token;
  if (parts_.tokenizer->is_end_of_generation(token)) return finish(FinishReason::kStop);
  sampler_.accept(token);
  ++result_.generated_tokens;
  if (parts_.generated != nullptr) parts_.generated->fetch_add(1, std::memory_order_relaxed);
  if (parts_.options.return_tokens) result_.tokens.push_back(token);
  if (!stream_.push(std::move(sampled))) {
    result_.stop_sequence = *stream_.stop_sequence();
    return finish(FinishReason::kStop);
  }
  if (call_has_ended_) return finish(FinishReason::kStop);
  if (parts_.constraint && parts_.constraint->is_finished()) return finish(FinishReason::kStop);
  if (result_.generated_tokens >= most_tokens_) return finish(FinishReason::kLength);
  return token;
}

SampledToken RunningAnswer::sample_allowed(std::span<float> logits) {
  if (!parts_.constraint) return sampler_.sample(logits);
  // Each round takes one token away, so there is an end to it.
  while (true) {
    SampledToken sampled = sampler_.sample(logits, parts_.constraint->allowed());
    if (parts_.constraint->accept(sampled.token)) return sampled;
  }
}

/// The first tokens stay, and of the others the newer half.
std::vector<TokenId> RunningAnswer::make_room(std::span<const TokenId> tokens) {
  const size_t kept = std::min<size_t>(parts_.options.keep_tokens, tokens.size() - 1);
  const size_t newer = (tokens.size() - kept) / 2;
  std::vector<TokenId> rest(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(kept));
  rest.insert(rest.end(), tokens.end() - static_cast<ptrdiff_t>(newer), tokens.end());
  if (rest.empty()) rest.push_back(tokens.back());
  ++result_.context_shifts;
  return rest;
}

void RunningAnswer::show(AnswerPiece&& piece) {
  if (parser_ && !call_has_ended_) {
    parser_->feed(piece.text, piece.events);
    if (parts_.parsing->one_call) {
      const auto ended = std::find_if(piece.events.begin(), piece.events.end(), [](const auto& e) {
        return e.kind == OutputEvent::Kind::kCallEnd;
      });
      call_has_ended_ = ended != piece.events.end();
      if (call_has_ended_) piece.events.erase(ended + 1, piece.events.end());
    }
  }
  if (sink_.on_piece) sink_.on_piece(std::move(piece));
}

void RunningAnswer::finish_text() {
  if (call_has_ended_) return;
  stream_.finish();
  if (!parser_ || call_has_ended_) return;
  AnswerPiece last;
  parser_->finish(last.events);
  if (sink_.on_piece && !last.events.empty()) sink_.on_piece(std::move(last));
}

void RunningAnswer::end(const BatchEnd& end) {
  std::optional<Error> error;
  if (end.reason == BatchEndReason::kFailed) error = error_of(end.error);
  if (end.reason == BatchEndReason::kCancelled) result_.finish_reason = FinishReason::kCancelled;
  if (end.reason == BatchEndReason::kContextFull) result_.finish_reason = FinishReason::kLength;
  if (!error) {
    try {
      finish_text();
    } catch (...) {
      error = error_of(std::current_exception());
    }
  }
  const auto now = Clock::now();
  result_.cached_tokens = end.cached_tokens;
  const auto began = end.began.value_or(now);
  const auto prompt_end = first_logits_.value_or(now);
  result_.queue_duration = began - parts_.asked;
  result_.prompt_duration = prompt_end - began;
  result_.generation_duration = now - prompt_end;
  end_answer(sink_, error ? &*error : nullptr, std::move(result_), parts_.asked);
  parts_.constraint.reset();  // the batcher may keep the rest for the length of a step
}

}  // namespace omg
