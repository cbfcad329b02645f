// SPDX-License-Identifier: Apache-2.0
#include "daemon/manage/replies.h"

#include <algorithm>

#include "base/utf8.h"
#include "daemon/requests/keep_alive.h"
#include "runtimes/parameters.h"

namespace omg::manage {
namespace {

constexpr size_t kMaxModelBytes = 1024;

double milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

int64_t unix_seconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

json::object activity_to_json(const ModelActivity& activity) {
  return {{"running", activity.running},
          {"waiting", activity.waiting},
          {"steps", activity.steps},
          {"prompt_tokens", activity.prompt_tokens},
          {"cached_tokens", activity.cached_tokens},
          {"restored_tokens", activity.restored_tokens},
          {"generated_tokens", activity.generated_tokens},
          {"preemptions", activity.preemptions},
          {"kv_free_tokens", activity.kv_free_tokens}};
}

json::object facts_to_json(const ModelFacts& facts) {
  return {{"family", facts.family},
          {"name", facts.name},
          {"context_length", facts.context_length},
          {"vocab_size", facts.vocab_size},
          {"has_template", facts.has_template},
          {"can_use_tools", facts.can_use_tools},
          {"can_think", facts.can_think},
          {"can_fill_in", facts.can_fill_in},
          {"weights_bytes", facts.weights_bytes},
          {"kv_bytes", facts.kv_bytes},
          {"scratch_bytes", facts.scratch_bytes},
          {"kv_capacity_tokens", facts.kv_capacity_tokens},
          {"device", facts.device},
          {"prefix_storage", facts.prefix_storage},
          {"load_ms", milliseconds(facts.load_duration)}};
}

}  // namespace

HttpAnswer json_answer(const json::value& value, int status) {
  return {status, "application/json", {}, json::serialize(value) + "\n"};
}

json::object error_to_json(const Error& error) {
  return {{"code", error_name(error.code())}, {"message", replace_invalid_utf8(error.what())}};
}

HttpAnswer error_answer(const Error& error) {
  HttpAnswer answer =
      json_answer(json::object{{"error", error_to_json(error)}}, http_status(error.code()));
  if (error.code() == ErrorCode::kUnavailable) answer.headers = {{"Retry-After", "1"}};
  return answer;
}

json::object run_to_json(const RunInfo& run) {
  json::object object = {{"id", run.id},
                         {"model", run.model.name.str()},
                         {"state", run_state_name(run.state)},
                         {"error", nullptr},
                         {"load_progress", run.load_progress},
                         {"planned_bytes", run.planned_bytes},
                         {"answers", run.answers},
                         {"restarts", run.restarts},
                         {"pinned", run.is_pinned},
                         {"keep_alive_ms", run.keep_alive.count()},
                         {"expires_at", nullptr},
                         {"started_at", unix_seconds(run.started_at)},
                         {"facts", nullptr},
                         {"activity", activity_to_json(run.activity)}};
  if (!run.error.empty()) object["error"] = run.error;
  if (run.expires_at) object["expires_at"] = unix_seconds(*run.expires_at);
  if (run.facts) object["facts"] = facts_to_json(*run.facts);
  return object;
}

json::object job_to_json(const JobInfo& job) {
  json::array files;
  for (const JobFile& file : job.files) {
    files.push_back({{"name", file.name},
                     {"digest", file.digest},
                     {"completed", file.completed},
                     {"total", file.total}});
  }
  json::object object = {{"id", job.id},
                         {"kind", job.kind},
                         {"subject", job.subject},
                         {"state", job_state_name(job.state)},
                         {"phase", job.phase},
                         {"completed", job.completed},
                         {"total", job.total},
                         {"bytes_per_second", job.bytes_per_second},
                         {"result", nullptr},
                         {"error", nullptr},
                         {"created_at", job.created_at},
                         {"updated_at", job.updated_at},
                         {"files", std::move(files)}};
  json::array warnings;
  for (const std::string& warning : job.warnings) {
    warnings.emplace_back(replace_invalid_utf8(warning));
  }
  object["warnings"] = std::move(warnings);
  if (!job.result.empty()) object["result"] = replace_invalid_utf8(job.result);
  if (job.error) object["error"] = error_to_json(*job.error);
  return object;
}

bool has_ended(const JobInfo& job) {
  return job.state != JobState::kQueued && job.state != JobState::kRunning;
}

json::object result_to_json(const AnswerResult& result) {
  json::object object = {{"finish_reason", finish_reason_name(result.finish_reason)},
                         {"stop_sequence", nullptr},
                         {"seed", result.seed},
                         {"usage",
                          {{"prompt_tokens", result.prompt_tokens},
                           {"cached_tokens", result.cached_tokens},
                           {"generated_tokens", result.generated_tokens}}},
                         {"timings",
                          {{"load_ms", milliseconds(result.load_duration)},
                           {"queue_ms", milliseconds(result.queue_duration)},
                           {"prompt_ms", milliseconds(result.prompt_duration)},
                           {"generation_ms", milliseconds(result.generation_duration)},
                           {"total_ms", milliseconds(result.total_duration)}}}};
  if (!result.stop_sequence.empty()) {
    object["stop_sequence"] = replace_invalid_utf8(result.stop_sequence);
  }
  if (result.cut_messages > 0 || result.cut_tokens > 0) {
    object["cut"] = {{"messages", result.cut_messages}, {"tokens", result.cut_tokens}};
  }
  if (result.context_shifts > 0) object["context_shifts"] = result.context_shifts;
  json::array warnings;
  for (const std::string& warning : result.warnings) {
    warnings.emplace_back(replace_invalid_utf8(warning));
  }
  object["warnings"] = std::move(warnings);
  return object;
}

json::object service_event_to_json(const ServiceEvent& event) {
  using Kind = ServiceEvent::Kind;
  json::object object = {{"model", replace_invalid_utf8(event.model)}, {"run", nullptr}};
  if (!event.run_id.empty()) object["run"] = event.run_id;
  if (event.kind == Kind::kAnswerFinished) {
    json::object result = result_to_json(event.result);
    for (const char* key : {"finish_reason", "usage", "timings"}) object[key] = result.at(key);
  }
  if (event.kind == Kind::kRunStarted) object["planned_bytes"] = event.planned_bytes;
  if (event.kind == Kind::kRunLoaded) object["load_ms"] = milliseconds(event.duration);
  if (event.kind == Kind::kRunStopped) object["cause"] = event_cause_name(event.cause);
  if (!event.detail.empty()) object["detail"] = replace_invalid_utf8(event.detail);
  if (event.error) object["error"] = error_to_json(Error(*event.error, event.error_message));
  return object;
}

json::object optional_body(const HttpServerRequest& request) {
  const bool is_empty = request.body.find_first_not_of(" \t\r\n") == std::string::npos;
  return is_empty ? json::object() : parse_body(request.body);
}

void check_query(const HttpServerRequest& request, std::initializer_list<std::string_view> known) {
  for (size_t i = 0; i < request.query.size(); ++i) {
    const std::string& name = request.query[i].name;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw FieldError(FieldError::Kind::kUnsupported, name,
                       "the query has a parameter '" + shortened(name) + "' that is unknown here");
    }
    for (size_t k = 0; k < i; ++k) {
      if (request.query[k].name == name) {
        throw Error(ErrorCode::kInvalidArgument, "the query has '" + name + "' twice");
      }
    }
  }
}

int64_t query_number(const HttpServerRequest& request, std::string_view name, int64_t otherwise,
                     int64_t least, int64_t most) {
  const auto text = request.query_value(name);
  if (!text) return otherwise;
  const auto number = parse_integer(*text);
  if (number && *number >= least && *number <= most) return *number;
  throw Error(ErrorCode::kInvalidArgument, std::string(name) + " cannot be '" + shortened(*text) +
                                               "': it is a whole number from " +
                                               std::to_string(least) + " to " +
                                               std::to_string(most));
}

std::optional<KeepAlive> read_keep_alive(JsonFields& fields) {
  const json::value* value = fields.value("keep_alive");
  if (value == nullptr) return std::nullopt;
  const auto keep_alive = keep_alive_of(*value);
  if (!keep_alive) {
    fields.fail(FieldError::Kind::kWrongValue, "keep_alive",
                "must be a duration such as \"5m\", or a number of seconds");
  }
  return keep_alive;
}

std::string read_model(JsonFields& fields) {
  std::string model = fields.required_string("model");
  if (model.empty() || model.size() > kMaxModelBytes) {
    fields.fail(FieldError::Kind::kWrongValue, "model", "must have 1 to 1024 bytes");
  }
  return model;
}

}  // namespace omg::manage

namespace omg {

void add_manage_routes(HttpRouter& router, const ManageParts& parts) {
  manage::add_answer_routes(router, parts);
  manage::add_event_routes(router, parts);
  manage::add_job_routes(router, parts);
  manage::add_run_routes(router, parts);
  manage::add_system_routes(router, parts);
  manage::add_token_routes(router, parts);
}

HttpAnswer manage_problem(const HttpProblem& problem) {
  HttpAnswer answer = manage::json_answer(
      json::object{{"error", {{"code", problem.code}, {"message", problem.message}}}},
      problem.status);
  if (problem.status == 503) answer.headers = {{"Retry-After", "1"}};
  return answer;
}

}  // namespace omg
