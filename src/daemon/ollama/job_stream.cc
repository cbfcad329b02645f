// SPDX-License-Identifier: Apache-2.0
#include "daemon/ollama/job_stream.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "daemon/ollama/go_text.h"

namespace omg::ollama {
namespace {

/// Progress that a slow client has not taken makes room for later progress.
constexpr size_t kEnoughWaiting = 64u << 10;

std::string status_object(std::string_view status) {
  return GoObject().text("status", status).finish();
}

bool has_ended(const JobInfo& job) {
  return job.state != JobState::kQueued && job.state != JobState::kRunning;
}

}  // namespace

JobStream::JobStream(std::shared_ptr<OutgoingStream> out, bool streams, std::string kind,
                     std::vector<std::string> warnings)
    : out_(std::move(out)),
      streams_(streams),
      kind_(std::move(kind)),
      warnings_(std::move(warnings)) {}

bool JobStream::is_over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

void JobStream::keep(std::unique_ptr<JobService::Hold> hold) {
  const std::lock_guard lock(mutex_);
  hold_ = std::move(hold);
}

void JobStream::abandon() {
  std::unique_ptr<JobService::Hold> given_up;  // goes after the mutex
  const std::lock_guard lock(mutex_);
  over_ = true;
  given_up = std::move(hold_);
}

void JobStream::send(std::string object) {
  if (!streams_) return;
  out_->begin({200, kLinesType, {}, ""});
  out_->push(std::move(object) + "\n");
}

void JobStream::end(std::string object, int status) {
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    over_ = true;
  }
  if (streams_) {
    send(std::move(object));
    out_->finish();
  } else {
    out_->send({status, kJsonType, {}, std::move(object)});
  }
}

void JobStream::say(std::string_view status) {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || last_status_ == status) return;
    last_status_ = status;
  }
  send(status_object(status));
}

void JobStream::fail(std::string_view text) {
  end(error_object(text), 500);
}

/// A line for each file that has moved on: "pulling 0a8c26691023".
void JobStream::say_files(const JobInfo& job) {
  const bool is_full = out_->waiting_bytes() > kEnoughWaiting;
  for (const JobFile& file : job.files) {
    if (file.completed == 0 && file.total == 0) continue;
    const auto digest = Digest::parse(file.digest);
    const std::string name = digest ? digest->hex().substr(0, 12) : file.name;
    {
      const std::lock_guard lock(mutex_);
      const auto [told, is_new] = told_.try_emplace(file.name + "\n" + file.digest, 0);
      if (!is_new && told->second == file.completed) continue;
      // The last line of a file is never left out.
      if (over_ || (is_full && file.completed < file.total)) continue;
      told->second = file.completed;
    }
    // Of what is made here nobody knows the digest yet; with this one clients show a bar.
    const bool is_made = kind_ == "create" && !digest;
    const std::string status = is_made && !job.phase.empty()
                                   ? job.phase
                                   : (kind_ == "push" ? "pushing " : "pulling ") + name;
    send(GoObject()
             .text("status", status)
             .text_if("digest", digest    ? digest->str()
                                : is_made ? "0000000000000000000"
                                          : "")
             .number_if("total", static_cast<int64_t>(file.total))
             .number_if("completed", static_cast<int64_t>(file.completed))
             .finish());
  }
}

/// What comes behind the last byte.
void JobStream::finish_steps() {
  if (kind_ == "pull") {
    say("verifying sha256 digest");
    say("writing manifest");
  } else if (kind_ == "push") {
    say("pushing manifest");
  } else {
    say("writing manifest");
  }
}

void JobStream::update(const JobInfo& job) {
  if (is_over()) return;
  // Phases have words of their own; those of a pull are Ollama's, which come in their order below.
  if (kind_ == "create" && !job.phase.empty() && !has_ended(job)) say(job.phase);
  say_files(job);
  switch (job.state) {
    case JobState::kQueued:
    case JobState::kRunning:
      return;
    case JobState::kDone: {
      finish_steps();
      std::vector<std::string> warnings = warnings_;
      warnings.insert(warnings.end(), job.warnings.begin(), job.warnings.end());
      return end(GoObject().text("status", "success").texts_if("warnings", warnings).finish(), 200);
    }
    case JobState::kCancelled:
      return fail("request canceled");
    case JobState::kFailed:
      break;
  }
  const std::string why = job.error ? job.error->what() : "the job has failed";
  const bool is_missing = job.error && job.error->code() == ErrorCode::kNotFound;
  fail(kind_ == "pull" && is_missing ? "pull model manifest: file does not exist" : why);
}

void JobStreams::follow(const std::string& job, const std::shared_ptr<OutgoingStream>& out,
                        const std::shared_ptr<JobStream>& stream) {
  drop_ended();
  {
    const std::lock_guard lock(mutex_);
    watches_.push_back({stream, nullptr});
  }
  out->on_gone([weak = std::weak_ptr(stream)] {
    if (const auto gone = weak.lock()) gone->abandon();
  });
  std::unique_ptr<JobService::Subscription> subscription;
  try {
    subscription = jobs_.watch(job, [stream](const JobInfo& info) { stream->update(info); });
  } catch (const Error& error) {
    stream->fail(error.what());
  }
  const std::lock_guard lock(mutex_);
  const auto own = std::find_if(watches_.begin(), watches_.end(),
                                [&](const Watch& watch) { return watch.stream == stream; });
  own->subscription = std::move(subscription);
  own->is_complete = true;
}

/// Subscriptions are not given up from inside their own calls, but with the next request.
void JobStreams::drop_ended() {
  std::vector<Watch> ended;  // they go after the mutex
  const std::lock_guard lock(mutex_);
  const auto first = std::stable_partition(
      watches_.begin(), watches_.end(),
      [](const Watch& watch) { return !watch.stream->is_over() || !watch.is_complete; });
  std::move(first, watches_.end(), std::back_inserter(ended));
  watches_.erase(first, watches_.end());
}

}  // namespace omg::ollama
