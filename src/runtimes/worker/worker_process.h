// SPDX-License-Identifier: Apache-2.0
//
// A worker's process as its parent has it: started with one end of a socket and a pipe for what it
// prints, waited for without fail, and named in words when it has ended.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace omg {

/// How a process ended: one of the two is set. Neither: somebody else waited for it.
struct ProcessEnd {
  std::optional<int> exit_code;
  std::optional<int> signal;
};
/// "was ended by signal 9 (Killed)", "exited with code 3".
std::string end_text(const ProcessEnd& end);

/// Not thread-safe.
class WorkerProcess {
 public:
  /// Runs `program`, a path, with `arguments` (the first is what it is called) and with descriptor
  /// 3 its end of the socket, no input, both outputs in the pipe, no other descriptor, a small
  /// environment and a process group of its own (so that Ctrl-C reaches the daemon alone). The
  /// calling thread must live as long as the process: a worker ends with the thread that started it
  /// (PR_SET_PDEATHSIG). Throws Error.
  WorkerProcess(const std::string& program, const std::vector<std::string>& arguments);
  /// Kills what still runs, and waits.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }
  int socket() const { return socket_; }  // non-blocking
  int output() const { return output_; }  // non-blocking; to read from
  /// Readable once the process has ended; -1 where the kernel has no such thing.
  int ended_fd() const { return ended_fd_; }

  void send_signal(int signal);
  /// Whether it is stopped (SIGSTOP, a debugger), and so cannot answer.
  bool is_stopped() const;
  /// Nothing while it runs. Does not wait.
  const std::optional<ProcessEnd>& poll_end();
  const ProcessEnd& wait_for_end();
  void close_output();

 private:
  void note_end(int result, int status);

  pid_t pid_ = -1;
  int socket_ = -1;
  int output_ = -1;
  int ended_fd_ = -1;
  std::optional<ProcessEnd> end_;
};

}  // namespace omg
