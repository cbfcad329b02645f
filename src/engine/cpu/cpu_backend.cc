// SPDX-License-Identifier: Apache-2.0
//
// Loading, and the operations that work row by row or are one matrix product.
#include "engine/cpu/cpu_backend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "engine/cpu/cpu_experts.h"
#include "engine/cpu/cpu_rope_table.h"
#include "engine/cpu/cpu_tensors.h"
#include "engine/cpu/cpu_work.h"
#include "engine/cpu/machine_limits.h"
#include "formats/quant/dequantize.h"

namespace omg {
namespace {

/// One token of 8 key-value heads of 64 with 4 queries each at a depth of 200,000; what does not
/// fit is not split.
constexpr size_t kAttentionPartsBytes = size_t{4} << 20;

std::vector<float> to_floats(const TensorView& tensor) {
  std::vector<float> values(tensor.elements());
  dequantize(tensor.type, tensor.bytes, values);
  return values;
}

}  // namespace

CpuBackend::CpuBackend(const DecoderSpec& spec, const CpuBackendOptions& options)
    : spec_(spec),
      options_(options),
      matmul_(matmul_kernels(options.isa)),
      vector_(vector_kernels(options.isa)),
      pool_(options.threads) {
  if (options.profile) {
    profiler_ = std::make_unique<Profiler>(measure_machine_limits(options.isa, pool_));
  }
  key_head_bytes_ = kv_key_block_bytes(options.kv_type, spec.key_length);
  value_head_bytes_ = kv_value_block_bytes(options.kv_type, spec.value_length);
  for (uint32_t layer = 0; layer < spec.layers; ++layer) {
    keys_.emplace_back(options.kv_blocks * spec.kv_heads * key_head_bytes_);
    values_.emplace_back(options.kv_blocks * spec.kv_heads * value_head_bytes_);
  }
  const size_t floats = attention_scratch_floats(spec.key_length, spec.value_length);
  for (size_t worker = 0; worker < pool_.worker_count(); ++worker) {
    attention_scratch_.emplace_back(floats * sizeof(float));
  }
  if (pool_.worker_count() > 1) attention_parts_ = AlignedBytes(kAttentionPartsBytes);
  scratch_bytes_ = cpu_attention_bytes(spec, static_cast<uint32_t>(pool_.worker_count()));
  positions_.reserve(options.max_batch_tokens);
  set_rope_divisors({});
}

CpuBackend::~CpuBackend() = default;

void CpuBackend::set_rope_divisors(std::span<const float> divisors) {
  const size_t tokens = options_.max_batch_tokens;
  rope_ = std::make_unique<RopeTable>(spec_.rope, divisors, tokens);
  if (!spec_.windowed_layers.empty()) {
    windowed_rope_ =
        std::make_unique<RopeTable>(spec_.windowed_rope, std::span<const float>{}, tokens);
  }
}

uint64_t kv_bytes_per_block(const DecoderSpec& spec, KvType type) {
  return uint64_t{spec.layers} * spec.kv_heads *
         (kv_key_block_bytes(type, spec.key_length) +
          kv_value_block_bytes(type, spec.value_length));
}

/// Floats, and codes of the quantised form where a product reads it.
uint64_t cpu_buffer_bytes(uint32_t max_batch_tokens, size_t columns) {
  return uint64_t{max_batch_tokens} * columns * (sizeof(float) + 1);
}

uint64_t cpu_attention_bytes(const DecoderSpec& spec, uint32_t threads) {
  const size_t floats = attention_scratch_floats(spec.key_length, spec.value_length);
  return uint64_t{threads} * floats * sizeof(float) + (threads > 1 ? kAttentionPartsBytes : 0);
}

std::unique_ptr<Matrix> CpuBackend::load_matrix(const ModelFile& file, const TensorView& tensor) {
  const size_t columns = tensor.shape[0];
  const size_t rows = tensor.shape[1];
  const size_t slices = tensor.shape[2];
  const size_t slice_bytes = tensor.bytes.size() / slices;
  std::vector<PackedMatrix> packed;
  for (size_t i = 0; i < slices; ++i) {
    const auto bytes = tensor.bytes.subspan(i * slice_bytes, slice_bytes);
    packed.push_back(pack_matrix(tensor.type, bytes, rows, columns, weights_, pool_));
    weights_bytes_ += packed.back().data.size();
    if (slices > 1) expert_bytes_ += packed.back().data.size();
  }
  file.release(tensor);
  return std::make_unique<CpuMatrix>(rows, columns, std::move(packed),
                                     operation_of_tensor(tensor.name));
}

std::unique_ptr<Vector> CpuBackend::load_vector(const ModelFile&, const TensorView& tensor) {
  auto vector = std::make_unique<CpuVector>(to_floats(tensor));
  weights_bytes_ += vector->size * sizeof(float);
  return vector;
}

double CpuBackend::generation_step_bytes(uint32_t sequences, uint32_t length) const {
  double bytes = double(weights_bytes_ - expert_bytes_ - lookup_bytes_);
  if (expert_bytes_ > 0) {
    const double idle = 1.0 - double(spec_.moe.experts_used) / double(spec_.moe.experts);
    bytes += double(expert_bytes_) * (1.0 - std::pow(idle, sequences));
  }
  for (uint32_t layer = 0; layer < spec_.layers; ++layer) {
    const uint32_t seen = spec_.is_windowed(layer) ? std::min(length, spec_.window) : length;
    bytes += double(sequences) * seen * spec_.kv_heads *
             double(key_head_bytes_ + value_head_bytes_) / kKvTile;
  }
  return bytes;
}

double CpuBackend::measure_read_bandwidth() {
  return omg::measure_read_bandwidth(pool_);
}

std::unique_ptr<EmbeddingTable> CpuBackend::load_embeddings(const ModelFile&,
                                                            const TensorView& tensor,
                                                            const Matrix* head) {
  if (!head) {
    weights_bytes_ += tensor.bytes.size();
    lookup_bytes_ += tensor.bytes.size();
  }
  return std::make_unique<CpuEmbeddings>(tensor, head ? &cpu(*head).slices.front() : nullptr);
}

std::unique_ptr<Buffer> CpuBackend::create_buffer(size_t columns) {
  scratch_bytes_ += cpu_buffer_bytes(options_.max_batch_tokens, columns);
  return std::make_unique<CpuBuffer>(options_.max_batch_tokens, columns);
}

void CpuBackend::begin(const Step& step) {
  assert(step.tokens.size() <= options_.max_batch_tokens);
  step_ = &step;
  rows_ = step.tokens.size();
  positions_.clear();
  for (const auto& part : step.parts) {
    for (uint32_t i = 0; i < part.tokens; ++i) positions_.push_back(part.first_position + i);
  }
  if (profiler_) {
    const auto is_long = [](const StepPart& part) { return part.tokens > 1; };
    profiler_->begin_step(std::any_of(step.parts.begin(), step.parts.end(), is_long), rows_);
  }
  const Timed timed(profiler_.get(), Operation::kRope,
                    [&] { return row_work(rows_, spec_.rope.dimensions, 1, 0); });
  for_rows(rows_, [&](size_t row) {
    rope_->fill(row, positions_[row]);
    if (windowed_rope_) windowed_rope_->fill(row, positions_[row]);
  });
}

void CpuBackend::embed(const EmbeddingTable& table, float scale, Buffer& out) {
  const auto& source = cpu(table);
  auto& x = cpu(out).activations;
  x.reshape(rows_, out.columns);
  const Timed timed(profiler_.get(), Operation::kEmbed,
                    [&] { return row_work(rows_, out.columns, 1, 0); });
  const size_t row_size = source.tensor.bytes.size() / source.tensor.shape[1];
  for_rows(rows_, [&](size_t row) {
    const auto token = static_cast<size_t>(step_->tokens[row]);
    const std::span<float> values(x.row(row), out.columns);
    if (source.head) {
      unpack_row(*source.head, token, values);
    } else {
      dequantize(source.tensor.type, source.tensor.bytes.subspan(token * row_size, row_size),
                 values);
    }
    if (scale != 1.0f) vector_.scale(scale, values.size(), values.data());
  });
}

void CpuBackend::norm(const Buffer& in, const Norm& norm, Buffer& out) {
  const auto& x = cpu(in).activations;
  auto& y = cpu(out).activations;
  y.reshape(rows_, out.columns);
  const Timed timed(profiler_.get(), Operation::kNorm,
                    [&] { return row_work(rows_, out.columns, 2, 4); });
  const float* weight = data(norm.weight.get());
  const float* bias = data(norm.bias.get());
  for_rows(rows_, [&](size_t row) {
    if (spec_.norm == NormKind::kRms) {
      vector_.rms_norm(x.row(row), weight, spec_.norm_epsilon, in.columns, y.row(row));
      if (bias) vector_.add(bias, in.columns, y.row(row));
    } else {
      vector_.layer_norm(x.row(row), weight, bias, spec_.norm_epsilon, in.columns, y.row(row));
    }
  });
}

ActivationForm CpuBackend::form(const PackedMatrix& matrix) const {
  if (options_.activations == ActivationType::kF32) return ActivationForm::kFloat;
  return preferred_form(matrix.type);
}

void CpuBackend::quantize(const ActivationsView& x) {
  const Timed timed(profiler_.get(), Operation::kQuantize,
                    [&] { return row_work(x.tokens, x.columns, 1.5, 4); });
  pool_.run(x.tokens, x.tokens < kTileTokens ? 1 : kTileTokens,
            [&](size_t begin, size_t end, size_t) { matmul_.quantize_activations(x, begin, end); });
}

void CpuBackend::add_bias(const Vector* bias, float* out, size_t stride, size_t tokens,
                          size_t row_begin, size_t row_end) const {
  if (!bias) return;
  for (size_t token = 0; token < tokens; ++token) {
    vector_.add(data(bias) + row_begin, row_end - row_begin, out + token * stride + row_begin);
  }
}

void CpuBackend::project(const Buffer& in, std::span<const Projection> projections) {
  const auto& x = cpu(in).activations;
  if (rows_ == 0) return;
  bool wants_int8 = false;
  size_t panels = 0;
  for (const auto& projection : projections) {
    const auto& packed = cpu(*projection.matrix).slices.front();
    wants_int8 |= form(packed) == ActivationForm::kInt8;
    panels += packed.panels();
    cpu(*projection.out).activations.reshape(rows_, projection.out->columns);
  }
  if (wants_int8) quantize(x);
  const Timed timed(profiler_.get(), cpu(*projections.front().matrix).operation, [&] {
    Work work;
    for (const auto& projection : projections) {
      const auto& packed = cpu(*projection.matrix).slices.front();
      work += matmul_work(packed, rows_, form(packed));
    }
    return work;
  });
  pool_.run(panels, kPanelGrain, [&](size_t begin, size_t end, size_t) {
    size_t first = 0;  // of this projection among all panels
    for (const auto& projection : projections) {
      const auto& packed = cpu(*projection.matrix).slices.front();
      const size_t low = std::max(begin, first);
      const size_t high = std::min(end, first + packed.panels());
      if (low < high) {
        auto& out = cpu(*projection.out).activations;
        matmul_.matmul(packed, x, form(packed), out.floats, out.stride, low - first, high - first);
        add_bias(projection.bias, out.floats, out.stride, rows_, (low - first) * kPanelRows,
                 std::min((high - first) * kPanelRows, packed.rows));
      }
      first += packed.panels();
    }
  });
}

void CpuBackend::activate(Activation activation, BufferSlice gate, BufferSlice up, Buffer& out) {
  auto& y = cpu(out).activations;
  y.reshape(rows_, out.columns);
  const auto& ups = cpu(*up.buffer).activations;
  const Timed timed(profiler_.get(), Operation::kActivation,
                    [&] { return row_work(rows_, up.count, gate.buffer ? 3 : 2, 10); });
  const auto kernel = activation == Activation::kSilu ? vector_.silu_gate : vector_.gelu_gate;
  for_rows(rows_, [&](size_t row) {
    const float* up_row = ups.row(row) + up.begin;
    if (gate.buffer) {
      kernel(cpu(*gate.buffer).activations.row(row) + gate.begin, up_row, up.count, y.row(row));
    } else {
      kernel(up_row, nullptr, up.count, y.row(row));
    }
  });
}

void CpuBackend::add(const Buffer& in, Buffer& inout) {
  const auto& x = cpu(in).activations;
  auto& y = cpu(inout).activations;
  const Timed timed(profiler_.get(), Operation::kAdd,
                    [&] { return row_work(rows_, in.columns, 3, 1); });
  for_rows(rows_, [&](size_t row) { vector_.add(x.row(row), in.columns, y.row(row)); });
}

void CpuBackend::keep_logits_rows(std::span<Buffer* const> buffers) {
  const auto& kept = step_->logits_rows;
  for (Buffer* buffer : buffers) {
    auto& x = cpu(*buffer).activations;
    for (size_t i = 0; i < kept.size();
         ++i) {  // ascending: no row is overwritten before it is read
      if (kept[i] != i) std::memcpy(x.row(i), x.row(kept[i]), buffer->columns * sizeof(float));
    }
    x.reshape(kept.size(), buffer->columns);
  }
  rows_ = kept.size();
}

std::span<float> CpuBackend::logits(const Buffer& in, const Matrix& head, const Vector* bias,
                                    float softcap) {
  const auto& x = cpu(in).activations;
  const auto& packed = cpu(head).slices.front();
  const size_t bytes = rows_ * head.rows * sizeof(float);
  if (logits_.size() < bytes) logits_ = AlignedBytes(bytes);
  auto* out = reinterpret_cast<float*>(logits_.data());
  if (form(packed) == ActivationForm::kInt8) quantize(x);
  const Timed timed(profiler_.get(), Operation::kHead,
                    [&] { return matmul_work(packed, rows_, form(packed)); });
  pool_.run(packed.panels(), kPanelGrain, [&](size_t begin, size_t end, size_t) {
    matmul_.matmul(packed, x, form(packed), out, head.rows, begin, end);
    const size_t row_begin = begin * kPanelRows;
    const size_t row_end = std::min(end * kPanelRows, head.rows);
    add_bias(bias, out, head.rows, rows_, row_begin, row_end);
    for (size_t token = 0; softcap > 0 && token < rows_; ++token) {
      vector_.softcap(softcap, row_end - row_begin, out + token * head.rows + row_begin);
    }
  });
  return {out, rows_ * head.rows};
}

}  // namespace omg
