// SPDX-License-Identifier: Apache-2.0
//
// The instruction sets that kernels exist for, best first, and which of them this machine can run.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace omg {

enum class Isa {
  kAvx512Bf16,   // kAvx512 and AVX512_BF16
  kAvx512,       // AVX-512 F, BW, DQ, VL and VNNI
  kAvx2,         // AVX2, FMA, F16C
  kNeonI8mm,     // kNeonDotprod and I8MM
  kNeonDotprod,  // Armv8.2 with DotProd and FP16
  kNeon,         // any Armv8
  kScalar,       // portable C++: the reference
};

struct IsaInfo {
  Isa isa;
  std::string_view name;  // as OMG_CPU_ISA takes it
  std::string_view description;
};

/// All, best first.
std::span<const IsaInfo> isa_table();
std::string_view isa_name(Isa isa);
std::optional<Isa> isa_from_name(std::string_view name);
/// Whether processor and operating system (register state, XGETBV) can run it, and it was built.
bool isa_is_supported(Isa isa);
/// `forced` if set, else OMG_CPU_ISA if set, else the best supported one. Error(kUsage, exit code
/// 2) for a name that nobody knows or a set that this machine lacks.
Isa choose_isa(std::optional<Isa> forced = std::nullopt);

}  // namespace omg
