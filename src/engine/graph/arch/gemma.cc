// SPDX-License-Identifier: Apache-2.0
//
// Gemma 2 (soft caps, every other layer windowed) and Gemma 3 (norms on q and k, five windowed
// layers to one global, each kind with its own rotation). Published files have the 1 of "1 +
// weight" already added to the norms. Source: Gemma 2 report (arXiv:2408.00118), Gemma 3 report
// (arXiv:2503.19786).
#include <cmath>

#include "engine/graph/arch/family.h"

namespace omg {
namespace {

/// `layers_of_27b`: in that size alone queries are scaled by embedding_length / heads.
DecoderSpec gemma_spec(const FamilyInput& input, uint32_t layers_of_27b) {
  DecoderSpec spec = common_spec(input);
  spec.activation = Activation::kGelu;
  spec.post_norms = true;
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.embedding_length));
  if (spec.layers == layers_of_27b) {
    spec.query_scale = 1 / std::sqrt(static_cast<float>(spec.embedding_length / spec.heads));
  }
  spec.logit_softcap = input.metadata().find_f32(input.key("final_logit_softcapping")).value_or(0);
  return spec;
}

}  // namespace

DecoderSpec gemma2_spec(const FamilyInput& input) {
  DecoderSpec spec = gemma_spec(input, 46);
  spec.attention_softcap =
      input.metadata().find_f32(input.key("attn_logit_softcapping")).value_or(50.0f);
  spec.logit_softcap =
      input.metadata().find_f32(input.key("final_logit_softcapping")).value_or(30.0f);
  spec.window = input.metadata().find_u32(input.key("attention.sliding_window")).value_or(4096);
  set_windows(spec, input, 2);
  spec.windowed_rope = spec.rope;
  spec.windowed_rope.base =
      input.metadata().find_f32(input.key("rope.freq_base_swa")).value_or(spec.rope.base);
  return spec;
}

DecoderSpec gemma3_spec(const FamilyInput& input) {
  DecoderSpec spec = gemma_spec(input, 62);
  spec.qk_norm = true;
  spec.window = input.metadata().find_u32(input.key("attention.sliding_window")).value_or(0);
  if (spec.window == 0) return spec;
  set_windows(spec, input, 6);
  spec.windowed_rope = spec.rope;
  spec.windowed_rope.base =
      input.metadata().find_f32(input.key("rope.freq_base_swa")).value_or(10000.0f);
  spec.windowed_rope.frequency_scale = 1.0f;
  return spec;
}

}  // namespace omg
