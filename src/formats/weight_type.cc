// SPDX-License-Identifier: Apache-2.0
//
// The table of weight types.
#include "formats/weight_type.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "base/checked.h"

namespace omg {
namespace {

constexpr std::array<WeightTypeInfo, 16> kTypes = {{
    {WeightType::kF32, "F32", 1, 4},
    {WeightType::kF16, "F16", 1, 2},
    {WeightType::kQ4_0, "Q4_0", 32, 18},
    {WeightType::kQ4_1, "Q4_1", 32, 20},
    {WeightType::kQ5_0, "Q5_0", 32, 22},
    {WeightType::kQ5_1, "Q5_1", 32, 24},
    {WeightType::kQ8_0, "Q8_0", 32, 34},
    {WeightType::kQ2_K, "Q2_K", 256, 84},
    {WeightType::kQ3_K, "Q3_K", 256, 110},
    {WeightType::kQ4_K, "Q4_K", 256, 144},
    {WeightType::kQ5_K, "Q5_K", 256, 176},
    {WeightType::kQ6_K, "Q6_K", 256, 210},
    {WeightType::kIQ4_NL, "IQ4_NL", 32, 18},
    {WeightType::kIQ4_XS, "IQ4_XS", 256, 136},
    {WeightType::kBF16, "BF16", 1, 2},
    {WeightType::kMXFP4, "MXFP4", 32, 17},
}};

/// Types that files may name and this build does not read, so that errors can say what they are.
constexpr std::array<std::pair<uint32_t, std::string_view>, 25> kForeignTypes = {{
    {4, "Q4_2"},    {5, "Q4_3"},        {9, "Q8_1"},        {15, "Q8_K"},       {16, "IQ2_XXS"},
    {17, "IQ2_XS"}, {18, "IQ3_XXS"},    {19, "IQ1_S"},      {21, "IQ3_S"},      {22, "IQ2_S"},
    {24, "I8"},     {25, "I16"},        {26, "I32"},        {27, "I64"},        {28, "F64"},
    {29, "IQ1_M"},  {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},   {34, "TQ1_0"},
    {35, "TQ2_0"},  {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {40, "NVFP4"},
}};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::span<const WeightTypeInfo> weight_types() {
  return kTypes;
}

const WeightTypeInfo& info(WeightType type) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(),
                                [&](const WeightTypeInfo& entry) { return entry.type == type; });
  assert(row != kTypes.end());
  return *row;
}

std::optional<WeightType> weight_type_from_number(uint32_t number) {
  for (const auto& entry : kTypes) {
    if (static_cast<uint32_t>(entry.type) == number) return entry.type;
  }
  return std::nullopt;
}

std::string weight_type_name_of_number(uint32_t number) {
  if (const auto type = weight_type_from_number(number)) return std::string(info(*type).name);
  for (const auto& [foreign, name] : kForeignTypes) {
    if (foreign == number) return std::string(name);
  }
  return "type " + std::to_string(number);
}

std::optional<WeightType> weight_type_from_name(std::string_view name) {
  for (const auto& entry : kTypes) {
    if (equal_ignoring_case(entry.name, name)) return entry.type;
  }
  return std::nullopt;
}

std::optional<uint64_t> row_bytes(WeightType type, uint64_t elements) {
  const auto& entry = info(type);
  if (elements % entry.block_elements != 0) return std::nullopt;
  return checked_mul(elements / entry.block_elements, entry.block_bytes);
}

}  // namespace omg
