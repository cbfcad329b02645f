// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 (RFC 3629) without tables: decoding one code point, encoding one, and finding how much of a
// byte string ends on a character's border.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace omg {

struct DecodedCodePoint {
  uint32_t value;  // 0xFFFD where the bytes are not UTF-8
  uint32_t size;   // bytes used, at least 1
  bool valid;
};

/// Decodes the code point at text[position]; position < text.size(). Overlong forms, surrogates and
/// values beyond U+10FFFF are invalid and take one byte.
DecodedCodePoint decode_utf8(std::string_view text, size_t position);

/// Appends a code point (<= U+10FFFF) in UTF-8.
void append_utf8(std::string& text, uint32_t code_point);

bool is_valid_utf8(std::string_view text);

/// Number of bytes at the end of `text` that begin a character which may still be completed by
/// bytes to come (0 to 3). Bytes that can never become a character do not count.
size_t incomplete_utf8_suffix(std::string_view text);

/// `text` with each invalid byte replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace omg
