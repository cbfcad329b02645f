// SPDX-License-Identifier: Apache-2.0
//
// Which tokens may come next in one answer that must belong to a grammar. The grammar is about the
// answer proper: while the model reasons, it is free, and from the end of the reasoning on it is
// bound, all in one pass.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/grammar/matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

/// When the model reasons.
enum class Reasoning {
  kNone,   // the grammar holds from the first token on
  kMay,    // it may begin to, or answer
  kBegun,  // the prompt has begun it
};

struct AnswerConstraintParts {
  Reasoning reasoning = Reasoning::kNone;
  std::shared_ptr<GrammarMatcher> answer;           // from the first token on; null with kBegun
  std::shared_ptr<GrammarMatcher> reasoning_begin;  // with kMay
  std::shared_ptr<GrammarMatcher> after_reasoning;  // with kMay and kBegun
  std::string reasoning_end;                        // the same
  std::string prompt_tail;  // what the prompt ends with that belongs to the answer's markers
};

/// For one answer; not thread-safe. The tokenizer must outlive it.
class AnswerConstraint {
 public:
  AnswerConstraint(const Tokenizer& tokenizer, AnswerConstraintParts parts);

  /// A bit for each token that may come; no bits at all where any may. Valid until the next call.
  /// Error(kUnsupported) where the vocabulary has no token that could come.
  std::span<const uint32_t> allowed();
  /// Goes on by a token that allowed() has. False where it may not come after all: nothing has
  /// changed then, but that allowed() no longer has it.
  bool accept(TokenId token);
  /// Whether the answer is whole and nothing may follow but its end.
  bool is_finished();

 private:
  bool accept_in_reasoning(TokenId token);
  bool accept_in_answer(TokenId token);
  void fill_mask();
  void forbid(TokenId token);

  const Tokenizer& tokenizer_;
  const AnswerConstraintParts parts_;
  std::optional<GrammarState> answer_;     // null while the model reasons
  bool answer_is_possible_ = true;         // false once the text can only begin the reasoning
  std::optional<GrammarState> beginning_;  // beside it, while the reasoning may yet begin
  std::string recent_;  // end of the reasoning, in which its end marker may begin
  std::vector<uint32_t> bits_, other_bits_;
  bool mask_is_known_ = false;
  bool any_may_come_ = true;
};

}  // namespace omg
