// SPDX-License-Identifier: Apache-2.0
//
// What OpenAI calls which error. Statuses are those of the one table in base/error.h.
#include "daemon/openai/errors.h"

#include "base/utf8.h"
#include "daemon/openai/openai.h"
#include "daemon/requests/json_fields.h"

namespace omg {
namespace openai {
namespace {

std::string_view code_of(FieldError::Kind kind) {
  switch (kind) {
    case FieldError::Kind::kMissing:
      return "missing_required_parameter";
    case FieldError::Kind::kWrongType:
      return "invalid_type";
    case FieldError::Kind::kWrongValue:
      return "invalid_value";
    case FieldError::Kind::kUnsupported:
      return "unsupported_parameter";
  }
  return "";
}

}  // namespace

std::string_view type_of_status(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

ApiError api_error(const Error& error, std::string_view prompt_field) {
  ApiError result;
  result.status = http_status(error.code());
  result.message = error.what();
  result.type = type_of_status(result.status);
  result.code = error_name(error.code());
  if (const auto* field = dynamic_cast<const FieldError*>(&error)) {
    if (!field->field().empty()) result.param = field->field();
    result.code = field->field().empty() ? "invalid_body" : code_of(field->kind());
  } else if (error.code() == ErrorCode::kContextLengthExceeded) {
    result.param = prompt_field;
  } else if (error.code() == ErrorCode::kNotFound) {
    result.param = "model";
    result.code = "model_not_found";
  }
  return result;
}

std::string error_body(const ApiError& error) {
  json::object inner;
  inner["message"] = replace_invalid_utf8(error.message);
  inner["type"] = error.type;
  inner["param"] = error.param ? json::value(*error.param) : json::value(nullptr);
  inner["code"] = error.code ? json::value(*error.code) : json::value(nullptr);
  return json::serialize(json::object{{"error", std::move(inner)}});
}

HttpAnswer error_answer(const ApiError& error) {
  HttpAnswer answer{error.status, "application/json", {}, error_body(error)};
  if (error.status == 503) answer.headers.push_back({"Retry-After", "1"});
  if (error.status == 501) answer.headers.push_back({"x-should-retry", "false"});
  return answer;
}

}  // namespace openai

HttpAnswer openai_problem(const HttpProblem& problem) {
  openai::ApiError error;
  error.status = problem.status;
  error.message = problem.message;
  error.type = openai::type_of_status(problem.status);
  error.code = problem.code;
  if (problem.status == 401) error.code = "invalid_api_key";
  if (problem.status == 404) error.code = "unknown_url";
  if (problem.status == 405) error.code = "method_not_allowed";
  if (problem.status == 429) error.code = "rate_limit_exceeded";
  HttpAnswer answer;
  answer.status = problem.status;
  answer.content_type = "application/json";
  answer.body = openai::error_body(error);  // the problem's own headers are kept
  return answer;
}

}  // namespace omg
