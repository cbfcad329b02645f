// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/character_class.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "text/tokenizer/unicode_data.h"
#include "text/tokenizer/unicode_decomposition.h"

namespace omg {
namespace {

constexpr uint32_t kCodePoints = 0x110000;

/// In the order of the numbers in unicode_data.h; separators are all white space.
constexpr std::array<uint8_t, 8> kFlagsOfClass = {0,       kLetter, kMark, kNumber, kPunctuation,
                                                  kSymbol, 0,       kOther};

/// The run that could hold `code_point`: the last one that does not begin after it.
template <typename Run, size_t kCount>
const Run* find_run(const Run (&runs)[kCount], uint32_t code_point) {
  const Run* after =
      std::upper_bound(std::begin(runs), std::end(runs), code_point,
                       [](uint32_t value, const Run& run) { return value < run.first; });
  if (after == std::begin(runs) || code_point > after[-1].last) return nullptr;
  return after - 1;
}

}  // namespace

CharacterTable::CharacterTable() : flags_(std::make_unique<uint8_t[]>(kCodePoints)) {
  const auto& runs = unicode_data::kClassRuns;
  for (size_t i = 0; i < std::size(runs); ++i) {
    const uint32_t end = i + 1 < std::size(runs) ? runs[i + 1] >> 3 : kCodePoints;
    std::fill(flags_.get() + (runs[i] >> 3), flags_.get() + end, kFlagsOfClass[runs[i] & 7]);
  }
  const auto add_white_space = [&](uint32_t first, uint32_t last) {
    for (uint32_t c = first; c <= last; ++c) flags_[c] |= kWhitespace;
  };
  add_white_space(0x09, 0x0D);
  add_white_space(0x2000, 0x200A);
  for (const uint32_t c : {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000})
    add_white_space(c, c);
}

const CharacterTable& character_table() {
  static const CharacterTable table;
  return table;
}

uint32_t lower_case(uint32_t code_point) {
  if (code_point < 0x80)
    return code_point >= 'A' && code_point <= 'Z' ? code_point + 0x20 : code_point;
  const unicode_data::LowerRun* run = find_run(unicode_data::kLowerRuns, code_point);
  if (run == nullptr || (code_point - run->first) % run->step != 0) return code_point;
  return run->lower_of_first + (code_point - run->first);
}

uint32_t decomposition_start(uint32_t code_point) {
  if (code_point < 0xC0) return code_point;
  // A Hangul syllable begins with one of 19 consonants, each of which begins 588 syllables.
  if (code_point >= 0xAC00 && code_point <= 0xD7A3) return 0x1100 + (code_point - 0xAC00) / 588;
  const unicode_data::DecompositionRun* run =
      find_run(unicode_data::kDecompositionRuns, code_point);
  return run == nullptr ? code_point : run->start;
}

}  // namespace omg
