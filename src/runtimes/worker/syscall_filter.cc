// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/syscall_filter.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"

namespace omg {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO;
constexpr uint32_t kLowHalf = 0;  // of a 64-bit argument, on little-endian machines

}  // namespace

SyscallFilter::SyscallFilter() {
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
  add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
  add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  // The x32 interface has the same architecture, and its numbers begin here.
  constexpr uint32_t kX32 = 0x40000000;
  add(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1);
  add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
#endif
}

void SyscallFilter::allow(long call) {
  add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1);
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

void SyscallFilter::refuse(long call, int error_number) {
  add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1);
  add(BPF_RET | BPF_K, kRefuse | static_cast<uint32_t>(error_number));
}

void SyscallFilter::allow_if(long call, unsigned argument, uint32_t mask, uint32_t value) {
  add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 5);
  const size_t place = offsetof(seccomp_data, args) + argument * sizeof(uint64_t) + kLowHalf;
  add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(place));
  add(BPF_ALU | BPF_AND | BPF_K, mask);
  add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  add(BPF_RET | BPF_K, kRefuse | EPERM);
}

std::vector<sock_filter> SyscallFilter::finish() {
  add(BPF_RET | BPF_K, kRefuse | EPERM);
  return std::move(program_);
}

std::vector<sock_filter> computing_filter(bool writes_files) {
  SyscallFilter filter;
  // By how often they are made. Names that one architecture lacks stand in #ifdef.
  for (const long call : {SYS_futex,
                          SYS_sendto,
                          SYS_recvfrom,
                          SYS_read,
                          SYS_write,
                          SYS_clock_nanosleep,
                          SYS_nanosleep,
                          SYS_clock_gettime,
                          SYS_gettimeofday,
                          SYS_clock_getres,
                          SYS_sched_yield,
                          SYS_ppoll,
                          SYS_readv,
                          SYS_writev,
                          SYS_pread64,
                          SYS_lseek,
                          SYS_close,
                          SYS_brk,
                          SYS_munmap,
                          SYS_mremap,
                          SYS_madvise,
                          SYS_mincore,
                          SYS_membarrier,
                          SYS_rseq,
                          SYS_set_robust_list,
                          SYS_getcpu,
                          SYS_sched_getaffinity,
                          SYS_getrusage,
                          SYS_getrandom,
                          SYS_getpid,
                          SYS_gettid,
                          SYS_getppid,
                          SYS_rt_sigaction,
                          SYS_rt_sigprocmask,
                          SYS_rt_sigreturn,
                          SYS_sigaltstack,
                          SYS_restart_syscall,
                          SYS_exit,
                          SYS_exit_group}) {
    filter.allow(call);
  }
  if (writes_files) filter.allow(SYS_pwrite64);
#ifdef SYS_poll
  filter.allow(SYS_poll);
#endif
#ifdef SYS_time
  filter.allow(SYS_time);
#endif
#ifdef SYS_futex_waitv
  filter.allow(SYS_futex_waitv);
#endif
  // Memory that can be written or read, but not run.
  filter.allow_if(SYS_mmap, 2, PROT_EXEC, 0);
  filter.allow_if(SYS_mprotect, 2, PROT_EXEC, 0);
  // Threads of this process and nothing else. clone3 hides its flags behind a pointer; the C
  // library uses clone where there is none.
  constexpr uint32_t kThread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
  constexpr uint32_t kForeign = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE;
  filter.allow_if(SYS_clone, 0, kThread | kForeign, kThread);
  filter.refuse(SYS_clone3, ENOSYS);
  // abort() sends itself a signal. Nobody else gets one.
  filter.allow_if(SYS_tgkill, 0, UINT32_MAX, static_cast<uint32_t>(::getpid()));
  filter.allow_if(SYS_prctl, 0, UINT32_MAX, PR_SET_NAME);
  return filter.finish();
}

void apply_filter(const std::vector<sock_filter>& program) {
  sock_fprog given;
  given.len = static_cast<unsigned short>(program.size());
  given.filter = const_cast<sock_filter*>(program.data());
  if (kArchitecture == 0) {
    throw Error(ErrorCode::kUnsupported, "no system call filter is known for this processor");
  }
  const long result =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &given);
  if (result == 0) return;
  // A positive result is a thread that has a filter of its own.
  throw Error(ErrorCode::kUnsupported,
              result > 0
                  ? std::string("a thread has another system call filter")
                  : std::string("the kernel takes no system call filter: ") + std::strerror(errno));
}

}  // namespace omg
