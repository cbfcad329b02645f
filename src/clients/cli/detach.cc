// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/detach.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include "base/error.h"

namespace omg::cli {
namespace {

constexpr char kReady = '+';
constexpr char kFailed = '-';

void become_background(const std::string& log_path) {
  ::setsid();
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (nothing < 0 || log < 0) throw system_error("cannot write the log " + log_path, errno);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::close(nothing);
  ::close(log);
  if (::chdir("/") != 0) throw system_error("cannot leave the working folder", errno);
}

}  // namespace

Detached::Detached(const std::string& log_path) : log_path_(log_path) {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(log_path).parent_path(), failed);
  if (failed) throw Error(ErrorCode::kIo, "cannot make the log's folder: " + failed.message());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error("cannot make a pipe", errno);
  const pid_t child = ::fork();
  if (child < 0) {
    const int why = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    throw system_error("cannot start a process in the background", why);
  }
  is_parent_ = child > 0;
  pipe_ = ends[is_parent_ ? 0 : 1];
  ::close(ends[is_parent_ ? 1 : 0]);
  if (is_parent_) return;
  try {
    become_background(log_path_);
  } catch (const Error& error) {
    tell_failure(error.what());
    ::_exit(exit_code(error.code()));
  }
}

Detached::~Detached() {
  if (pipe_ >= 0) ::close(pipe_);
}

std::string Detached::wait_until_ready() {
  std::string told;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(pipe_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    told.append(buffer.data(), static_cast<size_t>(count));
  }
  if (told.starts_with(kReady)) return told.substr(1);
  if (told.starts_with(kFailed)) throw Error(ErrorCode::kUnavailable, told.substr(1));
  throw Error(ErrorCode::kUnavailable, "the daemon ended as it started: see " + log_path_);
}

void Detached::tell_ready(const std::string& message) {
  tell(kReady, message);
}

void Detached::tell_failure(const std::string& why) {
  tell(kFailed, why);
}

void Detached::tell(char kind, const std::string& message) {
  if (pipe_ < 0) return;
  const std::string text = kind + message;
  // Below a pipe's capacity: never a part. Nobody to read it is no error.
  (void)!::write(pipe_, text.data(), text.size());
  ::close(pipe_);
  pipe_ = -1;
}

}  // namespace omg::cli
