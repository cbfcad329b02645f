// SPDX-License-Identifier: Apache-2.0
//
// A read-only memory map of a whole file. Model files are read through it, so that loading copies
// nothing and the page cache is shared between processes.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace omg {

/// Owns the mapping; views into bytes() are valid while it lives. Movable, not copyable.
class MappedFile {
 public:
  /// Throws Error(kNotFound, kIo, or kInvalidArgument for what is not a regular file).
  static MappedFile open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Asks the kernel to read `part` ahead.
  void prefetch(std::span<const std::byte> part) const;
  /// Drops the pages that lie wholly inside `part` from this process's resident set. They stay
  /// valid and are read again from the page cache on the next touch.
  void release(std::span<const std::byte> part) const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace omg
