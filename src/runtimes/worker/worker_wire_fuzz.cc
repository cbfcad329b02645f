// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what the other side sent: they are refused with a typed error, or are frames that
// can be written again and mean the same. The first byte says whether the rest is a stream, in
// cuts, or the content of one frame.
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "runtimes/worker/wire.h"

namespace {

using namespace omg;

constexpr FrameLimits kBoth{FrameType::kLoad, FrameType::kPong, size_t{1} << 30};

template <class T>
void take_and_put(const Frame& frame) {
  const T content = take_content<T>(frame);
  std::string once;
  put_frame(once, frame.type, frame.id, content, kBoth);
  FrameReader reader(kBoth);
  reader.feed(once);
  Frame again;
  if (!reader.next(again)) std::abort();
  std::string twice;
  put_frame(twice, frame.type, frame.id, take_content<T>(again), kBoth);
  if (once != twice) std::abort();
}

void take(const Frame& frame) {
  switch (frame.type) {
    case FrameType::kLoad:
      return take_and_put<LoadCall>(frame);
    case FrameType::kAnswer:
      return take_and_put<AnswerRequest>(frame);
    case FrameType::kTokenize:
      return take_and_put<TokenizeCall>(frame);
    case FrameType::kDetokenize:
    case FrameType::kTokens:
      return take_and_put<std::vector<int32_t>>(frame);
    case FrameType::kRender:
      return take_and_put<ChatPrompt>(frame);
    case FrameType::kProgress:
      return take_and_put<float>(frame);
    case FrameType::kReady:
      return take_and_put<WorkerReady>(frame);
    case FrameType::kPiece:
      return take_and_put<AnswerPiece>(frame);
    case FrameType::kEnd:
      return take_and_put<AnswerEnd>(frame);
    case FrameType::kActivity:
    case FrameType::kBytes:
      return take_and_put<std::string>(frame);
    case FrameType::kRendered:
      return take_and_put<RenderedChat>(frame);
    case FrameType::kActivityIs:
      return take_and_put<ModelActivity>(frame);
    case FrameType::kFailed:
      return take_and_put<Failure>(frame);
    default:
      return take_nothing(frame);
  }
}

void take_stream(const FrameLimits& limits, std::string_view bytes, size_t step) {
  FrameReader reader(limits);
  for (size_t at = 0; at < bytes.size(); at += step) {
    reader.feed(bytes.substr(at, step));
    for (Frame frame; reader.next(frame);) take(frame);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const uint8_t how = data[0];
  try {
    if (how < 128) {
      take(Frame{static_cast<FrameType>(how), 1, rest});
    } else {
      take_stream(how % 2 == 0 ? kLimitsFromWorker : kLimitsToWorker, rest, 1 + how % 61);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) std::abort();
  }
  return 0;
}
