// SPDX-License-Identifier: Apache-2.0
//
// Random numbers as a pure function of (key, counter): Philox4x32 with 10 rounds. A sequence's n-th
// draw depends on its seed and n alone, so it is the same on every platform, in every batch, and
// after a preempted sequence is run again.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

namespace omg {

using PhiloxBlock = std::array<uint32_t, 4>;

/// 128 random bits of counter `counter` under `key`.
constexpr PhiloxBlock philox4x32(PhiloxBlock counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;  // golden ratio
    key[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

/// The `index`-th uniform number of stream `seed`, in [0, 1), a multiple of 2^-53.
constexpr double uniform_draw(uint64_t seed, uint64_t index) {
  const PhiloxBlock block =
      philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0, 0},
                 {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = uint64_t{block[1]} << 32 | block[0];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace omg
