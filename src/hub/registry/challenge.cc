// SPDX-License-Identifier: Apache-2.0
#include "hub/registry/challenge.h"

#include <cstdint>

namespace omg {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

void skip(std::string_view& text, std::string_view which) {
  while (!text.empty() && which.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
}

std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find_first_of(" \t,=\""), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

/// After the opening quote; nothing without a closing one.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string value;
  while (!text.empty()) {
    char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return value;
    if (c == '\\' && !text.empty()) {
      c = text.front();
      text.remove_prefix(1);
    }
    value += c;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Challenge> parse_challenge(std::string_view header) {
  skip(header, " \t,");
  Challenge challenge;
  challenge.scheme = lower(take_word(header));
  if (challenge.scheme.empty()) return std::nullopt;
  while (true) {
    skip(header, " \t,");
    if (header.empty()) return challenge;
    const std::string name = lower(take_word(header));
    skip(header, " \t");
    if (header.empty() || header.front() != '=') return challenge;  // the next challenge begins
    header.remove_prefix(1);
    skip(header, " \t");
    if (!header.empty() && header.front() == '"') {
      header.remove_prefix(1);
      const auto value = take_quoted(header);
      if (!value) return std::nullopt;
      challenge.parameters.emplace(name, *value);
    } else {
      challenge.parameters.emplace(name, take_word(header));
    }
  }
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      result += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return result;
}

}  // namespace omg
