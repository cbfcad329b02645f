// SPDX-License-Identifier: Apache-2.0
//
// What of a partial file is there, in a file beside it ("<partial>.map"), so that a download goes
// on after any interruption.
//
// A granule is written (the system has its bytes) or synced (the disk has them). After a kill -9
// both are there; after the machine stopped only synced ones are. Which of the two happened is told
// by the system's boot id, which the map holds. So a granule can be noted the moment it is whole,
// with one write of one byte, and the disk is asked to sync only now and then.
//
// Layout, little-endian: "OMGPART1", granule (8 bytes), size (8), SHA-256 of the identity (32),
// boot id (40, padded with zeros), SHA-256 of all that (32); from byte 128 one byte for each
// granule: 0 missing, 1 written, 2 synced.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace omg {

/// Names what is downloaded: a map of another file is worth nothing.
struct ChunkMapKey {
  uint64_t size = 0;
  uint64_t granule = 0;
  std::string identity;
};

class ChunkMap {
 public:
  /// Larger files are refused with Error(kLimitExceeded): 4 TiB with granules of 256 KiB.
  static constexpr uint64_t kMaxGranules = 16u << 20;

  /// Reads the map of `partial`. A map that is missing, damaged or of another file, or a partial
  /// of another size, means that nothing is there: both are made anew.
  ChunkMap(FileSystem& files, const std::string& partial, const ChunkMapKey& key,
           const std::string& boot_id);

  const std::vector<bool>& done() const { return done_; }
  File& data() { return *data_; }
  /// The bytes of the granule were handed to the system. Thread-safe for different granules.
  void mark_written(uint64_t granule);
  /// Has the disk take all that was written before the call, and notes it. One thread at a time;
  /// others may write and mark meanwhile.
  void sync();

  /// Path of the map.
  static std::string path_for(const std::string& partial) { return partial + ".map"; }
  /// Bytes that the map of another process's download says are there; nothing where there is none.
  static std::optional<uint64_t> peek(FileSystem& files, const std::string& partial);
  /// Writes the map of a file that is whole and on the disk but for the granules that are not
  /// `done`.
  static void write(FileSystem& files, const std::string& partial, const ChunkMapKey& key,
                    const std::string& boot_id, const std::vector<bool>& done);
  /// Removes map and partial file, in an order that never leaves a map without its file.
  static void remove(FileSystem& files, const std::string& partial);

 private:
  void start_anew(FileSystem& files, const std::string& partial, const std::string& header);
  bool load(const std::string& header, const ChunkMapKey& key, const std::string& boot_id);

  std::unique_ptr<File> data_;
  std::unique_ptr<File> map_;
  std::vector<bool> done_;  // as it was when opened
};

/// An id that changes with each start of the machine; "" where the system has none (then nothing
/// but synced granules counts).
std::string system_boot_id();

}  // namespace omg
