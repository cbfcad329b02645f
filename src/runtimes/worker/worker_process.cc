// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/worker_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"

extern char** environ;

namespace omg {
namespace {

constexpr int kWorkerSocket = 3;

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

struct Ends {
  int ours = -1;
  int theirs = -1;
  ~Ends() {
    close_fd(ours);
    close_fd(theirs);
  }
};

/// Variables that a worker has a use for. Keys and tokens of hubs are none of its business.
bool is_passed_on(std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('='));
  constexpr std::array<std::string_view, 6> kNames = {"PATH", "HOME",   "LANG",
                                                      "TZ",   "TMPDIR", "LD_LIBRARY_PATH"};
  for (const std::string_view known : kNames) {
    if (name == known) return true;
  }
  if (name.ends_with("SAN_OPTIONS") || name.starts_with("LC_")) return true;
  return name.starts_with("OMG_") && name.find("KEY") == std::string_view::npos &&
         name.find("TOKEN") == std::string_view::npos;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan(int socket, int output) {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, socket, kWorkerSocket);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, kWorkerSocket + 1);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    sigset_t all;
    sigfillset(&all);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
};

/// A descriptor at or above 4: what stands lower is overwritten in the child before it is used.
int moved_up(int fd) {
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kWorkerSocket + 1);
  const int failure = errno;
  ::close(fd);
  if (moved < 0) throw system_error("cannot start a model's process", failure);
  return moved;
}

}  // namespace

std::string end_text(const ProcessEnd& end) {
  if (end.signal) {
    const char* name = ::strsignal(*end.signal);
    return "was ended by signal " + std::to_string(*end.signal) + " (" +
           (name != nullptr ? name : "unknown") + ")";
  }
  if (end.exit_code) return "exited with code " + std::to_string(*end.exit_code);
  return "ended, nobody knows how";
}

WorkerProcess::WorkerProcess(const std::string& program,
                             const std::vector<std::string>& arguments) {
  Ends sockets;
  Ends pipe;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    throw system_error("cannot make a socket for a model's process", errno);
  }
  sockets.ours = pair[0];
  sockets.theirs = pair[1];
  if (::pipe2(pair, O_CLOEXEC) != 0) {
    throw system_error("cannot make a pipe for a model's process", errno);
  }
  pipe.ours = pair[0];
  pipe.theirs = pair[1];
  sockets.theirs = moved_up(std::exchange(sockets.theirs, -1));
  pipe.theirs = moved_up(std::exchange(pipe.theirs, -1));
  ::fcntl(sockets.ours, F_SETFL, O_NONBLOCK);
  ::fcntl(pipe.ours, F_SETFL, O_NONBLOCK);

  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (is_passed_on(*variable)) variables.emplace_back(*variable);
  }
  const SpawnPlan plan(sockets.theirs, pipe.theirs);
  const int failure = ::posix_spawn(&pid_, program.c_str(), &plan.actions, &plan.attributes,
                                    pointers_to(arguments).data(), pointers_to(variables).data());
  if (failure != 0) throw system_error("cannot run " + program, failure);
  socket_ = std::exchange(sockets.ours, -1);
  output_ = std::exchange(pipe.ours, -1);
  ended_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
}

WorkerProcess::~WorkerProcess() {
  if (!poll_end()) {
    send_signal(SIGKILL);
    wait_for_end();
  }
  close_fd(socket_);
  close_fd(output_);
  close_fd(ended_fd_);
}

void WorkerProcess::close_output() {
  close_fd(output_);
}

void WorkerProcess::send_signal(int signal) {
  // Until it is waited for, its number belongs to nobody else.
  if (!end_) ::kill(pid_, signal);
}

bool WorkerProcess::is_stopped() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text;
  std::getline(file, text);
  // "pid (name) state …"; the name may hold anything.
  const size_t close = text.rfind(')');
  if (close == std::string::npos || close + 2 >= text.size()) return false;
  return text[close + 2] == 'T' || text[close + 2] == 't';
}

void WorkerProcess::note_end(int result, int status) {
  if (result == 0) return;
  end_.emplace();
  if (result < 0) return;
  if (WIFSIGNALED(status)) {
    end_->signal = WTERMSIG(status);
  } else {
    end_->exit_code = WEXITSTATUS(status);
  }
}

const std::optional<ProcessEnd>& WorkerProcess::poll_end() {
  if (end_) return end_;
  int status = 0;
  int result = 0;
  do {
    result = ::waitpid(pid_, &status, WNOHANG);
  } while (result < 0 && errno == EINTR);
  note_end(result, status);
  return end_;
}

const ProcessEnd& WorkerProcess::wait_for_end() {
  if (end_) return *end_;
  int status = 0;
  int result = 0;
  do {
    result = ::waitpid(pid_, &status, 0);
  } while (result < 0 && errno == EINTR);
  note_end(result, status);
  return *end_;
}

}  // namespace omg
