// SPDX-License-Identifier: Apache-2.0
//
// How a worker gives up what it does not need, so that a model file that takes it over has gained
// a process that can compute and talk to the daemon, and nothing else.
//
// Before the model is loaded: no new privileges, no core dumps, and with Landlock (Linux 5.13)
// files may be read but not written, made, or run, and no TCP, abstract sockets or signals to
// others (Linux 6.7, 6.12). Landlock holds for the calling thread and those it starts, so this must
// come before the first thread. After loading: Landlock without any exception for the calling
// thread, and a seccomp filter for all threads, which refuses all that would need a path, a new
// socket, another program or process, or memory to run code from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace omg {

/// What is in force, or why something is not, for a log: "landlock 4, seccomp".
struct SandboxReport {
  bool landlock = false;
  bool seccomp = false;
  std::string text;
};

/// Why this build has no sandbox; "" where it has one. (A sanitizer's reports read /proc and start
/// a symbolizer, so that a finding would look like a hang.)
std::string_view no_sandbox_reason();

/// What a worker goes on doing with files that it opened before.
struct SandboxNeeds {
  /// It writes one, which has at most so many bytes; 0: it writes none.
  uint64_t written_bytes = 0;
};

/// Before the first thread. A kernel without Landlock is no error.
void enter_loading_sandbox(const SandboxNeeds& needs = {});

/// From any thread, once, when nothing more has to be opened. A kernel that lacks something is no
/// error: the report says so.
SandboxReport enter_computing_sandbox(const SandboxNeeds& needs = {});

}  // namespace omg
