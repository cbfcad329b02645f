// SPDX-License-Identifier: Apache-2.0
//
// Descriptors, sizes and styles of the terminal.
#include "clients/cli/terminal.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"

namespace omg::cli {
namespace {

/// 0, or errno of the write that failed.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

std::string read_descriptor(int descriptor, const std::string& name, size_t max_bytes) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count == 0) return text;
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error("cannot read " + name, errno);
    }
    if (static_cast<size_t>(count) > max_bytes - text.size()) {
      throw Error(ErrorCode::kLimitExceeded,
                  name + " is too long: more than " + std::to_string(max_bytes) + " bytes");
    }
    text.append(buffer, static_cast<size_t>(count));
  }
}

}  // namespace

Terminal::Terminal()
    : in_is_tty_(::isatty(STDIN_FILENO) == 1),
      out_is_tty_(::isatty(STDOUT_FILENO) == 1),
      err_is_tty_(::isatty(STDERR_FILENO) == 1) {
  const char* term = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = (no_color && *no_color) || (term && std::strcmp(term, "dumb") == 0);
  colors_ = out_is_tty_ && !plain;
}

int Terminal::width() const {
  winsize size{};
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  }
  return 80;
}

void Terminal::out(std::string_view text) {
  const int failure = write_all(STDOUT_FILENO, text);
  if (failure == EPIPE) throw OutputClosed();
  if (failure != 0) throw system_error("cannot write to standard output", failure);
}

void Terminal::err(std::string_view text) {
  (void)write_all(STDERR_FILENO, text);
}

void Terminal::note(std::string_view line) {
  status("");
  err(std::string(line) + "\n");
}

std::string Terminal::styled(Style style, std::string_view text) const {
  if (!colors_) return std::string(text);
  const char* code = "1";
  if (style == Style::kDim) code = "2";
  if (style == Style::kGreen) code = "32";
  if (style == Style::kYellow) code = "33";
  if (style == Style::kRed) code = "31";
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

void Terminal::status(std::string_view text) {
  if (!err_is_tty_) return;
  if (text.empty() && status_lines_ == 0) return;
  std::string moves = "\r\x1b[K";
  for (size_t line = 1; line < status_lines_; ++line) moves += "\x1b[A\x1b[K";
  err(moves + std::string(text));
  status_lines_ = text.empty() ? 0 : 1 + std::count(text.begin(), text.end(), '\n');
}

std::string read_standard_input(size_t max_bytes) {
  return read_descriptor(STDIN_FILENO, "standard input", max_bytes);
}

std::string read_text_file(const std::string& path, size_t max_bytes) {
  if (path == "-") return read_standard_input(max_bytes);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw system_error("cannot open " + path, errno);
  try {
    std::string text = read_descriptor(descriptor, path, max_bytes);
    ::close(descriptor);
    return text;
  } catch (...) {
    ::close(descriptor);
    throw;
  }
}

}  // namespace omg::cli
