// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/frame.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace omg {
namespace {

constexpr uint32_t kMagic = 0x46474d4f;  // "OMGF"
constexpr size_t kUsualBuffer = size_t{64} << 10;

struct Header {
  uint32_t magic = kMagic;
  uint16_t type = 0;
  uint16_t zero = 0;
  uint64_t id = 0;
  uint64_t payload_bytes = 0;
};
static_assert(sizeof(Header) == kFrameHeaderBytes);

}  // namespace

size_t begin_frame(std::string& out, FrameType type, uint64_t id) {
  Header header;
  header.type = static_cast<uint16_t>(type);
  header.id = id;
  const size_t place = out.size();
  out.append(reinterpret_cast<const char*>(&header), sizeof header);
  return place;
}

void end_frame(std::string& out, size_t place, const FrameLimits& limits) {
  const uint64_t bytes = out.size() - place - kFrameHeaderBytes;
  if (bytes > limits.max_payload) {
    out.resize(place);
    throw Error(ErrorCode::kLimitExceeded, "the request takes " + std::to_string(bytes) +
                                               " bytes: at most " +
                                               std::to_string(limits.max_payload) +
                                               " go to or from a model's process; send less");
  }
  std::memcpy(out.data() + place + offsetof(Header, payload_bytes), &bytes, sizeof bytes);
}

char* FrameReader::room(size_t least) {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  // What one large frame took is given back.
  if (end_ == 0 && buffer_.size() > 16 * kUsualBuffer) std::vector<char>().swap(buffer_);
  if (buffer_.size() - end_ < least) {
    buffer_.resize(std::max({kUsualBuffer, end_ + least, 2 * buffer_.size()}));
  }
  return buffer_.data() + end_;
}

void FrameReader::feed(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
  filled(bytes.size());
}

bool FrameReader::next(Frame& frame) {
  const size_t held = end_ - begin_;
  if (held < kFrameHeaderBytes) return false;
  Header header;
  std::memcpy(&header, buffer_.data() + begin_, sizeof header);
  if (header.magic != kMagic || header.zero != 0) {
    throw Error(ErrorCode::kCorrupt, "what came is no frame: its header is wrong");
  }
  if (header.type < static_cast<uint16_t>(limits_.first) ||
      header.type > static_cast<uint16_t>(limits_.last)) {
    throw Error(ErrorCode::kCorrupt,
                "what came is no frame: type " + std::to_string(header.type) + " is unknown");
  }
  if (header.payload_bytes > limits_.max_payload) {
    throw Error(ErrorCode::kCorrupt, "a frame announces " + std::to_string(header.payload_bytes) +
                                         " bytes: the limit is " +
                                         std::to_string(limits_.max_payload));
  }
  if (header.payload_bytes > held - kFrameHeaderBytes) return false;
  frame.type = static_cast<FrameType>(header.type);
  frame.id = header.id;
  frame.payload = {buffer_.data() + begin_ + kFrameHeaderBytes, header.payload_bytes};
  begin_ += kFrameHeaderBytes + header.payload_bytes;
  return true;
}

}  // namespace omg
