// SPDX-License-Identifier: Apache-2.0
//
// What travels between the daemon and a worker: frames, each a header of fixed size and a payload.
// Bytes may come in any cuts. Both sides are the same program on the same machine, so numbers are
// as the processor has them; but neither side trusts the other's: a worker may have been taken over
// by a hostile model file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

enum class FrameType : uint16_t {
  // To the worker.
  kLoad = 1,  // LoadCall; the first frame, once
  kAnswer,    // AnswerRequest
  kCancel,    // of the answer with this id; empty
  kTokenize,  // TokenizeCall
  kDetokenize,
  kRender,    // ChatPrompt
  kActivity,  // an empty string
  kPing,      // empty
  kStop,      // empty: end all answers and leave
  // From the worker.
  kProgress = 64,  // float, 0 to 1
  kReady,          // WorkerReady; once
  kPiece,          // AnswerPiece
  kEnd,            // AnswerEnd
  kTokens,         // std::vector<int32_t>
  kBytes,          // std::string
  kRendered,       // RenderedChat
  kActivityIs,     // ModelActivity
  kFailed,         // Failure; id 0: the model could not be loaded
  kPong,
};

/// Of one direction.
struct FrameLimits {
  FrameType first = FrameType::kLoad;
  FrameType last = FrameType::kStop;
  size_t max_payload = 0;
};

/// A request's prompt, with its tools; much more than the HTTP side lets through.
inline constexpr FrameLimits kLimitsToWorker{FrameType::kLoad, FrameType::kStop, size_t{256} << 20};
/// The largest are the tokens of a result (4 bytes each), a call that turns out to be none (8 MiB)
/// and a prompt that was only rendered.
inline constexpr FrameLimits kLimitsFromWorker{FrameType::kProgress, FrameType::kPong,
                                               size_t{64} << 20};

struct Frame {
  FrameType type{};
  uint64_t id = 0;  // of the request that it belongs to
  std::string_view payload;
};

inline constexpr size_t kFrameHeaderBytes = 24;

/// Begins a frame at the end of `out`; the payload is appended by the caller, and end_frame() with
/// the returned place then writes its length.
size_t begin_frame(std::string& out, FrameType type, uint64_t id);
/// Error(kLimitExceeded), with the frame taken away again, when it became too long.
void end_frame(std::string& out, size_t place, const FrameLimits& limits);

/// Bytes in any cuts become frames. Memory grows with what has arrived, not with what is announced.
class FrameReader {
 public:
  explicit FrameReader(const FrameLimits& limits) : limits_(limits) {}

  /// Room for at least `least` bytes behind those that wait; valid until the next call.
  char* room(size_t least);
  size_t room_size() const { return buffer_.size() - end_; }
  /// So many bytes were written there.
  void filled(size_t bytes) { end_ += bytes; }
  void feed(std::string_view bytes);

  /// The next whole frame; its payload is valid until room() or feed(). False: more bytes are
  /// needed. Error(kCorrupt) when what came is no frame; nothing more may then be read.
  bool next(Frame& frame);

 private:
  FrameLimits limits_;
  std::vector<char> buffer_;
  size_t begin_ = 0;  // of what was not taken yet
  size_t end_ = 0;
};

}  // namespace omg
