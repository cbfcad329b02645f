// SPDX-License-Identifier: Apache-2.0
//
// The graphics processors of this machine: NVIDIA's through their management library, opened at run
// time, all others through sysfs, also those that have no driver. A machine without any needs
// neither.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace omg {

struct GpuInfo {
  std::string name;
  std::string vendor;                    // "NVIDIA", "AMD", "Intel" or the PCI number
  std::string driver;                    // "nvidia 550.54.15", "amdgpu"; "" where there is none
  std::string bus_id;                    // "0000:65:00.0"
  std::optional<uint64_t> memory_total;  // bytes
  std::optional<uint64_t> memory_free;
  std::string compute_capability;  // "9.0" for CUDA devices
};

struct GpuProbe {
  std::vector<GpuInfo> gpus;
  /// Why NVIDIA's library told nothing, when it is installed but fails; else empty.
  std::string nvml_problem;
};

/// `root`: where /sys lies. `nvml`: name of NVIDIA's library for dlopen.
GpuProbe probe_gpus(const std::string& root = "", const std::string& nvml = "libnvidia-ml.so.1");

}  // namespace omg
