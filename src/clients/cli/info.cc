// SPDX-License-Identifier: Apache-2.0
//
// `omg info`: what this machine can run models with.
#include <fmt/format.h>

#include "base/json.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/machine.h"
#include "clients/cli/table.h"
#include "engine/kernels/isa.h"

namespace omg::cli {
namespace {

json::value or_null(const std::optional<uint64_t>& value) {
  if (!value) return nullptr;
  return *value;
}

json::object cpu_to_json(const Machine& machine, Isa chosen) {
  json::object cpu = {{"name", machine.cpu.name},
                      {"sockets", machine.cpu.sockets},
                      {"cores", machine.cpu.cores},
                      {"threads", machine.cpu.threads},
                      {"affinity_threads", machine.affinity},
                      {"cgroup_quota", nullptr},
                      {"usable_threads", machine.usable_threads()}};
  if (machine.quota) cpu["cgroup_quota"] = *machine.quota;
  json::array sets;
  for (const IsaInfo& set : isa_table()) {
    sets.push_back({{"name", set.name},
                    {"description", set.description},
                    {"supported", isa_is_supported(set.isa)}});
  }
  cpu["instruction_sets"] = std::move(sets);
  cpu["instruction_set"] = isa_name(chosen);
  json::array caches;
  for (const CacheInfo& cache : machine.cpu.caches) {
    caches.push_back({{"level", cache.level},
                      {"type", cache.type},
                      {"bytes", cache.bytes},
                      {"instances", cache.instances}});
  }
  cpu["caches"] = std::move(caches);
  return cpu;
}

json::object to_json(const Machine& machine, Isa chosen) {
  json::array gpus;
  for (const GpuInfo& gpu : machine.gpus.gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"vendor", gpu.vendor},
                    {"driver", gpu.driver},
                    {"bus_id", gpu.bus_id},
                    {"memory_total", or_null(gpu.memory_total)},
                    {"memory_free", or_null(gpu.memory_free)},
                    {"compute_capability", gpu.compute_capability}});
  }
  return {{"version", OMG_VERSION},
          {"cpu", cpu_to_json(machine, chosen)},
          {"memory",
           {{"total", machine.memory.total},
            {"available", machine.memory.available},
            {"cgroup_limit", or_null(machine.memory.cgroup_limit)},
            {"cgroup_used", machine.memory.cgroup_used},
            {"swap_total", machine.memory.swap_total},
            {"swap_free", machine.memory.swap_free}}},
          {"gpus", std::move(gpus)},
          {"gpu_problem", machine.gpus.nvml_problem}};
}

void add_processor(Sections& sections, const Machine& machine) {
  const CpuInfo& cpu = machine.cpu;
  const auto plural = [](uint32_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  sections.begin("Processor");
  sections.add("name", cpu.name.empty() ? "unknown" : printable(cpu.name));
  sections.add("has", plural(cpu.sockets, "socket") + ", " + plural(cpu.cores, "core") + ", " +
                          plural(cpu.threads, "thread"));
  std::string usable = plural(machine.usable_threads(), "thread");
  if (machine.affinity < cpu.threads) usable += fmt::format("; affinity {}", machine.affinity);
  if (machine.quota) usable += fmt::format("; cgroup quota {:.4g} CPUs", *machine.quota);
  sections.add("usable", usable);
  for (const CacheInfo& cache : cpu.caches) {
    const char* suffix = cache.type == "Data" ? "d" : cache.type == "Instruction" ? "i" : "";
    sections.add(fmt::format("L{}{} cache", cache.level, suffix),
                 fmt::format("{}{}", format_bytes(cache.bytes),
                             cache.instances > 1 ? fmt::format(" in {}", cache.instances) : ""));
  }
}

void add_instruction_sets(Sections& sections, Isa chosen, const Terminal& terminal) {
  sections.begin("Instruction sets");
  for (const IsaInfo& set : isa_table()) {
    if (!isa_is_supported(set.isa)) continue;
    std::string text(set.description);
    if (set.isa == chosen) text += terminal.styled(Style::kGreen, "  ← in use");
    sections.add(std::string(set.name), text);
  }
}

void add_memory(Sections& sections, const MemoryInfo& memory) {
  sections.begin("Memory");
  sections.add("total", format_bytes(memory.total));
  sections.add("available", format_bytes(memory.available));
  if (memory.cgroup_limit) {
    sections.add("cgroup limit", fmt::format("{}, {} used", format_bytes(*memory.cgroup_limit),
                                             format_bytes(memory.cgroup_used)));
  }
  if (memory.swap_total > 0) {
    sections.add("swap", fmt::format("{}, {} free", format_bytes(memory.swap_total),
                                     format_bytes(memory.swap_free)));
  }
}

void add_gpus(Sections& sections, const GpuProbe& probe) {
  sections.begin("GPUs");
  if (!probe.nvml_problem.empty()) sections.add("problem", printable(probe.nvml_problem));
  if (probe.gpus.empty() && probe.nvml_problem.empty()) sections.add("none found", "");
  for (size_t i = 0; i < probe.gpus.size(); ++i) {
    sections.add(fmt::format("GPU {}", i), describe(probe.gpus[i]));
  }
  if (!probe.gpus.empty()) sections.add("note", kGpusUnused);
}

class InfoCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer("OMG_CPU_ISA=NAME makes every command use that instruction set.");
  }

  void run(Terminal& terminal) override {
    const Machine machine = probe_machine();
    const Isa chosen = choose_isa();
    if (json_) return terminal.out(json::serialize(to_json(machine, chosen)) + "\n");
    Sections sections;
    add_processor(sections, machine);
    add_instruction_sets(sections, chosen, terminal);
    add_memory(sections, machine.memory);
    add_gpus(sections, machine.gpus);
    terminal.out(sections.to_string(terminal));
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info_command() {
  return std::make_unique<InfoCommand>();
}

}  // namespace omg::cli
