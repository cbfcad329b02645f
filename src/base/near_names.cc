// SPDX-License-Identifier: Apache-2.0
#include "base/near_names.h"

#include <algorithm>

namespace omg {
namespace {

constexpr size_t kMaxCompared = 128;  // longer names are cut: the table is quadratic

std::string folded(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, kMaxCompared)) {
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return result;
}

/// Least number of insertions, deletions, replacements and swaps of neighbours that turn one text
/// into the other (optimal string alignment).
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> rows(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) rows[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> near_names(std::string_view text,
                                    const std::vector<std::string>& candidates, size_t most) {
  const std::string wanted = folded(text);
  const size_t allowed = std::max<size_t>(2, wanted.size() / 3);
  std::vector<std::pair<size_t, std::string>> found;
  for (const std::string& candidate : candidates) {
    const std::string name = folded(candidate);
    const size_t gap =
        name.size() > wanted.size() ? name.size() - wanted.size() : wanted.size() - name.size();
    // A name that goes on where the text ends is a good guess, however long.
    if (wanted.size() >= 3 && name.starts_with(wanted)) {
      found.emplace_back(0, candidate);
    } else if (gap <= allowed) {
      const size_t distance = edit_distance(wanted, name);
      if (distance <= allowed && distance < std::max(wanted.size(), name.size())) {
        found.emplace_back(distance, candidate);
      }
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [distance, name] : found) {
    if (names.size() < most && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

std::string did_you_mean(const std::vector<std::string>& names) {
  if (names.empty()) return "";
  std::string text = "; did you mean " + names.front();
  for (size_t i = 1; i < names.size(); ++i) {
    text += (i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return text + "?";
}

}  // namespace omg
