// SPDX-License-Identifier: Apache-2.0
//
// Processor, GPUs and memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "clients/cli/doctor/finding.h"
#include "clients/cli/machine.h"
#include "engine/kernels/isa.h"

namespace omg::cli::doctor {

struct ProcessorState {
  CpuInfo cpu;
  bool is_x86 = false;
  Isa best = Isa::kScalar;  // that the processor and the system show
  Isa chosen = Isa::kScalar;
  std::string choice_error;  // why none can be chosen: a wrong OMG_CPU_ISA
};

struct ThreadState {
  uint32_t threads = 0;  // of the machine
  uint32_t affinity = 0;
  std::optional<double> quota;
};

struct MemoryState {
  MemoryInfo memory;
  uint64_t budget = 0;  // as it is configured; 0: none
  std::string example;  // a model that fits, by its short name; "" for none
  uint64_t largest_download = 0;
};

Finding check_processor(const ProcessorState& state);
Finding check_threads(const ThreadState& state);
/// One for each, or one that says that there is none.
Findings check_gpus(const GpuProbe& probe);
Finding check_memory(const MemoryState& state);
Finding check_swap(const MemoryInfo& memory);

}  // namespace omg::cli::doctor
