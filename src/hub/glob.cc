// SPDX-License-Identifier: Apache-2.0
//
// Globs, matched without recursion, so that no pattern takes more than quadratic time.
#include "hub/selection.h"

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

}  // namespace

bool glob_matches(std::string_view glob, std::string_view path) {
  if (glob.find('/') != std::string_view::npos) return matches(glob, path);
  const size_t slash = path.rfind('/');
  return matches(glob, slash == std::string_view::npos ? path : path.substr(slash + 1));
}

}  // namespace omg
