// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/answer_stream.h"

#include <algorithm>
#include <utility>

namespace omg {

AnswerStream::AnswerStream(const Tokenizer& tokenizer, const std::vector<std::string>& stops,
                           PieceSink sink, std::span<const TokenId> shown, bool reports_tokens)
    : tokenizer_(tokenizer),
      shown_tokens_(shown),
      detokenizer_(tokenizer),
      stops_(stops),
      sink_(std::move(sink)),
      reports_tokens_(reports_tokens) {}

bool AnswerStream::push(SampledToken token) {
  std::string text = detokenizer_.push(token.token);
  if (std::find(shown_tokens_.begin(), shown_tokens_.end(), token.token) != shown_tokens_.end()) {
    text += tokenizer_.token_bytes(token.token, /*show_special=*/true);
  }
  pending_.push_back({std::move(token), produced_, produced_});
  add_text(text);
  return stops_.matched() == nullptr;
}

void AnswerStream::finish() {
  if (stops_.matched() != nullptr) return;
  add_text(detokenizer_.finish());
  if (stops_.matched() == nullptr) show(stops_.finish(), true);
}

void AnswerStream::add_text(const std::string& text) {
  if (text.empty()) return;
  produced_ += text.size();
  for (; settled_ < pending_.size(); ++settled_) pending_[settled_].end = produced_;
  std::string certain = stops_.push(text);
  show(std::move(certain), stops_.matched() != nullptr);
}

void AnswerStream::show(std::string text, bool ends) {
  shown_ += text.size();
  AnswerPiece piece;
  piece.text = std::move(text);
  // At the end a token that was shown in part is reported too; one that lies wholly in the stop
  // string is not.
  const bool stopped = stops_.matched() != nullptr;
  while (!pending_.empty()) {
    const PendingToken& first = pending_.front();
    const bool due = stopped ? first.start < shown_ : ends || (settled_ > 0 && first.end <= shown_);
    if (!due) break;
    ++piece.token_count;
    if (reports_tokens_) piece.tokens.push_back(describe(first.token));
    pending_.pop_front();
    if (settled_ > 0) --settled_;
  }
  if (sink_ && !(piece.text.empty() && piece.token_count == 0)) sink_(std::move(piece));
}

AnswerToken AnswerStream::describe(const SampledToken& token) const {
  AnswerToken described;
  described.token = token.token;
  described.bytes = tokenizer_.token_bytes(token.token, /*show_special=*/true);
  described.logprob = token.logprob;
  for (const TokenLogprob& other : token.top) {
    described.top.push_back(
        {other.token, tokenizer_.token_bytes(other.token, /*show_special=*/true), other.logprob});
  }
  return described;
}

}  // namespace omg
