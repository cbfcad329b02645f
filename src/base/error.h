// SPDX-License-Identifier: Apache-2.0
//
// The one exception type for what can go wrong outside the program: bad input, missing files, a
// full disk, a client that left. The list of codes is closed, and one table maps each code to its
// name on the wire, its exit code and its HTTP status. Programming errors are assertions, not this.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace omg {

enum class ErrorCode {
  kInvalidArgument,        // a request or option has a wrong value
  kUsage,                  // the command line does not parse
  kNotFound,               // a file, model or key that was named does not exist
  kUnsupported,            // well-formed, but this build cannot do it
  kCorrupt,                // bytes that break their format
  kContextLengthExceeded,  // prompt and answer do not fit the context window
  kLimitExceeded,          // larger than a documented limit
  kOutOfMemory,            // memory, disk or KV blocks ran out
  kIo,                     // the operating system refused
  kUnavailable,            // busy, stopping or unreachable; may work later
  kCancelled,              // the caller asked to stop
  kInternal,               // a bug that was caught at a boundary
};

/// Thrown with a message of the form "what happened: why; what to do" that is shown as it is.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Stable name used on the wire and in logs, e.g. "context_length_exceeded".
std::string_view error_name(ErrorCode code);
/// The code of that name, or nothing: what error_name() gave, read back from the wire.
std::optional<ErrorCode> error_code_named(std::string_view name);
/// Exit code of a command that ends with this error (0 ok, 1 failure, 2 usage, 3 not found,
/// 4 daemon unreachable, 130 interrupted).
int exit_code(ErrorCode code);
/// HTTP status that a dialect answers with.
int http_status(ErrorCode code);

/// Error for a failed system call: "<what>: <strerror(errno)>". ENOENT becomes kNotFound, ENOSPC
/// and ENOMEM kOutOfMemory, all else kIo.
Error system_error(const std::string& what, int errno_value);

}  // namespace omg
