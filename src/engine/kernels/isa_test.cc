// SPDX-License-Identifier: Apache-2.0
//
// The choice of the instruction set: the best one, a forced one, and what is refused.
#include "engine/kernels/isa.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>

#include "base/error.h"
#include "engine/cpu/target.h"

namespace omg {
namespace {

class IsaTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* value = std::getenv("OMG_CPU_ISA");
    if (value != nullptr) before_ = value;
    unsetenv("OMG_CPU_ISA");
  }
  void TearDown() override {
    unsetenv("OMG_CPU_ISA");
    if (!before_.empty()) setenv("OMG_CPU_ISA", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

TEST_F(IsaTest, NamesAreUniqueAndReadBack) {
  for (const auto& entry : isa_table()) {
    EXPECT_EQ(isa_from_name(entry.name), entry.isa);
    EXPECT_EQ(isa_name(entry.isa), entry.name);
  }
  EXPECT_FALSE(isa_from_name("AVX2"));
  EXPECT_FALSE(isa_from_name(""));
}

TEST_F(IsaTest, ChoosesTheFirstSupportedOfTheTable) {
  for (const auto& entry : isa_table()) {
    if (!isa_is_supported(entry.isa)) continue;
    EXPECT_EQ(choose_isa(), entry.isa);
    break;
  }
}

TEST_F(IsaTest, LargerSetsImplyTheSmaller) {
  EXPECT_TRUE(isa_is_supported(Isa::kScalar));
  if (isa_is_supported(Isa::kAvx512Bf16)) {
    EXPECT_TRUE(isa_is_supported(Isa::kAvx512));
  }
  if (isa_is_supported(Isa::kAvx512)) {
    EXPECT_TRUE(isa_is_supported(Isa::kAvx2));
  }
  if (isa_is_supported(Isa::kNeonI8mm)) {
    EXPECT_TRUE(isa_is_supported(Isa::kNeonDotprod));
  }
  if (isa_is_supported(Isa::kNeonDotprod)) {
    EXPECT_TRUE(isa_is_supported(Isa::kNeon));
  }
}

TEST_F(IsaTest, AgreesWithTheCompilersOwnDetection) {
#if OMG_HAVE_X86
  EXPECT_EQ(isa_is_supported(Isa::kAvx2),
            __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(isa_is_supported(Isa::kAvx512),
            __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
  EXPECT_FALSE(isa_is_supported(Isa::kNeon));
#elif OMG_HAVE_NEON
  EXPECT_TRUE(isa_is_supported(Isa::kNeon));
  EXPECT_FALSE(isa_is_supported(Isa::kAvx2));
#endif
}

TEST_F(IsaTest, TheEnvironmentForcesASetAndTheArgumentGoesBeforeIt) {
  setenv("OMG_CPU_ISA", "scalar", 1);
  EXPECT_EQ(choose_isa(), Isa::kScalar);
  for (const auto& entry : isa_table()) {
    if (!isa_is_supported(entry.isa)) continue;
    setenv("OMG_CPU_ISA", std::string(entry.name).c_str(), 1);
    EXPECT_EQ(choose_isa(), entry.isa);
    EXPECT_EQ(choose_isa(Isa::kScalar), Isa::kScalar);
  }
  setenv("OMG_CPU_ISA", "", 1);  // empty is as good as unset
  EXPECT_NO_THROW(choose_isa());
}

TEST_F(IsaTest, RefusesWhatNobodyKnowsAndWhatTheMachineLacks) {
  const auto message_of = [](std::optional<Isa> forced) -> std::string {
    try {
      choose_isa(forced);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_EQ(exit_code(error.code()), 2);
      return error.what();
    }
    return "";
  };
  setenv("OMG_CPU_ISA", "sse9", 1);
  EXPECT_NE(message_of(std::nullopt).find("sse9"), std::string::npos);
  EXPECT_NE(message_of(std::nullopt).find("scalar"), std::string::npos);
  for (const auto& entry : isa_table()) {
    if (isa_is_supported(entry.isa)) continue;
    setenv("OMG_CPU_ISA", std::string(entry.name).c_str(), 1);
    EXPECT_NE(message_of(std::nullopt).find(entry.name), std::string::npos);
    EXPECT_NE(message_of(entry.isa).find("scalar"), std::string::npos);
  }
}

}  // namespace
}  // namespace omg
