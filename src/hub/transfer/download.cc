// SPDX-License-Identifier: Apache-2.0
//
// The life of a download: claim, transfer, verify, publish.
#include "hub/transfer/download.h"

#include <algorithm>
#include <string>

namespace omg {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{50};
/// A file that changes on the server while it is fetched is begun again so many times.
constexpr int kMostRestarts = 3;

/// Calls a function when it goes, unless told otherwise.
template <typename Function>
class Finally {
 public:
  explicit Finally(Function function) : function_(std::move(function)) {}
  ~Finally() {
    if (armed_) function_();
  }
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;
  void disarm() { armed_ = false; }

 private:
  Function function_;
  bool armed_ = true;
};

}  // namespace

ChunkMapKey chunk_map_key(const RemoteFile& file, const TransferOptions& options) {
  std::string identity;
  if (file.sha256) {
    identity = file.sha256->str();
  } else if (!file.git_sha1.empty()) {
    identity = "git " + file.git_sha1;
  } else if (!file.etag.empty()) {
    identity = "etag " + file.etag + " " + file.url;
  }
  return {file.size, options.chunks.granule, std::move(identity)};
}

std::string boot_id_of(const TransferOptions& options) {
  return options.boot_id == "?" ? system_boot_id() : options.boot_id;
}

Download::Download(const TransferContext& context, const TransferRequest& request)
    : context_(context),
      file_(request.file),
      target_(request.target),
      address_(request.file, request.renew),
      random_(context.options.seed ^ std::hash<std::string>()(request.file.url)) {
  progress_.total = file_.size;
}

void Download::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_.cancel();
  abort_.cancel();
  changed_.notify_all();
}

void Download::set_paused(bool paused) {
  const std::lock_guard lock(mutex_);
  if (paused == paused_) return;
  paused_ = paused;
  if (paused) {
    abort_.cancel();
  } else if (!stopping_ && !cancelled_.is_cancelled()) {
    abort_ = CancellationToken();
  }
  changed_.notify_all();
}

TransferProgress Download::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

bool Download::claim() {
  while (true) {
    if (file_.sha256 && target_->is_there()) return false;
    if (target_->try_claim()) {
      // Whoever had it may have published it a moment ago.
      if (!file_.sha256 || !target_->is_there()) return true;
      target_->release();
      return false;
    }
    const uint64_t done =
        std::min(ChunkMap::peek(context_.files, target_->path()).value_or(0), file_.size);
    std::unique_lock lock(mutex_);
    cancelled_.throw_if_cancelled();
    const auto now = context_.clock.now();
    meter_.add(now, done);
    progress_.phase = TransferPhase::kWaiting;
    progress_.done = done;
    progress_.bytes_per_second = meter_.bytes_per_second();
    context_.clock.wait(lock, changed_, 2 * kTick);
  }
}

Transferred Download::run() {
  if (!claim()) {
    const std::lock_guard lock(mutex_);
    progress_.phase = TransferPhase::kDone;
    progress_.done = progress_.hashed = file_.size;
    return {*file_.sha256, file_.size, 0, true};
  }
  Finally release([&] { target_->release(); });
  bool began_again = false;
  for (int restarts = 0;;) {
    if (transfer_once() == End::kChanged) {
      hasher_.reset();
      map_.reset();
      ChunkMap::remove(context_.files, target_->path());
      if (++restarts > kMostRestarts) {
        throw Error(ErrorCode::kUnavailable,
                    "cannot download '" + file_.path +
                        "': it keeps changing on the server; try again later");
      }
      continue;
    }
    const FrontHasher::Result result = wait_for_hash();
    hasher_.reset();
    map_.reset();  // closes the files
    if (is_right(result)) {
      target_->publish({result.sha256, file_.size, result.pieces});
      release.disarm();
      const std::lock_guard lock(mutex_);
      progress_.phase = TransferPhase::kDone;
      return {result.sha256, file_.size, progress_.fetched, false};
    }
    ChunkMap::remove(context_.files, target_->path());
    // What an earlier run left may be to blame; bytes that all came just now are the server's own.
    if (!resumed_ || began_again) {
      throw Error(ErrorCode::kCorrupt,
                  "cannot download '" + file_.path + "': what came has the digest " +
                      result.sha256.str() + " and not " +
                      (file_.sha256 ? file_.sha256->str() : "the one that was told") +
                      "; it was thrown away; try again, or tell whoever runs the server");
    }
    began_again = true;
  }
}

Download::End Download::transfer_once() {
  const TransferOptions& options = context_.options;
  ChunkMapKey key = chunk_map_key(file_, options);
  if (key.identity.empty()) {  // what is there is of no use
    key.identity = "run " + std::to_string(options.seed) + " " +
                   std::to_string(context_.clock.now().time_since_epoch().count());
  }
  map_ = std::make_unique<ChunkMap>(context_.files, target_->path(), key, boot_id_of(options));
  hasher_ = std::make_unique<FrontHasher>(map_->data(), file_.size,
                                          !file_.sha256 && !file_.git_sha1.empty());
  const size_t most_workers = static_cast<size_t>(
      std::clamp<uint64_t>(file_.size / options.chunks.least_chunk, 1, options.chunks.workers));
  {
    const std::lock_guard lock(mutex_);
    cancelled_.throw_if_cancelled();
    plan_.emplace(file_.size, map_->done(), options.chunks);
    resumed_ = plan_->done_bytes() > 0;
    stopping_ = remote_changed_ = scouted_ = scouting_ = streaming_ = false;
    validator_.clear();
    failure_ = nullptr;
    failures_.assign(most_workers, 0);
    resting_until_.assign(most_workers, {});
    if (!paused_) abort_ = CancellationToken();
    hasher_->advance(plan_->front());
  }
  last_sync_ = context_.clock.now();
  {
    const Finally stop([&] { stop_workers(); });
    for (size_t i = 0; i < most_workers; ++i) workers_.emplace_back([this, i] { work(i); });
    watch();
  }
  const std::lock_guard lock(mutex_);
  if (remote_changed_) return End::kChanged;
  if (failure_) std::rethrow_exception(failure_);
  cancelled_.throw_if_cancelled();
  return End::kComplete;
}

/// Until all bytes are here, or there is a reason to stop.
void Download::watch() {
  std::unique_lock lock(mutex_);
  while (!plan_->is_finished() && !failure_ && !remote_changed_ && !cancelled_.is_cancelled()) {
    context_.clock.wait(lock, changed_, kTick);
    update_progress();
    lock.unlock();
    sync_if_due();
    lock.lock();
  }
  update_progress();
}

void Download::sync_if_due() {
  const auto now = context_.clock.now();
  if (now - last_sync_ < context_.options.sync_every) return;
  map_->sync();
  last_sync_ = context_.clock.now();  // a slow disk gets time to breathe
}

void Download::stop_workers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    abort_.cancel();
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

FrontHasher::Result Download::wait_for_hash() {
  while (!hasher_->is_finished()) {
    std::unique_lock lock(mutex_);
    cancelled_.throw_if_cancelled();
    progress_.phase = TransferPhase::kVerifying;
    progress_.hashed = hasher_->hashed();
    progress_.seconds_left.reset();
    // Real time: the hasher's work does not go faster when a test's clock does.
    changed_.wait_for(lock, milliseconds(5));
  }
  const FrontHasher::Result result = hasher_->result();
  const std::lock_guard lock(mutex_);
  progress_.hashed = file_.size;
  return result;
}

bool Download::is_right(const FrontHasher::Result& result) const {
  if (file_.sha256) return *file_.sha256 == result.sha256;
  return file_.git_sha1.empty() || file_.git_sha1 == result.git_sha1;
}

void Download::update_progress() {
  const auto now = context_.clock.now();
  meter_.add(now, progress_.fetched);
  progress_.done = plan_->done_bytes();
  progress_.hashed = hasher_->hashed();
  progress_.bytes_per_second = meter_.bytes_per_second();
  progress_.seconds_left.reset();
  if (progress_.bytes_per_second > 0) {
    progress_.seconds_left =
        static_cast<double>(file_.size - progress_.done) / progress_.bytes_per_second;
  }
  const bool all_rest = std::all_of(resting_until_.begin(), resting_until_.end(), [&](auto until) {
    return std::max(until, all_rest_until_) > now;
  });
  if (paused_) {
    progress_.phase = TransferPhase::kPaused;
  } else if (all_rest) {
    progress_.phase = TransferPhase::kRetrying;
  } else if (!scouted_ && progress_.fetched == 0) {
    progress_.phase = TransferPhase::kConnecting;
  } else {
    progress_.phase = TransferPhase::kTransferring;
  }
}

}  // namespace omg
