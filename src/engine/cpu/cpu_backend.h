// SPDX-License-Identifier: Apache-2.0
//
// The CPU as a backend: packed weights, a paged KV cache in memory that is touched only as it
// fills, and one thread pool.
#pragma once

#include <memory>
#include <vector>

#include "engine/cpu/profiler.h"
#include "engine/cpu/thread_pool.h"
#include "engine/engine.h"
#include "engine/graph/backend.h"
#include "engine/graph/rope.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/vector.h"

namespace omg {

/// Panels that a worker takes at least: kernels take two at once.
inline constexpr size_t kPanelGrain = 2;

struct CpuBackendOptions {
  Isa isa = Isa::kScalar;
  uint32_t threads = 0;
  uint32_t max_batch_tokens = 512;
  uint32_t kv_blocks = 0;
  KvType kv_type = KvType::kF16;
  ActivationType activations = ActivationType::kInt8;
  bool profile = false;
};

// What parts of the backend take, for those who plan memory.
uint64_t kv_bytes_per_block(const DecoderSpec& spec, KvType type);
uint64_t cpu_buffer_bytes(uint32_t max_batch_tokens, size_t columns);
uint64_t cpu_attention_bytes(const DecoderSpec& spec, uint32_t threads);

class CpuBackend : public Backend {
 public:
  CpuBackend(const DecoderSpec& spec, const CpuBackendOptions& options);
  ~CpuBackend() override;

  std::unique_ptr<Matrix> load_matrix(const ModelFile& file, const TensorView& tensor) override;
  std::unique_ptr<Vector> load_vector(const ModelFile& file, const TensorView& tensor) override;
  std::unique_ptr<EmbeddingTable> load_embeddings(const ModelFile& file, const TensorView& tensor,
                                                  const Matrix* head) override;
  std::unique_ptr<Buffer> create_buffer(size_t columns) override;
  void prepare_experts(size_t width, size_t hidden, const MoeSpec& moe) override;
  /// What prepare_experts() takes.
  static uint64_t experts_bytes(uint32_t max_batch_tokens, size_t width, size_t hidden,
                                const MoeSpec& moe);
  /// Frequency divisors are vectors of the model: set once they are loaded.
  void set_rope_divisors(std::span<const float> divisors);
  uint64_t weights_bytes() const override { return weights_bytes_; }
  uint64_t scratch_bytes() const override { return scratch_bytes_; }
  uint32_t threads() const { return static_cast<uint32_t>(pool_.worker_count()); }
  /// Work that is not the model's, on the same threads.
  void run_beside(size_t count, const std::function<void(size_t)>& body) { for_rows(count, body); }
  /// Bytes that one step of one token in each of `sequences` sequences must read, each of which
  /// holds `length` tokens: weights once, and all caches. Of experts, those that rows which choose
  /// at random would choose.
  double generation_step_bytes(uint32_t sequences, uint32_t length) const;
  /// Measures what the threads can read from memory at most, in bytes per second.
  double measure_read_bandwidth();
  /// Null unless the options ask for a profile.
  const Profile* profile() const { return profiler_ ? &profiler_->profile() : nullptr; }

  void copy_kv_block(uint32_t from, uint32_t to) override;
  size_t kv_block_bytes() const override;
  void read_kv_block(uint32_t block, std::span<std::byte> bytes) const override;
  void write_kv_block(uint32_t block, std::span<const std::byte> bytes) override;
  void begin(const Step& step) override;
  void embed(const EmbeddingTable& table, float scale, Buffer& out) override;
  void norm(const Buffer& in, const Norm& norm, Buffer& out) override;
  void project(const Buffer& in, std::span<const Projection> projections) override;
  void attend(const AttentionOp& op) override;
  void activate(Activation activation, BufferSlice gate, BufferSlice up, Buffer& out) override;
  void run_experts(const Buffer& in, const ExpertsOp& op, Buffer& out) override;
  void add(const Buffer& in, Buffer& inout) override;
  void keep_logits_rows(std::span<Buffer* const> buffers) override;
  std::span<float> logits(const Buffer& in, const Matrix& head, const Vector* bias,
                          float softcap) override;

 private:
  struct RopeTable;
  struct Routing;
  struct ExpertScratch;
  ActivationForm form(const PackedMatrix& matrix) const;
  void quantize(const ActivationsView& x);
  void add_bias(const Vector* bias, float* out, size_t stride, size_t tokens, size_t row_begin,
                size_t row_end) const;
  void rotate(const AttentionOp& op);
  void append(const AttentionOp& op);
  void attend_parts(const AttentionOp& op);
  struct AttentionUnit;
  std::vector<AttentionUnit> attention_units(uint32_t window) const;
  std::vector<AttentionUnit> split_units(std::vector<AttentionUnit>& whole) const;
  size_t part_stride(const AttentionUnit& unit) const;
  AttentionTile attention_tile(const AttentionOp& op, const AttentionUnit& unit,
                               size_t worker) const;
  Routing route(const ActivationsView& x, const ExpertsOp& op);
  void multiply_experts(const Matrix& stack, const ActivationsView& x, const Routing& routing,
                        const ActivationsView& out);
  std::byte* key_block(uint32_t layer, uint32_t head) const;
  std::byte* value_block(uint32_t layer, uint32_t head) const;
  /// Runs body(row) for all rows, split over the pool.
  template <class Body>
  void for_rows(size_t rows, const Body& body) {
    pool_.run(rows, 1, [&](size_t begin, size_t end, size_t) {
      for (size_t row = begin; row < end; ++row) body(row);
    });
  }

  const DecoderSpec spec_;
  const CpuBackendOptions options_;
  const MatmulKernels& matmul_;
  const VectorKernels& vector_;
  ThreadPool pool_;
  std::unique_ptr<Profiler> profiler_;
  Arena weights_;  // of the decoder's matrices, which go before the backend
  uint64_t weights_bytes_ = 0;
  uint64_t expert_bytes_ = 0;  // of the weights, those of all experts
  uint64_t lookup_bytes_ = 0;  // and those that a step reads a row of
  uint64_t scratch_bytes_ = 0;

  // KV cache: per layer [block][head][a block of one head], keys and values apart.
  std::vector<AlignedBytes> keys_, values_;
  size_t key_head_bytes_ = 0;
  size_t value_head_bytes_ = 0;

  const Step* step_ = nullptr;
  size_t rows_ = 0;  // of this step; fewer after keep_logits_rows()
  std::vector<uint32_t> positions_;
  std::unique_ptr<RopeTable> rope_, windowed_rope_;
  std::vector<AlignedBytes> attention_scratch_;  // one a worker
  AlignedBytes attention_parts_;                 // of units that are split into segments
  std::unique_ptr<ExpertScratch> experts_;
  AlignedBytes logits_;
};

}  // namespace omg
