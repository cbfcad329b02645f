// SPDX-License-Identifier: Apache-2.0
//
// What the tokenizers ask of Unicode: the general category of a character, whether it is white
// space, its lower case, and what its canonical decomposition begins with.
#pragma once

#include <cstdint>
#include <memory>

namespace omg {

/// Sets of CharacterTable::flags(). An unassigned code point has none; white space is in
/// kWhitespace and, where it is a control character, in kOther.
enum CharacterFlags : uint8_t {
  kLetter = 1,       // \p{L}
  kMark = 2,         // \p{M}
  kNumber = 4,       // \p{N}
  kPunctuation = 8,  // \p{P}
  kSymbol = 16,      // \p{S}
  kOther = 32,       // \p{C} but for unassigned ones: control, format, surrogate, private use
  kWhitespace = 64,  // White_Space; holds all of \p{Z}
};

/// One byte for each code point, 1.1 MiB: one load answers, and a text touches few pages of it.
class CharacterTable {
 public:
  CharacterTable();
  /// `code_point` up to U+10FFFF.
  uint8_t flags(uint32_t code_point) const { return flags_[code_point]; }

 private:
  std::unique_ptr<uint8_t[]> flags_;
};

/// The one table, made at the first call (0.2 ms) and never changed.
const CharacterTable& character_table();

/// Simple lower case; the character itself where it has none.
uint32_t lower_case(uint32_t code_point);

/// First code point of the canonical decomposition; the character itself where it has none.
uint32_t decomposition_start(uint32_t code_point);

}  // namespace omg
