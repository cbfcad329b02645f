// SPDX-License-Identifier: Apache-2.0
//
// Four rows are packed at a time: 16 bytes of each are turned into registers that hold one 32-bit
// word of every row, in which the bits of a quad (4 columns) are moved by whole words. That is the
// form of the panel already, so nothing is handled code by code: 4.5 bits a weight are packed
// faster than they come from memory.
#include "engine/kernels/pack_panel.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <type_traits>

#include "engine/kernels/packed_layout.h"
#include "formats/quant/blocks.h"

namespace omg {
namespace {

constexpr size_t kLanes = 4;
/// A 32-bit word of four rows.
using Words [[gnu::vector_size(16)]] = uint32_t;
using Bytes [[gnu::vector_size(4)]] = uint8_t;
using Halves [[gnu::vector_size(8)]] = uint16_t;

/// Blocks of this many columns: the unit of the code section.
constexpr size_t kBlock = kActivationBlock;

constexpr Words splat(uint32_t word) {
  return Words{word, word, word, word};
}
/// `count` low bits of every byte.
constexpr Words low_bits(uint32_t count) {
  return splat(((1u << count) - 1) * 0x01010101u);
}

/// Four rows' blocks of one number, and where in the panel they go.
struct Place {
  const std::byte* rows[kLanes];
  uint8_t* codes;  // of the first block, at the first of the four rows
  std::byte* scales;
  std::byte* super;
  size_t code_bytes;   // per block
  size_t scale_bytes;  // per block

  void put(size_t block, size_t vector, Words words) const {
    std::memcpy(codes + block * code_bytes + 64 * vector, &words, sizeof words);
  }
  /// One byte per row at `index` 16-byte rows into a block's scales.
  void put_scale(size_t block, size_t index, Words bytes) const {
    const Bytes narrow = __builtin_convertvector(bytes, Bytes);
    std::memcpy(scales + block * scale_bytes + kPanelRows * index, &narrow, sizeof narrow);
  }
};

/// Reads words [0, Count) at `offset` of each row's block.
template <size_t Count>
void load(const Place& place, size_t offset, Words* out) {
  static_assert(Count % 4 == 0);
  for (size_t w = 0; w < Count; w += 4) {
    Words row[kLanes];
    for (size_t r = 0; r < kLanes; ++r) {
      std::memcpy(&row[r], place.rows[r] + offset + 4 * w, sizeof row[r]);
    }
    const Words low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const Words high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const Words low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const Words high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    out[w] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    out[w + 1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    out[w + 2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    out[w + 3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
  }
}

/// One word at an offset from which 16 bytes may not be read.
Words load_word(const Place& place, size_t offset) {
  uint32_t words[kLanes];
  for (size_t r = 0; r < kLanes; ++r) std::memcpy(&words[r], place.rows[r] + offset, 4);
  return Words{words[0], words[1], words[2], words[3]};
}

Words load_half(const Place& place, size_t offset) {
  uint16_t halves[kLanes];
  for (size_t r = 0; r < kLanes; ++r) std::memcpy(&halves[r], place.rows[r] + offset, 2);
  return Words{halves[0], halves[1], halves[2], halves[3]};
}

/// Low 16 bits of each row.
void put_halves(std::byte* at, Words words) {
  const Halves narrow = __builtin_convertvector(words, Halves);
  std::memcpy(at, &narrow, sizeof narrow);
}

// Planes of codes. `words` are the eight quads of a block, of which some bits are wanted.

void put_nibbles(const Place& place, size_t block, const Words* words, uint32_t shift) {
  for (size_t v = 0; v < 4; ++v) {
    const Words first = (words[v] >> shift) & low_bits(4);
    const Words second = (words[v + 4] >> shift) & low_bits(4);
    place.put(block, v, first | (second << 4));
  }
}

/// Bits 2 j of a vector are those of quad 4 v + j.
void put_pairs(const Place& place, size_t block, size_t first_vector, const Words* words,
               uint32_t shift) {
  for (size_t v = 0; v < 2; ++v) {
    Words four = splat(0);
    for (uint32_t j = 0; j < 4; ++j) four |= ((words[4 * v + j] >> shift) & low_bits(2)) << (2 * j);
    place.put(block, first_vector + v, four);
  }
}

/// Bit q of the vector is that of quad q.
void put_bits(const Place& place, size_t block, size_t vector, const Words* words, uint32_t shift) {
  Words eight = splat(0);
  for (uint32_t q = 0; q < 8; ++q) eight |= ((words[q] >> shift) & low_bits(1)) << q;
  place.put(block, vector, eight);
}

/// From 32 bits, one per column, to bit q of byte i for column 4 q + i.
Words spread_bits(Words columns) {
  Words out = splat(0);
  for (uint32_t i = 0; i < 4; ++i) {
    Words every_fourth = (columns >> i) & splat(0x11111111);
    every_fourth = (every_fourth | every_fourth >> 3) & splat(0x03030303);
    every_fourth = (every_fourth | every_fourth >> 6) & splat(0x000f000f);
    every_fourth = (every_fourth | every_fourth >> 12) & splat(0xff);
    out |= every_fourth << (8 * i);
  }
  return out;
}

// Types with a scale per 32 columns.

/// The layout of a file's halves of 16 bytes is the panel's: quads v and v + 4 share a word.
void put_quants(const Place& place, size_t block, size_t offset) {
  Words words[4];
  load<4>(place, offset, words);
  for (size_t v = 0; v < 4; ++v) place.put(block, v, words[v]);
}

template <class Block>
void pack_small(const Place& place) {
  if constexpr (requires(Block b) { b.d; })
    put_halves(place.scales, load_half(place, offsetof(Block, d)));
  if constexpr (requires(Block b) { b.m; }) {
    put_halves(place.scales + 2 * kPanelRows, load_half(place, offsetof(Block, m)));
  }
  if constexpr (requires(Block b) { b.exponent; }) {
    Words exponents{};
    for (size_t r = 0; r < kLanes; ++r) {
      exponents[r] = mxfp4_scale_bf16(static_cast<uint8_t>(place.rows[r][0]));
    }
    put_halves(place.scales, exponents);
  }
  if constexpr (requires(Block b) { b.high; }) {
    place.put(0, 4, spread_bits(load_word(place, offsetof(Block, high))));
  }
  if constexpr (std::is_same_v<Block, BlockQ8_0>) {
    Words words[8];
    load<8>(place, offsetof(Block, quants), words);
    for (size_t q = 0; q < 8; ++q) place.put(0, q, words[q] ^ splat(0x80808080));
  } else {
    put_quants(place, 0, offsetof(Block, quants));
  }
}

// Types with super blocks of 256 columns.

/// Byte `index` of each row.
Words byte_of(Words words, size_t index) {
  return (words >> static_cast<uint32_t>(8 * index)) & splat(0xff);
}

/// d, dmin, and the 6-bit scales and minima of Q4_K and Q5_K.
void put_scales_k4(const Place& place) {
  Words head[4];
  load<4>(place, 0, head);
  put_halves(place.super, head[0]);
  put_halves(place.super + 2 * kPanelRows, head[0] >> 16);
  const Words scales[2] = {head[1] & low_bits(6),
                           (head[3] & low_bits(4)) | ((head[1] >> 6 & low_bits(2)) << 4)};
  const Words mins[2] = {head[2] & low_bits(6),
                         (head[3] >> 4 & low_bits(4)) | ((head[2] >> 6 & low_bits(2)) << 4)};
  for (size_t b = 0; b < 8; ++b) {
    place.put_scale(b, 0, byte_of(scales[b / 4], b % 4));
    place.put_scale(b, 1, byte_of(mins[b / 4], b % 4));
  }
}

void pack_super(const BlockQ4_K*, const Place& place) {
  put_scales_k4(place);
  for (size_t b = 0; b < 8; b += 2) {
    Words words[8];
    load<8>(place, offsetof(BlockQ4_K, quants) + 16 * b, words);
    put_nibbles(place, b, words, 0);
    put_nibbles(place, b + 1, words, 4);
  }
}

void pack_super(const BlockQ5_K*, const Place& place) {
  put_scales_k4(place);
  Words high[8];
  load<8>(place, offsetof(BlockQ5_K, high), high);
  for (size_t b = 0; b < 8; ++b) {
    Words words[8];
    load<8>(place, offsetof(BlockQ5_K, quants) + 32 * (b / 2), words);
    put_nibbles(place, b, words, b % 2 * 4);
    put_bits(place, b, 4, high, static_cast<uint32_t>(b));
  }
}

void pack_super(const BlockQ6_K*, const Place& place) {
  put_halves(place.super, load_half(place, offsetof(BlockQ6_K, d)));
  Words scales[4];
  load<4>(place, offsetof(BlockQ6_K, scales), scales);
  for (size_t half = 0; half < 2; ++half) {
    Words low[16];
    Words high[8];
    load<16>(place, offsetof(BlockQ6_K, low) + 64 * half, low);
    load<8>(place, offsetof(BlockQ6_K, high) + 32 * half, high);
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      const size_t b = 4 * half + quarter;
      put_nibbles(place, b, low + 8 * (quarter % 2), static_cast<uint32_t>(quarter / 2 * 4));
      put_pairs(place, b, 4, high, static_cast<uint32_t>(2 * quarter));
      place.put_scale(b, 0, byte_of(scales[b / 2], 2 * b % 4));
      place.put_scale(b, 1, byte_of(scales[b / 2], 2 * b % 4 + 1));
    }
  }
}

void pack_super(const BlockQ3_K*, const Place& place) {
  put_halves(place.super, load_half(place, offsetof(BlockQ3_K, d)));
  constexpr size_t kScales = offsetof(BlockQ3_K, scales);
  const Words low[2] = {load_word(place, kScales), load_word(place, kScales + 4)};
  const Words two_bits = load_word(place, kScales + 8);
  Words high[8];
  load<8>(place, offsetof(BlockQ3_K, high), high);
  for (size_t b = 0; b < 8; ++b) {
    Words words[8];
    load<8>(place, offsetof(BlockQ3_K, quants) + 32 * (b / 4), words);
    put_pairs(place, b, 0, words, static_cast<uint32_t>(b % 4 * 2));
    put_bits(place, b, 2, high, static_cast<uint32_t>(b));
    const auto group = static_cast<uint32_t>(b / 2);  // of four scales
    const Words four = (low[group % 2] >> (group / 2 * 4) & low_bits(4)) |
                       ((two_bits >> (2 * group) & low_bits(2)) << 4);
    for (size_t h = 0; h < 2; ++h) {
      place.put_scale(b, h, byte_of(four, 2 * b % 4 + h) - splat(32));
    }
  }
}

void pack_super(const BlockQ2_K*, const Place& place) {
  put_halves(place.super, load_half(place, offsetof(BlockQ2_K, d)));
  put_halves(place.super + 2 * kPanelRows, load_half(place, offsetof(BlockQ2_K, dmin)));
  Words scales[4];
  load<4>(place, offsetof(BlockQ2_K, scales), scales);
  for (size_t b = 0; b < 8; ++b) {
    Words words[8];
    load<8>(place, offsetof(BlockQ2_K, quants) + 32 * (b / 4), words);
    put_pairs(place, b, 0, words, static_cast<uint32_t>(b % 4 * 2));
    for (size_t h = 0; h < 2; ++h) {
      const Words both = byte_of(scales[b / 2], 2 * b % 4 + h);
      place.put_scale(b, h, both & splat(15));
      place.put_scale(b, 2 + h, both >> 4);
    }
  }
}

void pack_super(const BlockIQ4_XS*, const Place& place) {
  const Words head = load_word(place, 0);
  const Words low = load_word(place, offsetof(BlockIQ4_XS, scales_low));
  put_halves(place.super, head);
  for (size_t b = 0; b < 8; ++b) {
    const auto index = static_cast<uint32_t>(b);
    const Words scale =
        (low >> (4 * index) & splat(15)) | ((head >> (16 + 2 * index) & splat(3)) << 4);
    place.put_scale(b, 0, scale - splat(32));
    put_quants(place, b, offsetof(BlockIQ4_XS, quants) + 16 * b);
  }
}

/// The block of a row that does not exist.
constexpr std::byte kNoRow[256] = {};

template <class Block>
void pack_quantized(const CodeInfo& info, const std::byte* const* rows, size_t columns,
                    std::byte* panel) {
  static_assert(sizeof(Block) <= sizeof kNoRow);
  constexpr bool kIsSuper = sizeof(Block) > 2 * kBlock;
  constexpr size_t kStep = kIsSuper ? 8 : 1;  // blocks of 32 columns per block of the file
  const PanelSections sections = panel_sections(info, columns);
  const size_t blocks = columns / kBlock;
  Place place{};
  place.code_bytes = code_bytes_per_block(info.bits);
  place.scale_bytes = scale_bytes_per_block(info.scale_kind);
  const size_t scale_lane_bytes = has_super(info.scale_kind) ? 1 : 2;
  for (size_t first = 0; first < blocks; first += 8) {  // 4 KiB of codes at most: stays in L1
    for (size_t r = 0; r < kPanelRows; r += kLanes) {
      for (size_t b = first; b < std::min(first + 8, blocks); b += kStep) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
          const std::byte* row = rows[r + lane];
          place.rows[lane] = row ? row + b / kStep * sizeof(Block) : kNoRow;
        }
        place.codes = reinterpret_cast<uint8_t*>(panel + sections.codes) + b * place.code_bytes +
                      sizeof(uint32_t) * r;
        place.scales = panel + sections.scales + b * place.scale_bytes + scale_lane_bytes * r;
        place.super = panel + b / 8 * super_bytes(info.scale_kind) + 2 * r;
        if constexpr (kIsSuper) {
          pack_super(static_cast<const Block*>(nullptr), place);
        } else {
          pack_small<Block>(place);
        }
      }
    }
  }
}

/// Words [0, 4) of four rows of a matrix of floats, at word `first` of a panel.
template <WeightType Type>
void pack_four_words(const Place& place, size_t first, size_t count, std::byte* at) {
  Words words[4];
  load<4>(place, 0, words);
  for (size_t w = 0; w < count; ++w) {
    if constexpr (Type == WeightType::kF16) {  // two columns
      std::byte* const column = at + (first + w) * 4 * kPanelRows;
      put_halves(column, words[w] & splat(0xffff));
      put_halves(column + 2 * kPanelRows, words[w] >> 16);
    } else {
      std::memcpy(at + (first + w) * 4 * kPanelRows, &words[w], sizeof words[w]);
    }
  }
}

/// Bytes [offset, offset + 16) of four rows, with zeros behind their ends.
template <WeightType Type>
void pack_last_words(const std::byte* const* rows, size_t offset, size_t count, std::byte* at) {
  std::byte rest[kLanes][16] = {};
  Place place{};
  for (size_t lane = 0; lane < kLanes; ++lane) {
    if (rows[lane]) std::memcpy(rest[lane], rows[lane] + offset, count);
    place.rows[lane] = rest[lane];
  }
  pack_four_words<Type>(place, offset / 4, (count + 3) / 4, at);
}

template <WeightType Type>
void pack_words(const std::byte* const* rows, size_t columns, std::byte* panel) {
  constexpr size_t kColumnBytes = Type == WeightType::kF32 ? 4 : 2;
  constexpr size_t kLaneBytes = Type == WeightType::kF16 ? 2 : 4;
  constexpr size_t kLine = 64;  // of a row at a time: rows often lie in one set of the cache
  const size_t row_size = columns * kColumnBytes;
  for (size_t first = 0; first < row_size; first += kLine) {
    for (size_t r = 0; r < kPanelRows; r += kLanes) {
      std::byte* const at = panel + r * kLaneBytes;
      for (size_t offset = first; offset < std::min(first + kLine, row_size); offset += 16) {
        if (row_size - offset < 16) {
          pack_last_words<Type>(rows + r, offset, row_size - offset, at);
          break;
        }
        Place place{};
        for (size_t lane = 0; lane < kLanes; ++lane) {
          const std::byte* row = rows[r + lane];
          place.rows[lane] = row ? row + offset : kNoRow;
        }
        pack_four_words<Type>(place, offset / 4, 4, at);
      }
    }
  }
}

void pack_floats(WeightType type, const std::byte* const* rows, size_t columns, std::byte* panel) {
  if (type == WeightType::kF32) return pack_words<WeightType::kF32>(rows, columns, panel);
  if (type == WeightType::kF16) return pack_words<WeightType::kF16>(rows, columns, panel);
  pack_words<WeightType::kBF16>(rows, columns, panel);
}

}  // namespace

void pack_panel(WeightType type, const std::byte* const* rows, size_t columns, std::byte* panel) {
  if (!is_quantized(type)) return pack_floats(type, rows, columns, panel);
  const CodeInfo& info = code_info(type);
  switch (type) {
    case WeightType::kQ4_0:
      return pack_quantized<BlockQ4_0>(info, rows, columns, panel);
    case WeightType::kQ4_1:
      return pack_quantized<BlockQ4_1>(info, rows, columns, panel);
    case WeightType::kQ5_0:
      return pack_quantized<BlockQ5_0>(info, rows, columns, panel);
    case WeightType::kQ5_1:
      return pack_quantized<BlockQ5_1>(info, rows, columns, panel);
    case WeightType::kQ8_0:
      return pack_quantized<BlockQ8_0>(info, rows, columns, panel);
    case WeightType::kQ2_K:
      return pack_quantized<BlockQ2_K>(info, rows, columns, panel);
    case WeightType::kQ3_K:
      return pack_quantized<BlockQ3_K>(info, rows, columns, panel);
    case WeightType::kQ4_K:
      return pack_quantized<BlockQ4_K>(info, rows, columns, panel);
    case WeightType::kQ5_K:
      return pack_quantized<BlockQ5_K>(info, rows, columns, panel);
    case WeightType::kQ6_K:
      return pack_quantized<BlockQ6_K>(info, rows, columns, panel);
    case WeightType::kIQ4_NL:
      return pack_quantized<BlockIQ4_NL>(info, rows, columns, panel);
    case WeightType::kIQ4_XS:
      return pack_quantized<BlockIQ4_XS>(info, rows, columns, panel);
    case WeightType::kMXFP4:
      return pack_quantized<BlockMXFP4>(info, rows, columns, panel);
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16:
      break;
  }
}

}  // namespace omg
