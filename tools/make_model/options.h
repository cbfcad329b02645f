// SPDX-License-Identifier: Apache-2.0
//
// What a made model looks like: family, shape, weight type, vocabulary.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace omg::model_maker {

enum class Family { kLlama, kMixtral, kQwen2, kQwen3, kQwen3Moe, kGemma2, kGemma3, kPhi2, kPhi3 };

enum class TokenizerKind {
  kSentencePiece,  // tokenizer.ggml.model = llama: pieces with scores, byte fallback
  kByteLevel,      // tokenizer.ggml.model = gpt2: byte characters and merges
};

/// Counts are in elements. 0 in an optional field means "as usual": see `complete`.
struct Options {
  Family family = Family::kLlama;
  std::string name = "made-model";
  uint32_t layers = 2;
  uint32_t embedding = 256;
  uint32_t feed_forward = 512;
  uint32_t heads = 4;
  uint32_t kv_heads = 2;
  uint32_t head_size = 0;  // 0: embedding / heads
  uint32_t vocabulary = 512;
  uint32_t context = 2048;
  uint32_t experts = 0;
  uint32_t experts_used = 0;
  uint32_t expert_feed_forward = 0;  // qwen3moe: rows of one expert
  uint32_t sliding_window = 0;       // gemma2, gemma3, phi3
  uint32_t rope_dimensions = 0;      // 0: head_size
  float rope_base = 10000.0f;
  float rope_llama3_factor = 0;        // > 0: writes rope_freqs.weight for this factor
  uint32_t rope_original_context = 0;  // llama3 and phi3 scaling: the context trained on
  bool tied_embeddings = false;
  TokenizerKind tokenizer = TokenizerKind::kSentencePiece;
  std::string type = "Q4_K_M";
  bool pure = false;  // the base type everywhere, see WeightMixture
  uint64_t seed = 1;
  /// Instead of the family's chat template; "" for none at all.
  std::optional<std::string> chat_template;
};

std::vector<std::string_view> preset_names();
/// Throws Error(kInvalidArgument) that lists the names.
Options preset(std::string_view name);

/// Fills the optional fields and checks all. Throws Error(kInvalidArgument) naming the option.
Options complete(Options options);

/// "llama", "mixtral", …: as in the names of the tiny presets.
std::string_view family_name(Family family);
/// The value of "general.architecture"; mixtral's is "llama".
std::string_view architecture_name(Family family);
bool has_experts(Family family);

}  // namespace omg::model_maker
