// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/keep_alive.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtimes/parameters.h"

namespace omg {
namespace {

constexpr double kMaxMilliseconds = 100.0 * 365 * 24 * 3600 * 1000;

struct Unit {
  std::string_view name;
  double milliseconds;
};
// Longer names before their beginnings. "µs" comes with the micro sign and with the Greek letter.
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1e-6},
                                         {"us", 1e-3},
                                         {"\u00b5s", 1e-3},
                                         {"\u03bcs", 1e-3},
                                         {"ms", 1},
                                         {"s", 1e3},
                                         {"m", 60e3},
                                         {"h", 3600e3}}};

KeepAlive from_milliseconds(double value) {
  return KeepAlive(static_cast<int64_t>(std::clamp(value, -kMaxMilliseconds, kMaxMilliseconds)));
}

/// Digits with at most one point among them, at the front of `text`, which is cut.
std::optional<double> take_decimal(std::string_view& text) {
  const size_t size = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view digits = text.substr(0, size);
  text.remove_prefix(size);
  if (digits.find_first_not_of('.') == std::string_view::npos) return std::nullopt;
  if (std::count(digits.begin(), digits.end(), '.') > 1) return std::nullopt;
  return parse_number(digits);
}

}  // namespace

std::optional<KeepAlive> parse_duration(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return KeepAlive(0);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    const std::optional<double> number = take_decimal(text);
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& candidate) {
      return text.starts_with(candidate.name);
    });
    if (!number || unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(unit->name.size());
    sum += *number * unit->milliseconds;
  }
  return from_milliseconds(negative ? -sum : sum);
}

std::optional<KeepAlive> keep_alive_of(const json::value& value) {
  if (value.is_number()) {
    const double seconds = value.to_number<double>();
    if (!std::isfinite(seconds)) return std::nullopt;
    return from_milliseconds(seconds * 1000);
  }
  if (!value.is_string()) return std::nullopt;
  const std::string_view text(value.get_string().data(), value.get_string().size());
  if (const std::optional<double> seconds = parse_number(text)) {
    return from_milliseconds(*seconds * 1000);
  }
  return parse_duration(text);
}

}  // namespace omg
