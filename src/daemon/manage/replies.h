// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/manage: how things look on the wire, and how requests are read.
#pragma once

#include <string>

#include "base/json.h"
#include "daemon/manage/manage.h"
#include "daemon/requests/json_fields.h"
#include "net/server/request.h"
#include "net/server/responder.h"

namespace omg::manage {

HttpAnswer json_answer(const json::value& value, int status = 200);
/// {"code": …, "message": …}
json::object error_to_json(const Error& error);
/// With Retry-After where another try may help.
HttpAnswer error_answer(const Error& error);

json::object run_to_json(const RunInfo& run);
json::object job_to_json(const JobInfo& job);
bool has_ended(const JobInfo& job);
/// Of what was counted and measured: usage, timings, finish_reason, …
json::object result_to_json(const AnswerResult& result);
json::object service_event_to_json(const ServiceEvent& event);

/// The body as an object; none at all is {}.
json::object optional_body(const HttpServerRequest& request);
/// Error(kInvalidArgument) for a parameter of the query that is none of these, and for one that
/// stands there twice.
void check_query(const HttpServerRequest& request, std::initializer_list<std::string_view> known);
/// A whole number out of the query.
int64_t query_number(const HttpServerRequest& request, std::string_view name, int64_t otherwise,
                     int64_t least, int64_t most);
/// The keep_alive of a body.
std::optional<KeepAlive> read_keep_alive(JsonFields& fields);
/// The required "model"; 1 to 1024 bytes.
std::string read_model(JsonFields& fields);

// Each adds its part of the routes.
void add_answer_routes(HttpRouter& router, const ManageParts& parts);
void add_event_routes(HttpRouter& router, const ManageParts& parts);
void add_job_routes(HttpRouter& router, const ManageParts& parts);
void add_run_routes(HttpRouter& router, const ManageParts& parts);
void add_system_routes(HttpRouter& router, const ManageParts& parts);
void add_token_routes(HttpRouter& router, const ManageParts& parts);

}  // namespace omg::manage
