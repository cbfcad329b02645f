// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/sandbox.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "runtimes/worker/syscall_filter.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OMG_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OMG_SANITIZED
#endif

namespace omg {
namespace {

// The kernel's interface (Documentation/userspace-api/landlock.rst); headers of Debian 12 have its
// beginning alone.
struct LandlockRules {
  uint64_t files = 0;   // what is denied unless a rule allows it
  uint64_t ports = 0;   // since version 4
  uint64_t scopes = 0;  // since version 6
};
struct __attribute__((packed)) LandlockPath {
  uint64_t allowed = 0;
  int32_t folder = -1;
};
constexpr uint32_t kVersionFlag = 1;
constexpr int kPathRule = 1;
constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadFolder = 1 << 3;
constexpr uint64_t kAllPorts = 0b11;   // bind and connect of TCP
constexpr uint64_t kAllScopes = 0b11;  // abstract sockets, signals

/// All rights on files that this version knows: 13 at first, renaming, truncating, ioctl.
uint64_t all_files(long version) {
  if (version >= 5) return (1 << 16) - 1;
  if (version >= 3) return (1 << 15) - 1;
  if (version == 2) return (1 << 14) - 1;
  return (1 << 13) - 1;
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// This thread may only do what is `allowed` in all folders. Returns Landlock's version, or 0 where
/// there is none.
long restrict_files(uint64_t allowed) {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionFlag);
  if (version < 1) return 0;
  LandlockRules rules;
  rules.files = all_files(version);
  if (version >= 4) rules.ports = kAllPorts;
  if (version >= 6) rules.scopes = kAllScopes;
  const Descriptor set{
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0))};
  if (set.fd < 0) return 0;
  if (allowed != 0) {
    const Descriptor root{::open("/", O_PATH | O_CLOEXEC)};
    const LandlockPath path{allowed, root.fd};
    if (::syscall(SYS_landlock_add_rule, set.fd, kPathRule, &path, 0) != 0) return 0;
  }
  return ::syscall(SYS_landlock_restrict_self, set.fd, 0) == 0 ? version : 0;
}

void limit(int resource, rlim_t most) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return;
  // Lowering always works; where the limit is lower already it stays.
  now.rlim_max = now.rlim_max < most ? now.rlim_max : most;
  now.rlim_cur = now.rlim_max;
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &now);
}

}  // namespace

std::string_view no_sandbox_reason() {
#ifdef OMG_SANITIZED
  return "built with a sanitizer, whose reports need files and other programs";
#else
  return "";
#endif
}

void enter_loading_sandbox(const SandboxNeeds& needs) {
  // A core dump would hold what users wrote.
  limit(RLIMIT_CORE, 0);
  // Parts of a split model, and some more.
  limit(RLIMIT_NOFILE, 512);
  if (needs.written_bytes > 0) {
    ::signal(SIGXFSZ, SIG_IGN);  // an error instead
    limit(RLIMIT_FSIZE, needs.written_bytes);
  }
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (no_sandbox_reason().empty()) restrict_files(kReadFile | kReadFolder);
}

SandboxReport enter_computing_sandbox(const SandboxNeeds& needs) {
  SandboxReport report;
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (!no_sandbox_reason().empty()) {
    report.text = "off: " + std::string(no_sandbox_reason());
    return report;
  }
  const long version = restrict_files(0);
  report.landlock = version > 0;
  report.text = report.landlock ? "landlock " + std::to_string(version) : "no landlock here";
  try {
    apply_filter(computing_filter(needs.written_bytes > 0));
    report.seccomp = true;
    report.text += ", seccomp";
  } catch (const Error& error) {
    report.text += ", no seccomp: " + std::string(error.what());
  }
  return report;
}

}  // namespace omg
