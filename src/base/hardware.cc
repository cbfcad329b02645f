// SPDX-License-Identifier: Apache-2.0
#include "base/hardware.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>
#include <numeric>
#include <sched.h>
#include <set>
#include <sstream>
#include <sys/resource.h>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace omg {
namespace {

/// First line of a file; nothing when it cannot be read.
std::optional<std::string> read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<uint64_t> to_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> read_number(const std::string& path) {
  const auto line = read_line(path);
  return line ? to_number(*line) : std::nullopt;
}

/// "48K", "2048K", "32M".
uint64_t parse_size(std::string_view text) {
  uint64_t unit = 1;
  if (!text.empty() && (text.back() == 'K' || text.back() == 'M' || text.back() == 'G')) {
    unit = text.back() == 'K' ? 1u << 10 : text.back() == 'M' ? 1u << 20 : 1u << 30;
    text.remove_suffix(1);
  }
  return to_number(text).value_or(0) * unit;
}

/// Value of the first line "key : value" of /proc/cpuinfo.
std::string cpuinfo_field(const std::string& root, std::string_view key) {
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, key.size(), key) != 0) continue;
    const size_t end = line.find_last_not_of(" \t", colon - 1);
    if (end + 1 != key.size()) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

/// Arm processors have no name in /proc/cpuinfo; these are the usual ones of servers and boards, by
/// the part numbers in Arm's technical reference manuals.
std::string arm_name(const std::string& root) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> parts = {{
      {"0xd03", "Cortex-A53"},
      {"0xd07", "Cortex-A57"},
      {"0xd08", "Cortex-A72"},
      {"0xd0b", "Cortex-A76"},
      {"0xd0c", "Neoverse N1"},
      {"0xd40", "Neoverse V1"},
      {"0xd41", "Cortex-A78"},
      {"0xd44", "Cortex-X1"},
      {"0xd47", "Cortex-A710"},
      {"0xd48", "Cortex-X2"},
      {"0xd49", "Neoverse N2"},
      {"0xd4f", "Neoverse V2"},
      {"0xd84", "Neoverse V3"},
      {"0xd8e", "Neoverse N3"},
  }};
  const std::string part = cpuinfo_field(root, "CPU part");
  if (cpuinfo_field(root, "CPU implementer") != "0x41") return "";
  for (const auto& [number, name] : parts) {
    if (part == number) return "Arm " + std::string(name);
  }
  return "";
}

std::string cpu_name(const std::string& root) {
  std::string name = cpuinfo_field(root, "model name");
  if (name.empty()) name = arm_name(root);
  if (name.empty()) {
    name = read_line(root + "/sys/firmware/devicetree/base/model").value_or("");
    while (!name.empty() && name.back() == '\0') name.pop_back();
  }
  return name;
}

/// (level, type, CPUs that share it) is one cache, seen from each of its CPUs.
using CacheKey = std::tuple<uint64_t, std::string, std::string>;

void collect_caches(const std::string& cpu, std::map<CacheKey, uint64_t>& caches) {
  for (int index = 0; index < 16; ++index) {
    const std::string cache = cpu + "/cache/index" + std::to_string(index);
    const auto level = read_number(cache + "/level");
    if (!level) return;
    const std::string shared = read_line(cache + "/shared_cpu_list").value_or(cpu);
    caches[{*level, read_line(cache + "/type").value_or(""), shared}] =
        parse_size(read_line(cache + "/size").value_or(""));
  }
}

std::vector<CacheInfo> summarize(const std::map<CacheKey, uint64_t>& caches) {
  std::vector<CacheInfo> summary;
  for (const auto& [key, bytes] : caches) {
    const auto& [level, type, shared] = key;
    if (summary.empty() || summary.back().level != level || summary.back().type != type) {
      summary.push_back({static_cast<uint32_t>(level), type, 0, 0});
    }
    summary.back().bytes += bytes;
    summary.back().instances += 1;
  }
  return summary;
}

/// Folders of this process's cgroup for a controller and of those above it, innermost first. Inside
/// a container the path in /proc/self/cgroup may lie outside what is mounted; the mount's own root
/// then holds the limits, so it always comes last.
std::vector<std::string> cgroup_folders(const std::string& root, const std::string& controller) {
  std::vector<std::string> folders;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string base;
    if (names == ",,") {
      base = root + "/sys/fs/cgroup";
    } else if (names.find("," + controller + ",") != std::string::npos) {
      base = root + "/sys/fs/cgroup/" + names.substr(1, names.size() - 2);
      if (!std::ifstream(base + "/tasks")) base = root + "/sys/fs/cgroup/" + controller;
    } else {
      continue;
    }
    std::string path = line.substr(second + 1);
    while (path.size() > 1) {
      folders.push_back(base + path);
      path.resize(path.rfind('/'));
    }
    folders.push_back(base);
  }
  return folders;
}

}  // namespace

std::vector<uint32_t> parse_cpu_list(const std::string& text) {
  constexpr size_t most = 65536;
  std::vector<uint32_t> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t dash = part.find('-');
    const auto first = to_number(std::string_view(part).substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : to_number(std::string_view(part).substr(dash + 1));
    if (!first || !last || *last >= most) break;
    for (uint64_t n = *first; n <= *last && numbers.size() < most; ++n) {
      numbers.push_back(static_cast<uint32_t>(n));
    }
  }
  return numbers;
}

CpuInfo probe_cpu(const std::string& root) {
  CpuInfo info;
  info.name = cpu_name(root);
  const std::string system = root + "/sys/devices/system/cpu";
  std::set<uint64_t> sockets;
  std::set<std::pair<uint64_t, uint64_t>> cores;
  std::map<CacheKey, uint64_t> caches;
  for (const uint32_t number : parse_cpu_list(read_line(system + "/online").value_or(""))) {
    const std::string cpu = system + "/cpu" + std::to_string(number);
    const uint64_t socket = read_number(cpu + "/topology/physical_package_id").value_or(0);
    sockets.insert(socket);
    cores.insert({socket, read_number(cpu + "/topology/core_id").value_or(number)});
    collect_caches(cpu, caches);
    ++info.threads;
  }
  info.sockets = static_cast<uint32_t>(sockets.size());
  info.cores = static_cast<uint32_t>(cores.size());
  info.caches = summarize(caches);
  info.is_virtual = (cpuinfo_field(root, "flags") + " ").find(" hypervisor ") != std::string::npos;
  return info;
}

std::optional<double> cgroup_cpu_quota(const std::string& root) {
  std::optional<double> least;
  const auto take = [&](double quota, double period) {
    if (quota > 0 && period > 0) least = std::min(least.value_or(quota / period), quota / period);
  };
  for (const std::string& folder : cgroup_folders(root, "cpu")) {
    double quota = 0;
    double period = 0;
    if (std::ifstream(folder + "/cpu.max") >> quota >> period) {
      take(quota, period);
    } else if (std::ifstream(folder + "/cpu.cfs_quota_us") >> quota &&
               std::ifstream(folder + "/cpu.cfs_period_us") >> period) {
      take(quota, period);
    }
  }
  return least;
}

uint32_t affinity_threads() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0) return 0;
  return static_cast<uint32_t>(CPU_COUNT(&mask));
}

MemoryInfo probe_memory(const std::string& root) {
  MemoryInfo info;
  std::ifstream meminfo(root + "/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    std::istringstream words(line);
    std::string key;
    uint64_t kib = 0;
    if (!(words >> key >> kib)) continue;
    if (key == "MemTotal:") info.total = kib * 1024;
    if (key == "MemAvailable:") info.available = kib * 1024;
    if (key == "SwapTotal:") info.swap_total = kib * 1024;
    if (key == "SwapFree:") info.swap_free = kib * 1024;
  }
  for (const std::string& folder : cgroup_folders(root, "memory")) {
    auto limit = read_number(folder + "/memory.max");
    auto used = read_number(folder + "/memory.current");
    if (!limit) {
      limit = read_number(folder + "/memory.limit_in_bytes");
      used = read_number(folder + "/memory.usage_in_bytes");
    }
    // v1 writes "no limit" as the largest multiple of a page.
    if (!limit || (info.total > 0 && *limit >= info.total)) continue;
    if (!info.cgroup_limit || *limit < *info.cgroup_limit) {
      info.cgroup_limit = limit;
      info.cgroup_used = used.value_or(0);
    }
  }
  return info;
}

uint64_t usable_memory(const std::string& root) {
  return usable_memory(probe_memory(root));
}

uint64_t usable_memory(const MemoryInfo& memory) {
  uint64_t usable = memory.total > 0 ? memory.available : uint64_t{1} << 62;
  if (memory.cgroup_limit) {
    const uint64_t limit = *memory.cgroup_limit;
    usable = std::min(usable, limit > memory.cgroup_used ? limit - memory.cgroup_used : 0);
  }
  return usable;
}

uint64_t peak_resident_bytes(const std::string& root) {
  std::ifstream status(root + "/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    uint64_t kib = 0;
    if (words >> key >> kib && key == "VmHWM:") return kib * 1024;
  }
  return 0;
}

bool reset_peak_resident_bytes(const std::string& root) {
  std::ofstream file(root + "/proc/self/clear_refs");
  file << "5" << std::flush;  // proc(5): resets VmHWM
  return file.good();
}

std::optional<ProcessorSeconds> processor_seconds(const std::string& root) {
  std::ifstream file(root + "/proc/stat");
  std::string name;
  // user nice system idle iowait irq softirq steal; a guest's time is within user's.
  std::array<double, 8> ticks{};
  if (!(file >> name) || name != "cpu") return std::nullopt;
  for (double& value : ticks) {
    if (!(file >> value)) return std::nullopt;
  }
  const double all = std::accumulate(ticks.begin(), ticks.end(), 0.0);
  const double hertz = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return ProcessorSeconds{(all - ticks[3] - ticks[4]) / hertz, all / hertz};
}

double own_processor_seconds() {
  double seconds = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (::getrusage(who, &usage) != 0) continue;
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    }
  }
  return seconds;
}

}  // namespace omg
