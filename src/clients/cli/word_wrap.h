// SPDX-License-Identifier: Apache-2.0
//
// Breaks a stream of text at words. Pieces are shown as they come, so a word that turns out too
// long for its line is taken back and written again on the next one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace omg::cli {

class WordWrapper {
 public:
  /// The last column stays empty: in it a cursor is neither on this line nor on the next.
  explicit WordWrapper(int columns) : width_(columns > 2 ? columns - 1 : 1) {}
  /// What to write to the terminal for the next piece of text (whole UTF-8 characters). Control
  /// characters are left out: a model must not steer the terminal.
  std::string push(std::string_view text);
  /// Column after what was written.
  int column() const { return column_; }

 private:
  void push_character(std::string& output, std::string_view character, uint32_t code_point);

  int width_;
  int column_ = 0;
  std::string word_;  // the word at the end of the line, as far as it was written
  int word_width_ = 0;
};

}  // namespace omg::cli
