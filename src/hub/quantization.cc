// SPDX-License-Identifier: Apache-2.0
//
// Quantisations as the names of GGUF files tell them, and which is best.
#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "base/checked.h"
#include "base/error.h"
#include "base/model_file_name.h"
#include "hub/selection.h"

namespace omg {
namespace {

/// Best first. First what SPEC.md §2 names, then more exact ones, then smaller ones, then floats
/// (right, but large and slow). What is not here stands by its bits after these.
constexpr std::array<std::string_view, 29> kOrder = {
    "Q4_K_M",  "Q5_K_M", "Q4_K_S", "Q4_0",   "Q8_0",   "Q6_K",    "Q5_K_S",  "Q5_0",
    "Q4_K_L",  "Q4_K",   "Q5_K_L", "Q5_K",   "Q6_K_L", "Q4_K_XL", "Q5_K_XL", "Q6_K_XL",
    "Q8_K_XL", "MXFP4",  "IQ4_NL", "IQ4_XS", "Q5_1",   "Q4_1",    "Q3_K_L",  "Q3_K_M",
    "Q3_K_S",  "BF16",   "F16",    "F32",    "F64"};

/// Bits of a weight, about: the digit in the name.
int bits_of(std::string_view quantization) {
  if (quantization.starts_with("UD-")) quantization.remove_prefix(3);
  if (quantization == "F16" || quantization == "BF16") return 16;
  if (quantization == "F32" || quantization == "F64") return 32;
  if (quantization.find("FP4") != std::string_view::npos) return 4;
  const size_t digit = quantization.find_first_of("0123456789");
  return digit == std::string_view::npos ? 0 : quantization[digit] - '0';
}

/// Place in the order; smaller is better.
std::tuple<size_t, int> rank(std::string_view quantization) {
  std::string_view name = quantization;
  if (name.starts_with("UD-")) name.remove_prefix(3);
  if (name == "MXFP4_MOE") name = "MXFP4";
  const auto place = std::find(kOrder.begin(), kOrder.end(), name);
  if (place != kOrder.end()) {
    const bool is_plain = name == quantization;
    return {static_cast<size_t>(place - kOrder.begin()) * 2 + (is_plain ? 0 : 1), 0};
  }
  return {kOrder.size() * 2, -bits_of(name)};  // unknown ones last, the most exact first
}

}  // namespace

std::vector<QuantizationChoice> list_quantizations(const std::vector<RemoteFile>& files) {
  std::map<std::string, QuantizationChoice> by_name;
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].role != RemoteFileRole::kWeights || !is_gguf(files[i].path)) continue;
    const std::string name = quantization_in_name(files[i].path);
    if (name.empty()) continue;
    QuantizationChoice& choice = by_name[name];
    choice.name = name;
    const auto sum = checked_add(choice.bytes, files[i].size);
    if (!sum) {
      throw Error(ErrorCode::kCorrupt,
                  "the files of " + name + " add up to more than 2^64 bytes; the hub lies");
    }
    choice.bytes = *sum;
    choice.files.push_back(i);
    choice.is_low_quality = bits_of(name) <= 2;
  }
  std::vector<QuantizationChoice> choices;
  for (auto& [name, choice] : by_name) {
    std::sort(choice.files.begin(), choice.files.end(),
              [&](size_t a, size_t b) { return files[a].path < files[b].path; });
    choices.push_back(std::move(choice));
  }
  std::sort(choices.begin(), choices.end(), [](const auto& a, const auto& b) {
    return std::tuple(rank(a.name), a.name) < std::tuple(rank(b.name), b.name);
  });
  return choices;
}

}  // namespace omg
