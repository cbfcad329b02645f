// SPDX-License-Identifier: Apache-2.0
//
// A read-only memory map of a whole file. Model files are read through it, so that loading copies
// nothing and the page cache is shared between processes. What is linked into the program is mapped
// already, and looks the same to readers.
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
  /// Bytes that stay for as long as the program runs; `path` is for messages.
  static MappedFile of_program(std::string path, std::span<const std::byte> bytes);
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
  MappedFile(std::string path, const std::byte* data, size_t size, bool is_own)
      : path_(std::move(path)), data_(data), size_(size), is_own_(is_own) {}
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  bool is_own_ = true;  // unmapped at the end
};

}  // namespace omg
