// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/machine.h"

#include <algorithm>
#include <cmath>

#include "clients/cli/format.h"

namespace omg::cli {

uint32_t Machine::usable_threads() const {
  double threads = std::max(affinity, 1u);
  if (quota) threads = std::min(threads, std::ceil(*quota));
  return std::max(1u, static_cast<uint32_t>(threads));
}

Machine probe_machine() {
  return {probe_cpu(), probe_memory(), probe_gpus(), affinity_threads(), cgroup_cpu_quota()};
}

std::string describe(const GpuInfo& gpu) {
  std::string text = printable(gpu.name);
  if (gpu.memory_total) text += ", " + format_bytes(*gpu.memory_total);
  if (gpu.memory_free) text += ", " + format_bytes(*gpu.memory_free) + " free";
  if (!gpu.compute_capability.empty()) text += ", compute " + gpu.compute_capability;
  text += gpu.driver.empty() ? ", no driver" : ", driver " + printable(gpu.driver);
  if (!gpu.bus_id.empty()) text += ", at " + printable(gpu.bus_id);
  return text;
}

}  // namespace omg::cli
