// SPDX-License-Identifier: Apache-2.0
//
// Many callers, one download for each partial file: the download has a thread of its own, callers
// wait for it, and the last one to leave ends it.
#include "hub/transfer/transfer.h"

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "hub/transfer/download.h"
#include "hub/transfer/rate.h"

namespace omg {
namespace {

class ClientConnection final : public TransferConnection {
 public:
  explicit ClientConnection(const HttpClientOptions& options) : client_(options) {}
  HttpResponse send(const HttpRequest& request) override { return client_.send(request); }

 private:
  HttpClient client_;
};

constexpr std::chrono::milliseconds kReportEvery{100};

}  // namespace

class Transfers::Body {
 public:
  Body(FileSystem& files, TransferClock& clock, Connect connect, TransferOptions options)
      : connect_(std::move(connect)),
        options_(std::move(options)),
        limit_(clock),
        context_{files, clock, connect_, options_, limit_} {
    limit_.set(options_.bytes_per_second);
  }

  Transferred fetch(const TransferRequest& request);
  void set_paused(bool paused);
  void set_rate_limit(uint64_t bytes_per_second) { limit_.set(bytes_per_second); }
  void keep_undamaged(const std::string& partial, const RemoteFile& file,
                      std::span<const FileRange> damaged);

 private:
  struct Active {
    Active(const TransferContext& context, const TransferRequest& request)
        : download(context, request) {}
    Download download;
    std::thread thread;
    // Guarded by Body::mutex_.
    size_t callers = 1;
    bool is_over = false;
    std::optional<Transferred> result;
    std::exception_ptr error;
  };
  /// Joins the download of that path or begins it; second: whether it was joined.
  std::pair<std::shared_ptr<Active>, bool> enter(const TransferRequest& request);
  void run(Active& active);
  void wait(Active& active, const TransferRequest& request);
  /// The last to leave ends the download and waits for that.
  void leave(const std::string& path, const std::shared_ptr<Active>& active);

  Connect connect_;
  TransferOptions options_;
  RateLimit limit_;
  TransferContext context_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Active>> active_;  // by path; shared by its callers
  bool paused_ = false;
};

std::pair<std::shared_ptr<Transfers::Body::Active>, bool> Transfers::Body::enter(
    const TransferRequest& request) {
  const std::string path = request.target->path();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto it = active_.find(path);
    if (it == active_.end()) break;
    if (it->second->callers > 0) {
      ++it->second->callers;
      return {it->second, true};
    }
    changed_.wait(lock);  // it is being ended: its last caller has left
  }
  auto active = std::make_shared<Active>(context_, request);
  active->download.set_paused(paused_);
  active->thread = std::thread([this, raw = active.get()] { run(*raw); });
  active_.emplace(path, active);
  return {active, false};
}

void Transfers::Body::run(Active& active) {
  std::optional<Transferred> result;
  std::exception_ptr error;
  try {
    result = active.download.run();
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  active.result = result;
  active.error = error;
  active.is_over = true;
  changed_.notify_all();
}

void Transfers::Body::wait(Active& active, const TransferRequest& request) {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      // Short waits, since a cancellation comes without a notification.
      for (int i = 0; i < 4 && !active.is_over && !request.cancellation.is_cancelled(); ++i) {
        changed_.wait_for(lock, kReportEvery / 4);
      }
      if (active.is_over) break;
    }
    request.cancellation.throw_if_cancelled();
    if (request.progress) request.progress(active.download.progress());
  }
  if (request.progress) request.progress(active.download.progress());
}

void Transfers::Body::leave(const std::string& path, const std::shared_ptr<Active>& active) {
  {
    const std::lock_guard lock(mutex_);
    if (--active->callers > 0) return;
    if (!active->is_over) active->download.cancel();
  }
  active->thread.join();
  const std::lock_guard lock(mutex_);
  active_.erase(path);
  changed_.notify_all();
}

Transferred Transfers::Body::fetch(const TransferRequest& request) {
  const std::string path = request.target->path();
  const auto [active, joined] = enter(request);
  try {
    wait(*active, request);
  } catch (...) {
    leave(path, active);
    throw;
  }
  leave(path, active);
  if (active->error) std::rethrow_exception(active->error);
  Transferred result = *active->result;
  result.shared = result.shared || joined;
  return result;
}

void Transfers::Body::set_paused(bool paused) {
  const std::lock_guard lock(mutex_);
  paused_ = paused;
  for (const auto& [path, active] : active_) active->download.set_paused(paused);
}

void Transfers::Body::keep_undamaged(const std::string& partial, const RemoteFile& file,
                                     std::span<const FileRange> damaged) {
  const uint64_t granule = options_.chunks.granule;
  std::vector<bool> done(file.size / granule + (file.size % granule != 0), true);
  for (const FileRange& range : damaged) {
    for (uint64_t i = range.begin / granule; i < done.size() && i * granule < range.end; ++i) {
      done[i] = false;
    }
  }
  ChunkMap::write(context_.files, partial, chunk_map_key(file, options_), boot_id_of(options_),
                  done);
}

Transfers::Transfers(FileSystem& files, TransferClock& clock, Connect connect,
                     TransferOptions options)
    : body_(std::make_unique<Body>(files, clock, std::move(connect), std::move(options))) {}

Transfers::Transfers(FileSystem& files, TransferClock& clock, HttpClientOptions http,
                     TransferOptions options)
    : Transfers(
          files, clock,
          [http = std::move(http)]() -> std::unique_ptr<TransferConnection> {
            return std::make_unique<ClientConnection>(http);
          },
          std::move(options)) {}

Transfers::~Transfers() = default;

Transferred Transfers::fetch(const TransferRequest& request) {
  return body_->fetch(request);
}

void Transfers::keep_undamaged(const std::string& partial, const RemoteFile& file,
                               std::span<const FileRange> damaged) {
  body_->keep_undamaged(partial, file, damaged);
}

void Transfers::pause() {
  body_->set_paused(true);
}

void Transfers::resume() {
  body_->set_paused(false);
}

void Transfers::set_rate_limit(uint64_t bytes_per_second) {
  body_->set_rate_limit(bytes_per_second);
}

}  // namespace omg
