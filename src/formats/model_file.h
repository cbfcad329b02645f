// SPDX-License-Identifier: Apache-2.0
//
// What every model format becomes: metadata and tensors as bounded views into mapped files. Nothing
// past this point knows which format the bytes came in.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "formats/metadata.h"
#include "formats/weight_type.h"

namespace omg {

/// A tensor's place in a mapped file. `shape` is in the file's order: shape[0] is the length of a
/// row (contiguous), shape[1] the number of rows, shape[2] of matrices; unused ones are 1.
/// bytes.size() is exactly what type and shape say. The data may be unaligned to its element type's
/// alignment only if the file says so; readers use memcpy-safe access.
struct TensorView {
  std::string_view name;
  WeightType type = WeightType::kF32;
  uint32_t rank = 1;
  std::array<uint64_t, 4> shape = {1, 1, 1, 1};
  std::span<const std::byte> bytes;
  uint32_t file_index = 0;  // which of a split model's files

  uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  uint64_t rows() const { return shape[1] * shape[2] * shape[3]; }
};

/// Owns the mapped files, the metadata and the list of tensors. Movable; views stay valid on move.
/// Immutable after construction, so safe to read from many threads.
class ModelFile {
 public:
  /// `tensors` have unique names and views into `files`; the readers guarantee it.
  ModelFile(std::vector<MappedFile> files, Metadata metadata, std::vector<TensorView> tensors);

  const std::string& path() const { return files_.front().path(); }
  std::span<const MappedFile> files() const { return files_; }
  const Metadata& metadata() const { return metadata_; }
  std::span<const TensorView> tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const TensorView* find_tensor(std::string_view name) const;
  /// Error(kCorrupt) naming file and tensor when there is none.
  const TensorView& tensor(std::string_view name) const;
  uint64_t parameter_count() const;
  uint64_t total_bytes() const;
  /// Drops a tensor's pages from the resident set; see MappedFile::release.
  void release(const TensorView& tensor) const;

 private:
  std::vector<MappedFile> files_;
  Metadata metadata_;
  std::vector<TensorView> tensors_;
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace omg
