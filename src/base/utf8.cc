// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <algorithm>

namespace omg {
namespace {

uint8_t byte_at(std::string_view text, size_t i) {
  return static_cast<uint8_t>(text[i]);
}

/// Length that a lead byte announces; 0 for a byte that leads nothing.
uint32_t sequence_size(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/// Whether `second` may follow `lead` (Unicode 15, table 3-7: no overlong forms, no surrogates).
bool second_byte_fits(uint8_t lead, uint8_t second) {
  switch (lead) {
    case 0xe0:
      return second >= 0xa0 && second <= 0xbf;
    case 0xed:
      return second >= 0x80 && second <= 0x9f;
    case 0xf0:
      return second >= 0x90 && second <= 0xbf;
    case 0xf4:
      return second >= 0x80 && second <= 0x8f;
    default:
      return (second & 0xc0) == 0x80;
  }
}

/// How many bytes of text[position...] belong together: the whole sequence, or a proper beginning.
uint32_t matching_prefix(std::string_view text, size_t position, uint32_t size) {
  const size_t available = std::min<size_t>(size, text.size() - position);
  uint32_t matched = 1;
  for (; matched < available; ++matched) {
    const uint8_t next = byte_at(text, position + matched);
    const bool fits =
        matched == 1 ? second_byte_fits(byte_at(text, position), next) : (next & 0xc0) == 0x80;
    if (!fits) break;
  }
  return matched;
}

}  // namespace

DecodedCodePoint decode_utf8(std::string_view text, size_t position) {
  const uint8_t lead = byte_at(text, position);
  const uint32_t size = sequence_size(lead);
  if (size == 1) return {lead, 1, true};
  if (size == 0 || matching_prefix(text, position, size) != size) return {0xfffd, 1, false};
  uint32_t value = lead & (0x7f >> size);
  for (uint32_t i = 1; i < size; ++i) value = value << 6 | (byte_at(text, position + i) & 0x3f);
  return {value, size, true};
}

void append_utf8(std::string& text, uint32_t code_point) {
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto decoded = decode_utf8(text, i);
    if (!decoded.valid) return false;
    i += decoded.size;
  }
  return true;
}

size_t incomplete_utf8_suffix(std::string_view text) {
  const size_t longest = std::min<size_t>(3, text.size());
  for (size_t length = 1; length <= longest; ++length) {
    const size_t start = text.size() - length;
    const uint32_t size = sequence_size(byte_at(text, start));
    if (size == 1) return 0;
    if (size == 0) continue;  // a continuation byte: its lead may stand before it
    return size > length && matching_prefix(text, start, size) == length ? length : 0;
  }
  return 0;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto decoded = decode_utf8(text, i);
    append_utf8(result, decoded.value);
    i += decoded.size;
  }
  return result;
}

}  // namespace omg
