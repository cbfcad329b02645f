// SPDX-License-Identifier: Apache-2.0
//
// The families' table and the keys that they share.
// Source of the keys: the GGUF specification, "Standardized key-value pairs".
#include "engine/graph/arch/family.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace omg {
namespace {

constexpr std::array<Family, 8> kFamilies = {{
    {"llama", llama_spec},
    {"qwen2", qwen2_spec},
    {"qwen3", qwen3_spec},
    {"qwen3moe", qwen3moe_spec},
    {"gemma2", gemma2_spec},
    {"gemma3", gemma3_spec},
    {"phi2", phi2_spec},
    {"phi3", phi3_spec},
}};

/// Limits on what a file may claim, well above any published model (Llama 3.1 405B: 126 layers of
/// 16384; Gemma's vocabulary: 262144), so that no product of them overflows 64 bits.
constexpr uint32_t kMaxLayers = 1024;
constexpr uint32_t kMaxLength = 1u << 20;
constexpr uint32_t kMaxHeads = 4096;
constexpr uint32_t kMaxContext = 1u << 28;

uint32_t ranged(const FamilyInput& input, const std::string& key, uint32_t value, uint32_t low,
                uint32_t high) {
  if (value < low || value > high) {
    throw Error(ErrorCode::kCorrupt, input.file.path() + ": key '" + key + "' is " +
                                         std::to_string(value) + ", allowed are " +
                                         std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

/// A number, or an array with one number per layer that are all the same.
std::optional<uint32_t> find_uniform(const FamilyInput& input, const std::string& key) {
  const auto* value = input.metadata().find(key);
  if (!value || value->type != MetadataType::kArray) return input.metadata().find_u32(key);
  const auto all = *input.metadata().find_i32_array(key);
  for (const int32_t element : all) {
    if (element != all.front() || element < 0) {
      throw Error(ErrorCode::kUnsupported,
                  input.file.path() + ": key '" + key +
                      "' differs between layers, which this version cannot run");
    }
  }
  if (all.empty()) return std::nullopt;
  return static_cast<uint32_t>(all.front());
}

uint32_t required(const FamilyInput& input, std::string_view suffix, uint32_t high) {
  const std::string key = input.key(suffix);
  const auto value = find_uniform(input, key);
  if (!value)
    throw Error(ErrorCode::kCorrupt, input.file.path() + ": key '" + key + "' is missing");
  return ranged(input, key, *value, 1, high);
}

uint32_t optional_u32(const FamilyInput& input, std::string_view suffix, uint32_t fallback,
                      uint32_t low, uint32_t high) {
  const std::string key = input.key(suffix);
  return ranged(input, key, find_uniform(input, key).value_or(fallback), low, high);
}

/// A float that must be finite and above zero.
float positive(const FamilyInput& input, std::string_view suffix, float fallback) {
  const std::string key = input.key(suffix);
  const float value = input.metadata().find_f32(key).value_or(fallback);
  if (!std::isfinite(value) || value <= 0) {
    throw Error(ErrorCode::kCorrupt,
                input.file.path() + ": key '" + key + "' must be a number above 0");
  }
  return value;
}

uint32_t vocabulary_size(const FamilyInput& input) {
  const auto& embedding = input.file.tensor("token_embd.weight");
  if (embedding.rank != 2 || embedding.shape[1] > kMaxLength * 4) {
    throw Error(ErrorCode::kCorrupt,
                input.file.path() + ": tensor 'token_embd.weight' is not a table of tokens");
  }
  return static_cast<uint32_t>(embedding.shape[1]);
}

/// Frequency scaling: none, linear, or YaRN with its magnitude correction 1 + 0.1 ln(factor).
void set_rope_scaling(RopeSpec& rope, const FamilyInput& input) {
  const auto& metadata = input.metadata();
  const auto type = metadata.find_string(input.key("rope.scaling.type")).value_or("linear");
  if (type != "none" && type != "linear" && type != "yarn" && type != "longrope") {
    throw Error(ErrorCode::kUnsupported,
                input.file.path() + ": rope scaling '" + std::string(type) + "' is not supported");
  }
  float factor = metadata.find_f32(input.key("rope.scaling.factor"))
                     .value_or(metadata.find_f32(input.key("rope.scale_linear")).value_or(0));
  if (factor == 0) factor = 1;
  if (!std::isfinite(factor) || factor <= 0) {
    throw Error(ErrorCode::kCorrupt, input.file.path() + ": rope scaling factor must be above 0");
  }
  if (type != "none") rope.frequency_scale = 1 / factor;
  rope.magnitude = positive(input, "rope.scaling.attn_factor", 1.0f);
  if (type != "yarn") return;
  rope.yarn_extrapolation =
      metadata.find_f32(input.key("rope.scaling.yarn_ext_factor")).value_or(1.0f);
  rope.yarn_beta_fast = positive(input, "rope.scaling.yarn_beta_fast", 32.0f);
  rope.yarn_beta_slow = positive(input, "rope.scaling.yarn_beta_slow", 1.0f);
  const auto correction = [&](float multiplier) {
    return factor <= 1 ? 1.0f : 0.1f * multiplier * std::log(factor) + 1.0f;
  };
  const float log_multiplier =
      metadata.find_f32(input.key("rope.scaling.yarn_log_multiplier")).value_or(0);
  rope.magnitude *= correction(1.0f);
  if (log_multiplier != 0) rope.magnitude /= correction(log_multiplier);
}

}  // namespace

std::string FamilyInput::key(std::string_view suffix) const {
  return architecture + "." + std::string(suffix);
}

std::span<const Family> families() {
  return kFamilies;
}

DecoderSpec make_decoder_spec(const ModelFile& file, uint32_t context_length) {
  const std::string name(file.metadata().get_string("general.architecture"));
  for (const auto& family : kFamilies) {
    if (family.name != name) continue;
    FamilyInput input{file, name, context_length};
    if (context_length == 0) input.context_length = required(input, "context_length", kMaxContext);
    return family.make_spec(input);
  }
  std::string known;
  for (const auto& family : kFamilies)
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  throw Error(ErrorCode::kUnsupported, file.path() + ": models of the family '" + name +
                                           "' cannot run yet; supported are " + known);
}

DecoderSpec common_spec(const FamilyInput& input) {
  DecoderSpec spec;
  spec.family = input.architecture;
  spec.layers = required(input, "block_count", kMaxLayers);
  spec.embedding_length = required(input, "embedding_length", kMaxLength);
  spec.context_length = required(input, "context_length", kMaxContext);
  spec.heads = required(input, "attention.head_count", kMaxHeads);
  spec.kv_heads = optional_u32(input, "attention.head_count_kv", spec.heads, 1, spec.heads);
  if (spec.heads % spec.kv_heads != 0) {
    throw Error(ErrorCode::kCorrupt, input.file.path() + ": " + std::to_string(spec.heads) +
                                         " heads cannot share " + std::to_string(spec.kv_heads) +
                                         " key-value heads evenly");
  }
  const uint32_t head_length = std::max(1u, spec.embedding_length / spec.heads);
  spec.key_length = optional_u32(input, "attention.key_length", head_length, 1, 4096);
  spec.value_length = optional_u32(input, "attention.value_length", head_length, 1, 4096);
  spec.vocab_size = vocabulary_size(input);
  spec.norm_epsilon = input.metadata().contains(input.key("attention.layer_norm_rms_epsilon"))
                          ? input.metadata().get_f32(input.key("attention.layer_norm_rms_epsilon"))
                          : positive(input, "attention.layer_norm_epsilon", 1e-5f);
  spec.query_scale = 1 / std::sqrt(static_cast<float>(spec.key_length));

  spec.rope.dimensions =
      optional_u32(input, "rope.dimension_count", spec.key_length, 0, spec.key_length);
  if (spec.rope.dimensions % 2 != 0) {
    throw Error(ErrorCode::kCorrupt, input.file.path() + ": an odd rope.dimension_count");
  }
  spec.rope.base = positive(input, "rope.freq_base", 10000.0f);
  spec.rope.original_context = optional_u32(input, "rope.scaling.original_context_length",
                                            spec.context_length, 1, kMaxContext);
  set_rope_scaling(spec.rope, input);
  return spec;
}

void set_windows(DecoderSpec& spec, const FamilyInput& input, uint32_t default_period) {
  const std::string key = input.key("attention.sliding_window_pattern");
  spec.windowed_layers.resize(spec.layers);
  const auto* pattern = input.metadata().find(key);
  if (pattern && pattern->type == MetadataType::kArray) {
    const auto flags = *input.metadata().find_bool_array(key);
    if (flags.size() < spec.layers) {
      throw Error(ErrorCode::kCorrupt, input.file.path() + ": key '" + key + "' has " +
                                           std::to_string(flags.size()) + " flags for " +
                                           std::to_string(spec.layers) + " layers");
    }
    std::copy_n(flags.begin(), spec.layers, spec.windowed_layers.begin());
    return;
  }
  const uint32_t period = pattern ? input.metadata().get_u32(key) : default_period;
  for (uint32_t layer = 0; layer < spec.layers; ++layer) {
    spec.windowed_layers[layer] = period == 0 || layer % period < period - 1;
  }
}

void set_longrope(DecoderSpec& spec, const FamilyInput& input) {
  const bool is_long = input.context_length > spec.rope.original_context;
  const char* name = is_long ? "rope_factors_long.weight" : "rope_factors_short.weight";
  if (input.file.find_tensor(name)) spec.rope.frequency_divisors_tensor = name;
}

void set_experts(DecoderSpec& spec, const FamilyInput& input) {
  spec.moe.experts = optional_u32(input, "expert_count", 0, 0, 1024);
  if (spec.moe.experts == 0) return;
  spec.moe.experts_used = optional_u32(input, "expert_used_count", 0, 1, spec.moe.experts);
}

}  // namespace omg
