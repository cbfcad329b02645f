// SPDX-License-Identifier: Apache-2.0
//
// Llama 1 to 3, and all that is published in their shape: Mistral, Mixtral (with experts), Yi,
// SmolLM, TinyLlama, CodeLlama, DeepSeek LLM.
#include "engine/graph/arch/family.h"

namespace omg {

DecoderSpec llama_spec(const FamilyInput& input) {
  DecoderSpec spec = common_spec(input);
  spec.rope.style = RopeStyle::kInterleaved;
  set_experts(spec, input);
  if (input.file.find_tensor("rope_freqs.weight")) {
    spec.rope.frequency_divisors_tensor = "rope_freqs.weight";
  } else {
    set_longrope(spec, input);
  }
  return spec;
}

}  // namespace omg
