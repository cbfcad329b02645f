// SPDX-License-Identifier: Apache-2.0
//
// Globs, matched without recursion, so that no pattern takes more than quadratic time; and the
// names of parts.
#include <charconv>

#include "hub/selection.h"
#include "hub/split_name.h"

namespace omg {
namespace {

/// Matches one character against the class that begins at glob[at] == '['; sets `next` past it.
/// A class without end is a plain '['.
bool class_matches(std::string_view glob, size_t at, char c, size_t& next) {
  size_t i = at + 1;
  const bool negated = i < glob.size() && (glob[i] == '!' || glob[i] == '^');
  if (negated) ++i;
  bool found = false;
  const size_t first = i;
  while (i < glob.size() && (glob[i] != ']' || i == first)) {
    if (i + 2 < glob.size() && glob[i + 1] == '-' && glob[i + 2] != ']') {
      found |= glob[i] <= c && c <= glob[i + 2];
      i += 3;
    } else {
      found |= glob[i] == c;
      ++i;
    }
  }
  if (i >= glob.size()) {
    next = at + 1;
    return c == '[';
  }
  next = i + 1;
  return found != negated;
}

bool matches(std::string_view glob, std::string_view text) {
  size_t g = 0, t = 0;
  size_t star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    size_t next = g + 1;
    const bool fits = g < glob.size() && glob[g] != '*' &&
                      (glob[g] == '?' || (glob[g] == '[' ? class_matches(glob, g, text[t], next)
                                                         : glob[g] == text[t]));
    if (fits) {
      g = next;
      ++t;
    } else if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_text = t;
    } else if (star != std::string_view::npos) {
      g = star + 1;  // let the last star take one more
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

bool ends_with(std::string_view path, std::string_view ending) {
  if (path.size() < ending.size()) return false;
  for (size_t i = 0; i < ending.size(); ++i) {
    const char c = path[path.size() - ending.size() + i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != ending[i]) return false;
  }
  return true;
}

}  // namespace

bool glob_matches(std::string_view glob, std::string_view path) {
  if (glob.find('/') != std::string_view::npos) return matches(glob, path);
  const size_t slash = path.rfind('/');
  return matches(glob, slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::optional<SplitName> parse_split_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  const size_t dot = path.rfind('.');
  const bool has_ending =
      dot != std::string_view::npos && (slash == std::string_view::npos || dot > slash);
  const std::string_view name = has_ending ? path.substr(0, dot) : path;
  // "-00001-of-00003": 15 characters at the end.
  if (name.size() <= 15) return std::nullopt;
  const std::string_view end = name.substr(name.size() - 15);
  if (end[0] != '-' || end.substr(6, 4) != "-of-") return std::nullopt;
  SplitName split;
  for (const auto& [digits, number] :
       {std::pair{end.substr(1, 5), &split.part}, std::pair{end.substr(10, 5), &split.parts}}) {
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + 5, *number);
    if (error != std::errc() || stop != digits.data() + 5) return std::nullopt;
  }
  if (split.part == 0 || split.part > split.parts) return std::nullopt;
  split.stem = name.substr(0, name.size() - 15);
  return split;
}

bool is_gguf(std::string_view path) {
  return ends_with(path, ".gguf");
}

bool is_safetensors(std::string_view path) {
  return ends_with(path, ".safetensors");
}

}  // namespace omg
