// SPDX-License-Identifier: Apache-2.0
//
// How the choices of one request become what its client reads: a JSON object at the end, or server-
// sent events as they come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtimes/answer.h"

namespace omg::openai {

/// What all answers say of themselves.
struct AnswerHead {
  std::string id;
  std::string model;  // as the client named it
  int64_t created = 0;
  bool stream = false;
  bool include_usage = false;
  std::vector<std::string> warnings;  // of the request; results add theirs
};

/// Not thread-safe. Each returns the events that are to be sent now; "" where there are none, which
/// is always so without a stream.
class AnswerShape {
 public:
  virtual ~AnswerShape() = default;
  virtual std::string take(size_t choice, AnswerPiece&& piece) = 0;
  virtual std::string end(size_t choice, const AnswerResult& result) = 0;
  /// All choices have ended: the last events, or the whole body.
  virtual std::string finish() = 0;
};

/// Tokens of one choice, or of all.
struct Usage {
  uint64_t prompt_tokens = 0;
  uint64_t cached_tokens = 0;
  uint64_t completion_tokens = 0;
  uint64_t reasoning_tokens = 0;
};

/// The sum over choices that come in groups of `group` for each prompt: a prompt counts once, with
/// what was found of it before this request, which is the least that any of them found.
Usage total_usage(const std::vector<Usage>& choices, size_t group);
std::string usage_json(const Usage& usage);

/// {"id", "object", "created", "model", "system_fingerprint" without the end.
std::string head_json(const AnswerHead& head, std::string_view object);

/// Those of `more` that `warnings` does not have yet.
void add_warnings(std::vector<std::string>& warnings, const std::vector<std::string>& more);

}  // namespace omg::openai
