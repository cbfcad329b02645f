// SPDX-License-Identifier: Apache-2.0
#include "formats/weight_type.h"

#include <gtest/gtest.h>
#include <limits>
#include <set>

namespace omg {
namespace {

TEST(WeightType, NamesAndNumbersLeadBackToTheType) {
  std::set<std::string_view> names;
  for (const auto& entry : weight_types()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_EQ(info(entry.type).name, entry.name);
    EXPECT_EQ(weight_type_from_name(entry.name), entry.type);
    EXPECT_EQ(weight_type_from_number(static_cast<uint32_t>(entry.type)), entry.type);
    EXPECT_EQ(weight_type_name_of_number(static_cast<uint32_t>(entry.type)), entry.name);
  }
  EXPECT_EQ(names.size(), 16u);
}

TEST(WeightType, NamesAreFoundInAnyCaseAndOnlyWhole) {
  EXPECT_EQ(weight_type_from_name("q4_k"), WeightType::kQ4_K);
  EXPECT_EQ(weight_type_from_name("Iq4_xS"), WeightType::kIQ4_XS);
  EXPECT_EQ(weight_type_from_name("Q4"), std::nullopt);
  EXPECT_EQ(weight_type_from_name("Q4_K_M"), std::nullopt);
  EXPECT_EQ(weight_type_from_name(""), std::nullopt);
}

TEST(WeightType, ForeignNumbersHaveNamesForErrors) {
  EXPECT_EQ(weight_type_from_number(16), std::nullopt);
  EXPECT_EQ(weight_type_name_of_number(16), "IQ2_XXS");
  EXPECT_EQ(weight_type_from_number(4), std::nullopt);  // given out once, withdrawn
  EXPECT_EQ(weight_type_name_of_number(0xffffffff), "type 4294967295");
}

TEST(WeightType, RowsAreWholeBlocks) {
  EXPECT_EQ(row_bytes(WeightType::kF32, 3), 12u);
  EXPECT_EQ(row_bytes(WeightType::kBF16, 0), 0u);
  EXPECT_EQ(row_bytes(WeightType::kQ8_0, 64), 68u);
  EXPECT_EQ(row_bytes(WeightType::kQ8_0, 65), std::nullopt);
  EXPECT_EQ(row_bytes(WeightType::kQ6_K, 512), 420u);
  EXPECT_EQ(row_bytes(WeightType::kQ6_K, 32), std::nullopt);
}

TEST(WeightType, RowsThatOverflowHaveNoSize) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(row_bytes(WeightType::kF32, kLargest), std::nullopt);
  EXPECT_EQ(row_bytes(WeightType::kQ8_0, kLargest - 31), std::nullopt);
  EXPECT_EQ(row_bytes(WeightType::kQ4_0, kLargest - 31), (kLargest / 32) * 18);
}

TEST(WeightType, BitsPerWeightAreThePublishedOnes) {
  const auto bits = [](WeightType type) {
    return 8.0 * info(type).block_bytes / info(type).block_elements;
  };
  EXPECT_EQ(bits(WeightType::kQ4_0), 4.5);
  EXPECT_EQ(bits(WeightType::kQ2_K), 2.625);
  EXPECT_EQ(bits(WeightType::kQ3_K), 3.4375);
  EXPECT_EQ(bits(WeightType::kQ4_K), 4.5);
  EXPECT_EQ(bits(WeightType::kQ5_K), 5.5);
  EXPECT_EQ(bits(WeightType::kQ6_K), 6.5625);
  EXPECT_EQ(bits(WeightType::kIQ4_XS), 4.25);
  EXPECT_EQ(bits(WeightType::kMXFP4), 4.25);
}

}  // namespace
}  // namespace omg
