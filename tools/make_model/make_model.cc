// SPDX-License-Identifier: Apache-2.0
//
// The hyperparameters under their published keys, then the tensors one after another.
#include "tools/make_model/make_model.h"

#include <algorithm>
#include <cmath>

#include "formats/weight_mixture.h"
#include "tools/make_model/random_weights.h"
#include "tools/make_model/tensors.h"
#include "tools/make_model/vocabulary.h"

namespace omg::model_maker {
namespace {

/// Written at a time, in whole blocks.
constexpr size_t kChunkBytes = size_t{8} << 20;

void add_general(const Options& options, Metadata& metadata) {
  metadata.set_string("general.architecture", architecture_name(options.family));
  metadata.set_string("general.type", "model");
  metadata.set_string("general.name", options.name);
  metadata.set_string("general.description", "random weights for tests and benchmarks");
  metadata.set_string("general.license", "apache-2.0");
  metadata.set_u32("general.file_type", WeightMixture::from_name(options.type)->file_type());
  metadata.set_u32("general.quantization_version", 2);
}

void add_family_keys(const Options& options, const std::string& prefix, Metadata& metadata) {
  switch (options.family) {
    case Family::kGemma2:
      metadata.set_f32(prefix + "attn_logit_softcapping", 50.0f);
      metadata.set_f32(prefix + "final_logit_softcapping", 30.0f);
      break;
    case Family::kPhi3: {
      const double scale =
          std::max(1.0, static_cast<double>(options.context) / options.rope_original_context);
      const double factor =
          std::sqrt(1 + std::log(scale) / std::log(options.rope_original_context));
      metadata.set_u32(prefix + "rope.scaling.original_context_length",
                       options.rope_original_context);
      metadata.set_f32(prefix + "rope.scaling.attn_factor", static_cast<float>(factor));
      break;
    }
    default:
      break;
  }
  if (options.sliding_window > 0) {
    metadata.set_u32(prefix + "attention.sliding_window", options.sliding_window);
  }
  if (has_experts(options.family)) {
    metadata.set_u32(prefix + "expert_count", options.experts);
    metadata.set_u32(prefix + "expert_used_count", options.experts_used);
  }
  if (options.family == Family::kQwen3Moe) {
    metadata.set_u32(prefix + "expert_feed_forward_length", options.expert_feed_forward);
  }
}

void add_shape(const Options& options, Metadata& metadata) {
  const std::string prefix = std::string(architecture_name(options.family)) + ".";
  const auto u32 = [&](const char* key, uint32_t value) { metadata.set_u32(prefix + key, value); };
  u32("block_count", options.layers);
  u32("context_length", options.context);
  u32("embedding_length", options.embedding);
  u32("feed_forward_length", options.feed_forward);
  u32("attention.head_count", options.heads);
  u32("attention.head_count_kv", options.kv_heads);
  u32("attention.key_length", options.head_size);
  u32("attention.value_length", options.head_size);
  u32("rope.dimension_count", options.rope_dimensions);
  u32("vocab_size", options.vocabulary);
  metadata.set_f32(prefix + "rope.freq_base", options.rope_base);
  const bool is_phi2 = options.family == Family::kPhi2;
  const bool has_small_epsilon =
      options.family != Family::kLlama && options.family != Family::kMixtral;
  metadata.set_f32(
      prefix + (is_phi2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
      has_small_epsilon && !is_phi2 ? 1e-6f : 1e-5f);
  add_family_keys(options, prefix, metadata);
}

void write_tensor(gguf::Writer& writer, const ModelTensor& tensor, WeightType type, uint64_t seed) {
  if (!tensor.values.empty()) return writer.write(std::as_bytes(std::span(tensor.values)));
  const uint64_t row = *row_bytes(type, tensor.shape[0]);
  uint64_t left = row * tensor.shape[1] * tensor.shape[2];
  RandomWeights weights(type, tensor.mean, tensor.deviation, seed);
  const uint64_t block = info(type).block_bytes;
  std::vector<std::byte> chunk(std::min<uint64_t>(left, kChunkBytes / block * block));
  while (left > 0) {
    const auto part = std::span(chunk).first(std::min<uint64_t>(left, chunk.size()));
    weights.fill(part);
    writer.write(part);
    left -= part.size();
  }
}

}  // namespace

Plan plan_model(const Options& options) {
  Plan plan;
  plan.options = complete(options);
  add_general(plan.options, plan.metadata);
  add_shape(plan.options, plan.metadata);
  add_vocabulary(plan.options, plan.metadata);
  const auto mixture = WeightMixture::from_name(plan.options.type, plan.options.pure);
  const MixtureModel model{plan.options.layers, plan.options.experts, plan.options.tied_embeddings};
  for (const auto& tensor : model_tensors(plan.options)) {
    const auto type = mixture->type_of(model, tensor.name, tensor.rank, tensor.shape[0]);
    plan.tensors.push_back({tensor.name, type, tensor.rank, tensor.shape});
    plan.bytes += *row_bytes(type, tensor.shape[0]) * tensor.shape[1] * tensor.shape[2];
  }
  return plan;
}

uint64_t make_model(const Options& options, const std::string& path) {
  const Plan plan = plan_model(options);
  gguf::Writer writer(path, plan.metadata, plan.tensors);
  // Each tensor has a seed of its own, so that one's type does not change the next one's weights.
  Random seeds(plan.options.seed);
  const auto tensors = model_tensors(plan.options);
  for (size_t i = 0; i < tensors.size(); ++i) {
    write_tensor(writer, tensors[i], plan.tensors[i].type, seeds.next());
  }
  writer.finish();
  return plan.bytes;
}

}  // namespace omg::model_maker
