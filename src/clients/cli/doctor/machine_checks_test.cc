// SPDX-License-Identifier: Apache-2.0
//
// Machines that nobody here has: what is said of each.
#include "clients/cli/doctor/machine_checks.h"

#include <gtest/gtest.h>

namespace omg::cli::doctor {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProcessorState processor(Isa best, bool is_virtual = false) {
  ProcessorState state;
  state.cpu.name = "Example CPU";
  state.cpu.is_virtual = is_virtual;
  state.is_x86 = true;
  state.best = best;
  state.chosen = best;
  return state;
}

TEST(CheckProcessor, TellsWhatComputes) {
  const Finding finding = check_processor(processor(Isa::kAvx512));
  EXPECT_EQ(finding.level, Level::kOk);
  EXPECT_EQ(finding.text, "Example CPU, computes with AVX-512 F, BW, DQ, VL with VNNI");
  EXPECT_EQ(finding.fix, "");
}

TEST(CheckProcessor, TellsWhatABetterOneWouldGive) {
  EXPECT_TRUE(has(check_processor(processor(Isa::kAvx2)).text, "processors with AVX-512"));
  EXPECT_TRUE(has(check_processor(processor(Isa::kAvx2, true)).text, "qemu -cpu host"));
  EXPECT_EQ(check_processor(processor(Isa::kAvx2)).level, Level::kOk);
}

TEST(CheckProcessor, WithoutVectorsItIsSlow) {
  const Finding bare = check_processor(processor(Isa::kScalar));
  EXPECT_EQ(bare.level, Level::kWarning);
  EXPECT_TRUE(has(bare.text, "no AVX2"));
  EXPECT_TRUE(has(bare.fix, "Intel since 2013"));
  EXPECT_TRUE(has(check_processor(processor(Isa::kScalar, true)).fix, "host-passthrough"));
}

TEST(CheckProcessor, AForcedInstructionSetIsNamed) {
  ProcessorState state = processor(Isa::kAvx512);
  state.chosen = Isa::kScalar;
  const Finding slower = check_processor(state);
  EXPECT_EQ(slower.level, Level::kWarning);
  EXPECT_EQ(slower.text, "OMG_CPU_ISA makes it scalar, though avx512 is here");
  EXPECT_EQ(slower.fix, "unset OMG_CPU_ISA");
  state.choice_error = "OMG_CPU_ISA=bogus: no such instruction set";
  EXPECT_EQ(check_processor(state).level, Level::kProblem);
  EXPECT_EQ(check_processor(state).text, state.choice_error);
}

TEST(CheckThreads, LimitsOfContainersAndAffinity) {
  EXPECT_EQ(check_threads({8, 8, std::nullopt}).level, Level::kOk);
  EXPECT_EQ(check_threads({8, 8, 6.0}).text, "6 of 8 threads of the machine compute");
  const Finding quota = check_threads({8, 8, 1.5});
  EXPECT_EQ(quota.level, Level::kWarning);
  EXPECT_TRUE(has(quota.text, "lets 1.5 of 8 threads"));
  EXPECT_TRUE(has(quota.fix, "docker run --cpus"));
  const Finding affinity = check_threads({8, 2, std::nullopt});
  EXPECT_EQ(affinity.level, Level::kWarning);
  EXPECT_TRUE(has(affinity.fix, "taskset"));
}

TEST(CheckGpus, EachIsNamedWithWhyItIsNotUsed) {
  GpuProbe probe;
  ASSERT_EQ(check_gpus(probe).size(), 1u);
  EXPECT_TRUE(has(check_gpus(probe)[0].text, "none found"));
  probe.gpus = {{"NVIDIA X", "NVIDIA", "nvidia 550", "", 80 * kGiB, std::nullopt, "9.0"},
                {"NVIDIA 0x2330", "NVIDIA", "", "0000:01:00.0", std::nullopt, std::nullopt, ""},
                {"NVIDIA 0x1234", "NVIDIA", "nouveau", "", std::nullopt, std::nullopt, ""},
                {"NVIDIA 0x1235", "NVIDIA", "nvidia", "", std::nullopt, std::nullopt, ""},
                {"AMD 0x744c", "AMD", "vfio-pci", "", std::nullopt, std::nullopt, ""}};
  const Findings findings = check_gpus(probe);
  ASSERT_EQ(findings.size(), 5u);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.level, Level::kOk);
    EXPECT_TRUE(has(finding.text, "this version computes on the processor alone")) << finding.text;
  }
  EXPECT_EQ(findings[0].name, "gpu 0");
  EXPECT_EQ(findings[0].text,
            "NVIDIA X, 80.0 GiB, compute 9.0, driver nvidia 550: not used, this version computes "
            "on the processor alone");
  EXPECT_TRUE(has(findings[1].text, "no driver is loaded"));
  EXPECT_TRUE(has(findings[2].text, "nouveau draws"));
  EXPECT_TRUE(has(findings[3].text, "--gpus all"));
  EXPECT_TRUE(has(findings[4].text, "virtual machine"));
}

TEST(CheckGpus, ABrokenDriverIsAWarning) {
  GpuProbe probe;
  probe.nvml_problem = "libnvidia-ml.so.1: Driver/library version mismatch";
  const Findings findings = check_gpus(probe);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Level::kWarning);
  EXPECT_EQ(findings[0].text, probe.nvml_problem);
  EXPECT_TRUE(has(findings[0].fix, "restart the machine"));
  probe.nvml_problem = "libnvidia-ml.so.1 lacks functions: the driver is too old";
  EXPECT_TRUE(has(check_gpus(probe)[0].fix, "newer driver"));
}

MemoryState memory(uint64_t total, uint64_t available) {
  MemoryState state;
  state.memory.total = total;
  state.memory.available = available;
  state.example = "qwen2.5";
  state.largest_download = 7'000'000'000;
  return state;
}

TEST(CheckMemory, TellsWhatFits) {
  const Finding finding = check_memory(memory(16 * kGiB, 9 * kGiB));
  EXPECT_EQ(finding.level, Level::kOk);
  EXPECT_EQ(finding.text,
            "9.0 GiB free of 16.0 GiB; models of up to about 7.0 GB fit, such as qwen2.5");
}

TEST(CheckMemory, LittleIsAWarning) {
  MemoryState state = memory(16 * kGiB, kGiB);
  EXPECT_EQ(check_memory(state).level, Level::kWarning);
  EXPECT_TRUE(has(check_memory(state).fix, "--sort=-rss"));
  state.example = "";
  EXPECT_TRUE(has(check_memory(state).why, "no model of the catalogue fits"));
}

TEST(CheckMemory, AContainersLimitIsToldAndBlamed) {
  MemoryState state = memory(64 * kGiB, 60 * kGiB);
  state.memory.cgroup_limit = 2 * kGiB;
  state.memory.cgroup_used = kGiB;
  const Finding tight = check_memory(state);
  EXPECT_EQ(tight.level, Level::kWarning);
  EXPECT_TRUE(has(tight.text, "1.0 GiB free of 2.0 GiB that the container")) << tight.text;
  EXPECT_TRUE(has(tight.fix, "docker run --memory"));
  state.memory.cgroup_limit = 32 * kGiB;
  EXPECT_EQ(check_memory(state).level, Level::kOk);
}

TEST(CheckMemory, ABudgetBeyondTheMachineIsAWarning) {
  MemoryState state = memory(16 * kGiB, 9 * kGiB);
  state.budget = 64 * kGiB;
  EXPECT_EQ(check_memory(state).level, Level::kWarning);
  EXPECT_EQ(check_memory(state).fix, "omg config unset memory_budget");
  EXPECT_EQ(check_memory(MemoryState()).level, Level::kWarning) << "nothing could be read";
}

TEST(CheckSwap, MuchInUseIsAWarning) {
  MemoryInfo info;
  EXPECT_EQ(check_swap(info).text, "none");
  info.swap_total = 4 * kGiB;
  info.swap_free = 4 * kGiB;
  EXPECT_EQ(check_swap(info).level, Level::kOk);
  info.swap_free = kGiB;
  EXPECT_EQ(check_swap(info).level, Level::kWarning);
  EXPECT_TRUE(has(check_swap(info).text, "3.0 GiB of 4.0 GiB used"));
}

}  // namespace
}  // namespace omg::cli::doctor
