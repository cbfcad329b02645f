// SPDX-License-Identifier: Apache-2.0
//
// What a worker of a download does: take a chunk, ask for it, write what comes, and know what to do
// when something else comes.
#include <algorithm>

#include "hub/transfer/download.h"

namespace omg {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;

constexpr milliseconds kIdle{100};
/// An address is asked for again so often without a byte in between.
constexpr size_t kMostRefusals = 3;

/// The server has another file than the one that was begun.
struct RemoteChanged {};
/// The server sent the whole file where a part was asked for.
struct WholeBody {};

double seconds(TransferClock::TimePoint time) {
  return duration<double>(time.time_since_epoch()).count();
}

bool is_refusal(int status) {
  return status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
}

}  // namespace

void Download::fail(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = error;
  changed_.notify_all();
}

void Download::work(size_t worker) {
  try {
    const auto connection = context_.connect();
    while (const auto task = next_task(worker)) {
      try {
        fetch(worker, *task, *connection);
      } catch (const RemoteChanged&) {
        const std::lock_guard lock(mutex_);
        remote_changed_ = true;
      } catch (const WholeBody&) {
        ranges_ignored(*task);
      } catch (const HttpError& error) {
        if (error.failure() == HttpFailure::kProtocol && error.code() == ErrorCode::kUnsupported) {
          ranges_ignored(*task);
        } else if (error.is_transient()) {
          handle_failure(worker, *task, error, error.retry_after);
        } else {
          throw;
        }
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kCancelled || !task->abort.is_cancelled()) throw;
      }
      end_task(worker, *task);
    }
  } catch (...) {
    fail(std::current_exception());
  }
}

void Download::end_task(size_t worker, const Task& task) {
  const std::lock_guard lock(mutex_);
  plan_->give_back(worker);
  if (task.is_scout) scouting_ = false;
  hasher_->advance(plan_->front());
  changed_.notify_all();
}

std::optional<Download::Task> Download::next_task(size_t worker) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stopping_ || failure_ || remote_changed_ || cancelled_.is_cancelled()) return std::nullopt;
    if (plan_->is_finished()) {
      changed_.notify_all();
      return std::nullopt;
    }
    if (auto task = try_task(worker)) return task;
    context_.clock.wait(lock, changed_, kIdle);
  }
}

std::optional<Download::Task> Download::try_task(size_t worker) {
  const auto now = context_.clock.now();
  if (paused_ || now < std::max(resting_until_[worker], all_rest_until_)) return std::nullopt;
  Task task;
  task.abort = abort_;
  task.validator = validator_;
  if (streaming_) {
    if (plan_->active_workers() > 0) return std::nullopt;
    task.is_stream = true;
    task.chunk = plan_->take_rest(worker, seconds(now));
    stream_position_ = 0;
    return task;
  }
  if (!scouted_) {
    if (scouting_) return std::nullopt;
    task.is_scout = true;
    task.validator.clear();  // what a server without ranges sends must not look like a change
  }
  const auto chunk = plan_->take(worker, seconds(now));
  if (!chunk) return std::nullopt;
  if (task.is_scout) scouting_ = true;
  task.chunk = *chunk;
  return task;
}

void Download::fetch(size_t worker, const Task& task, TransferConnection& connection) {
  const RemoteAddress::Answer address = address_.get(connection, task.abort);
  HttpRequest request;
  request.url = address.url;
  request.authorization = address.authorization;
  request.addresses = address.addresses;
  request.cancellation = task.abort;
  request.stall_bytes_per_second = context_.options.stall_bytes_per_second;
  request.stall_timeout = context_.options.stall_timeout;
  if (task.is_stream) {
    request.max_body_bytes = file_.size;
  } else {
    const uint64_t length = task.chunk.end - task.chunk.begin;
    request.range = ByteRange{task.chunk.begin, length};
    request.max_body_bytes = length;
    // Weak ETags are no promise about bytes (RFC 9110, 13.1.5).
    if (!task.validator.empty() && !task.validator.starts_with("W/")) {
      request.headers.push_back({"If-Range", task.validator});
    }
  }
  request.on_head = [&](const HttpResponse& head) {
    if (head.ok()) check_head(task, head);
    return true;
  };
  request.sink = [&](std::string_view piece) { return take_piece(worker, task, piece); };
  const HttpResponse response = connection.send(request);
  if (!response.ok()) {
    check_status(response, address.generation);
    return;
  }
  bool has_ended_early = false;
  {
    const std::lock_guard lock(mutex_);
    has_ended_early = task.is_stream && !plan_->is_finished() && !task.abort.is_cancelled();
  }
  if (has_ended_early) {
    throw HttpError(ErrorCode::kUnavailable, HttpFailure::kInterrupted, 0,
                    "cannot download '" + file_.path + "': the answer ended early; try again");
  }
}

void Download::check_status(const HttpResponse& response, uint64_t generation) {
  if (response.status == 416) throw RemoteChanged{};
  // A signed address that expired; or the file is gone, which asking the hub again will tell.
  if (is_refusal(response.status) && address_.refused(generation) <= kMostRefusals) return;
  throw http_status_error(response, "cannot download '" + file_.path + "'");
}

void Download::check_head(const Task& task, const HttpResponse& head) {
  const std::string etag(head.headers.find("ETag").value_or(""));
  const std::lock_guard lock(mutex_);
  // An ETag that comes or goes says nothing; another one does.
  const bool is_other = !etag.empty() && !validator_.empty() && etag != validator_;
  if (task.is_stream) {
    const auto length = head.headers.find_number("Content-Length");
    if (is_other || (length && *length != file_.size)) throw RemoteChanged{};
    if (validator_.empty()) validator_ = etag;
    return;
  }
  if (head.status != 206) throw WholeBody{};
  if (is_other || (head.total_size && *head.total_size != file_.size)) throw RemoteChanged{};
  if (validator_.empty()) validator_ = etag;
  if (task.is_scout) {
    scouted_ = true;
    scouting_ = false;
    changed_.notify_all();
  }
}

bool Download::take_piece(size_t worker, const Task& task, std::string_view piece) {
  const size_t length = piece.size();
  if (task.is_stream) {
    const std::lock_guard lock(mutex_);
    // A stream begins at the begin, whatever is there already.
    const uint64_t skip = std::min<uint64_t>(
        piece.size(), task.chunk.begin - std::min(task.chunk.begin, stream_position_));
    stream_position_ += piece.size();
    piece.remove_prefix(static_cast<size_t>(skip));
  }
  const bool goes_on = piece.empty() || write_piece(worker, task, piece);
  context_.limit.spend(length, task.abort);
  return goes_on && !task.abort.is_cancelled();
}

bool Download::write_piece(size_t worker, const Task& task, std::string_view piece) {
  uint64_t position = 0;
  {
    const std::lock_guard lock(mutex_);
    position = plan_->position_of(worker);
    // Another worker may have taken the rest.
    const uint64_t room = plan_->end_of(worker) - position;
    piece = piece.substr(0, static_cast<size_t>(std::min<uint64_t>(piece.size(), room)));
  }
  if (piece.empty()) return false;
  map_->data().write_at(position, std::as_bytes(std::span(piece)));
  std::vector<uint64_t> whole;
  uint64_t front = 0;
  bool goes_on = true;
  bool is_finished = false;
  {
    const std::lock_guard lock(mutex_);
    whole = plan_->advance(worker, piece.size());
    progress_.fetched += piece.size();
    failures_[worker] = 0;
    front = plan_->front();
    // A chunk that ends where it was asked to end is read out, which keeps the connection.
    const uint64_t end = plan_->end_of(worker);
    goes_on = plan_->position_of(worker) < end || end == task.chunk.end;
    is_finished = plan_->is_finished();
  }
  address_.accepted();
  for (const uint64_t granule : whole) map_->mark_written(granule);
  hasher_->advance(front);
  if (is_finished) changed_.notify_all();
  return goes_on;
}

void Download::ranges_ignored(const Task& task) {
  const std::lock_guard lock(mutex_);
  if (task.is_scout) {
    streaming_ = true;  // asked without any condition, it sent all: it has no ranges
  } else {
    scouted_ = false;  // changed, or another server that has none: a scout will tell
  }
}

void Download::handle_failure(size_t worker, const Task& task, const Error& error,
                              std::optional<std::chrono::seconds> retry_after) {
  const RetryOptions& options = context_.options.retry;
  const std::lock_guard lock(mutex_);
  if (task.abort.is_cancelled()) return;
  progress_.message = error.what();
  const size_t failures = ++failures_[worker];
  if (failures >= options.attempts || (retry_after && *retry_after > options.longest_retry_after)) {
    if (!failure_) failure_ = std::current_exception();
    return;
  }
  const double chance = std::uniform_real_distribution<double>()(random_);
  const auto until = context_.clock.now() + retry_delay(failures, chance, retry_after, options);
  // A server that names a time means all of us.
  (retry_after ? all_rest_until_ : resting_until_[worker]) = until;
}

}  // namespace omg
