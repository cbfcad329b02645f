// SPDX-License-Identifier: Apache-2.0
//
// Memory for vector loads, in pages as large as the system gives: bytes that stand alone, and an
// arena for what is read one after the other and goes away together.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace omg {

/// 64-byte aligned, its size a multiple of 64. Owns; movable.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  /// Not initialised. Error(kOutOfMemory) when the system has no more.
  explicit AlignedBytes(size_t size);
  std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

/// Memory for the matrices of a model. A matrix of its own allocation has huge pages only where it
/// fills them: most matrices of a small model are below 2 MiB and would have none. In an arena they
/// share them. One thread takes at a time.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  /// 64-byte aligned, not initialised, valid as long as the arena. Error(kOutOfMemory).
  std::span<std::byte> take(size_t size);

 private:
  std::vector<AlignedBytes> chunks_;
  size_t used_ = 0;  // of the last chunk
};

}  // namespace omg
