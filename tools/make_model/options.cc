// SPDX-License-Identifier: Apache-2.0
//
// Presets, and the checks on what a user changes about them.
#include "tools/make_model/options.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "formats/weight_mixture.h"

namespace omg::model_maker {
namespace {

constexpr std::array<std::pair<Family, std::string_view>, 9> kFamilies = {{
    {Family::kLlama, "llama"},
    {Family::kMixtral, "mixtral"},
    {Family::kQwen2, "qwen2"},
    {Family::kQwen3, "qwen3"},
    {Family::kQwen3Moe, "qwen3moe"},
    {Family::kGemma2, "gemma2"},
    {Family::kGemma3, "gemma3"},
    {Family::kPhi2, "phi2"},
    {Family::kPhi3, "phi3"},
}};

Options llama_3(std::string name, uint32_t layers, uint32_t embedding, uint32_t feed_forward) {
  Options options;
  options.name = std::move(name);
  options.layers = layers;
  options.embedding = embedding;
  options.feed_forward = feed_forward;
  options.heads = 32;
  options.kv_heads = 8;
  options.vocabulary = 128256;
  options.context = 131072;
  options.rope_base = 500000.0f;
  options.rope_original_context = 8192;
  options.tokenizer = TokenizerKind::kByteLevel;
  return options;
}

Options llama_3_2_1b() {
  Options options = llama_3("llama-3.2-1b", 16, 2048, 8192);
  options.rope_llama3_factor = 32;
  options.tied_embeddings = true;
  return options;
}

Options llama_3_1_8b() {
  Options options = llama_3("llama-3.1-8b", 32, 4096, 14336);
  options.rope_llama3_factor = 8;
  return options;
}

Options qwen_2_5_0_5b() {
  Options options;
  options.family = Family::kQwen2;
  options.name = "qwen2.5-0.5b";
  options.layers = 24;
  options.embedding = 896;
  options.feed_forward = 4864;
  options.heads = 14;
  options.kv_heads = 2;
  options.vocabulary = 151936;
  options.context = 32768;
  options.rope_base = 1000000.0f;
  options.tied_embeddings = true;
  options.tokenizer = TokenizerKind::kByteLevel;
  return options;
}

/// The smallest shapes whose rows fit every weight type (blocks of 256), with every feature of the
/// family: grouped heads, heads wider than the embedding, windows shorter than a test's prompt.
Options tiny(Family family) {
  Options options;
  options.family = family;
  options.name = "tiny-" + std::string(family_name(family));
  switch (family) {
    case Family::kLlama:
      options.tokenizer = TokenizerKind::kByteLevel;
      options.rope_base = 500000.0f;
      options.rope_llama3_factor = 8;
      options.rope_original_context = 512;
      break;
    case Family::kMixtral:
      options.feed_forward = 256;
      options.experts = 4;
      options.experts_used = 2;
      options.rope_base = 1000000.0f;
      break;
    case Family::kQwen2:
      options.tokenizer = TokenizerKind::kByteLevel;
      options.tied_embeddings = true;
      options.rope_base = 1000000.0f;
      break;
    case Family::kQwen3Moe:
      options.experts = 8;
      options.experts_used = 2;
      options.expert_feed_forward = 256;
      [[fallthrough]];
    case Family::kQwen3:
      options.tokenizer = TokenizerKind::kByteLevel;
      options.heads = 8;
      options.head_size = 64;
      options.tied_embeddings = family == Family::kQwen3;
      options.rope_base = 1000000.0f;
      break;
    case Family::kGemma3:
      options.layers = 7;  // every sixth layer attends to everything
      options.feed_forward = 256;
      options.heads = 2;
      options.kv_heads = 1;
      options.rope_base = 1000000.0f;
      [[fallthrough]];
    case Family::kGemma2:
      options.head_size = 128;
      options.sliding_window = 24;
      options.tied_embeddings = true;
      break;
    case Family::kPhi2:
      options.tokenizer = TokenizerKind::kByteLevel;
      options.kv_heads = options.heads;
      options.rope_dimensions = 32;
      break;
    case Family::kPhi3:
      options.context = 8192;
      options.rope_original_context = 512;
      options.sliding_window = 262144;
      break;
  }
  return options;
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "cannot make this model: " + why);
}

void check_range(const char* what, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return;
  refuse(std::string(what) + " must be " + std::to_string(low) + " to " + std::to_string(high) +
         ", not " + std::to_string(value));
}

}  // namespace

std::vector<std::string_view> preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list = {"llama-3.2-1b", "llama-3.1-8b", "qwen2.5-0.5b"};
    for (const auto& [family, name] : kFamilies) list.push_back("tiny-" + std::string(name));
    return list;
  }();
  return {names.begin(), names.end()};
}

Options preset(std::string_view name) {
  if (name == "llama-3.2-1b") return llama_3_2_1b();
  if (name == "llama-3.1-8b") return llama_3_1_8b();
  if (name == "qwen2.5-0.5b") return qwen_2_5_0_5b();
  for (const auto& [family, family_text] : kFamilies) {
    if (name.starts_with("tiny-") && name.substr(5) == family_text) return tiny(family);
  }
  std::string names;
  for (const auto known : preset_names()) names.append(" ").append(known);
  throw Error(ErrorCode::kInvalidArgument,
              "there is no preset '" + std::string(name) + "'; choose one of:" + names);
}

std::string_view family_name(Family family) {
  return kFamilies[static_cast<size_t>(family)].second;
}

std::string_view architecture_name(Family family) {
  return family == Family::kMixtral ? "llama" : family_name(family);
}

bool has_experts(Family family) {
  return family == Family::kMixtral || family == Family::kQwen3Moe;
}

Options complete(Options options) {
  // Generous limits that keep every product below 2^63 elements.
  check_range("the number of layers", options.layers, 1, 1000);
  check_range("the embedding length", options.embedding, 2, 1 << 20);
  check_range("the feed-forward length", options.feed_forward, 1, 1 << 22);
  check_range("the number of heads", options.heads, 1, 1024);
  check_range("the number of key-value heads", options.kv_heads, 1, options.heads);
  if (options.heads % options.kv_heads != 0) {
    refuse("the number of heads must be a multiple of the number of key-value heads");
  }
  if (options.head_size == 0) options.head_size = options.embedding / options.heads;
  check_range("the head size", options.head_size, 2, 1024);
  if (options.rope_dimensions == 0) options.rope_dimensions = options.head_size;
  check_range("the number of rope dimensions", options.rope_dimensions, 2, options.head_size);
  if (options.rope_dimensions % 2 != 0) refuse("the number of rope dimensions must be even");
  check_range("the context length", options.context, 1, 1u << 30);
  check_range("the vocabulary", options.vocabulary, 400, 1u << 20);
  if (has_experts(options.family)) {
    check_range("the number of experts", options.experts, 1, 1024);
    check_range("the number of experts used", options.experts_used, 1, options.experts);
    if (options.expert_feed_forward == 0) options.expert_feed_forward = options.feed_forward;
    check_range("the expert feed-forward length", options.expert_feed_forward, 1, 1 << 22);
  } else if (options.experts != 0) {
    refuse(std::string(family_name(options.family)) + " has no experts");
  }
  if (options.rope_original_context == 0) options.rope_original_context = options.context;
  if (!(options.rope_base > 1)) refuse("the rope base must be more than 1");
  if (!WeightMixture::from_name(options.type)) {
    std::string names;
    for (const auto known : WeightMixture::names()) names.append(" ").append(known);
    refuse("there is no weight type '" + options.type + "'; choose one of:" + names);
  }
  return options;
}

}  // namespace omg::model_maker
