// SPDX-License-Identifier: Apache-2.0
//
// Phi 1.5 and 2 (attention and feed-forward side by side, layer norms, biases everywhere) and Phi
// 3, 3.5 and 4 (llama's form with fused matrices and longrope). Source: Phi-3 report
// (arXiv:2404.14219); LongRoPE (arXiv:2402.13753).
#include "engine/graph/arch/family.h"

namespace omg {

DecoderSpec phi2_spec(const FamilyInput& input) {
  DecoderSpec spec = common_spec(input);
  spec.norm = NormKind::kLayer;
  spec.parallel_blocks = true;
  spec.gated = false;
  spec.activation = Activation::kGelu;
  spec.fused_qkv = input.file.find_tensor("blk.0.attn_qkv.weight") != nullptr;
  return spec;
}

/// The window that these files name is not applied: converters wrote it for models that were
/// trained with full attention too, and the reference implementation ignores it for that reason.
DecoderSpec phi3_spec(const FamilyInput& input) {
  DecoderSpec spec = common_spec(input);
  spec.fused_qkv = input.file.find_tensor("blk.0.attn_qkv.weight") != nullptr;
  spec.fused_gate_up = input.file.find_tensor("blk.0.ffn_gate.weight") == nullptr;
  set_longrope(spec, input);
  return spec;
}

}  // namespace omg
