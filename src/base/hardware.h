// SPDX-License-Identifier: Apache-2.0
//
// What this machine is: processor, caches, memory and the limits that a container puts on them, as
// Linux tells it in /proc and /sys. Every function takes the root of that tree, so tests hand in a
// made one. Nothing here fails: what cannot be read is absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace omg {

struct CacheInfo {
  uint32_t level = 0;
  std::string type;  // "Data", "Instruction" or "Unified"
  uint64_t bytes = 0;
  uint32_t instances = 0;
};

struct CpuInfo {
  std::string name;  // "" when unknown
  uint32_t sockets = 0;
  uint32_t cores = 0;             // physical
  uint32_t threads = 0;           // logical, online
  std::vector<CacheInfo> caches;  // by level
  bool is_virtual = false;        // of a virtual machine, as the processor itself says
};

CpuInfo probe_cpu(const std::string& root = "");

/// CPUs that the cgroup's quota allows, e.g. 1.5; nothing when unlimited. Reads cgroup v2 and v1.
std::optional<double> cgroup_cpu_quota(const std::string& root = "");
/// Logical CPUs in this process's affinity mask.
uint32_t affinity_threads();

struct MemoryInfo {
  uint64_t total = 0;      // bytes, of the machine
  uint64_t available = 0;  // as the kernel estimates it
  /// The tightest limit of this process's cgroup and those above it, and what that one uses.
  std::optional<uint64_t> cgroup_limit;
  uint64_t cgroup_used = 0;
  uint64_t swap_total = 0;
  uint64_t swap_free = 0;
};

MemoryInfo probe_memory(const std::string& root = "");

/// Bytes that can still be taken without pushing anything into swap: of the machine's memory, or of
/// the cgroup's if that has less left. 2^62 when unknown, so that nothing is refused for it.
uint64_t usable_memory(const std::string& root = "");
uint64_t usable_memory(const MemoryInfo& memory);

/// Most bytes of memory this process has had resident (VmHWM); 0 when unknown.
uint64_t peak_resident_bytes(const std::string& root = "");
/// Makes the peak begin anew at what is resident now. False where the system does not let it.
bool reset_peak_resident_bytes(const std::string& root = "");

/// Seconds that all processors together have worked and that they have been there, since the
/// system started. Nothing when unknown.
struct ProcessorSeconds {
  double busy = 0;
  double all = 0;
};
std::optional<ProcessorSeconds> processor_seconds(const std::string& root = "");
/// Processor time of this process and of the programs that it ran and waited for.
double own_processor_seconds();

/// Numbers of a kernel list such as "0-3,8": {0, 1, 2, 3, 8}. Stops at what is no list, and at
/// 65536 numbers.
std::vector<uint32_t> parse_cpu_list(const std::string& text);

}  // namespace omg
