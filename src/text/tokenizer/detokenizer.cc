// SPDX-License-Identifier: Apache-2.0
//
// Holds back at most the three bytes that may begin a character.
#include "text/tokenizer/detokenizer.h"

#include "base/utf8.h"

namespace omg {

std::string StreamingDetokenizer::push(TokenId token) {
  std::string bytes = tokenizer_.token_bytes(token, show_special_);
  if (at_text_start_ && !tokenizer_.is_control(token)) {
    if (tokenizer_.strips_leading_space() && bytes.starts_with(' ')) bytes.erase(0, 1);
    at_text_start_ = false;
  }
  pending_ += bytes;
  const size_t whole = pending_.size() - incomplete_utf8_suffix(pending_);
  std::string text = replace_invalid_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return text;
}

std::string StreamingDetokenizer::finish() {
  std::string text;
  if (!pending_.empty()) append_utf8(text, 0xFFFD);
  pending_.clear();
  return text;
}

}  // namespace omg
