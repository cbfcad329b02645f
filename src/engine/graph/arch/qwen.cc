// SPDX-License-Identifier: Apache-2.0
//
// Qwen 2 and 2.5 (biases on q, k and v), Qwen 3 (norms on q and k instead), Qwen 3 with experts.
#include "base/error.h"
#include "engine/graph/arch/family.h"

namespace omg {

DecoderSpec qwen2_spec(const FamilyInput& input) {
  return common_spec(input);
}

DecoderSpec qwen3_spec(const FamilyInput& input) {
  DecoderSpec spec = common_spec(input);
  spec.qk_norm = true;
  return spec;
}

DecoderSpec qwen3moe_spec(const FamilyInput& input) {
  DecoderSpec spec = qwen3_spec(input);
  set_experts(spec, input);
  if (spec.moe.experts == 0) {
    throw Error(ErrorCode::kCorrupt, input.file.path() + ": a qwen3moe model without experts");
  }
  return spec;
}

}  // namespace omg
