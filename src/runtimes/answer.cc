// SPDX-License-Identifier: Apache-2.0
#include "runtimes/answer.h"

#include "base/utf8.h"

namespace omg {

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

void validate(const GenerateOptions& options) {
  validate(options.sampling);
  if (options.max_tokens < -1) {
    throw Error(ErrorCode::kInvalidArgument,
                "max_tokens is " + std::to_string(options.max_tokens) +
                    ": it must be -1 (until the context is full), 0 or more");
  }
  if (options.shift_context && options.max_tokens < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "shift_context needs max_tokens: an answer that may go on beyond the context must "
                "have another end");
  }
  if (options.stop.size() > kMaxStops) {
    throw Error(ErrorCode::kInvalidArgument, "stop has " + std::to_string(options.stop.size()) +
                                                 " strings: at most " + std::to_string(kMaxStops) +
                                                 " are possible");
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty() || stop.size() > kMaxStopBytes || !is_valid_utf8(stop)) {
      throw Error(ErrorCode::kInvalidArgument, "stop has a string of " +
                                                   std::to_string(stop.size()) +
                                                   " bytes: each must be UTF-8 text of 1 to " +
                                                   std::to_string(kMaxStopBytes) + " bytes");
    }
  }
}

}  // namespace omg
