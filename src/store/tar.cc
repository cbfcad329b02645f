// SPDX-License-Identifier: Apache-2.0
//
// The header of an entry is one block of text fields: name 100 bytes, mode 8, uid 8, gid 8, size
// 12, mtime 12, checksum 8, type 1, link 100, "ustar\0" "00", owner 32, group 32, device 8+8,
// prefix 155 (POSIX.1-2017, pax, "ustar Interchange Format").
#include "store/tar.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstdio>

#include "base/checked.h"
#include "base/error.h"

namespace omg {
namespace {

constexpr size_t kSizeAt = 124, kChecksumAt = 148, kTypeAt = 156, kMagicAt = 257, kPrefixAt = 345;
constexpr uint64_t kMaxOctalSize = 077777777777;  // eleven digits: 8 GiB - 1
constexpr uint64_t kMaxPaxBytes = 65536;

using Block = std::array<char, kTarBlock>;

uint64_t checksum_of(const Block& block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool in_checksum = i >= kChecksumAt && i < kChecksumAt + 8;
    sum += in_checksum ? ' ' : static_cast<uint8_t>(block[i]);
  }
  return sum;
}

std::string header_block(const std::string& name, uint64_t size, char type) {
  Block block{};
  const auto put = [&](size_t at, std::string_view text) {
    std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const auto octal = [](uint64_t value, int digits) {
    char text[24];
    std::snprintf(text, sizeof(text), "%0*llo", digits, static_cast<unsigned long long>(value));
    return std::string(text);
  };
  assert(name.size() <= 100);
  put(0, name);
  put(100, octal(0644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(kSizeAt, octal(std::min(size, kMaxOctalSize), 11));
  put(136, octal(0, 11));
  block[kTypeAt] = type;
  put(kMagicAt, std::string_view("ustar\00000", 8));
  put(kChecksumAt, octal(checksum_of(block), 6));
  block[kChecksumAt + 7] = ' ';
  return {block.begin(), block.end()};
}

/// A text field up to its first zero.
std::string text_field(const Block& block, size_t at, size_t size) {
  const auto begin = block.begin() + static_cast<std::ptrdiff_t>(at);
  return {begin, std::find(begin, begin + static_cast<std::ptrdiff_t>(size), '\0')};
}

/// An octal number, or the base-256 form in which GNU tar writes large ones.
std::optional<uint64_t> number_field(const Block& block, size_t at, size_t size) {
  if ((block[at] & 0x80) != 0) {
    uint64_t value = static_cast<uint8_t>(block[at]) & 0x3f;
    if ((block[at] & 0x40) != 0) return std::nullopt;  // negative
    for (size_t i = 1; i < size; ++i) {
      if (value > (UINT64_MAX >> 8)) return std::nullopt;
      value = value << 8 | static_cast<uint8_t>(block[at + i]);
    }
    return value;
  }
  std::string text = text_field(block, at, size);
  text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_zero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == 0; });
}

}  // namespace

std::string tar_padding(uint64_t size) {
  return std::string((kTarBlock - size % kTarBlock) % kTarBlock, '\0');
}

std::string tar_end() {
  return std::string(2 * kTarBlock, '\0');
}

std::string tar_header(const std::string& name, uint64_t size) {
  if (size <= kMaxOctalSize) return header_block(name, size, '0');
  // "<length> size=<n>\n", where the length counts its own digits: two of them, always.
  const std::string value = " size=" + std::to_string(size) + "\n";
  const std::string record = std::to_string(value.size() + 2) + value;
  return header_block("pax", record.size(), 'x') + record + tar_padding(record.size()) +
         header_block(name, size, '0');
}

TarReader::TarReader(File& file, std::string what)
    : file_(file), what_(std::move(what)), file_size_(file.info().size) {}

void TarReader::fail(const std::string& why) const {
  throw Error(ErrorCode::kCorrupt, what_ + " is no whole bundle: " + why);
}

std::optional<uint64_t> TarReader::read_pax_size(uint64_t offset, uint64_t size) const {
  if (size > kMaxPaxBytes) fail("an extended header is too large");
  std::string text(size, '\0');
  if (file_.read_at(offset, std::as_writable_bytes(std::span(text))) != size) fail("it ends early");
  std::optional<uint64_t> found;
  for (std::string_view rest = text; !rest.empty();) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<size_t>(end - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 2 ||
        rest[digits] != ' ' || rest[length - 1] != '\n') {
      fail("an extended header is damaged");
    }
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    if (record.starts_with("size=")) {
      uint64_t value = 0;
      const std::string_view number = record.substr(5);
      const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
      if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size()) {
        fail("an extended header has no valid size");
      }
      found = value;
    }
    rest.remove_prefix(length);
  }
  return found;
}

std::optional<TarEntry> TarReader::next() {
  bool has_pax_size = false;
  uint64_t pax_size = 0;
  for (;;) {
    Block block;
    if (file_.read_at(position_, std::as_writable_bytes(std::span(block))) != kTarBlock) {
      fail("it ends early");
    }
    if (is_zero(block)) return std::nullopt;
    const uint64_t offset = position_ + kTarBlock;
    const auto checksum = number_field(block, kChecksumAt, 8);
    const auto header_size = number_field(block, kSizeAt, 12);
    if (!checksum || *checksum != checksum_of(block) || !header_size) {
      fail("the header at byte " + std::to_string(position_) + " is damaged");
    }
    const char type = block[kTypeAt];
    const bool regular = type == '0' || type == '\0';
    const uint64_t size = regular && has_pax_size ? pax_size : *header_size;
    const auto padded = checked_align_up(size, kTarBlock);
    if (!padded || !range_fits(offset, *padded, file_size_)) fail("an entry ends beyond it");
    position_ = offset + *padded;
    if (type == 'x') {
      const auto told = read_pax_size(offset, size);
      has_pax_size = told.has_value();
      pax_size = told.value_or(0);
    } else if (regular) {
      const std::string prefix = text_field(block, kPrefixAt, 155);
      std::string name = text_field(block, 0, 100);
      if (!prefix.empty()) name = prefix + "/" + name;
      return TarEntry{std::move(name), offset, size};
    } else if (type == 'g' || type == '5') {
      has_pax_size = false;
    } else {
      fail("it has an entry that is no regular file (type '" +
           std::string(1, type >= ' ' && type < 127 ? type : '?') + "')");
    }
  }
}

}  // namespace omg
