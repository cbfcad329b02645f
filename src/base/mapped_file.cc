// SPDX-License-Identifier: Apache-2.0
#include "base/mapped_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"

namespace omg {
namespace {

/// Closes the descriptor when it goes out of scope; the mapping outlives it.
struct FileDescriptor {
  int fd;
  ~FileDescriptor() { ::close(fd); }
};

size_t page_size() {
  static const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

MappedFile MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw system_error("cannot open " + path, errno);
  const FileDescriptor descriptor{fd};
  struct stat status;
  if (::fstat(fd, &status) != 0) throw system_error("cannot stat " + path, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, "cannot read " + path + ": it is not a regular file");
  }
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return MappedFile(path, nullptr, 0, true);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) throw system_error("cannot map " + path, errno);
  return MappedFile(path, static_cast<const std::byte*>(data), size, true);
}

MappedFile MappedFile::of_program(std::string path, std::span<const std::byte> bytes) {
  return MappedFile(std::move(path), bytes.data(), bytes.size(), false);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      is_own_(other.is_own_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(is_own_, other.is_own_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ && is_own_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::prefetch(std::span<const std::byte> part) const {
  const auto page = page_size();
  const auto begin = reinterpret_cast<uintptr_t>(part.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data()) + part.size();
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

void MappedFile::release(std::span<const std::byte> part) const {
  const auto page = page_size();
  const auto first = reinterpret_cast<uintptr_t>(part.data());
  const auto begin = (first + page - 1) / page * page;
  const auto end = (first + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace omg
