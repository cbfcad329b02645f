// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/format.h"

#include <array>
#include <fmt/format.h>

#include "base/utf8.h"

namespace omg::cli {
namespace {

/// Drops zeros at the end of a decimal fraction, and a point that is left alone.
std::string trim_fraction(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

/// nanoseconds / unit, exactly, in decimal.
std::string exact_ratio(uint64_t nanoseconds, uint64_t unit, int digits) {
  return trim_fraction(fmt::format("{}.{:0{}}", nanoseconds / unit, nanoseconds % unit, digits));
}

}  // namespace

std::string format_count(uint64_t count) {
  struct Unit {
    double size;
    char letter;
  };
  constexpr std::array<Unit, 4> units = {{{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}}};
  for (const Unit& unit : units) {
    // 999,995 rounds to "1M", not to "1000K".
    if (static_cast<double>(count) >= unit.size * 0.999995) {
      return trim_fraction(fmt::format("{:.2f}", static_cast<double>(count) / unit.size)) +
             unit.letter;
    }
  }
  return std::to_string(count);
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> names = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < names.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, names[unit]);
}

std::string format_gigabytes(uint64_t bytes) {
  const double value = static_cast<double>(bytes) / 1e9;
  return fmt::format("{:.{}f} GB", value, value < 9.95 ? 1 : 0);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const int64_t count = duration.count();
  if (count == 0) return "0s";
  const std::string sign = count < 0 ? "-" : "";
  const uint64_t value = count < 0 ? 0 - static_cast<uint64_t>(count) : count;
  if (value < 1'000) return sign + fmt::format("{}ns", value);
  if (value < 1'000'000) return sign + exact_ratio(value, 1'000, 3) + "µs";
  if (value < 1'000'000'000) return sign + exact_ratio(value, 1'000'000, 6) + "ms";
  constexpr uint64_t minute = 60'000'000'000;
  std::string text = sign;
  if (value >= 60 * minute) text += fmt::format("{}h", value / (60 * minute));
  if (value >= minute) text += fmt::format("{}m", value / minute % 60);
  return text + exact_ratio(value % minute, 1'000'000'000, 9) + "s";
}

std::string printable(std::string_view text) {
  std::string safe;
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    i += point.size;
    if (point.value == '\n') {
      safe += "\\n";
    } else if (point.value == '\t') {
      safe += "\\t";
    } else if (point.value == '\r') {
      safe += "\\r";
    } else if (point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0)) {
      safe += fmt::format("\\x{:02x}", point.value);
    } else {
      append_utf8(safe, point.value);
    }
  }
  return safe;
}

}  // namespace omg::cli
