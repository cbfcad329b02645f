// SPDX-License-Identifier: Apache-2.0
//
// The table of error codes.
#include "base/error.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace omg {
namespace {

struct Row {
  ErrorCode code;
  std::string_view name;
  int exit_code;
  int http_status;
};

constexpr std::array<Row, 12> kTable = {{
    {ErrorCode::kInvalidArgument, "invalid_argument", 2, 400},
    {ErrorCode::kUsage, "usage", 2, 400},
    {ErrorCode::kNotFound, "not_found", 3, 404},
    {ErrorCode::kUnsupported, "unsupported", 1, 400},
    {ErrorCode::kCorrupt, "corrupt", 1, 422},
    {ErrorCode::kContextLengthExceeded, "context_length_exceeded", 1, 400},
    {ErrorCode::kLimitExceeded, "limit_exceeded", 1, 413},
    {ErrorCode::kOutOfMemory, "out_of_memory", 1, 507},
    {ErrorCode::kIo, "io", 1, 500},
    {ErrorCode::kUnavailable, "unavailable", 4, 503},
    {ErrorCode::kCancelled, "cancelled", 130, 499},
    {ErrorCode::kInternal, "internal", 1, 500},
}};

const Row& row(ErrorCode code) {
  return kTable[static_cast<size_t>(code)];
}

constexpr bool table_is_in_order() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].code) != i) return false;
  }
  return true;
}
static_assert(table_is_in_order());

}  // namespace

std::string_view error_name(ErrorCode code) {
  return row(code).name;
}
std::optional<ErrorCode> error_code_named(std::string_view name) {
  for (const Row& candidate : kTable) {
    if (candidate.name == name) return candidate.code;
  }
  return std::nullopt;
}
int exit_code(ErrorCode code) {
  return row(code).exit_code;
}
int http_status(ErrorCode code) {
  return row(code).http_status;
}

Error system_error(const std::string& what, int errno_value) {
  ErrorCode code = ErrorCode::kIo;
  if (errno_value == ENOENT) code = ErrorCode::kNotFound;
  if (errno_value == ENOSPC || errno_value == ENOMEM) code = ErrorCode::kOutOfMemory;
  return Error(code, what + ": " + std::strerror(errno_value));
}

}  // namespace omg
