// SPDX-License-Identifier: Apache-2.0
#include "base/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

extern char** environ;

namespace omg {
namespace {

constexpr size_t kMaxOutput = size_t{16} << 20;
constexpr int kPollMilliseconds = 100;  // until a cancellation is seen

/// Both ends of a pipe; closed when it goes away.
struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("cannot make a pipe", errno);
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
};

struct SpawnActions {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnActions() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnActions() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
};

pid_t start(const std::vector<std::string>& arguments, const Pipe& out, const Pipe& err) {
  SpawnActions spawn;
  ::posix_spawn_file_actions_addopen(&spawn.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, out.ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, err.ends[1], STDERR_FILENO);
  // What this process ignores, another would ignore too.
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&spawn.attributes, &defaults);
  ::posix_spawnattr_setflags(&spawn.attributes, POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, pointers[0], &spawn.actions, &spawn.attributes,
                                     pointers.data(), environ);
  if (failure != 0) throw system_error("cannot run " + arguments.front(), failure);
  return child;
}

/// Takes what there is; closes the pipe at its end.
void read_some(Pipe& pipe, std::string& text) {
  char buffer[65536];
  const ssize_t count = ::read(pipe.ends[0], buffer, sizeof buffer);
  if (count < 0 && errno == EINTR) return;
  if (count <= 0) return pipe.close_end(0);
  // What is too much is read all the same, so that the program can go on.
  text.append(buffer, std::min(static_cast<size_t>(count), kMaxOutput - text.size()));
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw system_error("cannot wait for a program", errno);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& arguments,
                          const CancellationToken& cancellation) {
  Pipe out;
  Pipe err;
  const pid_t child = start(arguments, out, err);
  out.close_end(1);
  err.close_end(1);
  ProcessResult result;
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    if (cancellation.is_cancelled()) {
      ::kill(child, SIGKILL);
      wait_for(child);
      cancellation.throw_if_cancelled();
    }
    // poll() passes over negative descriptors.
    pollfd polled[2] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};
    if (::poll(polled, 2, kPollMilliseconds) <= 0) continue;
    if (polled[0].revents != 0) read_some(out, result.out);
    if (polled[1].revents != 0) read_some(err, result.err);
  }
  result.exit_code = wait_for(child);
  return result;
}

}  // namespace omg
