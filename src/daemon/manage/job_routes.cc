// SPDX-License-Identifier: Apache-2.0
//
// Models come and go: /v1/models/pull, /v1/models/install, DELETE /v1/models/…, /v1/jobs.
#include <atomic>
#include <mutex>

#include "daemon/manage/replies.h"
#include "daemon/requests/outgoing_stream.h"

namespace omg::manage {
namespace {

/// Clients that read the progress of one job each. A subscription cannot end inside its own call,
/// so those that are over wait here until the next request comes by.
class JobWatches {
 public:
  explicit JobWatches(JobService& jobs) : jobs_(jobs) {}

  void begin(const JobInfo& job, HttpResponder& responder) {
    sweep();
    const auto stream = OutgoingStream::create(std::move(responder));
    const auto is_over = std::make_shared<std::atomic<bool>>(false);
    stream->on_gone([is_over] { *is_over = true; });
    stream->begin(sse_answer(), sse_options());
    Watch watch{is_over, jobs_.watch(job.id, [stream, is_over](const JobInfo& now) {
                  if (*is_over) return;
                  stream->push(sse_event(json::serialize(job_to_json(now)), "job"));
                  if (!has_ended(now)) return;
                  stream->finish();
                  *is_over = true;
                })};
    const std::lock_guard lock(mutex_);
    watches_.push_back(std::move(watch));
  }

  /// Ends subscriptions whose clients or jobs have ended.
  void sweep() {
    std::vector<Watch> over;  // end after the mutex: that may wait for a call
    const std::lock_guard lock(mutex_);
    std::erase_if(watches_, [&](Watch& watch) {
      if (!*watch.is_over) return false;
      over.push_back(std::move(watch));
      return true;
    });
  }

 private:
  struct Watch {
    std::shared_ptr<std::atomic<bool>> is_over;
    std::unique_ptr<JobService::Subscription> subscription;
  };
  JobService& jobs_;
  std::mutex mutex_;
  std::vector<Watch> watches_;
};

PullCall read_pull(JsonFields& fields) {
  PullCall call;
  call.model = read_model(fields);
  call.quantization = fields.string("quantization").value_or("");
  call.revision = fields.string("revision").value_or("");
  call.insecure = fields.boolean("insecure").value_or(false);
  call.allow_low_quality = fields.boolean("allow_low_quality").value_or(false);
  return call;
}

}  // namespace

void add_job_routes(HttpRouter& router, const ManageParts& parts) {
  JobService& jobs = parts.jobs;
  ModelCatalog& catalog = parts.catalog;
  const auto watches = std::make_shared<JobWatches>(jobs);

  const auto pull = [&jobs, watches](HttpServerRequest& request, HttpResponder& responder) {
    check_query(request, {});
    const json::object body = parse_body(request.body);
    JsonFields fields(body);
    const PullCall call = read_pull(fields);
    const bool stream = fields.boolean("stream").value_or(false);
    fields.finish();
    const JobInfo job = jobs.start_pull(call);
    if (stream) return watches->begin(job, responder);
    responder.send(json_answer(job_to_json(job), 202));
  };
  router.add("POST", "/v1/models/pull", pull);
  router.add("POST", "/v1/models/install", pull);
  router.add("DELETE", "/v1/models/*id",
             [&catalog](HttpServerRequest& request, HttpResponder& responder) {
               check_query(request, {});
               const std::string name(request.parameter("id"));
               catalog.remove(name);
               responder.send(json_answer(json::object{{"deleted", name}}));
             });

  router.add("GET", "/v1/jobs",
             [&jobs, watches](HttpServerRequest& request, HttpResponder& responder) {
               check_query(request, {});
               watches->sweep();
               json::array list;
               for (const JobInfo& job : jobs.jobs()) list.push_back(job_to_json(job));
               responder.send(json_answer(json::object{{"jobs", std::move(list)}}));
             });
  router.add("GET", "/v1/jobs/:id",
             [&jobs, watches](HttpServerRequest& request, HttpResponder& responder) {
               check_query(request, {"stream"});
               const auto stream = request.query_value("stream");
               if (stream && *stream != "true" && *stream != "false") {
                 throw Error(ErrorCode::kInvalidArgument, "stream must be true or false");
               }
               const JobInfo job = jobs.job(std::string(request.parameter("id")));
               if (stream == "true") return watches->begin(job, responder);
               responder.send(json_answer(job_to_json(job)));
             });
  const auto cancel = [&jobs](HttpServerRequest& request, HttpResponder& responder) {
    check_query(request, {});
    const json::object body = optional_body(request);
    JsonFields(body).finish();
    const std::string id(request.parameter("id"));
    jobs.cancel(id);
    responder.send(json_answer(job_to_json(jobs.job(id))));
  };
  router.add("DELETE", "/v1/jobs/:id", cancel);
  router.add("POST", "/v1/jobs/:id/cancel", cancel);
}

}  // namespace omg::manage
