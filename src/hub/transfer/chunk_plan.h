// SPDX-License-Identifier: Apache-2.0
//
// Who fetches which bytes of a file next: policy without time, threads or files, tested alone.
//
// A file is counted off in granules of 256 KiB, which is what the map on disk remembers, and asked
// for in chunks of many granules, one request each. Chunks are handed out in file order, so that
// hashing can follow close behind, and get smaller towards the end, so that workers finish together
// and no byte is asked for twice. Only where one connection is much slower than the others is what
// it has left cut in two, or taken from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace omg {

struct ChunkPlanOptions {
  uint64_t granule = 256u << 10;
  /// A request is at least and at most so long (multiples of the granule); the end of a file may be
  /// shorter. 32 MiB: at 20 MB/s a connection and 100 ms to the server, 6 % are lost to waiting.
  uint64_t least_chunk = 2u << 20;
  uint64_t most_chunk = 32u << 20;
  size_t workers = 8;
  /// An idle worker takes over from another that will need longer than this for the rest.
  double steal_seconds = 2.0;
};

/// Length of the next request when `left` bytes are in nobody's hands.
uint64_t chunk_length(uint64_t left, const ChunkPlanOptions& options);

/// Not thread-safe. A byte is done (on disk), in a worker's hands, or free.
class ChunkPlan {
 public:
  struct Chunk {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  /// `done`: for each granule whether it is there already.
  ChunkPlan(uint64_t size, const std::vector<bool>& done, const ChunkPlanOptions& options);

  /// Work for a worker that has none; `now` in seconds. Nothing when there is none to be had.
  std::optional<Chunk> take(size_t worker, double now);
  /// Where the next byte of a worker's chunk goes; 0 if it has none.
  uint64_t position_of(size_t worker) const;
  /// The end of a worker's chunk: it moves towards the begin when another takes a part.
  uint64_t end_of(size_t worker) const;
  /// A worker has written `bytes` more. Returns the granules that are whole by that.
  std::vector<uint64_t> advance(size_t worker, uint64_t bytes);
  /// A worker gives up; what it has not written is free. Also for one that has no chunk.
  void give_back(size_t worker);
  /// For a server that can only send from the start: all beyond front() is free again and taken by
  /// this worker as one chunk. No other worker may have one.
  Chunk take_rest(size_t worker, double now);

  /// Every byte is done, though a worker whose work was taken may not have noticed.
  bool is_finished() const { return done_bytes() == size_; }
  size_t active_workers() const { return active_.size(); }
  /// All bytes before this one are done.
  uint64_t front() const;
  uint64_t done_bytes() const;
  uint64_t size() const { return size_; }

 private:
  struct Active {
    uint64_t position;
    uint64_t end;
    uint64_t begin;
    double since;
  };
  std::optional<Chunk> steal(size_t worker, double now);
  void add_free(uint64_t begin, uint64_t end);

  uint64_t size_;
  ChunkPlanOptions options_;
  std::map<uint64_t, uint64_t> free_;  // begin -> end, apart from each other
  uint64_t free_bytes_ = 0;
  std::map<size_t, Active> active_;  // by worker
};

}  // namespace omg
