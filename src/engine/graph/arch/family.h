// SPDX-License-Identifier: Apache-2.0
//
// The table of model families, and what their functions share. A family is one file in this folder
// that turns metadata into a DecoderSpec.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/graph/decoder_spec.h"
#include "formats/model_file.h"

namespace omg {

/// What a family's function may look at.
struct FamilyInput {
  const ModelFile& file;
  std::string architecture;  // value of general.architecture, the prefix of the family's keys
  /// Tokens a sequence may hold in this run: longrope picks its factors by it.
  uint32_t context_length;

  const Metadata& metadata() const { return file.metadata(); }
  /// "<architecture>.<suffix>"
  std::string key(std::string_view suffix) const;
};

struct Family {
  std::string_view name;
  DecoderSpec (*make_spec)(const FamilyInput& input);
};

std::span<const Family> families();

/// The spec of a model for a run with `context_length` (0: the model's own). Error(kUnsupported)
/// names a family that is not in the table, Error(kCorrupt) the key that is missing or out of
/// range.
DecoderSpec make_decoder_spec(const ModelFile& file, uint32_t context_length);

/// Sizes, norms and rotation that nearly all families write under the same keys.
DecoderSpec common_spec(const FamilyInput& input);
/// `attention.sliding_window` with layers windowed where layer % period < period - 1; the period
/// may be overridden by `attention.sliding_window_pattern` (a number, or a flag per layer).
void set_windows(DecoderSpec& spec, const FamilyInput& input, uint32_t default_period);
/// Takes longrope's short or long factors if the model has them.
void set_longrope(DecoderSpec& spec, const FamilyInput& input);
void set_experts(DecoderSpec& spec, const FamilyInput& input);

DecoderSpec llama_spec(const FamilyInput& input);
DecoderSpec qwen2_spec(const FamilyInput& input);
DecoderSpec qwen3_spec(const FamilyInput& input);
DecoderSpec qwen3moe_spec(const FamilyInput& input);
DecoderSpec gemma2_spec(const FamilyInput& input);
DecoderSpec gemma3_spec(const FamilyInput& input);
DecoderSpec phi2_spec(const FamilyInput& input);
DecoderSpec phi3_spec(const FamilyInput& input);

}  // namespace omg
