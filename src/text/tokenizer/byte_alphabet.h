// SPDX-License-Identifier: Apache-2.0
//
// GPT-2's alphabet, in which byte-level vocabularies write the 256 bytes: printable Latin-1 stands
// for itself, the other 68 bytes are U+0100 onwards.
#pragma once

#include <array>
#include <cstdint>

namespace omg {

struct ByteAlphabet {
  std::array<uint16_t, 256> character{};  // code point of each byte
  std::array<int16_t, 512> byte{};        // byte of each code point, -1 for none

  ByteAlphabet() {
    byte.fill(-1);
    uint16_t next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
      const auto c = printable ? static_cast<uint16_t>(b) : next++;
      character[static_cast<size_t>(b)] = c;
      byte[c] = static_cast<int16_t>(b);
    }
  }

  int byte_of(uint32_t code_point) const { return code_point < 512 ? byte[code_point] : -1; }
};

inline const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace omg
