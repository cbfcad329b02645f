// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/stop_matcher.h"

#include <algorithm>
#include <cassert>

namespace omg {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  patterns_.reserve(stops.size());  // matched_ points into it
  for (const std::string& stop : stops) {
    assert(!stop.empty());
    Pattern pattern{stop, std::vector<uint32_t>(stop.size()), 0};
    uint32_t border = 0;
    for (size_t i = 1; i < stop.size(); ++i) {
      while (border > 0 && stop[i] != stop[border]) border = pattern.fallback[border - 1];
      if (stop[i] == stop[border]) ++border;
      pattern.fallback[i] = border;
    }
    patterns_.push_back(std::move(pattern));
  }
}

void StopMatcher::Pattern::advance(char byte) {
  while (state > 0 && text[state] != byte) state = fallback[state - 1];
  if (text[state] == byte) ++state;
}

std::string StopMatcher::push(std::string_view text) {
  if (matched_ != nullptr) return {};
  for (const char byte : text) {
    held_ += byte;
    for (Pattern& pattern : patterns_) {
      pattern.advance(byte);
      const bool complete = pattern.state == pattern.text.size();
      if (complete && (matched_ == nullptr || matched_->size() < pattern.text.size())) {
        matched_ = &pattern.text;
      }
    }
    if (matched_ != nullptr) {
      held_.resize(held_.size() - matched_->size());
      return finish();
    }
  }
  size_t possible = 0;
  for (const Pattern& pattern : patterns_) possible = std::max(possible, pattern.state);
  std::string certain = held_.substr(0, held_.size() - possible);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopMatcher::finish() {
  std::string rest;
  rest.swap(held_);
  return rest;
}

}  // namespace omg
