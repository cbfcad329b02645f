// SPDX-License-Identifier: Apache-2.0
//
// One download: workers that fetch chunks, a hasher that follows the finished front, and the thread
// of run(), which watches them, has the disk sync and ends it all.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "hub/transfer/address.h"
#include "hub/transfer/chunk_map.h"
#include "hub/transfer/chunk_plan.h"
#include "hub/transfer/front_hasher.h"
#include "hub/transfer/rate.h"
#include "hub/transfer/transfer.h"

namespace omg {

/// What all downloads of a process share; outlives them.
struct TransferContext {
  FileSystem& files;
  TransferClock& clock;
  const Transfers::Connect& connect;
  const TransferOptions& options;
  RateLimit& limit;
};

/// Tells a file's map from others'. Empty identity: nothing tells whether the server still has the
/// same file.
ChunkMapKey chunk_map_key(const RemoteFile& file, const TransferOptions& options);
std::string boot_id_of(const TransferOptions& options);

class Download {
 public:
  Download(const TransferContext& context, const TransferRequest& request);

  /// Once. Throws what Transfers::fetch() throws.
  Transferred run();
  // From other threads, while run() runs.
  void cancel();
  void set_paused(bool paused);
  TransferProgress progress() const;

 private:
  enum class End { kComplete, kChanged };
  /// What a worker is to do next.
  struct Task {
    ChunkPlan::Chunk chunk;
    bool is_scout = false;   // the first: finds out how the server behaves
    bool is_stream = false;  // all the rest, without ranges
    CancellationToken abort;
    std::string validator;  // for If-Range, or ""
  };

  // download.cc: from claim to publishing.
  bool claim();
  End transfer_once();
  void watch();
  void sync_if_due();
  FrontHasher::Result wait_for_hash();
  bool is_right(const FrontHasher::Result& result) const;
  void stop_workers();
  void update_progress();  // with mutex_ held

  // download_worker.cc: what a worker does. `worker` is its number.
  void work(size_t worker);
  std::optional<Task> next_task(size_t worker);
  std::optional<Task> try_task(size_t worker);
  void fetch(size_t worker, const Task& task, TransferConnection& connection);
  void check_head(const Task& task, const HttpResponse& head);
  bool take_piece(size_t worker, const Task& task, std::string_view piece);
  bool write_piece(size_t worker, const Task& task, std::string_view piece);
  void check_status(const HttpResponse& response, uint64_t generation);
  void end_task(size_t worker, const Task& task);
  void handle_failure(size_t worker, const Task& task, const Error& error,
                      std::optional<std::chrono::seconds> retry_after);
  void ranges_ignored(const Task& task);
  void fail(std::exception_ptr error);

  const TransferContext context_;
  const RemoteFile file_;
  const std::shared_ptr<TransferTarget> target_;
  RemoteAddress address_;

  mutable std::mutex mutex_;  // guards all below, but for what run() alone touches
  std::condition_variable changed_;
  std::optional<ChunkPlan> plan_;
  CancellationToken abort_;  // of the requests that run now; another one after a pause
  CancellationToken cancelled_;
  bool paused_ = false;
  bool stopping_ = false;
  bool remote_changed_ = false;
  std::exception_ptr failure_;
  // What the server is like.
  std::string validator_;  // ETag as it came, "" if none
  bool scouted_ = false;
  bool scouting_ = false;
  bool streaming_ = false;
  uint64_t stream_position_ = 0;  // in the body that a stream reads
  // Pauses after failures.
  std::vector<size_t> failures_;  // of each worker, in a row
  std::vector<TransferClock::TimePoint> resting_until_;
  TransferClock::TimePoint all_rest_until_{};
  std::mt19937_64 random_;
  TransferProgress progress_;
  RateMeter meter_;

  // Of run()'s thread; workers use what they point at.
  std::unique_ptr<ChunkMap> map_;
  std::unique_ptr<FrontHasher> hasher_;
  std::vector<std::thread> workers_;
  TransferClock::TimePoint last_sync_{};
  bool resumed_ = false;  // some bytes are of an earlier run
};

}  // namespace omg
