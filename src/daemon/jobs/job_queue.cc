// SPDX-License-Identifier: Apache-2.0
//
// Three kinds of threads. Callers change the list under the mutex. Workers run jobs. One teller
// calls those who watch and writes to the store, neither under the mutex: so there is one order of
// what is told, whoever is slow delays no job, and nobody can lock himself out.
#include "daemon/jobs/job_queue.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <variant>

#include "base/error.h"
#include "daemon/jobs/job_records.h"
#include "hub/transfer/rate.h"

namespace omg {
namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  JobInfo info;
  JobTask task;
  uint64_t serial = 0;  // later ones have larger ones
  uint64_t ended = 0;   // in the same count; 0: it has not
  size_t holds = 0;
  bool outlives_holds = false;  // somebody started it without one
  CancellationToken cancellation;
  RateMeter rate;
  bool has_news = false;  // progress that nobody was told
  Clock::time_point told_at{};
};

struct Watcher {
  std::string id;  // of the job; "": of all
  JobService::OnUpdate on_update;
  std::deque<JobInfo> outbox;  // states and phases; of progress at most one for an interval
  bool is_calling = false;
  bool has_left = false;
};

std::string new_id() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string id = "job-";
  for (int i = 0; i < 16; ++i) id += kDigits[random() % kDigits.size()];
  return id;
}

int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

class JobQueue::Body : public std::enable_shared_from_this<JobQueue::Body> {
 public:
  Body(Store& store, JobQueueOptions options) : store_(store), options_(std::move(options)) {
    if (!options_.now) options_.now = seconds_now;
    remember();
  }

  void begin() {
    for (size_t i = 0; i < std::max<size_t>(1, options_.most_at_once); ++i) {
      workers_.emplace_back([this] { work(); });
    }
    teller_ = std::thread([this] { tell(); });
  }

  void stop() {
    {
      const std::lock_guard guard(mutex_);
      is_stopping_ = true;
      for (const auto& [id, job] : jobs_) job->cancellation.cancel();
      const std::deque<std::shared_ptr<Job>> waiting = std::exchange(waiting_, {});
      for (const auto& job : waiting) end(*job, JobState::kFailed, interrupted_job());
    }
    has_work_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    {
      const std::lock_guard guard(mutex_);
      is_silent_ = true;
    }
    has_news_.notify_all();
    teller_.join();
  }

  JobInfo start(JobTask task, std::unique_ptr<Hold>* hold) {
    const std::lock_guard guard(mutex_);
    const std::shared_ptr<Job> job = same_or_new(std::move(task));
    if (hold == nullptr) {
      job->outlives_holds = true;
    } else {
      *hold = std::make_unique<HeldJob>(shared_from_this(), job);
      ++job->holds;
    }
    return job->info;
  }

  void give_up(const std::shared_ptr<Job>& job) {
    const std::lock_guard guard(mutex_);
    if (--job->holds == 0 && !job->outlives_holds) cancel(job);
  }

  std::vector<JobInfo> all() const {
    const std::lock_guard guard(mutex_);
    std::vector<JobInfo> list;
    for (const Job* job : newest_first()) list.push_back(job->info);
    return list;
  }

  JobInfo one(const std::string& id) const {
    const std::lock_guard guard(mutex_);
    return require(id)->info;
  }

  void cancel(const std::string& id) {
    const std::lock_guard guard(mutex_);
    cancel(require(id));
  }

  std::shared_ptr<Watcher> watch(const std::string& id, OnUpdate on_update) {
    const std::lock_guard guard(mutex_);
    const auto watcher = std::make_shared<Watcher>();
    watcher->id = id;
    watcher->on_update = std::move(on_update);
    if (id.empty()) {
      std::vector<const Job*> list = newest_first();
      std::reverse(list.begin(), list.end());
      for (const Job* job : list) {
        if (!has_ended(job->info.state)) watcher->outbox.push_back(job->info);
      }
    } else {
      watcher->outbox.push_back(require(id)->info);
    }
    watchers_.push_back(watcher);
    has_news_.notify_one();
    return watcher;
  }

  /// Once it returns `watcher` is not called any more.
  void unwatch(const std::shared_ptr<Watcher>& watcher) {
    OnUpdate forgotten;  // goes, with all that it holds, when the mutex is free again
    std::unique_lock lock(mutex_);
    watcher->has_left = true;
    watcher->outbox.clear();
    std::erase(watchers_, watcher);
    if (std::this_thread::get_id() == teller_.get_id()) return;  // from inside a callback
    called_.wait(lock, [&] { return !watcher->is_calling; });
    forgotten = std::move(watcher->on_update);
  }

 private:
  class HeldJob final : public Hold {
   public:
    HeldJob(std::shared_ptr<Body> body, std::shared_ptr<Job> job)
        : body_(std::move(body)), job_(std::move(job)) {}
    ~HeldJob() override { body_->give_up(job_); }

   private:
    std::shared_ptr<Body> body_;
    std::shared_ptr<Job> job_;
  };

  // All below but work(), tell() and what they say is called with the mutex held.

  void remember() {
    std::vector<JobRecord> records;
    try {
      records = store_.jobs();
    } catch (const Error&) {  // what was is not known: no reason not to go on
    }
    std::reverse(records.begin(), records.end());
    for (const JobRecord& record : records) {
      auto info = job_of(record);
      if (!info) continue;
      const auto job = std::make_shared<Job>();
      job->serial = job->ended = next_serial_++;
      job->info = std::move(*info);
      if (record.state != job_state_name(job->info.state)) unwritten_.push_back(job->info);
      jobs_[job->info.id] = job;
    }
    forget_oldest();
  }

  std::shared_ptr<Job> same_or_new(JobTask task) {
    if (is_stopping_) {
      throw Error(ErrorCode::kUnavailable, "no new job: the daemon is ending; try again later");
    }
    if (const auto same = find_same(task.key)) return same;
    if (waiting_.size() >= options_.most_waiting) {
      throw Error(ErrorCode::kUnavailable, "no new job: " + std::to_string(waiting_.size()) +
                                               " wait already; try again later");
    }
    const auto job = std::make_shared<Job>();
    job->info.id = new_id();
    job->info.kind = task.kind;
    job->info.subject = task.subject;
    job->info.created_at = options_.now();
    job->serial = next_serial_++;
    job->task = std::move(task);
    jobs_[job->info.id] = job;
    waiting_.push_back(job);
    changed(*job, true);
    has_work_.notify_one();
    return job;
  }

  std::shared_ptr<Job> find_same(const std::string& key) const {
    if (key.empty()) return nullptr;
    for (const auto& [id, job] : jobs_) {
      // One that is about to end because it was cancelled is none to join.
      const bool lives = !has_ended(job->info.state) && !job->cancellation.is_cancelled();
      if (lives && job->task.key == key) return job;
    }
    return nullptr;
  }

  void cancel(const std::shared_ptr<Job>& job) {
    job->cancellation.cancel();
    if (std::erase(waiting_, job) > 0) end(*job, JobState::kCancelled, std::nullopt);
  }

  std::shared_ptr<Job> require(const std::string& id) const {
    const auto found = jobs_.find(id);
    if (found != jobs_.end()) return found->second;
    throw Error(ErrorCode::kNotFound, "there is no job '" + id + "'; 'omg jobs' lists them");
  }

  std::vector<const Job*> newest_first() const {
    std::vector<const Job*> list;
    for (const auto& [id, job] : jobs_) list.push_back(job.get());
    std::sort(list.begin(), list.end(),
              [](const Job* a, const Job* b) { return a->serial > b->serial; });
    return list;
  }

  /// Puts the job as it is now into the outboxes.
  void post(Job& job) {
    job.has_news = false;
    job.told_at = Clock::now();
    for (const auto& watcher : watchers_) {
      if (watcher->id.empty() || watcher->id == job.info.id) watcher->outbox.push_back(job.info);
    }
    has_news_.notify_one();
  }

  void changed(Job& job, bool of_state) {
    job.info.updated_at = options_.now();
    if (of_state) unwritten_.push_back(job.info);
    post(job);
  }

  void end(Job& job, JobState state, std::optional<Error> error) {
    job.info.state = state;
    job.info.error = std::move(error);
    job.info.bytes_per_second = 0;
    job.ended = next_serial_++;
    forget_oldest();
    changed(job, true);
  }

  void forget_oldest() {
    std::vector<const Job*> list;
    for (const auto& [id, job] : jobs_) {
      if (job->ended > 0) list.push_back(job.get());
    }
    std::sort(list.begin(), list.end(),
              [](const Job* a, const Job* b) { return a->ended > b->ended; });
    for (size_t i = options_.most_ended; i < list.size(); ++i) {
      const std::string id = list[i]->info.id;
      unwritten_.push_back(id);
      jobs_.erase(id);
    }
  }

  // Workers.

  class Report final : public JobReport {
   public:
    Report(Body& body, Job& job) : body_(body), job_(job) {}
    const CancellationToken& cancellation() const override { return job_.cancellation; }
    void set_phase(const std::string& phase) override {
      const std::lock_guard guard(body_.mutex_);
      if (job_.info.phase == phase) return;
      job_.info.phase = phase;
      body_.changed(job_, false);
    }
    void set_files(std::vector<JobFile> files, uint64_t completed, uint64_t total,
                   std::optional<double> bytes_per_second) override {
      const std::lock_guard guard(body_.mutex_);
      JobInfo& info = job_.info;
      info.files = std::move(files);
      info.completed = completed;
      info.total = total;
      if (!bytes_per_second) job_.rate.add(Clock::now(), completed);
      info.bytes_per_second = bytes_per_second.value_or(job_.rate.bytes_per_second());
      info.updated_at = body_.options_.now();
      if (!std::exchange(job_.has_news, true)) body_.has_news_.notify_one();
    }
    void warn(const std::string& sentence) override {
      const std::lock_guard guard(body_.mutex_);
      job_.info.warnings.push_back(sentence);
      body_.changed(job_, false);
    }
    void set_result(const std::string& model) override {
      const std::lock_guard guard(body_.mutex_);
      job_.info.result = model;
    }

   private:
    Body& body_;
    Job& job_;
  };

  void work() {
    for (;;) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock lock(mutex_);
        has_work_.wait(lock, [&] { return is_stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        job = waiting_.front();
        waiting_.pop_front();
        job->info.state = JobState::kRunning;
        changed(*job, true);
      }
      const std::optional<Error> error = run(*job);
      const auto done_with = std::exchange(job->task.run, nullptr);
      const std::lock_guard guard(mutex_);
      const bool was_cancelled =
          error && error->code() == ErrorCode::kCancelled && job->cancellation.is_cancelled();
      if (!error) {
        end(*job, JobState::kDone, std::nullopt);
      } else if (was_cancelled && is_stopping_) {
        end(*job, JobState::kFailed, interrupted_job());
      } else {
        end(*job, was_cancelled ? JobState::kCancelled : JobState::kFailed,
            was_cancelled ? std::nullopt : error);
      }
    }
  }

  std::optional<Error> run(Job& job) {
    try {
      Report report(*this, job);
      job.task.run(report);
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::kOutOfMemory, "out of memory; close other programs and try again");
    } catch (const std::exception& error) {
      return Error(ErrorCode::kInternal, std::string("a bug: ") + error.what());
    }
  }

  // The teller.

  void tell() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (call_somebody(lock) || write_something(lock)) continue;
      const auto next = post_progress();
      if (is_silent_ && outboxes_are_empty()) return;
      if (!outboxes_are_empty()) continue;
      if (next) {
        has_news_.wait_until(lock, *next);
      } else {
        has_news_.wait(lock);
      }
    }
  }

  bool outboxes_are_empty() const {
    return std::all_of(watchers_.begin(), watchers_.end(),
                       [](const auto& watcher) { return watcher->outbox.empty(); });
  }

  bool call_somebody(std::unique_lock<std::mutex>& lock) {
    const auto found = std::find_if(watchers_.begin(), watchers_.end(),
                                    [](const auto& watcher) { return !watcher->outbox.empty(); });
    if (found == watchers_.end()) return false;
    const std::shared_ptr<Watcher> watcher = *found;
    // Whoever comes next in the list is not kept waiting by one with much to hear.
    std::rotate(found, found + 1, watchers_.end());
    const JobInfo job = std::move(watcher->outbox.front());
    watcher->outbox.pop_front();
    watcher->is_calling = true;
    lock.unlock();
    try {
      watcher->on_update(job);
    } catch (...) {  // a watcher's trouble is not the job's
    }
    lock.lock();
    watcher->is_calling = false;
    called_.notify_all();
    if (!watcher->has_left) return true;
    // It left while it was called. What its function holds may end subscriptions when it goes.
    OnUpdate forgotten = std::move(watcher->on_update);
    lock.unlock();
    forgotten = nullptr;
    lock.lock();
    return true;
  }

  /// One thing at a time, so that callbacks do not wait for a busy disk longer than they must.
  bool write_something(std::unique_lock<std::mutex>& lock) {
    if (unwritten_.empty()) return false;
    const std::variant<JobInfo, std::string> change = std::move(unwritten_.front());
    unwritten_.pop_front();
    lock.unlock();
    try {
      if (const auto* job = std::get_if<JobInfo>(&change)) {
        store_.put_job(record_of(*job));
      } else {
        store_.remove_job(std::get<std::string>(change));
      }
    } catch (const Error&) {  // a full disk costs the memory of jobs, not the jobs
    }
    lock.lock();
    return true;
  }

  /// Posts what is due; gives when the next one is.
  std::optional<Clock::time_point> post_progress() {
    std::optional<Clock::time_point> next;
    const Clock::time_point now = Clock::now();
    for (const auto& [id, job] : jobs_) {
      if (!job->has_news) continue;
      const Clock::time_point due = job->told_at + options_.interval;
      if (due <= now) {
        post(*job);
      } else if (!next || due < *next) {
        next = due;
      }
    }
    return next;
  }

  Store& store_;
  JobQueueOptions options_;
  mutable std::mutex mutex_;  // guards all below but the threads
  std::condition_variable has_work_, has_news_, called_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // by id
  uint64_t next_serial_ = 1;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Watcher>> watchers_;
  std::deque<std::variant<JobInfo, std::string>> unwritten_;  // jobs, and ids that are forgotten
  bool is_stopping_ = false;
  bool is_silent_ = false;  // nothing more will happen
  std::vector<std::thread> workers_;
  std::thread teller_;

 public:
  class Watch final : public Subscription {
   public:
    Watch(std::shared_ptr<Body> body, std::shared_ptr<Watcher> watcher)
        : body_(std::move(body)), watcher_(std::move(watcher)) {}
    ~Watch() override { body_->unwatch(watcher_); }

   private:
    std::shared_ptr<Body> body_;
    std::shared_ptr<Watcher> watcher_;
  };
};

JobQueue::JobQueue(Store& store, JobMakers makers, JobQueueOptions options)
    : body_(std::make_shared<Body>(store, std::move(options))), makers_(std::move(makers)) {
  body_->begin();
}
JobQueue::~JobQueue() {
  body_->stop();
}

JobInfo JobQueue::start_pull(const PullCall& call, std::unique_ptr<Hold>* hold) {
  return body_->start(makers_.pull(call), hold);
}
JobInfo JobQueue::start_push(const std::string& model, bool insecure, std::unique_ptr<Hold>* hold) {
  return body_->start(makers_.push(model, insecure), hold);
}
JobInfo JobQueue::start_create(const CreateCall& call, std::unique_ptr<Hold>* hold) {
  return body_->start(makers_.create(call), hold);
}
std::vector<JobInfo> JobQueue::jobs() const {
  return body_->all();
}
JobInfo JobQueue::job(const std::string& id) const {
  return body_->one(id);
}
void JobQueue::cancel(const std::string& id) {
  body_->cancel(id);
}
std::unique_ptr<JobService::Subscription> JobQueue::watch(const std::string& id,
                                                          OnUpdate on_update) {
  if (id.empty()) throw Error(ErrorCode::kNotFound, "there is no job ''; 'omg jobs' lists them");
  return std::make_unique<Body::Watch>(body_, body_->watch(id, std::move(on_update)));
}
std::unique_ptr<JobService::Subscription> JobQueue::watch_all(OnUpdate on_update) {
  return std::make_unique<Body::Watch>(body_, body_->watch("", std::move(on_update)));
}

}  // namespace omg
