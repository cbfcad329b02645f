// SPDX-License-Identifier: Apache-2.0
//
// What is loaded: /v1/runs and what is below it, and /v1/plan for what could be.
#include <algorithm>

#include "base/hardware.h"
#include "base/utf8.h"
#include "daemon/manage/replies.h"
#include "daemon/requests/outgoing_stream.h"

namespace omg::manage {
namespace {

constexpr int64_t kMaxLogLines = 100'000;
constexpr int64_t kMaxContext = int64_t{1} << 30;
constexpr int64_t kMaxSequences = 4096;

/// A run by its id, or by its model's name.
RunInfo require_run(const ModelService& models, std::string_view id) {
  const std::vector<RunInfo> runs = models.runs();
  for (const RunInfo& run : runs) {
    if (run.id == id) return run;
  }
  for (const RunInfo& run : runs) {
    if (run.model.name.str() == id) return run;
  }
  throw Error(ErrorCode::kNotFound, "there is no run '" + shortened(id) +
                                        "': it has ended, or never was; GET /v1/runs lists them");
}

/// The run of a model that was just loaded, maybe under another of its names; "stopped" if it is
/// gone again.
json::object loaded_to_json(const ModelService& models, const StoredModel& model) {
  const Digest files = model.files_digest();
  for (const RunInfo& run : models.runs()) {
    if (run.facts && run.model.files_digest() == files) return run_to_json(run);
  }
  return {{"model", model.name.str()}, {"state", "stopped"}};
}

void start_run(const ManageParts& parts, HttpServerRequest& request, HttpResponder& responder) {
  ModelService& models = parts.models;
  check_query(request, {});
  const json::object body = parse_body(request.body);
  JsonFields fields(body);
  const std::string model = read_model(fields);
  const std::optional<KeepAlive> keep_alive = read_keep_alive(fields);
  const std::optional<bool> pinned = fields.boolean("pinned");
  const bool wait = fields.boolean("wait").value_or(true);
  fields.finish();
  if (pinned) models.set_pinned(model, *pinned);
  if (!wait) {
    models.load(model, keep_alive, [](const Error*, std::chrono::nanoseconds) {});
    responder.send(json_answer(json::object{{"model", model}, {"state", "starting"}}, 202));
    return;
  }
  const StoredModel stored = parts.catalog.find(model);
  const auto stream = OutgoingStream::create(std::move(responder));
  stream->on_gone(models.load(
      model, keep_alive, [&models, stream, stored](const Error* error, std::chrono::nanoseconds) {
        stream->send(error != nullptr ? error_answer(*error)
                                      : json_answer(loaded_to_json(models, stored)));
      }));
}

void stop_run(ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {});
  const json::object body = optional_body(request);
  JsonFields(body).finish();
  const RunInfo run = require_run(models, request.parameter("id"));
  const bool was_loaded = models.unload(run.model.name.str());
  responder.send(json_answer(json::object{{"id", run.id},
                                          {"model", run.model.name.str()},
                                          {"state", was_loaded ? "stopping" : "stopped"}}));
}

void send_log(const ModelService& models, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {"lines", "format"});
  const int64_t lines = query_number(request, "lines", 200, 1, kMaxLogLines);
  const std::string_view format = request.query_value("format").value_or("text");
  if (format != "text" && format != "json") {
    throw Error(ErrorCode::kInvalidArgument, "format must be text or json");
  }
  const std::string id(request.parameter("id"));
  const std::vector<std::string> log = models.run_log(id, static_cast<size_t>(lines));
  if (format == "json") {
    json::array array;
    for (const std::string& line : log) array.emplace_back(replace_invalid_utf8(line));
    responder.send(json_answer(json::object{{"run", id}, {"lines", std::move(array)}}));
    return;
  }
  std::string text;
  for (const std::string& line : log) text += replace_invalid_utf8(line) + '\n';
  responder.send({200, "text/plain; charset=utf-8", {}, std::move(text)});
}

/// What daemon/jobs found when the model was installed, in StoredModel::extra.
struct InstalledPlan {
  uint64_t weights = 0;
  uint64_t scratch = 0;
  uint64_t kv_per_token = 0;
};

InstalledPlan require_plan(const StoredModel& model) {
  const json::value* memory = model.extra.if_contains("memory");
  if (memory == nullptr || !memory->is_object()) {
    throw Error(ErrorCode::kUnsupported,
                "there is no memory plan of '" + model.name.str() +
                    "': it was installed without one, or no engine here runs its family; see "
                    "`omg show`");
  }
  const auto number = [&](const char* key) -> uint64_t {
    const json::value* value = memory->get_object().if_contains(key);
    boost::system::error_code ignored;
    return value != nullptr ? value->to_number<uint64_t>(ignored) : 0;
  };
  return {number("weights"), number("scratch"), number("kv_per_token")};
}

void send_plan(const ManageParts& parts, HttpServerRequest& request, HttpResponder& responder) {
  check_query(request, {"model", "context", "sequences"});
  const auto name = request.query_value("model");
  if (!name || name->empty()) {
    throw Error(ErrorCode::kInvalidArgument, "the query must name a model: ?model=NAME");
  }
  const StoredModel model = parts.catalog.find(std::string(*name));
  const InstalledPlan plan = require_plan(model);
  const auto longest = static_cast<int64_t>(std::min<uint64_t>(
      model.context_length > 0 ? model.context_length : 4096, uint64_t{1} << 30));
  const int64_t wanted = query_number(request, "context", longest, 1, kMaxContext);
  const int64_t sequences = query_number(request, "sequences", 1, 1, kMaxSequences);
  const auto context = static_cast<uint64_t>(std::min(wanted, longest));
  // At most 2^30 tokens of 2^12 sequences, of a few MiB each: no product here overflows 2^64.
  const uint64_t kv_per_token = std::min<uint64_t>(plan.kv_per_token, uint64_t{1} << 20);
  const uint64_t kv = kv_per_token * context * static_cast<uint64_t>(sequences);
  const uint64_t total = plan.weights + plan.scratch + kv;
  const uint64_t usable = parts.usable_memory ? parts.usable_memory() : usable_memory();
  const uint64_t without_kv = plan.weights + plan.scratch;
  const uint64_t fitting =
      usable > without_kv && kv_per_token > 0 ? (usable - without_kv) / kv_per_token : 0;
  responder.send(json_answer(json::object{
      {"model", model.name.str()},
      {"context", context},
      {"sequences", sequences},
      {"weights_bytes", plan.weights},
      {"scratch_bytes", plan.scratch},
      {"kv_bytes_per_token", kv_per_token},
      {"kv_bytes", kv},
      {"total_bytes", total},
      {"usable_bytes", usable},
      {"fits", total <= usable},
      {"longest_context_that_fits", std::min<uint64_t>(fitting, static_cast<uint64_t>(longest))}}));
}

}  // namespace

void add_run_routes(HttpRouter& router, const ManageParts& parts) {
  ModelService& models = parts.models;
  router.add("GET", "/v1/runs", [&models](HttpServerRequest& request, HttpResponder& responder) {
    check_query(request, {});
    json::array list;
    for (const RunInfo& run : models.runs()) list.push_back(run_to_json(run));
    responder.send(json_answer(json::object{{"runs", std::move(list)}}));
  });
  router.add("POST", "/v1/runs", [parts](HttpServerRequest& request, HttpResponder& responder) {
    start_run(parts, request, responder);
  });
  router.add(
      "GET", "/v1/runs/:id", [&models](HttpServerRequest& request, HttpResponder& responder) {
        check_query(request, {});
        responder.send(json_answer(run_to_json(require_run(models, request.parameter("id")))));
      });
  router.add("POST", "/v1/runs/:id/stop",
             [&models](HttpServerRequest& request, HttpResponder& responder) {
               stop_run(models, request, responder);
             });
  router.add("GET", "/v1/runs/:id/logs",
             [&models](HttpServerRequest& request, HttpResponder& responder) {
               send_log(models, request, responder);
             });
  router.add("GET", "/v1/plan", [parts](HttpServerRequest& request, HttpResponder& responder) {
    send_plan(parts, request, responder);
  });
}

}  // namespace omg::manage
