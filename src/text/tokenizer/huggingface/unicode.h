// SPDX-License-Identifier: Apache-2.0
//
// The Unicode facts that normalizers and splitters of Hugging Face files ask for. Bytes that are
// not UTF-8 are of no category and are kept as they are by everything here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace omg::huggingface {

bool is_white_space(uint32_t code_point);        // White_Space
bool is_numeric(uint32_t code_point);            // Nd, Nl, No
bool is_punctuation(uint32_t code_point);        // Pc, Pd, Ps, Pe, Pi, Pf, Po
bool is_mark(uint32_t code_point);               // Mn, Mc, Me
bool is_nonspacing_mark(uint32_t code_point);    // Mn
bool is_other(uint32_t code_point);              // Cc, Cf, Co
bool is_ascii_punctuation(uint32_t code_point);  // !"#$%&'()*+,-./:;<=>?@[\]^_`{|}~
bool is_word_character(uint32_t code_point);     // \w: letters, marks, Nd, Nl, Pc, joiners

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// Unicode normalization (UAX #15), n log n in the worst case: a megabyte of combining marks.
std::string normalize(std::string_view text, NormalForm form);

/// The full lower-case mapping of every character on its own.
std::string to_lower(std::string_view text);

/// Calls `use(point, bytes)` for each character, or byte that begins none (point.valid is false).
template <typename Use>
void for_each_character(std::string_view text, const Use& use) {
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    use(point, text.substr(i, point.size));
    i += point.size;
  }
}

/// The characters for which `keep(code point)` holds; bytes that are no characters stay.
template <typename Keep>
std::string filter_characters(std::string_view text, const Keep& keep) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](const DecodedCodePoint& point, std::string_view bytes) {
    if (!point.valid || keep(point.value)) out += bytes;
  });
  return out;
}

bool is_ascii(std::string_view text);

}  // namespace omg::huggingface
