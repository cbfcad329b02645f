// SPDX-License-Identifier: Apache-2.0
//
// Standard output and error of a command, and whether a person looks at them: styles, progress and
// word wrapping are for terminals, pipes get plain text.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace omg::cli {

/// The reader of standard output went away (EPIPE). The program ends quietly: nobody would read a
/// message, and `omg … | head` is no failure worth one.
class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "standard output was closed"; }
};

enum class Style { kBold, kDim, kGreen, kYellow, kRed };

class Terminal {
 public:
  /// Looks at the three standard descriptors and at NO_COLOR and TERM.
  Terminal();

  bool in_is_tty() const { return in_is_tty_; }
  bool out_is_tty() const { return out_is_tty_; }
  bool err_is_tty() const { return err_is_tty_; }
  /// Columns of the terminal, 80 when unknown. Asked anew each time: windows are resized.
  int width() const;

  /// Writes at once and completely. Throws OutputClosed, or Error(kIo) when for instance the disk
  /// is full.
  void out(std::string_view text);
  /// Writes to standard error; failures are ignored, there is nowhere left to tell them.
  void err(std::string_view text);
  /// A line that says something beside the output, on standard error.
  void note(std::string_view line);

  /// `text` in a style where standard output is a terminal that can show it, else `text`.
  std::string styled(Style style, std::string_view text) const;

  /// Shows `text` in place of the last status on standard error, if that is a terminal; "" clears.
  /// It may have several lines, none wider than width().
  void status(std::string_view text);

 private:
  bool in_is_tty_;
  bool out_is_tty_;
  bool err_is_tty_;
  bool colors_;
  size_t status_lines_ = 0;
};

/// All of standard input. Error(kLimitExceeded) beyond `max_bytes`.
std::string read_standard_input(size_t max_bytes = 64u << 20);

/// All of a file, or of standard input for "-". Throws Error naming it.
std::string read_text_file(const std::string& path, size_t max_bytes = 64u << 20);

}  // namespace omg::cli
