// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/word_wrap.h"

#include "base/utf8.h"
#include "clients/cli/table.h"

namespace omg::cli {

std::string WordWrapper::push(std::string_view text) {
  std::string output;
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    push_character(output, text.substr(i, point.size), point.value);
    i += point.size;
  }
  return output;
}

void WordWrapper::push_character(std::string& output, std::string_view character,
                                 uint32_t code_point) {
  if (code_point == '\n') {
    output += character;
    column_ = word_width_ = 0;
    word_.clear();
    return;
  }
  const bool is_tab = code_point == '\t';
  if ((code_point < 0x20 && !is_tab) || (code_point >= 0x7f && code_point < 0xa0)) return;
  const bool is_space = code_point == ' ' || is_tab;
  const int width = is_tab ? 8 - column_ % 8 : static_cast<int>(display_width(character));
  if (column_ + width > width_) {
    if (is_space) {  // the line's end takes the place of the space
      output += '\n';
      column_ = word_width_ = 0;
      word_.clear();
      return;
    }
    if (word_width_ > 0 && word_width_ < column_ && word_width_ + width <= width_) {
      output += "\x1b[" + std::to_string(word_width_) + "D\x1b[K\n" + word_;
      column_ = word_width_;
    } else {  // no space to break at
      output += '\n';
      column_ = word_width_ = 0;
      word_.clear();
    }
  }
  output += character;
  column_ += width;
  if (is_space || width == 2) {  // wide scripts break between any two characters
    word_.clear();
    word_width_ = 0;
  } else {
    word_ += character;
    word_width_ += width;
  }
}

}  // namespace omg::cli
