// SPDX-License-Identifier: Apache-2.0
//
// A unit holds: bit 31 "this is a value" (the other bits); else bits 0 to 7 the byte that leads
// here, bit 8 "a value hangs below", bits 10 to 30 the offset of the children, which counts in
// 256s where bit 9 is set.
#include "text/tokenizer/charsmap.h"

#include "base/error.h"

namespace omg {
namespace {

constexpr size_t kMaxReplacement = 1024;  // NFKC's longest has 33 bytes
constexpr size_t kMaxKey = 256;           // a damaged array may have circles

uint32_t little_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

uint32_t offset_of(uint32_t unit) {
  return (unit >> 10) << ((unit >> 9 & 1) * 8);
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, std::string_view what) {
  const auto fail = [&](const std::string& why) {
    throw Error(ErrorCode::kCorrupt, "cannot read the normalisation: " + std::string(what) + " " +
                                         why + "; the model file is damaged or was made wrongly");
  };
  if (bytes.size() < 4) fail("is shorter than its size field");
  const uint32_t size = little_endian(bytes);
  bytes.remove_prefix(4);
  // At least one byte of replacements follows.
  if (size >= bytes.size()) {
    fail("has " + std::to_string(bytes.size()) + " bytes for a table of " + std::to_string(size));
  }
  for (size_t i = 0; i + 4 <= size; i += 4) units_.push_back(little_endian(bytes.substr(i)));
  replacements_ = bytes.substr(size);
  if (replacements_.back() != '\0') fail("has a replacement without an end");
  for (size_t start = 0; start < replacements_.size();) {
    const size_t end = replacements_.find('\0', start);
    if (end - start > kMaxReplacement) fail("has a replacement of more than 1024 bytes");
    start = end + 1;
  }
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Match> found;
  if (units_.empty()) return found;
  text = text.substr(0, kMaxKey);
  uint32_t node = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const uint32_t byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || (units_[node] & 0x8000'00FF) != byte) break;
    const bool has_value = (units_[node] >> 8 & 1) != 0;
    node ^= offset_of(units_[node]);
    if (node >= units_.size()) break;
    if (!has_value) continue;
    const uint32_t place = units_[node] & 0x7FFF'FFFF;
    if (place >= replacements_.size()) break;
    found = Match{i + 1, std::string_view(replacements_.c_str() + place)};
    if (!longest) break;
  }
  return found;
}

}  // namespace omg
