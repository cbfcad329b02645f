// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/code_points.h"

#include <algorithm>
#include <string>

#include "base/utf8.h"

namespace omg::grammar {

void CodePointSet::add_plain(uint32_t first, uint32_t last) {
  // What touches the new range is merged into it.
  auto begin = std::lower_bound(
      ranges_.begin(), ranges_.end(), first,
      [](const CodePointRange& range, uint32_t value) { return range.last + 1 < value; });
  auto end = begin;
  while (end != ranges_.end() && end->first <= last + 1) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
    ++end;
  }
  begin = ranges_.erase(begin, end);
  ranges_.insert(begin, {first, last});
}

void CodePointSet::add(uint32_t first, uint32_t last) {
  last = std::min(last, kLastCodePoint);
  if (first > last) return;
  if (first < 0xd800) add_plain(first, std::min(last, 0xd7ffu));
  if (last > 0xdfff) add_plain(std::max(first, 0xe000u), last);
}

void CodePointSet::add(const CodePointSet& other) {
  for (const CodePointRange& range : other.ranges_) add(range.first, range.last);
}

CodePointSet CodePointSet::negated() const {
  CodePointSet result;
  uint32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) result.add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) result.add(next, kLastCodePoint);
  return result;
}

CodePointSet CodePointSet::intersected(const CodePointSet& other) const {
  CodePointSet result;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const uint32_t first = std::max(a->first, b->first);
    const uint32_t last = std::min(a->last, b->last);
    if (first <= last) result.ranges_.push_back({first, last});
    if (a->last < b->last) {
      ++a;
    } else {
      ++b;
    }
  }
  return result;
}

bool CodePointSet::contains(uint32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const CodePointRange& range) {
    return range.first <= code_point && code_point <= range.last;
  });
}

void append_byte_sequences(const CodePointRange& range, std::vector<ByteSequence>& sequences) {
  // Ranges whose ends have the same number of bytes...
  for (const uint32_t border : {0x7fu, 0x7ffu, 0xffffu}) {
    if (range.first <= border && border < range.last) {
      append_byte_sequences({range.first, border}, sequences);
      append_byte_sequences({border + 1, range.last}, sequences);
      return;
    }
  }
  // ...and in which each byte runs through its range whatever the bytes before it are.
  if (range.first > 0x7f) {
    for (uint32_t i = 1; i < 4; ++i) {
      const uint32_t low = (1u << (6 * i)) - 1;
      if ((range.first & ~low) == (range.last & ~low)) continue;
      if ((range.first & low) != 0) {
        append_byte_sequences({range.first, range.first | low}, sequences);
        append_byte_sequences({(range.first | low) + 1, range.last}, sequences);
        return;
      }
      if ((range.last & low) != low) {
        append_byte_sequences({range.first, (range.last & ~low) - 1}, sequences);
        append_byte_sequences({range.last & ~low, range.last}, sequences);
        return;
      }
    }
  }
  std::string first, last;
  append_utf8(first, range.first);
  append_utf8(last, range.last);
  ByteSequence sequence = {static_cast<uint32_t>(first.size()), {}, {}};
  for (uint32_t i = 0; i < std::min<uint32_t>(sequence.size, 4); ++i) {
    sequence.first[i] = static_cast<uint8_t>(first[i]);
    sequence.last[i] = static_cast<uint8_t>(last[i]);
  }
  sequences.push_back(sequence);
}

}  // namespace omg::grammar
