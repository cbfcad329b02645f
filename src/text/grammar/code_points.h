// SPDX-License-Identifier: Apache-2.0
//
// Sets of Unicode code points, and the byte sequences that encode a range of them in UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace omg::grammar {

inline constexpr uint32_t kLastCodePoint = 0x10ffff;

struct CodePointRange {
  uint32_t first, last;  // both belong to it
  bool operator==(const CodePointRange&) const = default;
};

/// Sorted, disjoint, not touching; never holds surrogates, which UTF-8 cannot encode.
class CodePointSet {
 public:
  CodePointSet() = default;
  CodePointSet(std::initializer_list<CodePointRange> ranges) {
    for (const CodePointRange& range : ranges) add(range.first, range.last);
  }
  static CodePointSet all() { return {{0, kLastCodePoint}}; }

  void add(uint32_t first, uint32_t last);
  void add(const CodePointSet& other);
  CodePointSet negated() const;
  CodePointSet intersected(const CodePointSet& other) const;
  bool contains(uint32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<CodePointRange>& ranges() const { return ranges_; }

 private:
  void add_plain(uint32_t first, uint32_t last);

  std::vector<CodePointRange> ranges_;
};

/// Characters of `size` bytes whose byte i lies in [first[i], last[i]], independently.
struct ByteSequence {
  uint32_t size;
  std::array<uint8_t, 4> first, last;
};

/// The sequences that together encode exactly `range` (Unicode 15, section 3.9).
void append_byte_sequences(const CodePointRange& range, std::vector<ByteSequence>& sequences);

}  // namespace omg::grammar
