// SPDX-License-Identifier: Apache-2.0
//
// Tokens to text as they come: what push() returns is always whole UTF-8 characters.
#pragma once

#include <string>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// For one sequence; not thread-safe. The tokenizer must outlive it.
class StreamingDetokenizer {
 public:
  /// `at_text_start`: the first token begins a text (then SentencePiece's leading space is
  /// dropped); false when it continues a prompt.
  explicit StreamingDetokenizer(const Tokenizer& tokenizer, bool at_text_start = false,
                                bool show_special = false)
      : tokenizer_(tokenizer), at_text_start_(at_text_start), show_special_(show_special) {}

  /// Text that became certain with this token; may be empty. Bytes that can never become a
  /// character come out as U+FFFD.
  std::string push(TokenId token);
  /// What is left at the end: an unfinished character becomes U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool at_text_start_;
  bool show_special_;
  std::string pending_;
};

}  // namespace omg
