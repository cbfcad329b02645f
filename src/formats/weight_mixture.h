// SPDX-License-Identifier: Apache-2.0
//
// What a file type such as "Q4_K_M" means: which weight type each tensor of a model gets. The rules
// are those that published files follow (llama.cpp's quantize), because people compare sizes and
// quality under these names.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "formats/weight_type.h"

namespace omg {

/// What the rules need to know about the model.
struct MixtureModel {
  uint32_t layers = 0;
  uint32_t experts = 0;
  bool tied_embeddings = false;  // no "output.weight": the embeddings serve as output too
};

/// Immutable; safe to use from many threads.
class WeightMixture {
 public:
  /// By the name of a mixture ("Q4_K_M", "MXFP4_MOE") or of a weight type ("Q8_0"), in any case.
  /// `pure` gives every matrix the one base type, without exceptions for outputs and the like.
  static std::optional<WeightMixture> from_name(std::string_view name, bool pure = false);
  /// All names, mixtures first.
  static std::vector<std::string_view> names();

  std::string_view name() const { return name_; }
  /// The value of the metadata key "general.file_type".
  uint32_t file_type() const { return file_type_; }
  /// Type for a tensor of this name, rank and row length. Vectors, norms, biases and expert routers
  /// stay F32. Rows that are no whole number of blocks get the usual fallback (Q4_K: Q5_0, Q5_K:
  /// Q5_1, Q6_K: Q8_0, … and at last F16).
  WeightType type_of(const MixtureModel& model, std::string_view tensor, uint32_t rank,
                     uint64_t row_elements) const;

 private:
  enum class Kind { kPlain, kQ3_K_M, kQ3_K_L, kQ4_K_S, kQ4_K_M, kQ5_K_M, kMxfp4Experts };
  struct Row;
  static const std::vector<Row>& table();

  WeightMixture(const Row& row, bool pure);
  WeightType wanted_type(const MixtureModel& model, std::string_view tensor, uint32_t rank,
                         uint64_t row_elements) const;
  WeightType attention_value_type(const MixtureModel& model, uint32_t layer) const;
  WeightType feed_forward_down_type(const MixtureModel& model, uint32_t layer) const;

  std::string_view name_;
  Kind kind_;
  WeightType base_;
  uint32_t file_type_;
  bool pure_;
};

}  // namespace omg
