// SPDX-License-Identifier: Apache-2.0
//
// A seccomp filter: which system calls a process that only computes may still make. The program is
// classic BPF (Linux, Documentation/userspace-api/seccomp_filter.rst), written call by call.
#pragma once

#include <cstdint>
#include <linux/filter.h>
#include <vector>

namespace omg {

/// Rules are looked at in order; the first that knows a call decides. Calls of another architecture
/// than this build's kill the process.
class SyscallFilter {
 public:
  SyscallFilter();

  void allow(long call);
  /// The call fails with this errno.
  void refuse(long call, int error_number);
  /// Allowed where the low 32 bits of argument `argument` (0 to 5) are `value` under `mask`; fails
  /// with EPERM otherwise.
  void allow_if(long call, unsigned argument, uint32_t mask, uint32_t value);
  /// All other calls fail with EPERM.
  std::vector<sock_filter> finish();

 private:
  void add(uint16_t code, uint32_t operand, uint8_t if_true = 0, uint8_t if_false = 0) {
    program_.push_back(sock_filter{code, if_true, if_false, operand});
  }

  std::vector<sock_filter> program_;
};

/// What a worker needs once its model is loaded: memory (not executable), threads, locks, clocks,
/// and reading, writing and polling what is open (files only if it `writes_files`). No paths, no
/// sockets, no programs, no processes but itself.
std::vector<sock_filter> computing_filter(bool writes_files);

/// Puts the program on all threads of this process, for good. Error(kUnsupported) where the kernel
/// cannot.
void apply_filter(const std::vector<sock_filter>& program);

}  // namespace omg
