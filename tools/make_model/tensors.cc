// SPDX-License-Identifier: Apache-2.0
//
// Names and shapes as published conversions have them.
//
// On conditioning: a matrix with deviation 1/sqrt(row length) keeps unit variance. What is added to
// the residual stream is scaled by another 1/sqrt(2 layers), so that the stream has about unit
// variance after any number of layers. Logits get a deviation of about 2: enough for a sampler to
// have a choice, and no token certain. Embeddings are as large as what the layers add. Where they
// serve as output too, the part of a token's own embedding that is left in the stream would win
// every time, and greedy text would repeat one word; so there the weights of the last norm have
// either sign, and a token's own logit is like any other. As that part still maps tokens in a
// symmetric way (if a leads to b, b leads to a), it is also made smaller. Gemma multiplies
// embeddings by sqrt(embedding length), and its norms after each branch let the stream's variance
// grow to 2 layers.
#include "tools/make_model/tensors.h"

#include <cmath>
#include <numbers>

namespace omg::model_maker {
namespace {

constexpr float kNormDeviation = 0.1f;
constexpr float kBiasDeviation = 0.1f;
constexpr float kLogitDeviation = 2.0f;
/// Of tied embeddings in the residual stream, against what the layers add.
constexpr float kTiedShare = 0.3f;

bool is_gemma(Family family) {
  return family == Family::kGemma2 || family == Family::kGemma3;
}

bool has_query_key_norm(Family family) {
  return family == Family::kQwen3 || family == Family::kQwen3Moe || family == Family::kGemma3;
}

class TensorList {
 public:
  explicit TensorList(const Options& options)
      : options_(options), residual_(1.0f / std::sqrt(2.0f * static_cast<float>(options.layers))) {}

  std::vector<ModelTensor> take() { return std::move(tensors_); }

  void add_globals_before() {
    matrix("token_embd.weight", options_.embedding, options_.vocabulary, embedding_length());
    if (options_.rope_llama3_factor > 0) values("rope_freqs.weight", llama3_factors());
    if (options_.family == Family::kPhi3) {
      values("rope_factors_long.weight", rising_factors(longrope_scale()));
      values("rope_factors_short.weight", rising_factors(1.1f));
    }
  }

  void add_layer(uint32_t layer) {
    prefix_ = "blk." + std::to_string(layer) + ".";
    norm("attn_norm", options_.embedding);
    add_attention();
    if (is_gemma(options_.family)) norm("post_attention_norm", options_.embedding);
    if (options_.family != Family::kPhi2) norm("ffn_norm", options_.embedding);
    if (has_experts(options_.family)) {
      add_experts();
    } else {
      add_feed_forward();
    }
    if (is_gemma(options_.family)) norm("post_ffw_norm", options_.embedding);
    prefix_.clear();
  }

  void add_globals_after() {
    if (options_.tied_embeddings) {
      vector("output_norm.weight", options_.embedding, 0, kLogitDeviation / embedding_length());
    } else {
      norm("output_norm", options_.embedding);
    }
    if (options_.tied_embeddings) return;
    matrix("output.weight", options_.embedding, options_.vocabulary, kLogitDeviation);
    if (options_.family == Family::kPhi2) {
      vector("output.bias", options_.vocabulary, 0, kBiasDeviation);
    }
  }

 private:
  /// Of a row of token_embd.
  float embedding_length() const {
    const float share = options_.tied_embeddings ? kTiedShare : 1.0f;
    if (is_gemma(options_.family)) return share / residual_;
    return share * std::sqrt(static_cast<float>(options_.embedding));
  }

  void add_attention() {
    const uint32_t queries = options_.heads * options_.head_size;
    const uint32_t keys = options_.kv_heads * options_.head_size;
    if (options_.family == Family::kPhi2 || options_.family == Family::kPhi3) {
      projection("attn_qkv", options_.embedding, queries + 2 * keys);
    } else {
      projection("attn_q", options_.embedding, queries, has_bias_on_query());
      projection("attn_k", options_.embedding, keys, has_bias_on_query());
      projection("attn_v", options_.embedding, keys, has_bias_on_query());
    }
    if (has_query_key_norm(options_.family)) {
      norm("attn_q_norm", options_.head_size);
      norm("attn_k_norm", options_.head_size);
    }
    projection("attn_output", queries, options_.embedding, false, residual_);
  }

  void add_feed_forward() {
    const bool gate_in_up = options_.family == Family::kPhi3;
    const bool is_gated = options_.family != Family::kPhi2;
    if (is_gated && !gate_in_up) projection("ffn_gate", options_.embedding, options_.feed_forward);
    projection("ffn_up", options_.embedding, options_.feed_forward * (gate_in_up ? 2 : 1));
    projection("ffn_down", options_.feed_forward, options_.embedding, false, residual_);
  }

  void add_experts() {
    const uint32_t inner = options_.expert_feed_forward;
    const uint32_t count = options_.experts;
    // Twice the usual spread: experts are chosen clearly, and rounding does not change the choice.
    matrix("ffn_gate_inp.weight", options_.embedding, count, 2.0f);
    matrix("ffn_gate_exps.weight", options_.embedding, inner, 1.0f, count);
    matrix("ffn_up_exps.weight", options_.embedding, inner, 1.0f, count);
    matrix("ffn_down_exps.weight", inner, options_.embedding, residual_, count);
  }

  bool has_bias_on_query() const { return options_.family == Family::kQwen2; }

  void projection(const std::string& name, uint64_t columns, uint64_t rows, bool has_bias = false,
                  float scale = 1.0f) {
    matrix(name + ".weight", columns, rows, scale);
    if (has_bias || options_.family == Family::kPhi2) {
      vector(name + ".bias", rows, 0, kBiasDeviation * scale);
    }
  }

  /// Vectors of unit length times `scale` per row.
  void matrix(const std::string& name, uint64_t columns, uint64_t rows, float scale,
              uint64_t matrices = 0) {
    const float deviation = scale / std::sqrt(static_cast<float>(columns));
    const uint64_t third = matrices == 0 ? 1 : matrices;
    tensors_.push_back(
        {prefix_ + name, matrices == 0 ? 2u : 3u, {columns, rows, third, 1}, 0, deviation, {}});
  }

  void norm(const std::string& name, uint64_t size) {
    vector(name + ".weight", size, 1, kNormDeviation);
    if (options_.family == Family::kPhi2) vector(name + ".bias", size, 0, kBiasDeviation);
  }

  void vector(const std::string& name, uint64_t size, float mean, float deviation) {
    tensors_.push_back({prefix_ + name, 1, {size, 1, 1, 1}, mean, deviation, {}});
  }

  void values(const std::string& name, std::vector<float> values) {
    tensors_.push_back({name, 1, {values.size(), 1, 1, 1}, 0, 0, std::move(values)});
  }

  /// Divisors of the rope frequencies: 1 for short waves, the factor for waves longer than the
  /// original context, between them a smooth passage. Source: Llama 3.1's model card (low and high
  /// frequency factors 1 and 4).
  std::vector<float> llama3_factors() const {
    constexpr double kLow = 1, kHigh = 4;
    const double original = options_.rope_original_context;
    const double factor = options_.rope_llama3_factor;
    std::vector<float> factors;
    for (uint32_t i = 0; i < options_.rope_dimensions; i += 2) {
      const double wave =
          2 * std::numbers::pi *
          std::pow(options_.rope_base, static_cast<double>(i) / options_.rope_dimensions);
      const double smooth = (original / wave - kLow) / (kHigh - kLow);
      if (smooth >= 1) {
        factors.push_back(1);
      } else if (smooth <= 0) {
        factors.push_back(static_cast<float>(factor));
      } else {
        factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
      }
    }
    return factors;
  }

  float longrope_scale() const {
    return std::max(1.0f, static_cast<float>(options_.context) /
                              static_cast<float>(options_.rope_original_context));
  }

  /// LongRope's factors are searched for each model; they rise from 1 to about the scale.
  std::vector<float> rising_factors(float last) const {
    const uint32_t count = options_.rope_dimensions / 2;
    std::vector<float> factors;
    for (uint32_t i = 0; i < count; ++i) {
      const float x = static_cast<float>(i + 1) / static_cast<float>(count);
      factors.push_back(1 + (last - 1) * x * x);
    }
    return factors;
  }

  const Options& options_;
  float residual_;
  std::string prefix_;
  std::vector<ModelTensor> tensors_;
};

}  // namespace

std::vector<ModelTensor> model_tensors(const Options& options) {
  TensorList list(options);
  list.add_globals_before();
  for (uint32_t layer = 0; layer < options.layers; ++layer) list.add_layer(layer);
  list.add_globals_after();
  return list.take();
}

}  // namespace omg::model_maker
