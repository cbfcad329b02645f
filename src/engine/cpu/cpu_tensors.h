// SPDX-License-Identifier: Apache-2.0
//
// What the backend's opaque tensors are on the CPU, and the way back from the interface to them.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "engine/graph/backend.h"
#include "engine/kernels/matmul.h"
#include "engine/profile.h"

namespace omg {

struct CpuMatrix : Matrix {
  CpuMatrix(size_t row_count, size_t column_count, std::vector<PackedMatrix> packed_slices,
            Operation profiled_as)
      : Matrix(row_count, column_count, packed_slices.size()),
        slices(std::move(packed_slices)),
        operation(profiled_as) {}
  const std::vector<PackedMatrix> slices;  // one, or one an expert
  const Operation operation;
};

struct CpuVector : Vector {
  explicit CpuVector(std::vector<float> floats)
      : Vector(floats.size()), values(std::move(floats)) {}
  const std::vector<float> values;
};

struct CpuBuffer : Buffer {
  CpuBuffer(size_t max_tokens, size_t column_count)
      : Buffer(column_count), activations(max_tokens, column_count) {}
  Activations activations;
};

struct CpuEmbeddings : EmbeddingTable {
  CpuEmbeddings(const TensorView& source_tensor, const PackedMatrix* packed_head)
      : tensor(source_tensor), head(packed_head) {}
  const TensorView tensor;
  const PackedMatrix* const head;  // null: rows come from the tensor
};

// The decoder hands a backend only what that backend made.
inline const CpuMatrix& cpu(const Matrix& matrix) {
  return static_cast<const CpuMatrix&>(matrix);
}
inline CpuBuffer& cpu(Buffer& buffer) {
  return static_cast<CpuBuffer&>(buffer);
}
inline const CpuBuffer& cpu(const Buffer& buffer) {
  return static_cast<const CpuBuffer&>(buffer);
}
inline const CpuEmbeddings& cpu(const EmbeddingTable& table) {
  return static_cast<const CpuEmbeddings&>(table);
}
inline const float* data(const Vector* vector) {
  return vector ? static_cast<const CpuVector*>(vector)->values.data() : nullptr;
}

}  // namespace omg
