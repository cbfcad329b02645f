// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an archive: the reader ends, with entries that lie inside the file or with a typed
// error.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "store/tar.h"

namespace {

/// A file in memory that can only be read.
class MemoryFile final : public omg::File {
 public:
  MemoryFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  size_t read_at(uint64_t offset, std::span<std::byte> bytes) override {
    if (offset >= size_) return 0;
    const size_t size = std::min<size_t>(bytes.size(), size_ - offset);
    if (size > 0) std::memcpy(bytes.data(), data_ + offset, size);
    return size;
  }
  void write_at(uint64_t, std::span<const std::byte>) override { std::abort(); }
  void resize(uint64_t) override { std::abort(); }
  void sync() override {}
  omg::FileInfo info() override {
    omg::FileInfo info;
    info.kind = omg::FileInfo::Kind::kFile;
    info.size = size_;
    return info;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryFile file(data, size);
  try {
    omg::TarReader reader(file, "fuzz");
    uint64_t end = 0;
    while (const auto entry = reader.next()) {
      if (!omg::range_fits(entry->offset, entry->size, size) || entry->offset < end) std::abort();
      end = entry->offset + entry->size;
    }
  } catch (const omg::Error& error) {
    if (error.code() != omg::ErrorCode::kCorrupt) std::abort();
  }
  return 0;
}
