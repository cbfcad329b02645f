// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/machine_checks.h"

#include <fmt/format.h>

#include "clients/cli/format.h"

namespace omg::cli::doctor {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

std::string_view description_of(Isa isa) {
  for (const IsaInfo& info : isa_table()) {
    if (info.isa == isa) return info.description;
  }
  return "";
}

/// Where a virtual machine hides what its host's processor has.
constexpr const char* kShowHostProcessor =
    "let the virtual machine show its host's processor: 'qemu -cpu host', or in libvirt "
    "'<cpu mode=\"host-passthrough\"/>'; then 'omg info' lists more instruction sets";

Finding no_vectors(const ProcessorState& state) {
  const std::string missing = state.is_x86 ? "AVX2" : "vector instructions that this program knows";
  return warning("processor", fmt::format("portable code: no {} here", missing),
                 "answers take about ten times as long as they could",
                 state.cpu.is_virtual ? kShowHostProcessor
                                      : "take a small model such as smollm, or a processor with "
                                        "AVX2 (Intel since 2013, AMD since 2015)");
}

std::string name_of(const CpuInfo& cpu) {
  return cpu.name.empty() ? "unknown processor" : printable(cpu.name);
}

/// What the next better set would be worth, for those who have a choice.
std::string could_be_better(const ProcessorState& state) {
  if (state.best == Isa::kAvx2) {
    return state.cpu.is_virtual ? "; AVX-512 would read prompts faster, if the host has it and "
                                  "shows it ('qemu -cpu host')"
                                : "; processors with AVX-512 and VNNI read prompts faster";
  }
  if (state.best == Isa::kNeon) return "; processors with DotProd (Armv8.2) are much faster";
  return "";
}

/// Why it would be of no use even to a program that computes on GPUs; "" if nothing shows.
std::string unusable_because(const GpuInfo& gpu) {
  if (gpu.driver.empty()) return "no driver is loaded for it";
  if (gpu.driver == "nouveau") return "nouveau draws, and cannot compute";
  if (gpu.driver == "vfio-pci") return "it is given to a virtual machine (vfio-pci)";
  if (gpu.vendor == "NVIDIA" && gpu.compute_capability.empty()) {
    return "NVIDIA's library does not show it here (in a container: start it with '--gpus all')";
  }
  return "";
}

std::string driver_fix(const std::string& message) {
  if (message.find("mismatch") != std::string::npos) {
    return "the driver was updated under a running kernel: restart the machine";
  }
  if (message.find("too old") != std::string::npos) return "install a newer driver";
  return "see what 'nvidia-smi' says; installing the driver again, and a restart, mend most of it";
}

}  // namespace

Finding check_processor(const ProcessorState& state) {
  if (!state.choice_error.empty()) {
    return problem("processor", state.choice_error, "no model can be loaded", "unset OMG_CPU_ISA");
  }
  if (state.chosen != state.best) {
    return warning("processor",
                   fmt::format("OMG_CPU_ISA makes it {}, though {} is here", isa_name(state.chosen),
                               isa_name(state.best)),
                   "answers take longer than they have to", "unset OMG_CPU_ISA");
  }
  if (state.best == Isa::kScalar) return no_vectors(state);
  return ok("processor", fmt::format("{}, computes with {}{}", name_of(state.cpu),
                                     description_of(state.chosen), could_be_better(state)));
}

Finding check_threads(const ThreadState& state) {
  const std::string of_all = fmt::format("of {} threads of the machine", state.threads);
  if (state.quota && *state.quota * 2 <= state.threads) {
    return warning(
        "threads",
        fmt::format("a limit of the container or service lets {:.3g} {} work", *state.quota,
                    of_all),
        "answers are that much slower",
        "raise it: 'docker run --cpus N', systemd's CPUQuota=, or resources.limits.cpu of "
        "Kubernetes");
  }
  if (state.affinity > 0 && state.affinity * 2 <= state.threads) {
    return warning("threads",
                   fmt::format("{} {} may be used: the affinity of this process leaves out the "
                               "others",
                               state.affinity, of_all),
                   "answers are that much slower",
                   "start without 'taskset', or raise '--cpuset-cpus' of the container");
  }
  Machine machine;
  machine.affinity = state.affinity;
  machine.quota = state.quota;
  return ok("threads", fmt::format("{} {} compute", machine.usable_threads(), of_all));
}

Findings check_gpus(const GpuProbe& probe) {
  Findings findings;
  if (!probe.nvml_problem.empty()) {
    findings.push_back(
        warning("gpu driver", printable(probe.nvml_problem),
                std::string("programs that compute on the GPU fail; not this one: ") + kGpusUnused,
                driver_fix(probe.nvml_problem)));
  }
  for (size_t i = 0; i < probe.gpus.size(); ++i) {
    const std::string why = unusable_because(probe.gpus[i]);
    findings.push_back(ok(fmt::format("gpu {}", i),
                          fmt::format("{}: not used, {}{}", describe(probe.gpus[i]), kGpusUnused,
                                      why.empty() ? "" : "; besides, " + why)));
  }
  if (findings.empty()) findings.push_back(ok("gpu", std::string("none found; ") + kGpusUnused));
  return findings;
}

Finding check_memory(const MemoryState& state) {
  const MemoryInfo& memory = state.memory;
  if (memory.total == 0) {
    return warning("memory", "/proc/meminfo cannot be read",
                   "models are loaded whether they fit or not", "mount -t proc proc /proc");
  }
  if (state.budget > memory.total) {
    return warning("memory",
                   fmt::format("memory_budget is {}, and the machine has {}",
                               format_bytes(state.budget), format_bytes(memory.total)),
                   "the system ends programs when models take what is not there",
                   "omg config unset memory_budget");
  }
  const uint64_t usable = usable_memory(memory);
  const bool is_confined = memory.cgroup_limit && *memory.cgroup_limit < memory.total;
  std::string text = fmt::format("{} free of {}", format_bytes(usable),
                                 format_bytes(is_confined ? *memory.cgroup_limit : memory.total));
  if (is_confined) {
    text += fmt::format(" that the container or service may take; the machine has {}",
                        format_bytes(memory.total));
  }
  if (!state.example.empty()) {
    text += fmt::format("; models of up to about {} fit, such as {}",
                        format_gigabytes(state.largest_download), state.example);
  }
  if (usable >= 2 * kGiB && !state.example.empty()) return ok("memory", text);
  return warning("memory", text,
                 state.example.empty() ? "no model of the catalogue fits, but the built-in guide"
                                       : "only the smallest models fit",
                 is_confined && memory.available > 2 * usable
                     ? "raise it: 'docker run --memory SIZE', systemd's MemoryMax=, or "
                       "resources.limits.memory of Kubernetes"
                     : "end what takes memory: 'ps aux --sort=-rss | head' shows it; 'omg ps' "
                       "shows loaded models");
}

Finding check_swap(const MemoryInfo& memory) {
  if (memory.swap_total == 0) return ok("swap", "none");
  const uint64_t used = memory.swap_total - std::min(memory.swap_free, memory.swap_total);
  const std::string text =
      fmt::format("{} of {} used", format_bytes(used), format_bytes(memory.swap_total));
  if (used <= kGiB || used * 2 <= memory.swap_total) return ok("swap", text);
  return warning("swap", text,
                 "memory is short: what is in swap, models too, is read from the disk again",
                 "end what takes memory, or load smaller models: 'omg ps', 'omg stop'");
}

}  // namespace omg::cli::doctor
