// SPDX-License-Identifier: Apache-2.0
//
// NVML's functions are declared here as far as they are used, so that building needs no CUDA
// toolkit. Source: NVIDIA Management Library (NVML) API reference manual.
#include "base/gpu_probe.h"

#include <algorithm>
#include <cctype>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

namespace omg {
namespace {

struct NvmlMemory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

/// nvmlPciInfo_t, third version.
struct NvmlPciInfo {
  char bus_id_legacy[16];
  unsigned int domain;
  unsigned int bus;
  unsigned int device;
  unsigned int pci_device_id;
  unsigned int pci_subsystem_id;
  char bus_id[32];
};

using NvmlDevice = void*;

/// The functions of the opened library; valid while `library` is open.
struct Nvml {
  struct Close {
    void operator()(void* handle) const { ::dlclose(handle); }
  };
  std::unique_ptr<void, Close> library;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*driver_version)(char*, unsigned int) = nullptr;
  int (*device_count)(unsigned int*) = nullptr;
  int (*device_by_index)(unsigned int, NvmlDevice*) = nullptr;
  int (*device_name)(NvmlDevice, char*, unsigned int) = nullptr;
  int (*device_memory)(NvmlDevice, NvmlMemory*) = nullptr;
  int (*device_pci)(NvmlDevice, NvmlPciInfo*) = nullptr;
  int (*device_capability)(NvmlDevice, int*, int*) = nullptr;

  template <typename Function>
  bool find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(::dlsym(library.get(), name));
    return function != nullptr;
  }

  bool open(const std::string& name) {
    library.reset(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL));
    return library != nullptr;
  }

  bool find_all() {
    return find(init, "nvmlInit_v2") && find(shutdown, "nvmlShutdown") &&
           find(error_string, "nvmlErrorString") &&
           find(driver_version, "nvmlSystemGetDriverVersion") &&
           find(device_count, "nvmlDeviceGetCount_v2") &&
           find(device_by_index, "nvmlDeviceGetHandleByIndex_v2") &&
           find(device_name, "nvmlDeviceGetName") &&
           find(device_memory, "nvmlDeviceGetMemoryInfo") &&
           find(device_pci, "nvmlDeviceGetPciInfo_v3") &&
           find(device_capability, "nvmlDeviceGetCudaComputeCapability");
  }
};

/// "00000000:65:00.0" and "0000:65:00.0" are the same place; sysfs writes the short form.
std::string short_bus_id(std::string id) {
  std::transform(id.begin(), id.end(), id.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const size_t colon = id.find(':');
  if (colon != std::string::npos && colon > 4) id.erase(0, colon - 4);
  return id;
}

GpuInfo nvml_gpu(const Nvml& nvml, NvmlDevice device, const std::string& driver) {
  GpuInfo gpu;
  gpu.vendor = "NVIDIA";
  gpu.driver = driver;
  char name[96] = {};
  if (nvml.device_name(device, name, sizeof name - 1) == 0) gpu.name = name;
  NvmlPciInfo pci = {};
  if (nvml.device_pci(device, &pci) == 0) {
    pci.bus_id[sizeof pci.bus_id - 1] = '\0';
    gpu.bus_id = short_bus_id(pci.bus_id);
  }
  NvmlMemory memory = {};
  if (nvml.device_memory(device, &memory) == 0) {
    gpu.memory_total = memory.total;
    gpu.memory_free = memory.free;
  }
  int major = 0;
  int minor = 0;
  if (nvml.device_capability(device, &major, &minor) == 0) {
    gpu.compute_capability = std::to_string(major) + "." + std::to_string(minor);
  }
  return gpu;
}

void probe_nvml(const std::string& library, GpuProbe& probe) {
  Nvml nvml;
  if (!nvml.open(library)) return;  // not installed
  if (!nvml.find_all()) {
    probe.nvml_problem = library + " lacks functions: the driver is too old";
    return;
  }
  if (const int status = nvml.init(); status != 0) {
    probe.nvml_problem = library + ": " + nvml.error_string(status);
    return;
  }
  char version[96] = {};
  std::string driver = "nvidia";
  if (nvml.driver_version(version, sizeof version - 1) == 0) driver += std::string(" ") + version;
  unsigned int count = 0;
  if (const int status = nvml.device_count(&count); status != 0) {
    probe.nvml_problem = library + ": " + nvml.error_string(status);
  }
  for (unsigned int i = 0; i < count; ++i) {
    NvmlDevice device = nullptr;
    const int status = nvml.device_by_index(i, &device);
    if (status == 0) {
      probe.gpus.push_back(nvml_gpu(nvml, device, driver));
    } else {  // for instance a device that fell off the bus
      probe.nvml_problem = "GPU " + std::to_string(i) + ": " + nvml.error_string(status);
    }
  }
  nvml.shutdown();
}

std::string read_word(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::string vendor_name(const std::string& number) {
  if (number == "0x10de") return "NVIDIA";
  if (number == "0x1002") return "AMD";
  if (number == "0x8086") return "Intel";
  return number;
}

/// Value of "KEY=value" in a uevent file.
std::string uevent_value(const std::filesystem::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size() + 1, key + "=") == 0) return line.substr(key.size() + 1);
  }
  return "";
}

/// "card0" but not "card0-HDMI-A-1", which is a plug of it.
bool is_card(const std::string& name) {
  return name.size() > 4 && name.compare(0, 4, "card") == 0 &&
         std::all_of(name.begin() + 4, name.end(), [](unsigned char c) { return std::isdigit(c); });
}

bool is_known(const GpuProbe& probe, const std::string& bus_id) {
  return !bus_id.empty() &&
         std::any_of(probe.gpus.begin(), probe.gpus.end(),
                     [&](const GpuInfo& other) { return other.bus_id == bus_id; });
}

/// Cards that drivers show.
void probe_sysfs(const std::string& root, GpuProbe& probe) {
  namespace fs = std::filesystem;
  std::error_code status;
  std::vector<fs::path> cards;
  for (const auto& entry : fs::directory_iterator(root + "/sys/class/drm", status)) {
    if (is_card(entry.path().filename())) cards.push_back(entry.path());
  }
  std::sort(cards.begin(), cards.end());
  for (const fs::path& card : cards) {
    const fs::path device = card / "device";
    GpuInfo gpu;
    gpu.driver = uevent_value(device / "uevent", "DRIVER");
    gpu.bus_id = uevent_value(device / "uevent", "PCI_SLOT_NAME");
    gpu.vendor = vendor_name(read_word(device / "vendor"));
    // A plain frame buffer of the firmware has neither vendor nor a driver that computes.
    if (is_known(probe, gpu.bus_id) || gpu.driver == "simple-framebuffer" ||
        (gpu.vendor.empty() && gpu.driver.empty())) {
      continue;
    }
    gpu.name = gpu.vendor.empty() ? gpu.driver : gpu.vendor + " " + read_word(device / "device");
    uint64_t total = 0;
    uint64_t used = 0;
    if (std::ifstream(device / "mem_info_vram_total") >> total) gpu.memory_total = total;
    if (gpu.memory_total && std::ifstream(device / "mem_info_vram_used") >> used && used <= total) {
      gpu.memory_free = total - used;
    }
    probe.gpus.push_back(std::move(gpu));
  }
}

/// What is plugged in and nobody has shown so far: without a driver, or with one that shows no
/// card. Classes (PCI Code and ID Assignment): 03 is display, 12 processing accelerators.
void probe_pci(const std::string& root, GpuProbe& probe) {
  namespace fs = std::filesystem;
  std::error_code status;
  std::vector<fs::path> devices;
  for (const auto& entry : fs::directory_iterator(root + "/sys/bus/pci/devices", status)) {
    const std::string type = read_word(entry.path() / "class");
    if (type.starts_with("0x03") || type.starts_with("0x12")) devices.push_back(entry.path());
  }
  std::sort(devices.begin(), devices.end());
  for (const fs::path& device : devices) {
    GpuInfo gpu;
    gpu.vendor = vendor_name(read_word(device / "vendor"));
    gpu.bus_id = device.filename();
    // Others are what virtual machines and servers' consoles draw with.
    if (gpu.vendor.starts_with("0x") || gpu.vendor.empty() || is_known(probe, gpu.bus_id)) continue;
    gpu.name = gpu.vendor + " " + read_word(device / "device");
    gpu.driver = fs::read_symlink(device / "driver", status).filename();
    probe.gpus.push_back(std::move(gpu));
  }
}

}  // namespace

GpuProbe probe_gpus(const std::string& root, const std::string& nvml) {
  GpuProbe probe;
  probe_nvml(nvml, probe);
  probe_sysfs(root, probe);
  probe_pci(root, probe);
  return probe;
}

}  // namespace omg
