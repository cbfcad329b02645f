// SPDX-License-Identifier: Apache-2.0
//
// The contents of frames: everything of runtimes/answer.h and model.h that goes between a daemon
// and a worker, as bytes and back, to the bit. No JSON: Boost.JSON's numbers do not all survive
// being written and read (one in seven random doubles came back changed), and a model's strings
// may be any bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtimes/model.h"
#include "runtimes/worker/frame.h"

namespace omg {

/// The first thing that a worker is told.
struct LoadCall {
  std::string version;  // of the program that asks: both sides must be the same
  bool sandbox = true;
  ModelLoadOptions options;
};

struct WorkerReady {
  ModelFacts facts;
  /// How the process is confined, for the log.
  std::string sandbox;
};

struct TokenizeCall {
  std::string text;
  TokenizeOptions options;
};

/// An Error.
struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

struct AnswerEnd {
  std::optional<Failure> error;
  AnswerResult result;
};

/// Appends a frame with this content. Error(kLimitExceeded), with `out` as it was, for what is
/// longer than `limits` say. Defined for the types that FrameType names; a request's cancellation
/// token stays behind.
template <class T>
void put_frame(std::string& out, FrameType type, uint64_t id, const T& content,
               const FrameLimits& limits);
/// Without content.
void put_frame(std::string& out, FrameType type, uint64_t id);

/// The content of a frame that was put so. Error(kCorrupt) when it is none: too short, too long,
/// or with a value that its type does not have.
template <class T>
T take_content(const Frame& frame);
/// Error(kCorrupt) when there is any.
void take_nothing(const Frame& frame);

}  // namespace omg
