// SPDX-License-Identifier: Apache-2.0
#include "text/tools/tag_text.h"

#include "text/tools/marker.h"

namespace omg {
namespace {

/// Length of the tag at the beginning of `text`; 0 where there is none.
size_t tag_length(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == '<') {
    const size_t end = text.find_first_of("<>", 1);
    if (end == std::string_view::npos) return text.size();
    return text[end] == '>' ? end + 1 : end;
  }
  if (text[0] != '[') return 0;
  size_t end = 1;
  while (end < text.size() && ((text[end] >= 'A' && text[end] <= 'Z') || text[end] == '_' ||
                               text[end] == '/' || text[end] == ' ')) {
    ++end;
  }
  return end < text.size() && end > 1 && text[end] == ']' ? end + 1 : 0;
}

}  // namespace

std::vector<std::string_view> split_exactly(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + tag_length(text.substr(at));
    if (end == at && is_marker_space(text[at])) {
      while (end < text.size() && is_marker_space(text[end])) ++end;
    } else if (end == at) {
      do {
        ++end;
      } while (end < text.size() && !is_marker_space(text[end]) &&
               tag_length(text.substr(end)) == 0);
    }
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

std::vector<std::string> split_tags(std::string_view text) {
  std::vector<std::string> tags;
  for (const std::string_view piece : split_exactly(text)) {
    if (!trim_space(piece).empty()) tags.emplace_back(piece);
  }
  return tags;
}

bool looks_like_control_token(std::string_view text) {
  return text.starts_with("<|") || text.starts_with("<｜") ||
         (text.starts_with("[") && tag_length(text) > 0);
}

}  // namespace omg
