// SPDX-License-Identifier: Apache-2.0
//
// Loading by the published tensor names, and the order of operations in a layer.
// Source of the names: the GGUF specification, "Standardized tensor names".
#include "engine/graph/decoder.h"

#include <algorithm>

#include "base/error.h"

namespace omg {

struct Decoder::Layer {
  Norm attention_norm, attention_post_norm, feed_forward_norm, feed_forward_post_norm;
  std::unique_ptr<Vector> query_norm, key_norm;
  std::unique_ptr<Matrix> query, key, value, qkv, attention_out;
  std::unique_ptr<Vector> query_bias, key_bias, value_bias, qkv_bias, attention_out_bias;
  std::unique_ptr<Matrix> gate, up, down, router;
  std::unique_ptr<Vector> gate_bias, up_bias, down_bias;
};

/// Finds, checks and loads tensors, and remembers which ones were used.
struct Decoder::Loader {
  const ModelFile& file;
  Backend& backend;
  const std::function<void(float)>& on_progress;
  std::set<std::string, std::less<>> used;
  uint64_t loaded_bytes = 0;

  [[noreturn]] void fail_shape(const TensorView& tensor, const std::string& expected) const {
    std::string shape;
    for (uint32_t i = 0; i < tensor.rank; ++i) {
      shape += (i ? " x " : "") + std::to_string(tensor.shape[i]);
    }
    throw Error(ErrorCode::kCorrupt, file.path() + ": tensor '" + std::string(tensor.name) +
                                         "' has shape " + shape + ", expected " + expected);
  }

  const TensorView* find(const std::string& name) {
    const auto* tensor = file.find_tensor(name);
    if (!tensor) return nullptr;
    // Tied embeddings are found twice, and loaded once.
    if (used.insert(name).second) loaded_bytes += tensor->bytes.size();
    return tensor;
  }
  const TensorView& get(const std::string& name) {
    if (const auto* tensor = find(name)) return *tensor;
    return file.tensor(name);  // throws, naming it
  }
  void report() const {
    if (on_progress) {
      on_progress(static_cast<float>(loaded_bytes) / static_cast<float>(file.total_bytes()));
    }
  }

  std::unique_ptr<Matrix> matrix(const std::string& name, size_t rows, size_t columns,
                                 size_t depth = 1) {
    const auto& tensor = get(name);
    if (tensor.shape != std::array<uint64_t, 4>{columns, rows, depth, 1}) {
      fail_shape(tensor, std::to_string(columns) + " x " + std::to_string(rows) +
                             (depth > 1 ? " x " + std::to_string(depth) : ""));
    }
    auto loaded = backend.load_matrix(file, tensor);
    report();
    return loaded;
  }
  std::unique_ptr<Vector> optional_vector(const std::string& name, size_t size) {
    const auto* tensor = find(name);
    if (!tensor) return nullptr;
    if (tensor->shape != std::array<uint64_t, 4>{size, 1, 1, 1}) {
      fail_shape(*tensor, std::to_string(size));
    }
    return backend.load_vector(file, *tensor);
  }
  std::unique_ptr<Vector> vector(const std::string& name, size_t size) {
    auto loaded = optional_vector(name, size);
    if (!loaded) get(name);  // throws, naming it
    return loaded;
  }
  Norm norm(const std::string& name, size_t size) {
    return {vector(name + ".weight", size), optional_vector(name + ".bias", size)};
  }
  /// Rows of a matrix whose height is the file's to choose, such as the feed-forward's.
  size_t rows_of(const std::string& name) const {
    const auto& tensor = file.tensor(name);
    if (tensor.shape[1] > (1u << 24)) fail_shape(tensor, "fewer than 16777216 rows");
    return tensor.shape[1];
  }

  void attention(const DecoderSpec& spec, const std::string& prefix, Layer& layer) {
    const size_t width = spec.embedding_length;
    const size_t queries = size_t{spec.heads} * spec.key_length;
    const size_t keys = size_t{spec.kv_heads} * spec.key_length;
    const size_t values = size_t{spec.kv_heads} * spec.value_length;
    layer.attention_norm = norm(prefix + "attn_norm", width);
    if (spec.fused_qkv) {
      layer.qkv = matrix(prefix + "attn_qkv.weight", queries + keys + values, width);
      layer.qkv_bias = optional_vector(prefix + "attn_qkv.bias", queries + keys + values);
    } else {
      layer.query = matrix(prefix + "attn_q.weight", queries, width);
      layer.key = matrix(prefix + "attn_k.weight", keys, width);
      layer.value = matrix(prefix + "attn_v.weight", values, width);
      layer.query_bias = optional_vector(prefix + "attn_q.bias", queries);
      layer.key_bias = optional_vector(prefix + "attn_k.bias", keys);
      layer.value_bias = optional_vector(prefix + "attn_v.bias", values);
    }
    if (spec.qk_norm) {
      layer.query_norm = vector(prefix + "attn_q_norm.weight", spec.key_length);
      layer.key_norm = vector(prefix + "attn_k_norm.weight", spec.key_length);
    }
    layer.attention_out =
        matrix(prefix + "attn_output.weight", width, size_t{spec.heads} * spec.value_length);
    layer.attention_out_bias = optional_vector(prefix + "attn_output.bias", width);
    if (spec.post_norms) layer.attention_post_norm = norm(prefix + "post_attention_norm", width);
  }

  void feed_forward(const DecoderSpec& spec, const std::string& prefix, Layer& layer) {
    const size_t width = spec.embedding_length;
    if (!spec.parallel_blocks) layer.feed_forward_norm = norm(prefix + "ffn_norm", width);
    if (spec.post_norms) layer.feed_forward_post_norm = norm(prefix + "post_ffw_norm", width);
    if (spec.moe.experts > 0) {
      const size_t experts = spec.moe.experts;
      const size_t hidden = rows_of(prefix + "ffn_up_exps.weight");
      layer.router = matrix(prefix + "ffn_gate_inp.weight", experts, width);
      layer.gate = matrix(prefix + "ffn_gate_exps.weight", hidden, width, experts);
      layer.up = matrix(prefix + "ffn_up_exps.weight", hidden, width, experts);
      layer.down = matrix(prefix + "ffn_down_exps.weight", width, hidden, experts);
      return;
    }
    const size_t up_rows = rows_of(prefix + "ffn_up.weight");
    if (spec.fused_gate_up && up_rows % 2 != 0) {
      fail_shape(file.tensor(prefix + "ffn_up.weight"), "an even number of rows");
    }
    const size_t hidden = spec.fused_gate_up ? up_rows / 2 : up_rows;
    layer.up = matrix(prefix + "ffn_up.weight", up_rows, width);
    layer.up_bias = optional_vector(prefix + "ffn_up.bias", up_rows);
    if (spec.gated && !spec.fused_gate_up) {
      layer.gate = matrix(prefix + "ffn_gate.weight", hidden, width);
      layer.gate_bias = optional_vector(prefix + "ffn_gate.bias", hidden);
    }
    layer.down = matrix(prefix + "ffn_down.weight", width, hidden);
    layer.down_bias = optional_vector(prefix + "ffn_down.bias", width);
  }

  /// Refuses tensors that nothing above has asked for.
  void check_all_used(const DecoderSpec& spec) const {
    for (const auto& tensor : file.tensors()) {
      if (used.contains(tensor.name)) continue;
      // Rotation factors that this run does not use, and precomputed frequencies of early files.
      if (tensor.name.starts_with("rope_f") || tensor.name.ends_with(".rotary_emb.inv_freq") ||
          tensor.name.ends_with("attn_rot_embd.weight")) {
        continue;
      }
      throw Error(ErrorCode::kUnsupported,
                  file.path() + ": tensor '" + std::string(tensor.name) +
                      "' is not part of the family '" + spec.family +
                      "' as this version knows it; a newer version may run this model");
    }
  }
};

Decoder::Decoder(const ModelFile& file, const DecoderSpec& spec, Backend& backend,
                 const std::function<void(float)>& on_progress)
    : spec_(spec), backend_(backend) {
  Loader loader{file, backend, on_progress, {}, 0};
  const size_t width = spec.embedding_length;
  const auto& embeddings = loader.get("token_embd.weight");
  if (embeddings.shape != std::array<uint64_t, 4>{width, spec.vocab_size, 1, 1}) {
    loader.fail_shape(embeddings, std::to_string(width) + " x " + std::to_string(spec.vocab_size));
  }
  const bool is_tied = file.find_tensor("output.weight") == nullptr;
  head_ = loader.matrix(is_tied ? "token_embd.weight" : "output.weight", spec.vocab_size, width);
  head_bias_ = loader.optional_vector("output.bias", spec.vocab_size);
  embeddings_ = backend.load_embeddings(file, embeddings, is_tied ? head_.get() : nullptr);
  output_norm_ = loader.norm("output_norm", width);

  size_t hidden = 0;
  size_t up_rows = 0;
  for (uint32_t i = 0; i < spec.layers; ++i) {
    auto layer = std::make_unique<Layer>();
    const std::string prefix = "blk." + std::to_string(i) + ".";
    loader.attention(spec, prefix, *layer);
    loader.feed_forward(spec, prefix, *layer);
    hidden = std::max(hidden, layer->down->columns);
    up_rows = std::max(up_rows, layer->up->rows);
    if (hidden != layer->down->columns) {
      throw Error(ErrorCode::kUnsupported,
                  file.path() +
                      ": feed-forward lengths differ between layers, which this version "
                      "cannot run");
    }
    layers_.push_back(std::move(layer));
  }
  loader.check_all_used(spec);

  const size_t queries = size_t{spec.heads} * spec.key_length;
  const size_t keys = size_t{spec.kv_heads} * spec.key_length;
  const size_t values = size_t{spec.kv_heads} * spec.value_length;
  residual_ = backend.create_buffer(width);
  normed_ = backend.create_buffer(width);
  attended_ = backend.create_buffer(size_t{spec.heads} * spec.value_length);
  if (spec.fused_qkv) {
    qkv_ = backend.create_buffer(queries + keys + values);
  } else {
    query_ = backend.create_buffer(queries);
    key_ = backend.create_buffer(keys);
    value_ = backend.create_buffer(values);
  }
  // Queries are not needed any more when attention's output is projected: 4 MiB less of a 1B model.
  if (!query_ || query_->columns != width) own_projected_ = backend.create_buffer(width);
  projected_ = own_projected_ ? own_projected_.get() : query_.get();
  if (spec.moe.experts == 0) {
    up_ = backend.create_buffer(up_rows);
    // In place, unless `up` holds the gate too: 16 MiB less.
    if (spec.fused_gate_up) own_hidden_ = backend.create_buffer(hidden);
    hidden_ = own_hidden_ ? own_hidden_.get() : up_.get();
    if (spec.gated && !spec.fused_gate_up) gate_ = backend.create_buffer(hidden);
  } else {
    backend.prepare_experts(width, hidden, spec.moe);
  }
}

Decoder::~Decoder() = default;

void Decoder::run_attention(uint32_t index, const Layer& layer) {
  AttentionOp op;
  op.layer = index;
  op.query_norm = layer.query_norm.get();
  op.key_norm = layer.key_norm.get();
  op.windowed = spec_.is_windowed(index);
  op.out = attended_.get();
  const size_t queries = size_t{spec_.heads} * spec_.key_length;
  const size_t keys = size_t{spec_.kv_heads} * spec_.key_length;
  const size_t values = size_t{spec_.kv_heads} * spec_.value_length;
  if (spec_.fused_qkv) {
    const Projection all[] = {{layer.qkv.get(), layer.qkv_bias.get(), qkv_.get()}};
    backend_.project(*normed_, all);
    op.query = {qkv_.get(), 0, queries};
    op.key = {qkv_.get(), queries, keys};
    op.value = {qkv_.get(), queries + keys, values};
  } else {
    const Projection all[] = {{layer.query.get(), layer.query_bias.get(), query_.get()},
                              {layer.key.get(), layer.key_bias.get(), key_.get()},
                              {layer.value.get(), layer.value_bias.get(), value_.get()}};
    backend_.project(*normed_, all);
    op.query = {query_.get(), 0, queries};
    op.key = {key_.get(), 0, keys};
    op.value = {value_.get(), 0, values};
  }
  backend_.attend(op);
}

/// Reads normed_, writes projected_.
void Decoder::run_feed_forward(const Layer& layer) {
  if (layer.router) {
    backend_.run_experts(*normed_,
                         {layer.router.get(), layer.gate.get(), layer.up.get(), layer.down.get(),
                          spec_.activation, spec_.moe},
                         *projected_);
    return;
  }
  const size_t hidden = hidden_->columns;
  if (layer.gate) {
    const Projection both[] = {{layer.gate.get(), layer.gate_bias.get(), gate_.get()},
                               {layer.up.get(), layer.up_bias.get(), up_.get()}};
    backend_.project(*normed_, both);
    backend_.activate(spec_.activation, {gate_.get(), 0, hidden}, {up_.get(), 0, hidden}, *hidden_);
  } else {
    const Projection one[] = {{layer.up.get(), layer.up_bias.get(), up_.get()}};
    backend_.project(*normed_, one);
    const BufferSlice gate =
        spec_.fused_gate_up ? BufferSlice{up_.get(), 0, hidden} : BufferSlice{};
    backend_.activate(spec_.activation, gate, {up_.get(), spec_.fused_gate_up ? hidden : 0, hidden},
                      *hidden_);
  }
  const Projection down[] = {{layer.down.get(), layer.down_bias.get(), projected_}};
  backend_.project(*hidden_, down);
}

void Decoder::run_layer(uint32_t index, bool is_last) {
  const Layer& layer = *layers_[index];
  backend_.norm(*residual_, layer.attention_norm, *normed_);
  run_attention(index, layer);
  if (is_last) {  // from here on only rows matter whose logits are wanted
    Buffer* const kept[] = {attended_.get(), residual_.get(), normed_.get()};
    backend_.keep_logits_rows(kept);
  }
  const Projection out[] = {
      {layer.attention_out.get(), layer.attention_out_bias.get(), projected_}};
  backend_.project(*attended_, out);
  if (spec_.post_norms) backend_.norm(*projected_, layer.attention_post_norm, *projected_);
  backend_.add(*projected_, *residual_);
  if (!spec_.parallel_blocks) backend_.norm(*residual_, layer.feed_forward_norm, *normed_);
  run_feed_forward(layer);
  if (spec_.post_norms) backend_.norm(*projected_, layer.feed_forward_post_norm, *projected_);
  backend_.add(*projected_, *residual_);
}

std::span<float> Decoder::run(const Step& step) {
  backend_.begin(step);
  backend_.embed(*embeddings_, spec_.embedding_scale, *residual_);
  for (uint32_t index = 0; index < spec_.layers; ++index) {
    run_layer(index, index + 1 == spec_.layers);
  }
  if (step.logits_rows.empty()) return {};
  backend_.norm(*residual_, output_norm_, *normed_);
  return backend_.logits(*normed_, *head_, head_bias_.get(), spec_.logit_softcap);
}

}  // namespace omg
