// SPDX-License-Identifier: Apache-2.0
//
// The decoder is built over a backend that only counts, so that a plan cannot differ from a load.
#include "engine/memory_plan.h"

#include <cassert>

#include "engine/cpu/cpu_backend.h"
#include "engine/cpu/thread_pool.h"
#include "engine/graph/arch/family.h"
#include "engine/graph/decoder.h"

namespace omg {
namespace {

class CountingBackend final : public Backend {
 public:
  explicit CountingBackend(uint32_t max_batch_tokens) : max_batch_tokens_(max_batch_tokens) {}

  std::unique_ptr<Matrix> load_matrix(const ModelFile&, const TensorView& tensor) override {
    weights_bytes_ += tensor.shape[2] * packed_bytes(tensor.type, tensor.shape[1], tensor.shape[0]);
    return std::make_unique<Matrix>(tensor.shape[1], tensor.shape[0], tensor.shape[2]);
  }
  std::unique_ptr<Vector> load_vector(const ModelFile&, const TensorView& tensor) override {
    weights_bytes_ += tensor.elements() * sizeof(float);
    return std::make_unique<Vector>(tensor.elements());
  }
  std::unique_ptr<EmbeddingTable> load_embeddings(const ModelFile&, const TensorView& tensor,
                                                  const Matrix* head) override {
    if (!head) weights_bytes_ += tensor.bytes.size();
    return std::make_unique<EmbeddingTable>();
  }
  std::unique_ptr<Buffer> create_buffer(size_t columns) override {
    scratch_bytes_ += cpu_buffer_bytes(max_batch_tokens_, columns);
    return std::make_unique<Buffer>(columns);
  }
  void prepare_experts(size_t width, size_t hidden, const MoeSpec& moe) override {
    scratch_bytes_ += CpuBackend::experts_bytes(max_batch_tokens_, width, hidden, moe);
  }
  uint64_t weights_bytes() const override { return weights_bytes_; }
  uint64_t scratch_bytes() const override { return scratch_bytes_; }

  // A plan makes no step.
  void copy_kv_block(uint32_t, uint32_t) override { assert(false); }
  size_t kv_block_bytes() const override { return 0; }
  void read_kv_block(uint32_t, std::span<std::byte>) const override { assert(false); }
  void write_kv_block(uint32_t, std::span<const std::byte>) override { assert(false); }
  void begin(const Step&) override { assert(false); }
  void embed(const EmbeddingTable&, float, Buffer&) override { assert(false); }
  void norm(const Buffer&, const Norm&, Buffer&) override { assert(false); }
  void project(const Buffer&, std::span<const Projection>) override { assert(false); }
  void attend(const AttentionOp&) override { assert(false); }
  void activate(Activation, BufferSlice, BufferSlice, Buffer&) override { assert(false); }
  void run_experts(const Buffer&, const ExpertsOp&, Buffer&) override { assert(false); }
  void add(const Buffer&, Buffer&) override { assert(false); }
  void keep_logits_rows(std::span<Buffer* const>) override { assert(false); }
  std::span<float> logits(const Buffer&, const Matrix&, const Vector*, float) override {
    assert(false);
    return {};
  }

 private:
  const uint32_t max_batch_tokens_;
  uint64_t weights_bytes_ = 0;
  uint64_t scratch_bytes_ = 0;
};

}  // namespace

MemoryPlan plan_memory(const ModelFile& file, const MemoryPlanOptions& options) {
  describe_model(file);  // refuses what cannot run
  const DecoderSpec spec = make_decoder_spec(file, 0);
  CountingBackend backend(options.max_batch_tokens);
  const Decoder decoder(file, spec, backend, nullptr);
  MemoryPlan plan;
  plan.weights_bytes = backend.weights_bytes();
  plan.kv_bytes_per_token = kv_bytes_per_block(spec, options.kv_type) / kKvTile;
  plan.kv_storage_bytes = kv_storage_memory(kv_bytes_per_block(spec, options.kv_type));
  plan.scratch_bytes =
      backend.scratch_bytes() +
      cpu_attention_bytes(spec, options.threads ? options.threads : usable_threads()) +
      uint64_t{options.max_sequences} * spec.vocab_size * sizeof(float);
  return plan;
}

}  // namespace omg
