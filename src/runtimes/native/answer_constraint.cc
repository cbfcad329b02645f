// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/answer_constraint.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace omg {

AnswerConstraint::AnswerConstraint(const Tokenizer& tokenizer, AnswerConstraintParts parts)
    : tokenizer_(tokenizer), parts_(std::move(parts)) {
  const GrammarMatcher& matcher = parts_.answer ? *parts_.answer : *parts_.after_reasoning;
  bits_.resize(matcher.vocabulary().mask_words());
  other_bits_.resize(bits_.size());
  if (parts_.answer) {
    answer_.emplace(parts_.answer);
    if (!parts_.prompt_tail.empty() && !answer_->accept_text(parts_.prompt_tail)) {
      throw Error(ErrorCode::kUnsupported,
                  "the format cannot be kept: the model's prompt ends with '" + parts_.prompt_tail +
                      "', and no such answer begins with that");
    }
  }
  if (parts_.reasoning_begin) beginning_.emplace(parts_.reasoning_begin);
}

std::span<const uint32_t> AnswerConstraint::allowed() {
  if (!mask_is_known_) {
    if (!answer_) return {};
    fill_mask();
  }
  if (!any_may_come_) {
    throw Error(ErrorCode::kUnsupported,
                "the answer cannot go on in the format that was asked for: the model has no token "
                "for what must come next");
  }
  return bits_;
}

void AnswerConstraint::fill_mask() {
  if (answer_is_possible_) {
    any_may_come_ = answer_->fill_mask(bits_);
  } else {
    std::fill(bits_.begin(), bits_.end(), 0u);
    any_may_come_ = false;
  }
  if (beginning_) {
    any_may_come_ = beginning_->fill_mask(other_bits_) || any_may_come_;
    for (size_t i = 0; i < bits_.size(); ++i) bits_[i] |= other_bits_[i];
  }
  mask_is_known_ = true;
}

void AnswerConstraint::forbid(TokenId token) {
  if (!mask_is_known_) {
    std::fill(bits_.begin(), bits_.end(), ~0u);
    mask_is_known_ = true;
  }
  bits_[static_cast<size_t>(token) / 32] &= ~(1u << (token % 32));
}

bool AnswerConstraint::accept(TokenId token) {
  const bool accepted = answer_ ? accept_in_answer(token) : accept_in_reasoning(token);
  if (accepted) {
    mask_is_known_ = false;
    any_may_come_ = true;
  } else {
    forbid(token);
  }
  return accepted;
}

bool AnswerConstraint::accept_in_answer(TokenId token) {
  const auto id = static_cast<uint32_t>(token);
  const bool may_begin = beginning_ && beginning_->accept(id);
  if (may_begin && beginning_->is_complete()) {
    answer_.reset();
    beginning_.reset();
    return true;
  }
  const bool may_answer = answer_is_possible_ && answer_->accept(id);
  if (!may_begin && !may_answer) return false;
  if (!may_begin) beginning_.reset();
  answer_is_possible_ = may_answer;
  return true;
}

/// A reasoning without an answer behind it is no answer: it may not end so.
bool AnswerConstraint::accept_in_reasoning(TokenId token) {
  if (tokenizer_.is_end_of_generation(token)) return false;
  std::string text = recent_ + tokenizer_.token_bytes(token, /*show_special=*/true);
  const size_t found = text.find(parts_.reasoning_end);
  if (found == std::string::npos) {
    const size_t kept = std::min(text.size(), parts_.reasoning_end.size() - 1);
    recent_ = text.substr(text.size() - kept);
    return true;
  }
  GrammarState state(parts_.after_reasoning);
  const std::string behind = text.substr(found + parts_.reasoning_end.size());
  if (!behind.empty() && !state.accept_text(behind)) return false;
  answer_.emplace(std::move(state));
  answer_is_possible_ = true;
  return true;
}

bool AnswerConstraint::is_finished() {
  if (!answer_ || !answer_is_possible_) return false;
  if (answer_->has_ended()) return true;
  if (!answer_->is_complete()) return false;
  if (!mask_is_known_) fill_mask();
  const GrammarVocabulary& vocabulary =
      (parts_.answer ? parts_.answer : parts_.after_reasoning)->vocabulary();
  for (size_t i = 0; i < bits_.size(); ++i) {
    for (uint32_t word = bits_[i]; word != 0; word &= word - 1) {
      const auto token = static_cast<uint32_t>(i * 32) + static_cast<uint32_t>(__builtin_ctz(word));
      if (vocabulary.use(token) != TokenUse::kEnd) return false;
    }
  }
  return true;
}

}  // namespace omg
