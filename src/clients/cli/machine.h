// SPDX-License-Identifier: Apache-2.0
//
// What `omg info` and `omg doctor` know of the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/gpu_probe.h"
#include "base/hardware.h"

namespace omg::cli {

struct Machine {
  CpuInfo cpu;
  MemoryInfo memory;
  GpuProbe gpus;
  uint32_t affinity = 0;        // logical processors that this process may run on
  std::optional<double> quota;  // processors' worth of time that its cgroup may take

  uint32_t usable_threads() const;
};

Machine probe_machine();

/// "NVIDIA H200, 140 GiB, 139 GiB free, compute 9.0, driver nvidia 550, at 0000:65:00.0".
std::string describe(const GpuInfo& gpu);
/// What this version does with GPUs.
inline constexpr const char* kGpusUnused = "this version computes on the processor alone";

}  // namespace omg::cli
