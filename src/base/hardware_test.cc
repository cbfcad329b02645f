// SPDX-License-Identifier: Apache-2.0
//
// Made /proc and /sys trees with known answers: topology, caches, cgroup limits of both versions.
#include "base/hardware.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/gpu_probe.h"

namespace omg {
namespace {

/// A folder that is made for one test and removed after it.
class FakeRoot : public testing::Test {
 protected:
  FakeRoot() {
    std::string pattern = testing::TempDir() + "/omg_hardware_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~FakeRoot() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

  void add_cpu(int number, int socket, int core, const std::string& l2_shared) {
    const std::string cpu = "/sys/devices/system/cpu/cpu" + std::to_string(number);
    write(cpu + "/topology/physical_package_id", std::to_string(socket) + "\n");
    write(cpu + "/topology/core_id", std::to_string(core) + "\n");
    add_cache(cpu, 0, "1", "Data", "32K", std::to_string(number));
    add_cache(cpu, 1, "1", "Instruction", "32K", std::to_string(number));
    add_cache(cpu, 2, "2", "Unified", "1024K", l2_shared);
    add_cache(cpu, 3, "3", "Unified", "36M", socket == 0 ? "0-3" : "4-7");
  }

  void add_cache(const std::string& cpu, int index, const std::string& level,
                 const std::string& type, const std::string& size, const std::string& shared) {
    const std::string cache = cpu + "/cache/index" + std::to_string(index);
    write(cache + "/level", level + "\n");
    write(cache + "/type", type + "\n");
    write(cache + "/size", size + "\n");
    write(cache + "/shared_cpu_list", shared + "\n");
  }

  std::string root_;
};

TEST(ParseCpuList, Ranges) {
  EXPECT_EQ(parse_cpu_list("0-2,8,10-11"), (std::vector<uint32_t>{0, 1, 2, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list("5"), std::vector<uint32_t>{5});
  EXPECT_TRUE(parse_cpu_list("").empty());
  EXPECT_TRUE(parse_cpu_list("x-3").empty());
  EXPECT_EQ(parse_cpu_list("1,2-99999999999,3"), std::vector<uint32_t>{1});
}

TEST_F(FakeRoot, TwoSocketsWithHyperthreads) {
  write("/proc/cpuinfo",
        "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Example CPU @ 2.50GHz\n"
        "flags\t\t: fpu sse avx2 hypervisor lahf_lm\n\n"
        "processor\t: 1\nmodel name\t: Other\n");
  write("/sys/devices/system/cpu/online", "0-7\n");
  for (int i = 0; i < 8; ++i) {
    const int first = i / 2 * 2;
    add_cpu(i, i / 4, i % 4 / 2, std::to_string(first) + "-" + std::to_string(first + 1));
  }
  const CpuInfo cpu = probe_cpu(root_);
  EXPECT_EQ(cpu.name, "Example CPU @ 2.50GHz");
  EXPECT_TRUE(cpu.is_virtual);
  EXPECT_EQ(cpu.sockets, 2u);
  EXPECT_EQ(cpu.cores, 4u);
  EXPECT_EQ(cpu.threads, 8u);
  ASSERT_EQ(cpu.caches.size(), 4u);
  EXPECT_EQ(cpu.caches[0].type, "Data");
  EXPECT_EQ(cpu.caches[0].bytes, 8u * 32 * 1024);
  EXPECT_EQ(cpu.caches[2].level, 2u);
  EXPECT_EQ(cpu.caches[2].instances, 4u);
  EXPECT_EQ(cpu.caches[3].instances, 2u);
  EXPECT_EQ(cpu.caches[3].bytes, 2u * 36 * 1024 * 1024);
}

TEST_F(FakeRoot, ArmServerIsNamedByItsPart) {
  write("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n");
  EXPECT_EQ(probe_cpu(root_).name, "Arm Neoverse N1");
}

TEST_F(FakeRoot, NothingReadable) {
  const CpuInfo cpu = probe_cpu(root_);
  EXPECT_EQ(cpu.name, "");
  EXPECT_EQ(cpu.threads, 0u);
  EXPECT_FALSE(cpu.is_virtual);
  EXPECT_EQ(probe_memory(root_).total, 0u);
  EXPECT_EQ(usable_memory(root_), uint64_t{1} << 62);
  EXPECT_FALSE(cgroup_cpu_quota(root_));
  EXPECT_EQ(peak_resident_bytes(root_), 0u);
  EXPECT_FALSE(reset_peak_resident_bytes(root_));
  EXPECT_FALSE(processor_seconds(root_).has_value());
}

TEST_F(FakeRoot, CgroupV2TightestAncestorCounts) {
  write("/proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\n");
  write("/proc/self/cgroup", "0::/user.slice/job\n");
  write("/sys/fs/cgroup/user.slice/job/memory.max", "max\n");
  write("/sys/fs/cgroup/user.slice/memory.max", "1073741824\n");
  write("/sys/fs/cgroup/user.slice/memory.current", "4096\n");
  write("/sys/fs/cgroup/user.slice/job/cpu.max", "300000 100000\n");
  write("/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
  const MemoryInfo memory = probe_memory(root_);
  EXPECT_EQ(memory.total, 16ull << 30);
  EXPECT_EQ(memory.available, 8ull << 30);
  EXPECT_EQ(memory.cgroup_limit, 1ull << 30);
  EXPECT_EQ(memory.cgroup_used, 4096u);
  EXPECT_EQ(usable_memory(root_), (1ull << 30) - 4096);
  EXPECT_EQ(cgroup_cpu_quota(root_), 1.5);
}

TEST_F(FakeRoot, CgroupV1InContainerFallsBackToTheMountsRoot) {
  write("/proc/meminfo", "MemTotal: 16777216 kB\n");
  write("/proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(probe_memory(root_).cgroup_limit, 512ull << 20);
  EXPECT_EQ(cgroup_cpu_quota(root_), 2.0);
}

TEST_F(FakeRoot, CgroupWithoutLimits) {
  write("/proc/meminfo",
        "MemTotal: 16777216 kB\nMemAvailable: 1048576 kB\n"
        "SwapTotal: 2048 kB\nSwapFree: 1024 kB\n");
  write("/proc/self/cgroup", "4:memory:/\n3:cpu:/\n0::/\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_FALSE(probe_memory(root_).cgroup_limit);
  EXPECT_EQ(usable_memory(root_), 1ull << 30);
  EXPECT_EQ(probe_memory(root_).swap_total, 2048u * 1024);
  EXPECT_EQ(probe_memory(root_).swap_free, 1024u * 1024);
  EXPECT_FALSE(cgroup_cpu_quota(root_));
}

TEST_F(FakeRoot, PeakResident) {
  write("/proc/self/status", "Name:\tomg\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n");
  EXPECT_EQ(peak_resident_bytes(root_), 2048u * 1024);
}

TEST_F(FakeRoot, ProcessorSeconds) {
  const double hertz = static_cast<double>(::sysconf(_SC_CLK_TCK));
  write("/proc/stat", "cpu  10 20 30 400 50 6 7 8 9 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n");
  const auto seconds = processor_seconds(root_);
  ASSERT_TRUE(seconds.has_value());
  EXPECT_DOUBLE_EQ(seconds->busy * hertz, 81);
  EXPECT_DOUBLE_EQ(seconds->all * hertz, 531);
  write("/proc/stat", "cpu  10 20 30\n");
  EXPECT_FALSE(processor_seconds(root_).has_value());
}

TEST_F(FakeRoot, GraphicsCardsOfSysfs) {
  const std::string card = "/sys/class/drm/card0/device";
  write(card + "/vendor", "0x1002\n");
  write(card + "/device", "0x744c\n");
  write(card + "/uevent", "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_SLOT_NAME=0000:03:00.0\n");
  write(card + "/mem_info_vram_total", "25753026560\n");
  write(card + "/mem_info_vram_used", "1024\n");
  write("/sys/class/drm/card0-HDMI-A-1/status", "connected\n");
  write("/sys/class/drm/renderD128/device/vendor", "0x1002\n");
  write("/sys/class/drm/card1/device/uevent", "DRIVER=simple-framebuffer\n");
  const GpuProbe probe = probe_gpus(root_, "libomg-no-such-library.so");
  ASSERT_EQ(probe.gpus.size(), 1u);
  const GpuInfo& gpu = probe.gpus[0];
  EXPECT_EQ(gpu.vendor, "AMD");
  EXPECT_EQ(gpu.name, "AMD 0x744c");
  EXPECT_EQ(gpu.driver, "amdgpu");
  EXPECT_EQ(gpu.bus_id, "0000:03:00.0");
  EXPECT_EQ(gpu.memory_total, 25753026560u);
  EXPECT_EQ(gpu.memory_free, 25753026560u - 1024);
  EXPECT_EQ(probe.nvml_problem, "");
}

TEST_F(FakeRoot, GraphicsProcessorsThatNoDriverShows) {
  const auto device = [&](const std::string& id, const std::string& type, const std::string& vendor,
                          const std::string& driver) {
    const std::string folder = "/sys/bus/pci/devices/" + id;
    write(folder + "/class", type + "\n");
    write(folder + "/vendor", vendor + "\n");
    write(folder + "/device", "0x2330\n");
    if (driver.empty()) return;
    std::filesystem::create_directory_symlink("../../drivers/" + driver,
                                              root_ + folder + "/driver");
  };
  device("0000:01:00.0", "0x030200", "0x10de", "");
  device("0000:02:00.0", "0x030000", "0x10de", "vfio-pci");
  device("0000:03:00.0", "0x030000", "0x1234", "bochs-drm");  // what a virtual machine shows
  device("0000:04:00.0", "0x020000", "0x8086", "e1000");      // a network card
  device("0000:05:00.0", "0x030000", "0x8086", "i915");
  const std::string card = "/sys/class/drm/card0/device";
  write(card + "/vendor", "0x8086\n");
  write(card + "/uevent", "DRIVER=i915\nPCI_SLOT_NAME=0000:05:00.0\n");
  const GpuProbe probe = probe_gpus(root_, "libomg-no-such-library.so");
  ASSERT_EQ(probe.gpus.size(), 3u);
  EXPECT_EQ(probe.gpus[0].driver, "i915");
  EXPECT_EQ(probe.gpus[1].name, "NVIDIA 0x2330");
  EXPECT_EQ(probe.gpus[1].driver, "");
  EXPECT_EQ(probe.gpus[1].bus_id, "0000:01:00.0");
  EXPECT_EQ(probe.gpus[2].driver, "vfio-pci");
}

TEST_F(FakeRoot, LibraryWithoutNvmlFunctionsIsNamed) {
  const GpuProbe probe = probe_gpus(root_, "libc.so.6");
  EXPECT_TRUE(probe.gpus.empty());
  EXPECT_NE(probe.nvml_problem.find("libc.so.6"), std::string::npos);
}

TEST(Hardware, ThisMachine) {
  EXPECT_GE(affinity_threads(), 1u);
  EXPECT_GT(probe_memory().total, 0u);
  EXPECT_GT(peak_resident_bytes(), 0u);
  EXPECT_GT(own_processor_seconds(), 0);
  ASSERT_TRUE(processor_seconds().has_value());
  EXPECT_LT(processor_seconds()->busy, processor_seconds()->all);
}

}  // namespace
}  // namespace omg
