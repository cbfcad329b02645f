// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece's visible space: vocabularies write U+2581 where a text has a space.
#pragma once

#include <string>
#include <string_view>

namespace omg {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// Appends `text` with every space as U+2581.
inline void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == ' ') {
      out += kSpaceMark;
    } else {
      out += c;
    }
  }
}

/// `text` with every space as U+2581.
inline std::string escape_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  append_escaped(out, text);
  return out;
}

/// `text` with every U+2581 as a space.
inline std::string unescape_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i, kSpaceMark.size()) == kSpaceMark) {
      out += ' ';
      i += kSpaceMark.size();
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace omg
