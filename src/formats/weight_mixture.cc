// SPDX-License-Identifier: Apache-2.0
//
// The rules of the mixtures, in the words of the tensors' names.
#include "formats/weight_mixture.h"

#include <algorithm>
#include <charconv>

namespace omg {

struct WeightMixture::Row {
  std::string_view name;
  Kind kind;
  WeightType base;
  uint32_t file_type;
};

namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return upper(x) == upper(y); });
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// N of "blk.N.…"; 0 for tensors outside the layers, whose rules do not ask for it.
uint32_t layer_of(std::string_view tensor) {
  uint32_t layer = 0;
  if (tensor.starts_with("blk.")) {
    std::from_chars(tensor.data() + 4, tensor.data() + tensor.size(), layer);
  }
  return layer;
}

/// The first and last eighth of the layers, and every third between: they suffer most from coarse
/// weights.
bool is_sensitive(uint32_t layer, uint32_t layers) {
  const uint32_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

bool is_quantized(WeightType type) {
  return info(type).block_elements > 1;
}

/// A type of smaller blocks for rows that `type` does not fit.
WeightType fitting_type(WeightType type, uint64_t row_elements) {
  if (row_elements % info(type).block_elements == 0) return type;
  WeightType smaller = WeightType::kF16;
  switch (type) {
    case WeightType::kIQ4_XS:
      smaller = WeightType::kIQ4_NL;
      break;
    case WeightType::kQ2_K:
    case WeightType::kQ3_K:
      smaller = WeightType::kQ4_0;
      break;
    case WeightType::kQ4_K:
      smaller = WeightType::kQ5_0;
      break;
    case WeightType::kQ5_K:
      smaller = WeightType::kQ5_1;
      break;
    case WeightType::kQ6_K:
      smaller = WeightType::kQ8_0;
      break;
    default:
      break;
  }
  return row_elements % info(smaller).block_elements == 0 ? smaller : WeightType::kF16;
}

}  // namespace

const std::vector<WeightMixture::Row>& WeightMixture::table() {
  static const std::vector<Row> rows = {
      {"Q3_K_S", Kind::kPlain, WeightType::kQ3_K, 11},
      {"Q3_K_M", Kind::kQ3_K_M, WeightType::kQ3_K, 12},
      {"Q3_K_L", Kind::kQ3_K_L, WeightType::kQ3_K, 13},
      {"Q4_K_S", Kind::kQ4_K_S, WeightType::kQ4_K, 14},
      {"Q4_K_M", Kind::kQ4_K_M, WeightType::kQ4_K, 15},
      {"Q5_K_S", Kind::kPlain, WeightType::kQ5_K, 16},
      {"Q5_K_M", Kind::kQ5_K_M, WeightType::kQ5_K, 17},
      {"MXFP4_MOE", Kind::kMxfp4Experts, WeightType::kQ8_0, 38},
      {"F32", Kind::kPlain, WeightType::kF32, 0},
      {"F16", Kind::kPlain, WeightType::kF16, 1},
      {"BF16", Kind::kPlain, WeightType::kBF16, 32},
      {"Q8_0", Kind::kPlain, WeightType::kQ8_0, 7},
      {"Q4_0", Kind::kPlain, WeightType::kQ4_0, 2},
      {"Q4_1", Kind::kPlain, WeightType::kQ4_1, 3},
      {"Q5_0", Kind::kPlain, WeightType::kQ5_0, 8},
      {"Q5_1", Kind::kPlain, WeightType::kQ5_1, 9},
      {"Q2_K", Kind::kPlain, WeightType::kQ2_K, 10},
      {"Q3_K", Kind::kPlain, WeightType::kQ3_K, 11},
      {"Q4_K", Kind::kPlain, WeightType::kQ4_K, 14},
      {"Q5_K", Kind::kPlain, WeightType::kQ5_K, 16},
      {"Q6_K", Kind::kPlain, WeightType::kQ6_K, 18},
      {"IQ4_NL", Kind::kPlain, WeightType::kIQ4_NL, 25},
      {"IQ4_XS", Kind::kPlain, WeightType::kIQ4_XS, 30},
      {"MXFP4", Kind::kPlain, WeightType::kMXFP4, 38},
  };
  return rows;
}

WeightMixture::WeightMixture(const Row& row, bool pure)
    : name_(row.name),
      kind_(row.kind),
      base_(row.base),
      file_type_(row.file_type),
      pure_(pure || !is_quantized(row.base)) {}

std::optional<WeightMixture> WeightMixture::from_name(std::string_view name, bool pure) {
  for (const auto& row : table()) {
    if (equal_ignoring_case(row.name, name)) return WeightMixture(row, pure);
  }
  return std::nullopt;
}

std::vector<std::string_view> WeightMixture::names() {
  std::vector<std::string_view> result;
  for (const auto& row : table()) result.push_back(row.name);
  return result;
}

WeightType WeightMixture::type_of(const MixtureModel& model, std::string_view tensor, uint32_t rank,
                                  uint64_t row_elements) const {
  const bool stays_f32 = rank < 2 || !tensor.ends_with(".weight") ||
                         contains(tensor, "_norm.weight") || contains(tensor, "ffn_gate_inp.");
  if (stays_f32) return WeightType::kF32;
  const WeightType wanted = pure_ ? base_ : wanted_type(model, tensor, rank, row_elements);
  return fitting_type(wanted, row_elements);
}

WeightType WeightMixture::wanted_type(const MixtureModel& model, std::string_view tensor,
                                      uint32_t rank, uint64_t row_elements) const {
  const bool is_output =
      tensor == "output.weight" || (model.tied_embeddings && tensor == "token_embd.weight");
  if (is_output) {
    // Every token passes through it, so it gets at least six bits.
    const bool fits = row_elements % info(base_).block_elements == 0;
    return fits && base_ != WeightType::kQ8_0 ? WeightType::kQ6_K : WeightType::kQ8_0;
  }
  if (kind_ == Kind::kMxfp4Experts) return rank > 2 ? WeightType::kMXFP4 : WeightType::kQ8_0;
  const uint32_t layer = layer_of(tensor);
  const bool eight_experts = model.experts == 8;  // their attention is a small part of the file
  if (contains(tensor, "attn_v.") || contains(tensor, "attn_qkv.")) {
    return eight_experts ? WeightType::kQ8_0 : attention_value_type(model, layer);
  }
  if (contains(tensor, "attn_k.") && eight_experts) return WeightType::kQ8_0;
  if (contains(tensor, "ffn_down")) return feed_forward_down_type(model, layer);
  if (contains(tensor, "attn_output.")) {
    const bool is_coarse = info(base_).block_bytes * 8 < 5 * info(base_).block_elements;
    if (eight_experts && is_coarse && info(base_).block_elements == 256) return WeightType::kQ5_K;
    if (kind_ == Kind::kQ3_K_M) return WeightType::kQ4_K;
    if (kind_ == Kind::kQ3_K_L) return WeightType::kQ5_K;
  }
  return base_;
}

WeightType WeightMixture::attention_value_type(const MixtureModel& model, uint32_t layer) const {
  switch (kind_) {
    case Kind::kQ3_K_M:
      return layer < 2 ? WeightType::kQ5_K : WeightType::kQ4_K;
    case Kind::kQ3_K_L:
      return WeightType::kQ5_K;
    case Kind::kQ4_K_S:
      return layer < 4 ? WeightType::kQ5_K : base_;
    case Kind::kQ4_K_M:
    case Kind::kQ5_K_M:
      return is_sensitive(layer, model.layers) ? WeightType::kQ6_K : base_;
    default:
      return base_;
  }
}

WeightType WeightMixture::feed_forward_down_type(const MixtureModel& model, uint32_t layer) const {
  switch (kind_) {
    case Kind::kQ3_K_M:
      return layer < model.layers / 16 ? WeightType::kQ5_K : WeightType::kQ4_K;
    case Kind::kQ3_K_L:
      return WeightType::kQ5_K;
    case Kind::kQ4_K_S:
      return layer < model.layers / 8 ? WeightType::kQ5_K : base_;
    case Kind::kQ4_K_M:
    case Kind::kQ5_K_M:
      return is_sensitive(layer, model.layers) ? WeightType::kQ6_K : base_;
    default:
      return base_;
  }
}

}  // namespace omg
