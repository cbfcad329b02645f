// SPDX-License-Identifier: Apache-2.0
//
// Look-up in a model's list of tensors.
#include "formats/model_file.h"

#include <cassert>

#include "base/error.h"

namespace omg {

ModelFile::ModelFile(std::vector<MappedFile> files, Metadata metadata,
                     std::vector<TensorView> tensors)
    : files_(std::move(files)), metadata_(std::move(metadata)), tensors_(std::move(tensors)) {
  assert(!files_.empty());
  index_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    [[maybe_unused]] const bool is_new = index_.emplace(tensors_[i].name, i).second;
    assert(is_new);
    assert(tensors_[i].file_index < files_.size());
  }
}

const TensorView* ModelFile::find_tensor(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorView& ModelFile::tensor(std::string_view name) const {
  const TensorView* found = find_tensor(name);
  if (!found) {
    throw Error(ErrorCode::kCorrupt, "cannot load " + path() + ": tensor '" + std::string(name) +
                                         "' is missing; the file is incomplete or of another "
                                         "architecture than it says");
  }
  return *found;
}

uint64_t ModelFile::parameter_count() const {
  uint64_t count = 0;
  for (const auto& tensor : tensors_) count += tensor.elements();
  return count;
}

uint64_t ModelFile::total_bytes() const {
  uint64_t bytes = 0;
  for (const auto& tensor : tensors_) bytes += tensor.bytes.size();
  return bytes;
}

void ModelFile::release(const TensorView& tensor) const {
  files_[tensor.file_index].release(tensor.bytes);
}

}  // namespace omg
