// SPDX-License-Identifier: Apache-2.0
//
// From sampled tokens to the pieces that a client sees: whole characters, nothing of a stop string,
// and with each piece the tokens it is made of.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/sample/sampler.h"
#include "runtimes/answer.h"
#include "runtimes/native/stop_matcher.h"
#include "text/tokenizer/detokenizer.h"

namespace omg {

using PieceSink = std::function<void(AnswerPiece&& piece)>;

/// For one answer; not thread-safe. Tokenizer and `shown` must outlive it. What the sink
/// throws passes through; the stream is then done with.
class AnswerStream {
 public:
  /// `shown`: control tokens whose text is part of the answer. `reports_tokens`: pieces name
  /// theirs.
  AnswerStream(const Tokenizer& tokenizer, const std::vector<std::string>& stops, PieceSink sink,
               std::span<const TokenId> shown = {}, bool reports_tokens = false);

  /// Returns false once a stop string is complete: the answer has ended.
  bool push(SampledToken token);
  /// Shows what was held back; after a stop string there is nothing.
  void finish();
  /// The stop string that ended the answer, or null.
  const std::string* stop_sequence() const { return stops_.matched(); }

 private:
  /// A token that was not reported yet, and the part of the text that is due to it, in bytes from
  /// the answer's beginning. A token that ends inside a character takes part in what completes it.
  struct PendingToken {
    SampledToken token;
    size_t start;
    size_t end;
  };

  void add_text(const std::string& text);
  void show(std::string text, bool ends);
  AnswerToken describe(const SampledToken& token) const;

  const Tokenizer& tokenizer_;
  std::span<const TokenId> shown_tokens_;
  StreamingDetokenizer detokenizer_;
  StopMatcher stops_;
  const PieceSink sink_;
  const bool reports_tokens_;
  std::deque<PendingToken> pending_;
  size_t settled_ = 0;   // of the pending tokens, those whose end is known
  size_t produced_ = 0;  // bytes of text so far
  size_t shown_ = 0;     // bytes given to the sink
};

}  // namespace omg
