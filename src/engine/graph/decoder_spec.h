// SPDX-License-Identifier: Apache-2.0
//
// A decoder-only transformer as data. A family is a function from metadata to this; one decoder
// runs whatever it says. Shapes of single matrices are not here: they come from the tensors and are
// checked against these numbers when the weights are loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace omg {

enum class NormKind { kRms, kLayer };

/// Which elements of a head are rotated together: (2i, 2i+1), or (i, i + dimensions/2).
enum class RopeStyle { kInterleaved, kHalves };

enum class Activation { kSilu, kGelu };  // kGelu: the tanh form

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) with the scalings in use.
struct RopeSpec {
  RopeStyle style = RopeStyle::kHalves;
  uint32_t dimensions = 0;  // leading elements of a head that are rotated; even
  float base = 10000.0f;
  float frequency_scale = 1.0f;  // linear scaling: 1 / factor
  float magnitude = 1.0f;        // cos and sin are multiplied by this
  /// YaRN (Peng et al. 2023, arXiv:2309.00071): 0 is off, 1 is on.
  float yarn_extrapolation = 0.0f;
  float yarn_beta_fast = 32.0f;
  float yarn_beta_slow = 1.0f;
  uint32_t original_context = 0;
  /// Divisors of the frequencies, one per rotated pair, from the tensor of this name: llama3's
  /// `rope_freqs.weight`, or longrope's factors. Empty: none.
  std::string frequency_divisors_tensor;
};

struct MoeSpec {
  uint32_t experts = 0;  // 0: a dense feed-forward
  uint32_t experts_used = 0;
  float weights_scale = 1.0f;
};

struct DecoderSpec {
  std::string family;
  uint32_t layers = 0;
  uint32_t embedding_length = 0;
  uint32_t heads = 0;
  uint32_t kv_heads = 0;  // heads is a multiple of it
  uint32_t key_length = 0;
  uint32_t value_length = 0;
  uint32_t context_length = 0;  // that the model was trained for
  uint32_t vocab_size = 0;

  NormKind norm = NormKind::kRms;
  float norm_epsilon = 1e-5f;
  float embedding_scale = 1.0f;
  float query_scale = 1.0f;        // usually 1 / sqrt(key_length)
  float attention_softcap = 0.0f;  // 0: none
  float logit_softcap = 0.0f;      // 0: none

  bool fused_qkv = false;        // one attn_qkv matrix holds q, k and v
  bool qk_norm = false;          // RMS norm of each head of q and k before the rotation
  bool post_norms = false;       // norms after attention and feed-forward, before they are added
  bool parallel_blocks = false;  // attention and feed-forward both read the attention norm's output
  bool gated = true;           // feed-forward is down(act(gate(x)) * up(x)), else down(act(up(x)))
  bool fused_gate_up = false;  // ffn_up holds gate and up, in this order
  Activation activation = Activation::kSilu;
  MoeSpec moe;

  RopeSpec rope;
  /// Layers that see only the last `window` positions, and their own rotation. Empty: none.
  std::vector<bool> windowed_layers;
  uint32_t window = 0;
  RopeSpec windowed_rope;

  bool is_windowed(uint32_t layer) const {
    return !windowed_layers.empty() && windowed_layers[layer];
  }
};

}  // namespace omg
