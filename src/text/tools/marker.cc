// SPDX-License-Identifier: Apache-2.0
#include "text/tools/marker.h"

#include <algorithm>

namespace omg {

bool is_marker_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view trim_space(std::string_view text) {
  while (!text.empty() && is_marker_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_marker_space(text.back())) text.remove_suffix(1);
  return text;
}

MarkerMatch match_marker(std::string_view marker, std::string_view text, bool final) {
  const Match unfinished = final ? Match::kNo : Match::kPartial;
  size_t at = 0;
  for (size_t i = 0; i < marker.size();) {
    if (is_marker_space(marker[i])) {
      while (i < marker.size() && is_marker_space(marker[i])) ++i;
      const size_t limit = at + kMaxMarkerSpace;
      while (at < text.size() && at < limit && is_marker_space(text[at])) ++at;
      continue;
    }
    if (at == text.size()) return {unfinished, 0};
    if (marker[i] != text[at]) return {Match::kNo, 0};
    ++i;
    ++at;
  }
  return {Match::kFull, at};
}

MarkerSet::MarkerSet(std::vector<std::string> markers) : markers_(std::move(markers)) {
  for (std::string& marker : markers_) {
    marker = std::string(trim_space(marker));
    if (marker.empty() || first_bytes_.find(marker[0]) != std::string::npos) continue;
    first_bytes_ += marker[0];
  }
}

MarkerSet::Found MarkerSet::match_at(std::string_view text, size_t at, bool final) const {
  const std::string_view rest = text.substr(at);
  Found best{text.size(), kNone, 0};
  bool partial = false;
  for (size_t i = 0; i < markers_.size(); ++i) {
    if (markers_[i].empty()) continue;
    const MarkerMatch match = match_marker(markers_[i], rest, final);
    if (match.match == Match::kPartial) partial = true;
    if (match.match == Match::kFull && match.length > best.length) best = {at, i, match.length};
  }
  if (partial) return {at, kNone, 0};  // may become a longer one
  return best;
}

MarkerSet::Found MarkerSet::find(std::string_view text, size_t from, bool final) const {
  if (!first_bytes_.empty()) {
    for (size_t at = from; (at = text.find_first_of(first_bytes_, at)) < text.size(); ++at) {
      const Found found = match_at(text, at, final);
      if (found.position == at) return found;
    }
  }
  return {text.size(), kNone, 0};
}

}  // namespace omg
