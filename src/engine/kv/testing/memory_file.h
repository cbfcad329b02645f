// SPDX-License-Identifier: Apache-2.0
//
// A file in memory for tests: it remembers every write, can refuse them, and can hold one back.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/file_system.h"

namespace omg::testing {

struct MemoryDisk {
  struct Write {
    uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };
  std::mutex mutex;  // guards what stands from here
  std::condition_variable changed;
  std::vector<std::byte> bytes;
  std::vector<Write> log;
  bool is_full = false;  // writes fail
  bool is_slow = false;  // writes wait while this is so
  uint64_t reads = 0;

  void set_slow(bool slow) {
    const std::lock_guard lock(mutex);
    is_slow = slow;
    changed.notify_all();
  }
};

/// One opening of it: the disk outlives the file.
class MemoryFile final : public File {
 public:
  explicit MemoryFile(MemoryDisk& disk) : disk_(disk) {}

  size_t read_at(uint64_t offset, std::span<std::byte> bytes) override {
    const std::lock_guard lock(disk_.mutex);
    ++disk_.reads;
    if (offset >= disk_.bytes.size()) return 0;
    const size_t count = std::min<size_t>(bytes.size(), disk_.bytes.size() - offset);
    std::memcpy(bytes.data(), disk_.bytes.data() + offset, count);
    return count;
  }
  void write_at(uint64_t offset, std::span<const std::byte> bytes) override {
    std::unique_lock lock(disk_.mutex);
    disk_.changed.wait(lock, [this] { return !disk_.is_slow; });
    if (disk_.is_full) throw Error(ErrorCode::kOutOfMemory, "the disk is full");
    if (disk_.bytes.size() < offset + bytes.size()) disk_.bytes.resize(offset + bytes.size());
    std::memcpy(disk_.bytes.data() + offset, bytes.data(), bytes.size());
    disk_.log.push_back({offset, {bytes.begin(), bytes.end()}});
  }
  void resize(uint64_t size) override {
    const std::lock_guard lock(disk_.mutex);
    disk_.bytes.resize(size);
  }
  void sync() override {}
  FileInfo info() override {
    const std::lock_guard lock(disk_.mutex);
    FileInfo info;
    info.kind = FileInfo::Kind::kFile;
    info.size = info.allocated = disk_.bytes.size();
    return info;
  }

 private:
  MemoryDisk& disk_;
};

}  // namespace omg::testing
