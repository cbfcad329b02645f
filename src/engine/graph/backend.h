// SPDX-License-Identifier: Apache-2.0
//
// What a decoder asks of the device it runs on: fused operations over weights and activations that
// the device owns. The CPU is one implementation; others mirror it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/graph/decoder_spec.h"
#include "engine/kernels/vector.h"
#include "formats/model_file.h"

namespace omg {

/// A weight matrix [rows][columns], or a stack of such (experts), in the device's layout.
class Matrix {
 public:
  Matrix(size_t row_count, size_t column_count, size_t depth_count)
      : rows(row_count), columns(column_count), depth(depth_count) {}
  virtual ~Matrix() = default;
  const size_t rows;
  const size_t columns;
  const size_t depth;
};

/// A table of embeddings, read row by row.
class EmbeddingTable {
 public:
  virtual ~EmbeddingTable() = default;
};

/// A vector of floats: norm weights, biases, rope divisors.
class Vector {
 public:
  explicit Vector(size_t length) : size(length) {}
  virtual ~Vector() = default;
  const size_t size;
};

/// Activations [tokens of the step][columns].
class Buffer {
 public:
  explicit Buffer(size_t column_count) : columns(column_count) {}
  virtual ~Buffer() = default;
  const size_t columns;
};

/// Columns [begin, begin + count) of a buffer.
struct BufferSlice {
  Buffer* buffer = nullptr;
  size_t begin = 0;
  size_t count = 0;
};

/// One sequence's tokens in a step: rows [first_row, first_row + tokens) of every buffer.
struct StepPart {
  uint32_t first_row = 0;
  uint32_t tokens = 0;
  uint32_t first_position = 0;
  std::span<const uint32_t> blocks;  // of the KV cache, long enough for the new tokens
};

/// A ragged batch: what goes through the model at once.
struct Step {
  std::vector<int32_t> tokens;
  std::vector<StepPart> parts;
  std::vector<uint32_t> logits_rows;  // rows whose logits are wanted, ascending
};

struct Norm {
  std::unique_ptr<Vector> weight;
  std::unique_ptr<Vector> bias;  // null: none
};

/// out = matrix * in + bias
struct Projection {
  const Matrix* matrix = nullptr;
  const Vector* bias = nullptr;
  Buffer* out = nullptr;
};

struct AttentionOp {
  uint32_t layer = 0;
  BufferSlice query, key, value;
  const Vector* query_norm = nullptr;  // null: none
  const Vector* key_norm = nullptr;
  bool windowed = false;
  Buffer* out = nullptr;
};

struct ExpertsOp {
  const Matrix* router = nullptr;
  const Matrix* gate = nullptr;  // stacks, one matrix an expert
  const Matrix* up = nullptr;
  const Matrix* down = nullptr;
  Activation activation = Activation::kSilu;
  MoeSpec moe;
};

/// Not thread-safe. Operations run in the order in which they are called.
class Backend {
 public:
  virtual ~Backend() = default;

  // --- loading
  /// Packs a tensor. Its pages may be released afterwards.
  virtual std::unique_ptr<Matrix> load_matrix(const ModelFile& file, const TensorView& tensor) = 0;
  virtual std::unique_ptr<Vector> load_vector(const ModelFile& file, const TensorView& tensor) = 0;
  /// Rows are read from the mapped file. `head`: the packed form of the same tensor, if it is also
  /// the output head; then rows come from there and the file's pages are not needed.
  virtual std::unique_ptr<EmbeddingTable> load_embeddings(const ModelFile& file,
                                                          const TensorView& tensor,
                                                          const Matrix* head) = 0;
  virtual std::unique_ptr<Buffer> create_buffer(size_t columns) = 0;
  /// Sets aside what run_experts() works in: rows of `width` columns through experts whose hidden
  /// layer has `hidden`. All layers share it.
  virtual void prepare_experts(size_t width, size_t hidden, const MoeSpec& moe) = 0;
  virtual uint64_t weights_bytes() const = 0;
  virtual uint64_t scratch_bytes() const = 0;

  /// Copies all that a block of the KV cache holds, in all layers.
  virtual void copy_kv_block(uint32_t from, uint32_t to) = 0;
  /// The bytes of a block, as many as kv_block_bytes() says, and back. A block that no step uses
  /// may be written by another thread while one runs.
  virtual size_t kv_block_bytes() const = 0;
  virtual void read_kv_block(uint32_t block, std::span<std::byte> bytes) const = 0;
  virtual void write_kv_block(uint32_t block, std::span<const std::byte> bytes) = 0;

  // --- one step
  /// Fixes rows and positions for the operations that follow.
  virtual void begin(const Step& step) = 0;
  virtual void embed(const EmbeddingTable& table, float scale, Buffer& out) = 0;
  virtual void norm(const Buffer& in, const Norm& norm, Buffer& out) = 0;
  virtual void project(const Buffer& in, std::span<const Projection> projections) = 0;
  /// Norms and rotates queries and keys, appends keys and values to the cache, attends.
  virtual void attend(const AttentionOp& op) = 0;
  /// out = act(gate) * up, or act(up) when `gate` has no buffer. `out` may be all of `up`'s buffer.
  virtual void activate(Activation activation, BufferSlice gate, BufferSlice up, Buffer& out) = 0;
  virtual void run_experts(const Buffer& in, const ExpertsOp& op, Buffer& out) = 0;
  virtual void add(const Buffer& in, Buffer& inout) = 0;
  /// Keeps only the rows whose logits are wanted, in every one of `buffers`; the operations that
  /// follow see that many rows.
  virtual void keep_logits_rows(std::span<Buffer* const> buffers) = 0;
  /// Logits of all rows, [rows][head.rows], valid until the next step.
  virtual std::span<float> logits(const Buffer& in, const Matrix& head, const Vector* bias,
                                  float softcap) = 0;
};

}  // namespace omg
