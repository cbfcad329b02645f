// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/job_records.h"

#include <array>

namespace omg {
namespace {

constexpr std::array<JobState, 5> kStates = {JobState::kQueued, JobState::kRunning, JobState::kDone,
                                             JobState::kFailed, JobState::kCancelled};

uint64_t number_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  boost::system::error_code failed;
  const uint64_t number = value ? value->to_number<uint64_t>(failed) : 0;
  return failed ? 0 : number;
}

std::string text_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<const json::object*> objects_of(const json::object& object, const char* key) {
  std::vector<const json::object*> objects;
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_array()) return objects;
  for (const json::value& entry : value->get_array()) {
    if (entry.is_object()) objects.push_back(&entry.get_object());
  }
  return objects;
}

ErrorCode code_of(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    if (error_name(static_cast<ErrorCode>(code)) == name) return static_cast<ErrorCode>(code);
  }
  return ErrorCode::kInternal;
}

/// What is missing or wrong in a row that somebody has changed is left as it begins.
void read_detail(const json::object& detail, JobInfo& job) {
  job.phase = text_of(detail, "phase");
  job.completed = number_of(detail, "completed");
  job.total = number_of(detail, "total");
  for (const json::object* file : objects_of(detail, "files")) {
    job.files.push_back({text_of(*file, "name"), text_of(*file, "digest"),
                         number_of(*file, "total"), number_of(*file, "completed")});
  }
  if (const json::value* warnings = detail.if_contains("warnings");
      warnings && warnings->is_array()) {
    for (const json::value& warning : warnings->get_array()) {
      if (warning.is_string()) job.warnings.emplace_back(warning.get_string());
    }
  }
  job.result = text_of(detail, "result");
  const std::string message = text_of(detail, "error");
  if (!message.empty()) job.error = Error(code_of(text_of(detail, "error_code")), message);
}

}  // namespace

JobRecord record_of(const JobInfo& job) {
  json::object detail = {{"phase", job.phase}, {"completed", job.completed}, {"total", job.total}};
  json::array files;
  for (const JobFile& file : job.files) {
    files.push_back({{"name", file.name},
                     {"digest", file.digest},
                     {"total", file.total},
                     {"completed", file.completed}});
  }
  if (!files.empty()) detail["files"] = std::move(files);
  json::array warnings;
  for (const std::string& warning : job.warnings) warnings.emplace_back(warning);
  if (!warnings.empty()) detail["warnings"] = std::move(warnings);
  if (!job.result.empty()) detail["result"] = job.result;
  if (job.error) {
    detail["error"] = job.error->what();
    detail["error_code"] = error_name(job.error->code());
  }
  return {job.id,
          job.kind,
          job.subject,
          std::string(job_state_name(job.state)),
          json::serialize(detail),
          job.created_at,
          job.updated_at};
}

std::optional<JobInfo> job_of(const JobRecord& record) {
  if (record.kind != "pull" && record.kind != "push" && record.kind != "create") {
    return std::nullopt;
  }
  JobInfo job;
  job.id = record.id;
  job.kind = record.kind;
  job.subject = record.subject;
  job.created_at = record.created_at;
  job.updated_at = record.updated_at;
  job.state = JobState::kFailed;
  for (const JobState state : kStates) {
    if (job_state_name(state) == record.state) job.state = state;
  }
  try {
    const json::value detail = parse_json(record.detail, "a job");
    if (detail.is_object()) read_detail(detail.get_object(), job);
  } catch (const Error&) {
  }
  if (!has_ended(job.state)) {
    job.state = JobState::kFailed;
    job.error = interrupted_job();
  }
  if (job.state == JobState::kFailed && !job.error) {
    job.error = Error(ErrorCode::kInternal, "why it failed is not known any more");
  }
  return job;
}

Error interrupted_job() {
  return Error(ErrorCode::kUnavailable,
               "interrupted: the daemon ended; start it again, what has arrived is kept");
}

bool has_ended(JobState state) {
  return state != JobState::kQueued && state != JobState::kRunning;
}

}  // namespace omg
