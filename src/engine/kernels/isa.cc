// SPDX-License-Identifier: Apache-2.0
//
// Asks processor and operating system which instruction sets there are. Sources: Intel SDM volume
// 2A (CPUID) and volume 1 §13 (XCR0), Linux Documentation/arch/arm64/elf_hwcaps.
#include "engine/kernels/isa.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "engine/cpu/target.h"

#if OMG_HAVE_X86
#include <cpuid.h>
#elif OMG_HAVE_NEON && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace omg {
namespace {

constexpr std::array<IsaInfo, 7> kTable = {{
    {Isa::kAvx512Bf16, "avx512_bf16", "AVX-512 with VNNI and BF16"},
    {Isa::kAvx512, "avx512", "AVX-512 F, BW, DQ, VL with VNNI"},
    {Isa::kAvx2, "avx2", "AVX2, FMA, F16C"},
    {Isa::kNeonI8mm, "neon_i8mm", "Armv8.2 with DotProd and I8MM"},
    {Isa::kNeonDotprod, "neon_dotprod", "Armv8.2 with DotProd"},
    {Isa::kNeon, "neon", "Armv8 Advanced SIMD"},
    {Isa::kScalar, "scalar", "portable C++, the reference"},
}};

#if OMG_HAVE_X86

constexpr bool has(uint32_t word, int bit) {
  return (word >> bit & 1) != 0;
}

uint64_t enabled_register_state() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

bool machine_has(Isa isa) {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  const bool fma = has(c, 12);
  const bool os_saves_state = has(c, 27);
  const bool avx = has(c, 28);
  const bool f16c = has(c, 29);
  if (!fma || !os_saves_state || !avx || !f16c) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool avx2 = has(b, 5) && has(b, 3) && has(b, 8);  // with BMI1 and BMI2
  const bool avx512 = has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31) && has(c, 11);
  const uint64_t state = enabled_register_state();
  const bool ymm_saved = (state & 0x06) == 0x06;
  const bool zmm_saved = (state & 0xe6) == 0xe6;  // masks, upper halves, registers 16 to 31
  if (isa == Isa::kAvx2) return avx2 && ymm_saved;
  if (!avx2 || !avx512 || !zmm_saved) return false;
  if (isa == Isa::kAvx512) return true;
  return isa == Isa::kAvx512Bf16 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && has(a, 5);
}

#elif OMG_HAVE_NEON

bool machine_has(Isa isa) {
  if (isa == Isa::kNeon) return true;  // part of the base of AArch64
#if defined(__linux__)
  const uint64_t first = getauxval(AT_HWCAP);
  const uint64_t second = getauxval(AT_HWCAP2);
  const uint64_t needed = HWCAP_ASIMDDP | HWCAP_FPHP | HWCAP_ASIMDHP;
  const bool dotprod = (first & needed) == needed;
  if (isa == Isa::kNeonDotprod) return dotprod;
  return isa == Isa::kNeonI8mm && dotprod && (second & HWCAP2_I8MM) != 0;
#else
  return false;
#endif
}

#else

bool machine_has(Isa) {
  return false;
}

#endif

std::string supported_names() {
  std::string names;
  for (const auto& entry : kTable) {
    if (!isa_is_supported(entry.isa)) continue;
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

}  // namespace

std::span<const IsaInfo> isa_table() {
  return kTable;
}

std::string_view isa_name(Isa isa) {
  for (const auto& entry : kTable) {
    if (entry.isa == isa) return entry.name;
  }
  return "unknown";
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const auto& entry : kTable) {
    if (entry.name == name) return entry.isa;
  }
  return std::nullopt;
}

bool isa_is_supported(Isa isa) {
  return isa == Isa::kScalar || machine_has(isa);
}

Isa choose_isa(std::optional<Isa> forced) {
  if (!forced) {
    const char* variable = std::getenv("OMG_CPU_ISA");
    const std::string_view name = variable == nullptr ? "" : variable;
    if (!name.empty()) {
      forced = isa_from_name(name);
      if (!forced) {
        throw Error(ErrorCode::kUsage, "OMG_CPU_ISA=" + std::string(name) +
                                           ": no such instruction set; this machine can run " +
                                           supported_names());
      }
    }
  }
  if (forced) {
    if (isa_is_supported(*forced)) return *forced;
    throw Error(ErrorCode::kUsage, "instruction set " + std::string(isa_name(*forced)) +
                                       ": this machine does not have it; it can run " +
                                       supported_names());
  }
  for (const auto& entry : kTable) {
    if (isa_is_supported(entry.isa)) return entry.isa;
  }
  return Isa::kScalar;
}

}  // namespace omg
