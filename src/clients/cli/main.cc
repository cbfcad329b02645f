// SPDX-License-Identifier: Apache-2.0
//
// The binary `ohmygpu`, which people call `omg`.
#include <clocale>
#include <csignal>
#include <cstring>

#include "clients/cli/command.h"

int main(int argc, char** argv) {
  // A closed pipe is an error of the write, not the end of the process in the middle of anything.
  std::signal(SIGPIPE, SIG_IGN);
  // Widths of characters and line editing follow the locale; text is UTF-8 whatever it says.
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (locale == nullptr || std::strcmp(locale, "C") == 0 || std::strcmp(locale, "POSIX") == 0) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
  return omg::cli::run_command_line(argc, argv);
}
